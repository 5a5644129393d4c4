//! The files of one given path: a file, a folder or a pattern, local or remote.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use futures::future;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};

use super::filter::Filter;
use super::local::{self, Local};
use crate::error::ConnectError;
use crate::store::{Located, Stores};

/// Empty objects that are looked at ahead of their turn.
const HEADS_AT_ONCE: usize = 16;

/// A file that was found.
#[derive(Clone, Debug)]
pub(crate) struct FoundFile {
    pub(crate) location: Path,
    pub(super) size_bytes: u64,
    pub(super) modified_ms: i64,
}

/// What was found of a path, and what was passed over.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Files taken.
    pub(super) taken: u64,
    /// Extensions of files that were not.
    pub(super) others: BTreeSet<String>,
}

/// Files in order, each an error instead when it cannot be told.
pub(crate) type FileStream = BoxStream<'static, Result<FoundFile, ConnectError>>;

/// The files below `located` (or itself), before the filter: a file as it is, a folder with all
/// that it holds.
///
/// # Errors
/// What does not exist, cannot be reached or must not be looked at.
pub(super) async fn open(
    stores: Arc<Stores>,
    located: Located,
    filter: Arc<Filter>,
) -> Result<(FileStream, Found), ConnectError> {
    if located.is_local() {
        return open_local(&stores, &located, filter).await;
    }
    if let Some(glob) = located.glob.clone() {
        let entries = list_from(&located, glob.first_prefix());
        return Ok((without_markers(&located, entries), Found::Entries));
    }
    let target = located.target(&located.path);
    if !located.path.is_root() {
        match located.store.head(&located.path).await {
            Ok(meta) => return Ok((stream::iter([Ok(found(meta))]).boxed(), Found::TheFile)),
            Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(target.error(error)),
        }
    }
    let mut entries = list_from(&located, "");
    match entries.next().await {
        None if located.path.is_root() => Ok((entries, Found::Entries)),
        None => Err(ConnectError::Missing { uri: target.uri }),
        Some(first) => {
            let entries = stream::iter([first]).chain(entries).boxed();
            Ok((without_markers(&located, entries), Found::Entries))
        }
    }
}

/// What a path turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A file, named in full: no filter applies.
    TheFile,
    /// Entries of a folder.
    Entries,
}

async fn open_local(
    stores: &Stores,
    located: &Located,
    filter: Arc<Filter>,
) -> Result<(FileStream, Found), ConnectError> {
    let root = PathBuf::from(&*located.uri);
    let path = root.clone();
    let looked = stores.io().spawn_blocking(move || local::look(&path)).await;
    let looked = looked.map_err(|error| ConnectError::Io {
        uri: Arc::clone(&located.uri),
        verb: "read",
        source: Box::new(error),
    })?;
    match looked {
        Ok(Local::File(file)) => Ok((stream::iter([Ok(file)]).boxed(), Found::TheFile)),
        Ok(Local::Folder) => Ok((local::walk(stores.io().clone(), root, filter), Found::Entries)),
        // The folder before a wildcard need not exist for a pattern that fits nothing.
        Err(ConnectError::Missing { .. }) if located.is_glob() => {
            Ok((stream::empty().boxed(), Found::Entries))
        }
        Err(error) => Err(error),
    }
}

/// All objects below the path of `located` whose first component starts with `prefix`, in key
/// order, a page at a time. Keys before the prefix are not listed, those after it end the
/// listing.
pub(crate) fn list_from(located: &Located, prefix: &str) -> FileStream {
    let folder = located.path.clone();
    let start = if folder.is_root() { prefix.to_owned() } else { format!("{folder}/{prefix}") };
    // Listing begins behind the offset, so the offset is a little before the prefix itself.
    let mut offset = start.clone();
    offset.pop();
    let offset = Path::parse(&offset)
        .ok()
        .filter(|path| !prefix.is_empty() && path.as_ref().len() == offset.len());
    let listed = match offset {
        Some(offset) => located.store.list_with_offset(Some(&folder), &offset),
        None => located.store.list(Some(&folder)),
    };
    let bounded = !prefix.is_empty();
    let target = located.target(&located.path);
    listed
        .try_take_while(move |meta| {
            let key = meta.location.as_ref();
            future::ready(Ok(!bounded || key.starts_with(&start) || key < start.as_str()))
        })
        .map(move |listed| listed.map(found).map_err(|error| target.error(error)))
        .boxed()
}

/// `entries` without the empty objects by which consoles and tools mark folders. Their keys end
/// with a slash, which a listing does not tell; but no object has the key without it.
fn without_markers(located: &Located, entries: FileStream) -> FileStream {
    let located = located.clone();
    entries
        .map(move |entry| {
            let located = located.clone();
            async move {
                let entry = entry?;
                if entry.size_bytes > 0 {
                    return Ok(Some(entry));
                }
                match located.store.head(&entry.location).await {
                    Ok(_) => Ok(Some(entry)),
                    Err(object_store::Error::NotFound { .. }) => Ok(None),
                    Err(error) => Err(located.target(&entry.location).error(error)),
                }
            }
        })
        .buffered(HEADS_AT_ONCE)
        .try_filter_map(future::ok)
        .boxed()
}

fn found(meta: ObjectMeta) -> FoundFile {
    FoundFile {
        location: meta.location,
        size_bytes: meta.size,
        modified_ms: meta.last_modified.timestamp_millis(),
    }
}

/// The names of `location` below `root`.
pub(super) fn names_below<'a>(root: &Path, location: &'a Path) -> Vec<&'a str> {
    let below = location.as_ref().strip_prefix(root.as_ref()).unwrap_or(location.as_ref());
    below.split('/').filter(|name| !name.is_empty()).collect()
}
