//! Where the letters of a session lie.

use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use raceline_types::{Diagnostic, ErrorKind, Failure};
use tempfile::TempDir;
use thiserror::Error;

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
        let folder = tempfile::Builder::new()
            .prefix("raceline-letters-")
            .tempdir_in(&self.parent)
            .map_err(|source| FolderError { parent: self.parent.display().to_string(), source })?;
        let path = folder.path().join(name);
        made.folder = Some(folder);
        Ok(path)
    }

    /// Deletes the folder and all that is in it.
    pub(crate) fn remove(&self) {
        let folder = self.made().folder.take();
        drop(folder);
    }

    fn made(&self) -> MutexGuard<'_, Made> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
