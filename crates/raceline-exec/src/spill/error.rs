//! What can go wrong with rows on disk.

use std::io;

use arrow::error::ArrowError;
use raceline_types::{Diagnostic, ErrorKind};
use thiserror::Error;

use super::refusal::FolderRefusal;

/// Rows could not be put on disk, or not be read back.
#[derive(Debug, Error)]
pub enum SpillError {
    /// No folder takes what is to be written.
    #[error("no spill folder takes {needed_bytes} bytes more")]
    NoRoom {
        /// Bytes that were to be written.
        needed_bytes: u64,
        /// All folders.
        folders: Vec<FolderRefusal>,
    },
    /// A file is gone.
    #[error("spilled data in `{path}` is gone")]
    Gone {
        /// The file.
        path: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file cannot be read.
    #[error("spilled data in `{path}` cannot be read at offset {offset}")]
    Read {
        /// The file.
        path: String,
        /// Where in the file.
        offset: u64,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file does not hold what was written to it.
    #[error(
        "spilled data in `{path}` is damaged at offset {offset}: the disk returned other bytes \
         than were written"
    )]
    Damaged {
        /// The file.
        path: String,
        /// Where the damaged block begins.
        offset: u64,
    },
    /// Rows that have no form on disk, or that cannot be gathered.
    #[error("rows cannot be spilled")]
    Rows {
        /// Arrow's reason.
        #[source]
        source: ArrowError,
    },
    /// The session that the store belongs to has ended.
    #[error("the session has ended, and its spill folders with it")]
    Closed,
}

impl Diagnostic for SpillError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NoRoom { .. } | Self::Closed => ErrorKind::Resource,
            Self::Gone { .. } | Self::Read { .. } | Self::Damaged { .. } => ErrorKind::Source,
            Self::Rows { .. } => ErrorKind::Plan,
        }
    }

    fn detail(&self) -> Option<String> {
        let Self::NoRoom { folders, .. } = self else { return None };
        let lines = folders.iter().map(|one| format!("  folder `{}`: {}", one.folder, one.refusal));
        Some(lines.collect::<Vec<_>>().join("\n"))
    }

    fn hint(&self) -> Option<String> {
        Some(
            match self {
                Self::NoRoom { .. } => {
                    "free space there, name more or larger folders by \
                     `raceline.init(spill_dirs=[…])`, or give the session more memory"
                }
                Self::Gone { .. } => {
                    "leave the spill folders alone while a session runs; run again"
                }
                Self::Read { .. } | Self::Damaged { .. } => {
                    "check the disk, and name a folder on another one by \
                     `raceline.init(spill_dirs=[…])`"
                }
                Self::Rows { .. } => "cast the columns to other types first",
                Self::Closed => "make a new session",
            }
            .to_owned(),
        )
    }
}

#[cfg(test)]
mod tests {
    use raceline_types::Failure;

    use super::super::refusal::Refusal;
    use super::*;

    #[test]
    fn messages_say_where_what_and_what_to_do() {
        let folder = |folder: &str, refusal| FolderRefusal { folder: folder.into(), refusal };
        let quota = Refusal::Quota { used_bytes: 900, bytes_max: 1000 };
        let folders = vec![
            folder("/a", quota),
            folder("/b", Refusal::DiskFull),
            folder("/c", Refusal::ReadOnly),
            folder("/d", Refusal::PermissionDenied),
            folder("/e", Refusal::Removed),
            folder("/f", Refusal::Io("too many open files".into())),
        ];
        let text = |error: SpillError| Failure::from(error).in_stage("Sort(id)").render();
        assert_eq!(
            text(SpillError::NoRoom { needed_bytes: 4096, folders }),
            "no spill folder takes 4096 bytes more\n  stage: Sort(id)\n  folder `/a`: 900 of its \
             1000 bytes are used\n  folder `/b`: its disk is full\n  folder `/c`: it is \
             read-only\n  folder `/d`: it may not be written to\n  folder `/e`: it was removed \
             while it was in use\n  folder `/f`: too many open files\n  hint: free space there, \
             name more or larger folders by `raceline.init(spill_dirs=[…])`, or give the session \
             more memory"
        );
        let path = || "/a/1.spill".to_owned();
        let source = || io::Error::other("input/output error");
        assert_eq!(
            text(SpillError::Gone { path: path(), source: source() }),
            "spilled data in `/a/1.spill` is gone\n  stage: Sort(id)\n  caused by: input/output \
             error\n  hint: leave the spill folders alone while a session runs; run again"
        );
        assert_eq!(
            text(SpillError::Read { path: path(), offset: 7, source: source() }),
            "spilled data in `/a/1.spill` cannot be read at offset 7\n  stage: Sort(id)\n  caused \
             by: input/output error\n  hint: check the disk, and name a folder on another one by \
             `raceline.init(spill_dirs=[…])`"
        );
        assert_eq!(
            text(SpillError::Damaged { path: path(), offset: 7 }),
            "spilled data in `/a/1.spill` is damaged at offset 7: the disk returned other bytes \
             than were written\n  stage: Sort(id)\n  hint: check the disk, and name a folder on \
             another one by `raceline.init(spill_dirs=[…])`"
        );
        let source = ArrowError::NotYetImplemented("views of views".into());
        assert_eq!(
            text(SpillError::Rows { source }),
            "rows cannot be spilled\n  stage: Sort(id)\n  caused by: Not yet implemented: views \
             of views\n  hint: cast the columns to other types first"
        );
        assert_eq!(
            text(SpillError::Closed),
            "the session has ended, and its spill folders with it\n  stage: Sort(id)\n  hint: \
             make a new session"
        );
    }
}
