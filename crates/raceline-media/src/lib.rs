//! Codecs for pictures: bytes in, pixels out.
//!
//! Pure functions over untrusted bytes. Every decoder takes [`Limits`], checks them before it
//! allocates, and answers anything that it cannot read with a typed [`MediaError`]; it never
//! panics. This crate knows no plans, files or network.

mod decode;
mod error;
mod image;
mod jpeg;
mod limits;
mod png;
mod resize;

pub use decode::{Decoder, decode};
pub use error::{ImageFormat, MediaError};
pub use image::{Image, Mode, Shape};
pub use limits::Limits;
pub use resize::resize;
