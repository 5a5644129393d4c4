//! Makes staged files visible, and finishes or undoes what an earlier write left.
//!
//! The steps: all files are staged; the manifest is written; the files are completed; files that
//! the write replaces are removed; the manifest is removed. A process that dies before the
//! manifest stands leaves nothing visible, and the next write to the folder removes what was
//! staged (uploads in a bucket are invisible and are left to the bucket's expiry). One that dies
//! later is finished by the next write, and nothing is removed before all its files are there;
//! when they cannot be, every write to the folder fails until someone decides. Power loss is not covered: files are not synced.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path as FsPath, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};
use raceline_types::{Failure, InternalError};
use tokio::runtime::Handle;

use super::error::WriteError;
use super::manifest::{Manifest, Staged, StagedEntry};
use super::stage::{LOCK_NAME, MANIFEST_NAME, Staging, path_in, remove_staging};
use crate::listing::{STAGING_PREFIX, is_staging, list_from};
use crate::store::Located;

/// Requests of a commit to a store at once.
const REQUESTS_AT_ONCE: usize = 8;

/// Makes `manifest` true. From the moment that the manifest stands this is carried on even when
/// the future is dropped.
///
/// # Errors
/// Before the manifest stands: nothing is visible, and all that was staged is removed. After it:
/// some files may be visible; the next write to the folder finishes the work.
pub(super) async fn commit(staging: Staging, manifest: Manifest) -> Result<(), Failure> {
    if manifest == Manifest::default() {
        return Ok(());
    }
    let io = staging.io.clone();
    let committed = match staging.target.uploads.clone() {
        None => io.spawn_blocking(move || commit_local(staging, &manifest)).await,
        Some(uploads) => io.spawn(commit_remote(staging, manifest, uploads)).await,
    };
    match committed {
        Ok(outcome) => outcome,
        Err(stopped) => Err(InternalError::caused_by("a commit was stopped", stopped).into()),
    }
}

/// Finishes or undoes the writes to `target` that broke off. Writes under way to a local folder
/// are left alone. Of one to a bucket nobody can tell whether its writer lives: as soon as its
/// manifest stands, both carry it out, which comes to the same.
///
/// # Errors
/// [`WriteError::Unfinished`] with the staging folder of a write that cannot be finished.
pub(super) async fn recover(target: &Located, io: &Handle) -> Result<(), Failure> {
    let Some(uploads) = target.uploads.clone() else {
        let root = PathBuf::from(&*target.uri);
        return match io.spawn_blocking(move || recover_local(&root)).await {
            Ok(outcome) => outcome,
            Err(stopped) => Err(InternalError::caused_by("a recovery was stopped", stopped).into()),
        };
    };
    let mut staged = list_from(target, STAGING_PREFIX);
    while let Some(found) = staged.try_next().await? {
        if found.location.filename() != Some(MANIFEST_NAME) {
            continue;
        }
        let at = target.target(&found.location);
        let read = async { target.store.get(&found.location).await?.bytes().await };
        let text: Bytes = match read.await {
            Ok(text) => text,
            // Its writer, or another reader of it, has finished meanwhile.
            Err(object_store::Error::NotFound { .. }) => continue,
            Err(error) => return Err(at.error(error).into()),
        };
        let finish = async {
            let manifest = Manifest::from_json(&text).map_err(WriteError::manifest)?;
            apply_remote(target, &uploads, &manifest).await?;
            delete(target, &found.location).await
        };
        let folder = at.uri.trim_end_matches(MANIFEST_NAME).trim_end_matches('/');
        finish.await.map_err(|failure| WriteError::unfinished(folder, failure))?;
    }
    Ok(())
}

/// Whether anything is at `target`: a file, or a folder (in a bucket, one that holds something).
pub(super) async fn exists(target: &Located) -> Result<bool, Failure> {
    if target.is_local() {
        return Ok(fs::symlink_metadata(&*target.uri).is_ok());
    }
    Ok(list_from(target, "").try_next().await?.is_some())
}

/// All files below `target`, relative to it, hidden ones too; staging folders are not of them.
pub(super) async fn present_files(target: &Located) -> Result<Vec<String>, Failure> {
    if target.is_local() {
        let mut found = Vec::new();
        collect_files(FsPath::new(&*target.uri), "", &mut found)?;
        return Ok(found);
    }
    let mut found = Vec::new();
    let mut listed = list_from(target, "");
    while let Some(file) = listed.try_next().await? {
        let below = file.location.as_ref().strip_prefix(target.path.as_ref()).unwrap_or_default();
        let relative = below.trim_start_matches('/');
        if !relative.is_empty() && !is_staging(relative) {
            found.push(relative.to_owned());
        }
    }
    Ok(found)
}

