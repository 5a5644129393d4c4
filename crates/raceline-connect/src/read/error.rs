//! What can be wrong with a file's content, or with what is asked of it.

use std::error::Error;
use std::sync::Arc;

use arrow::datatypes::DataType;
use raceline_types::{Diagnostic, ErrorKind, nearest_names};
use thiserror::Error;

/// A file that does not hold what it should, or a column that no file has.
#[derive(Debug, Error)]
pub enum ReadError {
    /// A column that the files do not have.
    #[error("no column `{column}` in these files")]
    ColumnNotFound {
        /// The column asked for.
        column: String,
        /// Columns that there are.
        known: Vec<String>,
    },
    /// A column of URIs that is not text.
    #[error("cannot download column `{column}` of type `{data_type}`")]
    NotUris {
        /// The column.
        column: String,
        /// Its type.
        data_type: DataType,
    },
    /// Two columns of one name: of the content, the folders, or `path`.
    #[error("the partition column `{column}` is also a column of the files")]
    ColumnTwice {
        /// The name.
        column: String,
    },
    /// A line that is not UTF-8.
    #[error("line {line} of `{uri}` is not UTF-8")]
    NotUtf8 {
        /// The file.
        uri: Arc<str>,
        /// The line, counted from 1; of a file that is read in pieces, from the piece's start.
        line: u64,
    },
    /// A line that no column can hold.
    #[error("line {line} of `{uri}` is longer than {bytes_max} bytes")]
    LineTooLong {
        /// The file.
        uri: Arc<str>,
        /// The line, counted from 1.
        line: u64,
        /// The longest that can be held.
        bytes_max: usize,
    },
    /// A file that no column can hold.
    #[error("`{uri}` is larger than {bytes_max} bytes")]
    FileTooLarge {
        /// The file.
        uri: Arc<str>,
        /// The largest that can be held.
        bytes_max: usize,
    },
    /// Compressed bytes that cannot be decompressed.
    #[error("cannot decompress `{uri}` as {codec}")]
    Compressed {
        /// The file.
        uri: Arc<str>,
        /// How it is compressed, by its name.
        codec: &'static str,
        /// What the decoder says.
        source: Box<dyn Error + Send + Sync>,
    },
    /// An image that cannot be decoded.
    #[error("cannot decode the image `{uri}`")]
    Image {
        /// The file.
        uri: Arc<str>,
        /// What the decoder says.
        source: Box<dyn Error + Send + Sync>,
        /// What the decoder advises.
        advice: Option<String>,
    },
    /// A size that no image can have, or whose pixels are over 1 GiB, or a side over 65535.
    #[error("cannot resize images to `{height}` by `{width}`")]
    ImageSize {
        /// Rows of pixels.
        height: u32,
        /// Pixels in a row.
        width: u32,
    },
    /// An image mode that does not exist.
    #[error("unknown image mode `{mode}`")]
    ImageMode {
        /// What was asked for.
        mode: String,
    },
}

impl Diagnostic for ReadError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::ColumnNotFound { .. } => ErrorKind::ColumnNotFound,
            Self::NotUris { .. }
            | Self::ColumnTwice { .. }
            | Self::ImageMode { .. }
            | Self::ImageSize { .. } => ErrorKind::Plan,
            Self::NotUtf8 { .. }
            | Self::LineTooLong { .. }
            | Self::FileTooLarge { .. }
            | Self::Compressed { .. }
            | Self::Image { .. } => ErrorKind::Source,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::ColumnNotFound { column, known } => {
                let near = nearest_names(column, known.iter().map(String::as_str));
                if near.is_empty() {
                    format!("columns are `{}`", known.join("`, `"))
                } else {
                    format!("did you mean `{}`?", near.join("`, `"))
                }
            }
            Self::NotUris { .. } => "it must hold URIs or paths, as strings".to_owned(),
            Self::ColumnTwice { .. } => {
                "rename the folders, or read with `partitioning=None`".to_owned()
            }
            Self::NotUtf8 { .. } => "convert the file to UTF-8, or read it with \
                 `read_binary_files` and decode it there"
                .to_owned(),
            Self::LineTooLong { .. } => {
                "is it a text file? `read_binary_files` reads whole files".to_owned()
            }
            Self::FileTooLarge { .. } => "cut the file into smaller ones".to_owned(),
            Self::Compressed { .. } => "the file is truncated or damaged, or its name ends with \
                 the wrong extension"
                .to_owned(),
            Self::Image { advice: Some(advice), .. } => advice.clone(),
            Self::Image { advice: None, .. } => {
                "remove the file, or leave it out with a pattern such as `folder/*.jpg`".to_owned()
            }
            Self::ImageSize { .. } => {
                "`size` is (height, width), both from 1 to 65535, of at most 1 GiB of pixels"
                    .to_owned()
            }
            Self::ImageMode { .. } => "modes are `RGB`, `L` and `RGBA`".to_owned(),
        })
    }
}
