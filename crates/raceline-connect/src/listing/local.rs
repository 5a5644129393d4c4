//! Walks local folders, sorted as object stores sort their keys.

use std::fs;
use std::io;
use std::path::{Path as FsPath, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use futures::stream::{self, BoxStream, StreamExt};
use object_store::path::Path;
use tokio::runtime::Handle;

use super::files::FoundFile;
use super::filter::Filter;
use crate::error::{ConnectError, Target};

/// What a local path is.
pub(super) enum Local {
    File(FoundFile),
    Folder,
}

enum Entry {
    File(FoundFile),
    Folder(PathBuf),
}

/// A walk under way: what is still to be visited, next last.
struct Walk {
    io: Handle,
    root: PathBuf,
    filter: Arc<Filter>,
    waiting: Vec<Entry>,
}

/// Looks at `path`, following links.
pub(super) fn look(path: &FsPath) -> Result<Local, ConnectError> {
    let target = target(path);
    let metadata = fs::metadata(path).map_err(|error| target.io_error(error))?;
    if metadata.is_dir() {
        return Ok(Local::Folder);
    }
    let location = Path::from_absolute_path(path)
        .map_err(|error| target.error(object_store::Error::InvalidPath { source: error }))?;
    Ok(Local::File(found(location, &metadata)))
}

/// All files below `root` in byte order of their paths. Folders are read one at a time, when
/// their turn comes; those that `filter` does not enter are not read. Links to a folder above
/// themselves are left out.
pub(super) fn walk(
    io: Handle,
    root: PathBuf,
    filter: Arc<Filter>,
) -> BoxStream<'static, Result<FoundFile, ConnectError>> {
    let waiting = vec![Entry::Folder(root.clone())];
    let walk = Walk { io, root, filter, waiting };
    stream::try_unfold(walk, |mut walk| async move {
        while let Some(entry) = walk.waiting.pop() {
            match entry {
                Entry::File(file) => return Ok(Some((file, walk))),
                Entry::Folder(folder) => {
                    let (root, filter) = (walk.root.clone(), Arc::clone(&walk.filter));
                    let uri = folder.to_string_lossy().as_ref().into();
                    let entries = walk.io.spawn_blocking(move || entries(&root, &folder, &filter));
                    let entries = entries.await.map_err(|error| ConnectError::Io {
                        uri,
                        verb: "read",
                        source: Box::new(error),
                    })??;
                    walk.waiting.extend(entries.into_iter().rev());
                }
            }
        }
        Ok(None)
    })
    .boxed()
}

/// The entries of `folder`, sorted as if the names of folders ended with `/`.
fn entries(root: &FsPath, folder: &FsPath, filter: &Filter) -> Result<Vec<Entry>, ConnectError> {
    let at_folder = target(folder);
    let mut sorted = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| at_folder.io_error(error))? {
        let entry = entry.map_err(|error| at_folder.io_error(error))?;
        let path = entry.path();
        let metadata = match fs::metadata(&path) {
            Ok(metadata) => metadata,
            // A link to nowhere, or a file that was removed meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(target(&path).io_error(error)),
        };
        let Some(mut name) = entry.file_name().to_str().map(str::to_owned) else {
            let error = io::Error::new(io::ErrorKind::InvalidFilename, "the name is not UTF-8");
            return Err(target(&path).io_error(error));
        };
        if metadata.is_dir() {
            if enters(root, &path, filter) && !is_loop(&entry, folder) {
                name.push('/');
                sorted.push((name, Entry::Folder(path)));
            }
        } else if metadata.is_file() && !is_upload_in_progress(&name) {
            let location = Path::from_absolute_path(&path).map_err(|error| {
                target(&path).error(object_store::Error::InvalidPath { source: error })
            })?;
            sorted.push((name, Entry::File(found(location, &metadata))));
        }
    }
    sorted.sort_by(|(left, _), (right, _)| left.cmp(right));
    Ok(sorted.into_iter().map(|(_, entry)| entry).collect())
}

fn enters(root: &FsPath, folder: &FsPath, filter: &Filter) -> bool {
    let relative = folder.strip_prefix(root).unwrap_or(folder);
    let names: Option<Vec<&str>> = relative.iter().map(|name| name.to_str()).collect();
    names.is_some_and(|names| filter.enters(&names))
}

/// Whether `entry` of `folder` is a link to a folder that `folder` is in.
fn is_loop(entry: &fs::DirEntry, folder: &FsPath) -> bool {
    let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
    is_link
        && match (fs::canonicalize(entry.path()), fs::canonicalize(folder)) {
            (Ok(to), Ok(from)) => from.starts_with(to),
            _ => false,
        }
}

/// Whether `name` is how `object_store` calls a local file that is being written: `a.csv#1`. It
/// can read no such name.
fn is_upload_in_progress(name: &str) -> bool {
    name.split_once('#').is_some_and(|(_, suffix)| {
        !suffix.is_empty() && suffix.bytes().all(|byte| byte.is_ascii_digit())
    })
}

fn found(location: Path, metadata: &fs::Metadata) -> FoundFile {
    let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    let modified_ms = modified.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    FoundFile {
        location,
        size_bytes: metadata.len(),
        modified_ms: i64::try_from(modified_ms).unwrap_or(i64::MAX),
    }
}

fn target(path: &FsPath) -> Target {
    Target::read(path.to_string_lossy().as_ref().into(), None)
}
