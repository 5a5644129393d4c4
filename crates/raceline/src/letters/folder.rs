//! Where the letters of a session lie.
//!
//! A session that is killed leaves its folder behind. While it lives it holds a lock in there, so
//! that the next session knows what to remove, whichever process or container either is in.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use raceline_types::{Diagnostic, ErrorKind, Failure};
use tempfile::TempDir;
use thiserror::Error;

/// How the names of such folders begin.
const PREFIX: &str = "raceline-letters-";

/// The file that is locked while the session lives.
const LOCK: &str = "lock";

/// Letters cannot be kept.
#[derive(Debug, Error)]
#[error("cannot make a folder for dead letters in `{parent}`")]
struct FolderError {
    parent: String,
    source: io::Error,
}

impl Diagnostic for FolderError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Resource
    }

    fn hint(&self) -> Option<String> {
        Some("free space there, or set `TMPDIR` to another folder".to_owned())
    }
}

/// A temporary folder, made with the first file in it.
#[derive(Debug)]
pub(crate) struct LetterFolder {
    parent: PathBuf,
    made: Mutex<Made>,
}

#[derive(Debug, Default)]
struct Made {
    folder: Option<TempDir>,
    lock: Option<File>,
    files: u64,
}

impl LetterFolder {
    /// A folder in `parent`.
    pub(crate) fn new(parent: PathBuf) -> Self {
        Self { parent, made: Mutex::default() }
    }

    /// A path for a new file.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub(crate) fn new_path(&self) -> Result<PathBuf, Failure> {
        let mut made = self.made();
        made.files += 1;
        let name = format!("{}.arrows", made.files);
        if let Some(folder) = &made.folder {
            return Ok(folder.path().join(name));
        }
        sweep(&self.parent);
        let folder = tempfile::Builder::new()
            .prefix(PREFIX)
            .tempdir_in(&self.parent)
            .map_err(|source| FolderError { parent: self.parent.display().to_string(), source })?;
        let path = folder.path().join(name);
        // Where there are no locks, the folder of a killed session stays.
        made.lock = lock(folder.path()).ok();
        made.folder = Some(folder);
        Ok(path)
    }

    /// Deletes the folder and all that is in it.
    pub(crate) fn remove(&self) {
        let Made { folder, lock, files: _ } = std::mem::take(&mut *self.made());
        drop((folder, lock));
    }

    fn made(&self) -> MutexGuard<'_, Made> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The lock of a new folder. It has its name once it is locked: no other session sees it before.
fn lock(folder: &Path) -> io::Result<File> {
    let unnamed = folder.join("lock.new");
    let file = File::create_new(&unnamed)?;
    file.try_lock()?;
    fs::rename(unnamed, folder.join(LOCK))?;
    Ok(file)
}

/// Removes the folders in `parent` of sessions that are gone. What cannot be removed stays.
fn sweep(parent: &Path) {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX));
    for folder in folders.map(|entry| entry.path()) {
        // Anybody may put things there, also what blocks when it is opened.
        let lock = Some(folder.join(LOCK)).filter(|lock| lock.is_file());
        let Some(Ok(file)) = lock.map(File::open) else { continue };
        if file.try_lock().is_ok() {
            let _removed = fs::remove_dir_all(folder).is_ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_sessions_that_were_killed_are_removed_and_no_others() {
        let parent = tempfile::tempdir().unwrap();
        let folder = |name: &str| {
            let folder = parent.path().join(name);
            fs::create_dir(&folder).unwrap();
            File::create(folder.join("1.arrows")).unwrap();
            folder
        };
        let killed = folder("raceline-letters-killed");
        File::create(killed.join(LOCK)).unwrap();
        let (without_lock, foreign) = (folder("raceline-letters-new"), folder("another"));
        File::create(foreign.join(LOCK)).unwrap();

        let living = LetterFolder::new(parent.path().to_owned());
        File::create(living.new_path().unwrap()).unwrap();
        assert!(!killed.exists());
        let other = LetterFolder::new(parent.path().to_owned());
        let path = other.new_path().unwrap();
        assert!(path.parent().unwrap().exists());
        assert!(without_lock.exists() && foreign.exists());
        let left = fs::read_dir(parent.path()).unwrap().count();
        assert_eq!(left, 4, "two that live and two that are none of ours");
        living.remove();
        other.remove();
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 2);
    }
}
