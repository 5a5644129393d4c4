//! What can stand in the way of a write.

use std::error::Error;
use std::io;
use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::DataType;
use raceline_types::{Diagnostic, ErrorKind, Failure, nearest_names};
use thiserror::Error;

/// A write that cannot be begun or finished.
#[derive(Debug, Error)]
pub enum WriteError {
    /// The target exists, and the mode is to fail then.
    #[error("`{path}` exists already")]
    Exists {
        /// The target, as the user wrote it.
        path: String,
    },
    /// The target is a pattern.
    #[error("cannot write to the pattern `{path}`")]
    Pattern {
        /// The target, as the user wrote it.
        path: String,
    },
    /// The target is a file.
    #[error("cannot write a folder of files to `{uri}`: it is a file")]
    NotAFolder {
        /// The target.
        uri: Arc<str>,
    },
    /// More rows at least than at most.
    #[error("at least {rows_min} rows a file do not fit at most {rows_max} rows a file")]
    RowsPerFile {
        /// At least so many.
        rows_min: usize,
        /// At most so many.
        rows_max: usize,
    },
    /// A compression that Parquet does not have, or that this build does not.
    #[error("unknown Parquet compression `{name}`")]
    Compression {
        /// What was asked for.
        name: String,
    },
    /// A column whose type the format cannot hold.
    #[error("{format} cannot hold the column `{column}` of type `{type_name}`")]
    Unwritable {
        /// The format.
        format: &'static str,
        /// The column.
        column: String,
        /// Its type, for people.
        type_name: String,
    },
    /// A partition column that the rows do not have.
    #[error("no column `{column}` to partition by")]
    NoPartitionColumn {
        /// What was asked for.
        column: String,
        /// The columns that there are.
        known: Vec<String>,
    },
    /// A partition column whose values cannot name folders.
    #[error("cannot partition by the column `{column}` of type `{data_type}`")]
    PartitionType {
        /// The column.
        column: String,
        /// Its type.
        data_type: DataType,
    },
    /// A file that whoever names the files cannot name.
    #[error("cannot name a file of the write")]
    Name {
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
    /// Two files of one name.
    #[error("two files of the write would be called `{name}`")]
    NameTwice {
        /// The name.
        name: String,
    },
    /// Every column is a partition column.
    #[error("nothing is left for the files: there is no column besides partition columns")]
    OnlyPartitions,
    /// No room left.
    #[error("no space left for `{uri}`")]
    Full {
        /// What was being written.
        uri: Arc<str>,
        /// What the system says.
        source: io::Error,
    },
    /// Writing there is not allowed.
    #[error("cannot write to `{uri}`")]
    Denied {
        /// What was being written.
        uri: Arc<str>,
        /// What the system says.
        source: io::Error,
    },
    /// Writing failed otherwise.
    #[error("writing `{uri}` failed")]
    Io {
        /// What was being written.
        uri: Arc<str>,
        /// What the system says.
        source: io::Error,
    },
    /// Rows that cannot be encoded.
    #[error("cannot encode rows as {format}")]
    Encode {
        /// The format.
        format: &'static str,
        /// What the encoder says.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The record of an earlier write makes no sense.
    #[error("its manifest is damaged")]
    Manifest {
        /// What is wrong with it.
        source: Box<dyn Error + Send + Sync>,
    },
    /// An upload that its store no longer knows, and that did not become the file.
    #[error("the upload of `{uri}` is gone")]
    UploadGone {
        /// The file that it was to be.
        uri: Arc<str>,
    },
    /// An earlier write, which broke off while its files were made visible, cannot be finished.
    #[error("cannot finish an earlier write, which broke off: `{folder}`")]
    Unfinished {
        /// Its staging folder.
        folder: String,
        /// Why.
        source: Box<Failure>,
    },
}

impl WriteError {
    /// The typed error for what the file system said about `path`.
    pub(super) fn io(path: &Path, source: io::Error) -> Self {
        let uri = path.to_string_lossy().as_ref().into();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { uri, source },
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Self::Denied { uri, source }
            }
            io::ErrorKind::NotADirectory => Self::NotAFolder { uri },
            _ => Self::Io { uri, source },
        }
    }

    /// A manifest that says nothing that can be carried out.
    pub(super) fn manifest(source: Box<dyn Error + Send + Sync>) -> Self {
        Self::Manifest { source }
    }

    /// Why the write of the staging folder `folder` cannot be finished.
    pub(super) fn unfinished(folder: &str, failure: Failure) -> Self {
        Self::Unfinished { folder: folder.to_owned(), source: Box::new(failure) }
    }
}

impl Diagnostic for WriteError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NoPartitionColumn { .. } => ErrorKind::ColumnNotFound,
            Self::Full { .. } => ErrorKind::Resource,
            Self::Denied { .. } => ErrorKind::PermissionDenied,
            Self::Unfinished { source, .. } => source.kind(),
            Self::Io { .. }
            | Self::Encode { .. }
            | Self::Manifest { .. }
            | Self::UploadGone { .. } => ErrorKind::Source,
            _ => ErrorKind::Plan,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Exists { .. } => {
                "write elsewhere, or with the mode `append`, `overwrite` or `ignore`".to_owned()
            }
            Self::Pattern { .. } | Self::NotAFolder { .. } => {
                "name a folder: files in it get names of their own".to_owned()
            }
            Self::Compression { .. } => {
                "compressions are `snappy`, `zstd`, `gzip`, `lz4` and `none`".to_owned()
            }
            Self::Unwritable { .. } => {
                "drop or convert the column first, or write Parquet, which holds tensors and \
                 nested columns (but no Python objects)"
                    .to_owned()
            }
            Self::NoPartitionColumn { column, known } => {
                let near = nearest_names(column, known.iter().map(String::as_str));
                if near.is_empty() {
                    format!("columns are `{}`", known.join("`, `"))
                } else {
                    format!("did you mean `{}`?", near.join("`, `"))
                }
            }
            Self::PartitionType { .. } => {
                "partition by columns of numbers, strings, booleans or dates".to_owned()
            }
            Self::NameTwice { .. } => {
                "make the name depend on `task_index`, and on nothing that is the same for all \
                 files"
                    .to_owned()
            }
            Self::Full { .. } => {
                "free some space or write elsewhere; what was staged has been removed".to_owned()
            }
            Self::Denied { .. } => "check the owner and mode of the folder, and that its file \
                 system is not read-only"
                .to_owned(),
            Self::UploadGone { .. } => "the bucket has expired it, or someone aborted it: write \
                the data again"
                .to_owned(),
            Self::Unfinished { folder, .. } => format!(
                "mend the cause and write again; or give that write up by removing `{folder}` with \
                 all it holds: what it was to replace is still there"
            ),
            Self::RowsPerFile { .. }
            | Self::Name { .. }
            | Self::OnlyPartitions
            | Self::Io { .. }
            | Self::Manifest { .. }
            | Self::Encode { .. } => return None,
        })
    }
}
