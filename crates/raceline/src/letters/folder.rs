//! Where the letters of a session lie.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use raceline_exec::{SessionFolder, sweep_folders};
use raceline_types::{Diagnostic, ErrorKind, Failure};
use thiserror::Error;

/// How the names of such folders begin.
const PREFIX: &str = "raceline-letters-";

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

/// A folder of the session's own, made with the first file in it.
#[derive(Debug)]
pub(crate) struct LetterFolder {
    parent: PathBuf,
    made: Mutex<Made>,
}

#[derive(Debug, Default)]
struct Made {
    folder: Option<SessionFolder>,
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
        let folder = fs::create_dir_all(&self.parent)
            .and_then(|()| SessionFolder::create(&self.parent, PREFIX))
            .map_err(|source| FolderError { parent: self.parent.display().to_string(), source })?;
        let path = folder.path().join(name);
        made.folder = Some(folder);
        Ok(path)
    }

    /// Removes the folders of sessions that were killed.
    pub(crate) fn sweep(&self) {
        sweep_folders(&self.parent, PREFIX);
    }

    /// Deletes the folder and all that is in it.
    pub(crate) fn remove(&self) {
        drop(std::mem::take(&mut *self.made()));
    }

    fn made(&self) -> MutexGuard<'_, Made> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn folders_of_sessions_that_were_killed_are_swept_and_those_that_live_stay() {
        let parent = tempfile::tempdir().unwrap();
        let killed = parent.path().join("raceline-letters-killed");
        fs::create_dir(&killed).unwrap();
        File::create(killed.join("lock")).unwrap();

        let living = LetterFolder::new(parent.path().to_owned());
        let path = living.new_path().unwrap();
        File::create(&path).unwrap();
        living.sweep();
        assert!(!killed.exists() && path.exists());
        living.remove();
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
    }
}
