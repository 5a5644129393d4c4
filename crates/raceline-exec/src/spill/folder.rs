//! One spill folder: its quota, the session's folder in it, and the files there.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::refusal::{FolderRefusal, Refusal};
use super::session_folder::SessionFolder;

/// How the names of sessions' folders begin.
pub(super) const PREFIX: &str = "raceline-spill-";

/// A folder that a session may spill to.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    bytes_max: Option<u64>,
    used_bytes: AtomicU64,
    made: Mutex<Made>,
}

#[derive(Debug)]
enum Made {
    /// Nothing was written yet.
    Nothing,
    /// The session's folder.
    Folder(SessionFolder),
    /// The session has ended.
    Closed,
}

impl Folder {
    pub(super) fn new(path: PathBuf, bytes_max: Option<u64>) -> Self {
        let (used_bytes, made) = (AtomicU64::new(0), Mutex::new(Made::Nothing));
        Self { path, bytes_max, used_bytes, made }
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes of the files in it.
    pub(super) fn used_bytes(&self) -> u64 {
        self.used_bytes.load(Ordering::Relaxed)
    }

    /// Bytes that may still be written: what the quota leaves, and no more than the disk has free.
    pub(super) fn room_bytes(&self) -> u64 {
        let quota = self.bytes_max.map_or(u64::MAX, |max| max.saturating_sub(self.used_bytes()));
        quota.min(free_bytes(&self.path))
    }

    /// A new file, named after `number`. `Ok(None)` when the session has ended.
    pub(super) fn create(self: &Arc<Self>, number: u64) -> Result<Option<OpenFile>, Refusal> {
        let path = {
            let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
            if matches!(*made, Made::Nothing) {
                // It is made once: when it vanishes later, what is there instead may be another
                // disk, or the place where one was mounted.
                let folder = fs::create_dir_all(&self.path)
                    .and_then(|()| SessionFolder::create(&self.path, PREFIX));
                let folder = folder.map_err(|error| match Refusal::of(&error) {
                    Refusal::Removed => Refusal::Io(error.to_string()),
                    refusal => refusal,
                });
                *made = Made::Folder(folder?);
            }
            match &*made {
                Made::Folder(folder) => folder.path().join(format!("{number}.spill")),
                Made::Nothing | Made::Closed => return Ok(None),
            }
        };
        let file = OpenOptions::new().write(true).create_new(true).open(&path);
        let file = file.map_err(|error| Refusal::of(&error))?;
        let on_disk = DiskFile {
            path,
            bytes: AtomicU64::new(0),
            folder: Arc::clone(self),
            process: std::process::id(),
        };
        Ok(Some(OpenFile { file, on_disk: Arc::new(on_disk) }))
    }

    /// Removes all that the session wrote; from here on it writes nothing more.
    pub(super) fn close(&self) {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        *made = Made::Closed;
    }

    /// `refusal` of this folder.
    pub(super) fn refuses(&self, refusal: Refusal) -> FolderRefusal {
        FolderRefusal { folder: self.path.display().to_string(), refusal }
    }

    fn take(&self, bytes: u64) -> Result<(), Refusal> {
        let bytes_max = self.bytes_max.unwrap_or(u64::MAX);
        let grown = |used: u64| used.checked_add(bytes).filter(|&used| used <= bytes_max);
        match self.used_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown) {
            Ok(_) => Ok(()),
            Err(used_bytes) => Err(Refusal::Quota { used_bytes, bytes_max }),
        }
    }

    fn give_back(&self, bytes: u64) {
        self.used_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// A file that is being written.
#[derive(Debug)]
pub(super) struct OpenFile {
    file: File,
    on_disk: Arc<DiskFile>,
}

impl OpenFile {
    /// The file.
    pub(super) fn on_disk(&self) -> &Arc<DiskFile> {
        &self.on_disk
    }

    /// Adds `bytes`; where they begin comes back. When that fails, the file is as before.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<u64, Refusal> {
        let length = bytes.len() as u64;
        let offset = self.on_disk.bytes.load(Ordering::Relaxed);
        self.on_disk.folder.take(length)?;
        if let Err(error) = self.file.write_all(bytes) {
            self.on_disk.folder.give_back(length);
            // What was written of them takes room; whoever failed to write need not write more.
            drop(self.file.set_len(offset));
            return Err(Refusal::of(&error));
        }
        self.on_disk.bytes.store(offset + length, Ordering::Relaxed);
        Ok(offset)
    }
}

/// A file of the session. It is deleted with the last that refers to it, except in a fork of the
/// process that made it.
#[derive(Debug)]
pub(super) struct DiskFile {
    path: PathBuf,
    bytes: AtomicU64,
    folder: Arc<Folder>,
    process: u32,
}

impl DiskFile {
    /// Opens it for reading.
    pub(super) fn open(&self) -> io::Result<File> {
        File::open(&self.path)
    }

    /// Its path, for people.
    pub(super) fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// The folder that it is in.
    pub(super) fn folder(&self) -> &Arc<Folder> {
        &self.folder
    }
}

impl Drop for DiskFile {
    fn drop(&mut self) {
        if self.process == std::process::id() {
            self.folder.give_back(self.bytes.load(Ordering::Relaxed));
            // It goes with the session's folder when it cannot go now.
            drop(fs::remove_file(&self.path));
        }
    }
}

/// Bytes that are free on the disk of `path`, or of the folder that it is to be in. Where the
/// system does not say, there is no bound.
fn free_bytes(path: &Path) -> u64 {
    let found = path.ancestors().find_map(|folder| rustix::fs::statvfs(folder).ok());
    found.map_or(u64::MAX, |found| found.f_bavail.saturating_mul(found.f_frsize))
}