fn collect_files(
    folder: &FsPath,
    relative: &str,
    found: &mut Vec<String>,
) -> Result<(), WriteError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(WriteError::io(folder, error)),
    };
    for entry in entries {
        let entry = entry.map_err(|error| WriteError::io(folder, error))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = entry.file_type().map_err(|error| WriteError::io(&entry.path(), error))?;
        if kind.is_dir() && is_staging(&name) {
            continue;
        }
        if kind.is_dir() {
            collect_files(&entry.path(), &format!("{relative}{name}/"), found)?;
        } else {
            found.push(format!("{relative}{name}"));
        }
    }
    Ok(())
}

fn commit_local(mut staging: Staging, manifest: &Manifest) -> Result<(), Failure> {
    let root = PathBuf::from(&*staging.target.uri);
    let folder = staging.local_folder()?.to_owned();
    let (draft, path) = (folder.join("manifest"), folder.join(MANIFEST_NAME));
    fs::write(&draft, manifest.to_json())
        .and_then(|()| fs::rename(&draft, &path))
        .map_err(|error| WriteError::io(&path, error))?;
    let lock = staging.release();
    apply_local(&root, &folder, manifest)?;
    drop(lock);
    Ok(())
}

fn apply_local(root: &FsPath, folder: &FsPath, manifest: &Manifest) -> Result<(), WriteError> {
    for StagedEntry { path, staged, size_bytes: _ } in &manifest.files {
        let Staged::File(name) = staged else { continue };
        let (from, to) = (folder.join(name), root.join(path));
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent).map_err(|error| WriteError::io(parent, error))?;
        }
        match fs::rename(&from, &to) {
            // It was made visible before the earlier write broke off.
            Err(error) if error.kind() == io::ErrorKind::NotFound && to.exists() => {}
            moved => moved.map_err(|error| WriteError::io(&to, error))?,
        }
    }
    for removed in &manifest.removed {
        let path = root.join(removed);
        match fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            done => done.map_err(|error| WriteError::io(&path, error))?,
        }
        let above = path.ancestors().skip(1).take_while(|above| *above != root);
        // A folder that still holds something stays.
        for folder in above {
            if fs::remove_dir(folder).is_err() {
                break;
            }
        }
    }
    remove_staging(folder).map_err(|error| WriteError::io(folder, error))
}

fn recover_local(root: &FsPath) -> Result<(), Failure> {
    let entries = match fs::read_dir(root) {
        Ok(entries) => entries,
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            return Ok(());
        }
        Err(error) => return Err(WriteError::io(root, error).into()),
    };
    for entry in entries {
        let folder = entry.map_err(|error| WriteError::io(root, error))?.path();
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if is_staging(&name)
            && let Some(_lock) = take_over(&folder)?
        {
            recover_folder(root, &folder)
                .map_err(|failure| WriteError::unfinished(&folder.to_string_lossy(), failure))?;
        }
    }
    Ok(())
}

/// Locks the staging folder `folder` if its writer is gone and left something to see to.
fn take_over(folder: &FsPath) -> Result<Option<File>, WriteError> {
    let path = folder.join(LOCK_NAME);
    match File::open(&path) {
        Ok(lock) => match lock.try_lock() {
            // Another may have seen to it, and removed it, before it was locked here.
            Ok(()) => Ok(path.exists().then_some(lock)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(WriteError::io(&path, error)),
        },
        // Its writer was stopped before it locked it, or is about to, and makes it anew.
        Err(error) if error.kind() == io::ErrorKind::NotFound => match fs::remove_dir(folder) {
            Err(error)
                if !matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty
                ) =>
            {
                Err(WriteError::io(folder, error))
            }
            _ => Ok(None),
        },
        Err(error) => Err(WriteError::io(&path, error)),
    }
}

fn recover_folder(root: &FsPath, folder: &FsPath) -> Result<(), Failure> {
    let path = folder.join(MANIFEST_NAME);
    match fs::read(&path) {
        Ok(text) => {
            let manifest = Manifest::from_json(&text).map_err(WriteError::manifest)?;
            Ok(apply_local(root, folder, &manifest)?)
        }
        // It had not been decided: nothing of it is visible.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Ok(remove_staging(folder).map_err(|error| WriteError::io(folder, error))?)
        }
        Err(error) => Err(WriteError::io(&path, error).into()),
    }
}

async fn commit_remote(
    staging: Staging,
    manifest: Manifest,
    uploads: Arc<dyn MultipartStore>,
) -> Result<(), Failure> {
    let target = staging.target.clone();
    let path = staging.path_of(&format!("{}/{MANIFEST_NAME}", staging.folder_name()))?;
    let text = PutPayload::from(manifest.to_json().into_bytes());
    if let Err(error) = target.store.put(&path, text).await {
        // The manifest may stand all the same; without it, what is aborted now stays undone.
        drop(target.store.delete(&path).await);
        return Err(target.target(&path).written().error(error).into());
    }
    drop(staging.release());
    apply_remote(&target, &uploads, &manifest).await?;
    delete(&target, &path).await
}

