//! A folder that a session has to itself inside one that others use too, such as the system's
//! temporary folder.
//!
//! A session that is killed leaves its folder behind. While it lives it holds a lock in there, so
//! that the next session knows what to remove, whichever process or container either is in.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The file that is locked while the session lives.
const LOCK: &str = "lock";

/// The lock before anybody may see it.
const UNNAMED_LOCK: &str = "lock.new";

/// What is there instead where there are no locks.
const UNLOCKED: &str = "unlocked";

/// After this time a folder that holds nothing and has no lock is nobody's.
const UNLOCKED_MAX: Duration = Duration::from_mins(10);

/// A new folder, which only its user may look into. It is deleted with all that is in it when this
/// is dropped, except in a fork of the process that made it.
#[derive(Debug)]
pub struct SessionFolder {
    path: PathBuf,
    /// Held for as long as the folder is in use. Where there are no locks, the folder of a killed
    /// session stays.
    _lock: Option<File>,
    process: u32,
}

impl SessionFolder {
    /// Makes a folder in `parent` whose name begins with `prefix`.
    ///
    /// # Errors
    /// What the system says when the folder cannot be made.
    pub fn create(parent: &Path, prefix: &str) -> io::Result<Self> {
        let path = tempfile::Builder::new().prefix(prefix).tempdir_in(parent)?.keep();
        let lock = lock(&path).ok();
        if lock.is_none() {
            // A folder that holds something is left alone.
            File::create(path.join(UNLOCKED))?;
        }
        Ok(Self { path, _lock: lock, process: std::process::id() })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SessionFolder {
    fn drop(&mut self) {
        if self.process == std::process::id() {
            // The next session removes what cannot be removed now.
            drop(fs::remove_dir_all(&self.path));
        }
    }
}

/// The lock of a new folder. It has its name once it is locked: no other session sees it before.
fn lock(folder: &Path) -> io::Result<File> {
    let unnamed = folder.join(UNNAMED_LOCK);
    let file = File::create_new(&unnamed)?;
    file.try_lock()?;
    fs::rename(unnamed, folder.join(LOCK))?;
    Ok(file)
}

/// Removes the folders in `parent` whose names begin with `prefix` and whose sessions are gone.
/// What cannot be removed stays.
pub fn sweep_folders(parent: &Path, prefix: &str) {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix));
    for folder in folders.map(|entry| entry.path()) {
        // Anybody may put things there, also what blocks when it is opened.
        let lock = Some(folder.join(LOCK)).filter(|lock| lock.is_file());
        match lock.map(File::open) {
            Some(Ok(file)) if file.try_lock().is_ok() => drop(fs::remove_dir_all(folder)),
            None if is_old(&folder) => {
                // A session may have been killed before it had its lock. Whatever else is in
                // there keeps the folder where it is.
                drop(fs::remove_file(folder.join(UNNAMED_LOCK)));
                drop(fs::remove_dir(folder));
            }
            Some(_) | None => {}
        }
    }
}

fn is_old(folder: &Path) -> bool {
    let changed = fs::metadata(folder).and_then(|found| found.modified());
    changed.is_ok_and(|changed| changed.elapsed().is_ok_and(|age| age > UNLOCKED_MAX))
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn folders_of_sessions_that_were_killed_are_removed_and_no_others() {
        let parent = tempfile::tempdir().unwrap();
        let folder = |name: &str, files: &[&str]| {
            let folder = parent.path().join(name);
            fs::create_dir(&folder).unwrap();
            for file in files {
                File::create(folder.join(file)).unwrap();
            }
            folder
        };
        let long_ago = SystemTime::now() - 2 * UNLOCKED_MAX;
        let killed = folder("ours-killed", &["1.spill", LOCK]);
        let killed_early = folder("ours-early", &[UNNAMED_LOCK]);
        File::open(&killed_early).unwrap().set_modified(long_ago).unwrap();
        let without_lock = folder("ours-unlocked", &["1.spill"]);
        File::open(&without_lock).unwrap().set_modified(long_ago).unwrap();
        let new = folder("ours-new", &[]);
        let foreign = folder("another", &[LOCK]);
        let living = SessionFolder::create(parent.path(), "ours-").unwrap();

        sweep_folders(parent.path(), "ours-");
        assert!(!killed.exists() && !killed_early.exists());
        assert!(without_lock.exists() && new.exists() && foreign.exists());
        assert!(living.path().exists());
        drop(living);
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 3);
    }
}
