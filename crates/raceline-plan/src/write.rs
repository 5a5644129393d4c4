//! File sinks in a plan.

use std::collections::BTreeMap;

/// What to do when the target exists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SaveMode {
    /// Add files beside what is there.
    #[default]
    Append,
    /// Replace what is there.
    Overwrite,
    /// Do nothing.
    Ignore,
    /// Fail.
    Error,
}

/// What the files hold.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum WriteFormat {
    /// Parquet.
    Parquet {
        /// `snappy`, `zstd`, `gzip`, `lz4` or `none`.
        compression: String,
        /// Rows of a row group; `None` is the writer's default. A group is smaller at the end of
        /// a file, and when the rows that wait to be written would take more than 128 MiB, or more
        /// than a 24th of the session's memory.
        row_group_rows: Option<usize>,
    },
    /// Comma-separated values with a header.
    Csv,
    /// JSON lines.
    Json,
}

impl WriteFormat {
    /// The file name's extension.
    #[must_use]
    pub fn extension(&self) -> &'static str {
        match self {
            Self::Parquet { .. } => "parquet",
            Self::Csv => "csv",
            Self::Json => "json",
        }
    }
}

/// A write of a dataset to a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteSpec {
    /// What the files hold.
    pub format: WriteFormat,
    /// The folder, local or with a scheme.
    pub path: String,
    /// Endpoint, region and credentials of the store; what is missing comes from the
    /// environment.
    pub storage_options: BTreeMap<String, String>,
    /// What to do when the folder exists.
    pub mode: SaveMode,
    /// Columns whose values become hive folders; they leave the files.
    pub partition_columns: Vec<String>,
    /// At least this many rows a file, except the last.
    pub rows_per_file_min: Option<usize>,
    /// At most this many rows a file.
    pub rows_per_file_max: Option<usize>,
}
