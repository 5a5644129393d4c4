//! Readers of what is not a table: lines of text, whole files, images; and the files
//! that a column names.

mod binary;
mod codec;
mod columns;
mod download;
mod error;
mod fetch;
mod image;
mod lines;
mod output;
mod text;

pub use binary::BinaryReader;
pub(crate) use codec::Codec;
pub use columns::FileColumns;
pub use download::DownloadOperator;
pub use error::ReadError;
pub use image::ImageReader;
pub use text::TextReader;
