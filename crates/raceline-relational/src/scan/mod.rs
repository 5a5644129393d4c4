//! Scans of table files: Parquet, CSV and JSON.

mod bounds;
mod csv;
mod fault;
mod head;
mod infer;
mod json;
mod leaf;
mod objects;
mod prune;
mod reader;
mod table_file;

#[cfg(test)]
mod tests;

pub use infer::{count_rows, infer_schema};
pub(crate) use leaf::Types;
pub use reader::FileReader;
pub(crate) use reader::constants;
pub(crate) use table_file::{TableFile, TableShape};

use std::time::{Duration, UNIX_EPOCH};

use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use object_store::ObjectMeta;
use object_store::path::Path;
use raceline_plan::FileSplit;
use raceline_types::{Failure, InternalError};

/// Name of the column that names each row's file.
const PATH_COLUMN: &str = "path";

/// What a listing would tell about the file of a split.
fn object_meta(split: &FileSplit) -> Result<ObjectMeta, Failure> {
    let location = Path::parse(split.location.as_ref())
        .map_err(|error| InternalError::caused_by("location of a split", error))?;
    let modified = Duration::from_millis(u64::try_from(split.modified_ms).unwrap_or(0));
    Ok(ObjectMeta {
        location,
        last_modified: (UNIX_EPOCH + modified).into(),
        size: split.size_bytes,
        e_tag: None,
        version: None,
    })
}

/// The compression that a file's name tells.
fn compression(split: &FileSplit) -> FileCompressionType {
    let name = split.location.as_ref();
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    match ending.as_deref() {
        Some("gz" | "gzip") => FileCompressionType::GZIP,
        Some("zst" | "zstd") => FileCompressionType::ZSTD,
        Some("bz2") => FileCompressionType::BZIP2,
        Some("xz") => FileCompressionType::XZ,
        _ => FileCompressionType::UNCOMPRESSED,
    }
}

/// Whether a split holds the start of its file.
fn is_first(split: &FileSplit) -> bool {
    split.range.as_ref().is_none_or(|range| range.start == 0 && range.end > 0)
}
