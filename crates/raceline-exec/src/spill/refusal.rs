//! Why a folder takes no more.

use std::fmt;
use std::io;

/// Why a spill folder took no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Its quota is used up.
    Quota {
        /// Bytes in use.
        used_bytes: u64,
        /// The quota.
        bytes_max: u64,
    },
    /// The disk that it is on is full, or the user's quota there is.
    DiskFull,
    /// It is on a file system that is mounted read-only.
    ReadOnly,
    /// It is not ours to write to.
    PermissionDenied,
    /// It was there before, and is gone.
    Removed,
    /// Something else, in the system's words.
    Io(String),
}

impl Refusal {
    /// What the system's error means for a folder.
    pub(super) fn of(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull,
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly,
            io::ErrorKind::PermissionDenied => Self::PermissionDenied,
            io::ErrorKind::NotFound => Self::Removed,
            _ => Self::Io(error.to_string()),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Quota { used_bytes, bytes_max } => {
                write!(f, "{used_bytes} of its {bytes_max} bytes are used")
            }
            Self::DiskFull => f.write_str("its disk is full"),
            Self::ReadOnly => f.write_str("it is read-only"),
            Self::PermissionDenied => f.write_str("it may not be written to"),
            Self::Removed => f.write_str("it was removed while it was in use"),
            Self::Io(text) => f.write_str(text),
        }
    }
}

/// A folder, and why it took no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderRefusal {
    /// The folder.
    pub folder: String,
    /// Why.
    pub refusal: Refusal,
}
