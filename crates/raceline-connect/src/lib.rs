//! Files: opens stores, lists, reads what `DataFusion` does not read (text, whole files, images)
//! and writes with a commit.
//!
//! Tables (Parquet, CSV, JSON) are listed here and read by `relational`, over the stores that
//! [`Stores`] holds. This crate knows credentials; it does not know how plans are executed.

mod error;
mod listing;
mod read;
mod store;
mod write;

pub use error::ConnectError;
pub use listing::{HIVE_NULL, Listing};
pub use read::{BinaryReader, DownloadOperator, FileColumns, ImageReader, ReadError, TextReader};
pub use store::{Located, Stores};
pub use write::{FileSink, WriteError};
