//! Readers of what is not a table: lines of text, whole files, images.

mod binary;
mod codec;
mod columns;
mod error;
mod fetch;
mod image;
mod lines;
mod output;
mod text;

pub use binary::BinaryReader;
pub(crate) use codec::Codec;
pub use columns::FileColumns;
pub use error::ReadError;
pub use image::ImageReader;
pub use text::TextReader;
