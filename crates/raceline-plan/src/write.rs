//! File sinks in a plan.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

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

/// Gives the files of a write their names.
pub trait NameFiles: Send + Sync {
    /// The name of the file number `index` of the write `write_id`: without folders, and another
    /// one for each file.
    ///
    /// # Errors
    /// Whatever keeps it from naming the file; it ends the write.
    fn name(&self, write_id: &str, index: usize) -> Result<String, Box<dyn Error + Send + Sync>>;
}

/// What the files of a write are called.
#[derive(Clone)]
pub enum FileNames {
    /// `{dataset id}_{write id}_{index}.{extension}`, without the dataset's where it is empty.
    ByIndex {
        /// What they begin with.
        dataset_id: String,
    },
    /// As somebody else says.
    Given(Arc<dyn NameFiles>),
}

impl Default for FileNames {
    fn default() -> Self {
        Self::ByIndex { dataset_id: String::new() }
    }
}

impl fmt::Debug for FileNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ByIndex { dataset_id } => write!(f, "ByIndex({dataset_id})"),
            Self::Given(_) => f.write_str("Given"),
        }
    }
}

impl PartialEq for FileNames {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::ByIndex { dataset_id: own }, Self::ByIndex { dataset_id: other }) => {
                own == other
            }
            (Self::Given(own), Self::Given(other)) => Arc::ptr_eq(own, other),
            _ => false,
        }
    }
}

impl Eq for FileNames {}

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
    /// What the files are called.
    pub names: FileNames,
}
