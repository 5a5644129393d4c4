//! Why bytes could not be made into a picture.

use std::error::Error;
use std::fmt;

use raceline_types::{Diagnostic, ErrorKind};
use thiserror::Error;

/// A picture format that this crate reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageFormat {
    /// ITU T.81.
    Jpeg,
    /// ISO 15948.
    Png,
}

impl fmt::Display for ImageFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
        })
    }
}

/// What is wrong with a picture.
#[derive(Debug, Error)]
pub enum MediaError {
    /// There are no bytes.
    #[error("not an image: it has no bytes")]
    Empty,
    /// The first bytes belong to no format that this crate reads.
    #[error("not an image this build can read: starts with `{head}`")]
    Unrecognised {
        /// The first eight bytes: text where printable, `\x..` elsewhere.
        head: String,
    },
    /// The bytes end before the picture does.
    #[error("{format} image is truncated: it ends after `{bytes}` bytes")]
    Truncated {
        /// Its format.
        format: ImageFormat,
        /// Bytes that are there.
        bytes: usize,
    },
    /// The bytes break the rules of their format.
    #[error("{format} image is damaged")]
    Damaged {
        /// Its format.
        format: ImageFormat,
        /// What the decoder found.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A valid picture of a kind that this crate does not read.
    #[error("{format} image is of a kind this build cannot read: `{found}`")]
    Unsupported {
        /// Its format.
        format: ImageFormat,
        /// What was found.
        found: String,
    },
    /// The header announces more pixels than allowed.
    #[error("{format} image of `{height}` by `{width}` is over the limit of `{pixels_max}` pixels")]
    TooManyPixels {
        /// Its format.
        format: ImageFormat,
        /// Rows of pixels.
        height: u32,
        /// Pixels in a row.
        width: u32,
        /// The limit.
        pixels_max: u64,
    },
    /// The header announces more bytes of pixels than allowed.
    #[error("{format} image of `{bytes}` bytes is over the limit of `{bytes_max}` bytes")]
    TooManyBytes {
        /// Its format.
        format: ImageFormat,
        /// Bytes of its pixels.
        bytes: u64,
        /// The limit.
        bytes_max: u64,
    },
    /// No picture has this size.
    #[error("cannot resize an image to `{height}` by `{width}`")]
    Size {
        /// Rows of pixels asked for.
        height: u32,
        /// Pixels in a row asked for.
        width: u32,
    },
}

impl Diagnostic for MediaError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Size { .. } => ErrorKind::Plan,
            _ => ErrorKind::Source,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Empty | Self::Truncated { .. } => "copy the file again from where it came from",
            Self::Unrecognised { .. } => {
                "JPEG and PNG are read, whatever the file's name; leave other files out by a glob \
                 such as `*.jpg`, or read them by read_binary_files"
            }
            Self::Damaged { .. } => "copy or encode the file again, or leave it out",
            Self::Unsupported { .. } => "encode it again as baseline JPEG or as PNG",
            Self::TooManyPixels { .. } | Self::TooManyBytes { .. } => {
                "a small file can hold a huge picture on purpose: leave it out unless you trust it, \
                 and scale it down if you do"
            }
            Self::Size { .. } => "height and width are at least 1 and at most 65535",
        };
        Some(hint.into())
    }
}