async fn apply_remote(
    target: &Located,
    uploads: &Arc<dyn MultipartStore>,
    manifest: &Manifest,
) -> Result<(), Failure> {
    stream::iter(manifest.files.clone())
        .map(|entry| complete(target, uploads, entry))
        .buffer_unordered(REQUESTS_AT_ONCE)
        .try_collect::<()>()
        .await?;
    stream::iter(manifest.removed.clone())
        .map(|removed| async move { delete(target, &path_in(target, &removed)?).await })
        .buffer_unordered(REQUESTS_AT_ONCE)
        .try_collect::<()>()
        .await
}

async fn complete(
    target: &Located,
    uploads: &Arc<dyn MultipartStore>,
    entry: StagedEntry,
) -> Result<(), Failure> {
    let Staged::Upload { id, parts } = entry.staged else { return Ok(()) };
    let path = path_in(target, &entry.path)?;
    let parts = parts.into_iter().map(|content_id| PartId { content_id }).collect();
    let at = target.target(&path).written();
    match uploads.complete_multipart(&path, &id, parts).await {
        Ok(_) => Ok(()),
        // Either it was completed before the earlier write broke off, or the bucket expired it.
        Err(object_store::Error::NotFound { .. }) => match target.store.head(&path).await {
            Ok(meta) if meta.size == entry.size_bytes => Ok(()),
            Ok(_) | Err(object_store::Error::NotFound { .. }) => {
                Err(WriteError::UploadGone { uri: at.uri }.into())
            }
            Err(error) => Err(at.error(error).into()),
        },
        Err(error) => Err(at.error(error).into()),
    }
}

async fn delete(target: &Located, path: &Path) -> Result<(), Failure> {
    match target.store.delete(path).await {
        Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
        Err(error) => Err(target.target(path).written().error(error).into()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use async_trait::async_trait;
    use object_store::memory::InMemory;
    use object_store::{Error, MultipartId, PutResult, Result};

    use super::*;
    use crate::store::Stores;

    /// A store that has forgotten all uploads.
    #[derive(Debug)]
    struct Forgetful;

    #[async_trait]
    impl MultipartStore for Forgetful {
        async fn create_multipart(&self, _: &Path) -> Result<MultipartId> {
            Err(Error::NotImplemented { operation: "create".into(), implementer: "test".into() })
        }

        async fn put_part(
            &self,
            _: &Path,
            _: &MultipartId,
            _: usize,
            _: PutPayload,
        ) -> Result<PartId> {
            Err(Error::NotImplemented { operation: "put".into(), implementer: "test".into() })
        }

        async fn complete_multipart(
            &self,
            path: &Path,
            _: &MultipartId,
            _: Vec<PartId>,
        ) -> Result<PutResult> {
            Err(Error::NotFound { path: path.to_string(), source: "NoSuchUpload".into() })
        }

        async fn abort_multipart(&self, _: &Path, _: &MultipartId) -> Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn nothing_is_removed_for_files_whose_uploads_are_gone() {
        let stores = Arc::new(Stores::new(Handle::current()));
        stores.register("memory://test", Arc::new(InMemory::new())).unwrap();
        let target = stores.resolve("memory://test/out", &BTreeMap::new()).unwrap();
        let (old, new) = (Path::from("out/old.csv"), Path::from("out/new.csv"));
        target.store.put(&old, "n\n".into()).await.unwrap();
        let staged = Staged::Upload { id: "u".into(), parts: vec!["p".into()] };
        let manifest = Manifest {
            files: vec![StagedEntry { path: "new.csv".into(), staged, size_bytes: 4 }],
            removed: vec!["old.csv".into()],
        };
        let uploads: Arc<dyn MultipartStore> = Arc::new(Forgetful);
        // No file, and another one than was uploaded.
        for present in [None, Some("n")] {
            if let Some(text) = present {
                target.store.put(&new, text.into()).await.unwrap();
            }
            let failure = apply_remote(&target, &uploads, &manifest).await.unwrap_err();
            let message = "the upload of `memory://test/out/new.csv` is gone";
            assert_eq!(failure.to_string(), message);
            assert!(target.store.head(&old).await.is_ok());
        }
        // The file itself: it was completed before its writer died.
        target.store.put(&new, "n\n1\n".into()).await.unwrap();
        apply_remote(&target, &uploads, &manifest).await.unwrap();
        assert!(matches!(target.store.head(&old).await, Err(Error::NotFound { .. })));
    }
}
