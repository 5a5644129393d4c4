//! The spill files of a session.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Once};

use arrow::datatypes::SchemaRef;

use super::error::SpillError;
use super::file::SpillWriter;
use super::folder::{Folder, OpenFile, PREFIX};
use super::log::SpillLog;
use super::session_folder::sweep_folders;

/// A folder for spill files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpillFolder {
    /// Where it is. It is made at first need.
    pub path: PathBuf,
    /// Most bytes that a session may have in it at a time; `None` is what the disk has.
    pub bytes_max: Option<u64>,
}

/// Where a session spills.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpillOptions {
    /// The folders; the system's temporary folder when there are none.
    pub folders: Vec<SpillFolder>,
}

/// All that a session has on disk.
///
/// Files go to the folder with most room left, and to another when that one is full, read-only or
/// gone. A file is deleted when nobody needs it any more, and all of them when the store is closed
/// or dropped. What a session leaves behind that is killed, the next one with the same folders
/// removes.
#[derive(Debug)]
pub struct SpillStore {
    folders: Vec<Arc<Folder>>,
    files: AtomicU64,
    swept: Once,
}

impl SpillStore {
    /// A store. Touches no disk.
    #[must_use]
    pub fn new(options: SpillOptions) -> Arc<Self> {
        let SpillOptions { mut folders } = options;
        if folders.is_empty() {
            folders.push(SpillFolder { path: std::env::temp_dir(), bytes_max: None });
        }
        let folders = folders.into_iter().map(|one| Arc::new(Folder::new(one.path, one.bytes_max)));
        Arc::new(Self { folders: folders.collect(), files: AtomicU64::new(0), swept: Once::new() })
    }

    /// A writer of rows of `schema`, which errors say belong to `stage`. There is nothing on disk
    /// before the first row.
    #[must_use]
    pub fn create(self: &Arc<Self>, stage: &str, schema: &SchemaRef) -> SpillWriter {
        SpillWriter::new(self.log(Some(stage)), schema)
    }

    /// A log of blocks of bytes, which errors say belong to `stage`, if given. There is nothing on disk
    /// before the first block.
    #[must_use]
    pub fn log(self: &Arc<Self>, stage: Option<&str>) -> SpillLog {
        SpillLog::new(Arc::clone(self), stage)
    }

    /// Bytes on disk now.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.folders.iter().map(|folder| folder.used_bytes()).sum()
    }

    /// Removes what killed sessions left in the folders, the first time that it is called. Waits
    /// for a call that is under way.
    pub fn sweep(&self) {
        self.swept.call_once(|| {
            for folder in &self.folders {
                sweep_folders(folder.path(), PREFIX);
            }
        });
    }

    /// Deletes all files; nothing is written from here on. In a fork of the process that made the
    /// store, deletes nothing.
    pub fn close(&self) {
        for folder in &self.folders {
            folder.close();
        }
    }

    /// A new file for `needed_bytes`, in the folder with most room of those that have not refused
    /// yet. A folder that does is added to `refusals`.
    pub(super) fn new_file(
        &self,
        needed_bytes: u64,
        refusals: &mut Vec<(Arc<Folder>, super::Refusal)>,
    ) -> Result<OpenFile, SpillError> {
        self.sweep();
        let mut left: Vec<_> = self
            .folders
            .iter()
            .filter(|folder| !refusals.iter().any(|(refused, _)| Arc::ptr_eq(refused, folder)))
            .map(|folder| (folder.room_bytes(), folder))
            .collect();
        left.sort_by_key(|(room_bytes, _)| std::cmp::Reverse(*room_bytes));
        for (_, folder) in left {
            match folder.create(self.files.fetch_add(1, Ordering::Relaxed) + 1) {
                Ok(Some(file)) => return Ok(file),
                Ok(None) => return Err(SpillError::Closed),
                Err(refusal) => refusals.push((Arc::clone(folder), refusal)),
            }
        }
        let folders = self.folders.iter().filter_map(|folder| {
            let mut refused = refusals.iter().filter(|(refused, _)| Arc::ptr_eq(refused, folder));
            refused.next().map(|(folder, refusal)| folder.refuses(refusal.clone()))
        });
        Err(SpillError::NoRoom { needed_bytes, folders: folders.collect() })
    }
}
