//! Where files are until the commit: a hidden folder of the target, or uploads that are not
//! completed.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path as FsPath, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use object_store::PutPayload;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use raceline_types::Failure;
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;

use super::error::WriteError;
use super::manifest::{Staged, StagedEntry};
use crate::error::Target;
use crate::listing::STAGING_PREFIX;
use crate::store::Located;

/// Bytes of a part of an upload. All but the last have this size, as some stores demand.
const PART_BYTES: usize = 8 << 20;
/// Parts of a file on their way at once.
const PARTS_AT_ONCE: usize = 4;

/// How often a staging folder is made that others remove before it is locked.
const ATTEMPTS_MAX: usize = 1000;

/// Name of the file in a staging folder that its writer holds locked.
pub(super) const LOCK_NAME: &str = "lock";
/// Name of the file in a staging folder that says what the commit does.
pub(super) const MANIFEST_NAME: &str = "manifest.json";

/// The staged files of one write. Dropping it before the commit removes them all.
pub(super) struct Staging {
    pub(super) target: Located,
    pub(super) write_id: String,
    pub(super) io: Handle,
    local: Option<LocalFolder>,
    uploads: Arc<Mutex<Vec<(Path, String)>>>,
}

/// A hidden folder in the local target.
struct LocalFolder {
    path: PathBuf,
    /// Folders that were made for it, outermost first.
    made: Vec<PathBuf>,
    /// Held for as long as the writer lives; taken when the folder is to stay.
    lock: Option<File>,
}

/// A staged file that is being written.
pub(super) struct StagedFile {
    path: String,
    bytes: u64,
    to: Destination,
}

enum Destination {
    File { name: String, path: PathBuf, file: File },
    Upload(Box<Upload>),
}

/// An upload in progress.
struct Upload {
    store: Arc<dyn MultipartStore>,
    io: Handle,
    path: Path,
    target: Target,
    id: String,
    buffer: Vec<u8>,
    sent: usize,
    parts: Vec<String>,
    on_their_way: VecDeque<AbortOnDropHandle<object_store::Result<PartId>>>,
}

impl Staging {
    /// Staging for a write to `target`. Touches nothing until the first file.
    pub(super) fn new(target: Located, write_id: String, io: Handle) -> Self {
        let uploads = Arc::new(Mutex::new(Vec::new()));
        Self { target, write_id, io, local: None, uploads }
    }

    /// Name of the staging folder inside the target.
    pub(super) fn folder_name(&self) -> String {
        format!("{STAGING_PREFIX}{}", self.write_id)
    }

    /// Begins a file that will be at `path`, relative to the target folder.
    pub(super) async fn create(&mut self, path: String) -> Result<StagedFile, Failure> {
        let to = match self.target.uploads.clone() {
            None => self.create_local(&path)?,
            Some(store) => self.create_upload(&path, store).await?,
        };
        Ok(StagedFile { path, bytes: 0, to })
    }

    fn create_local(&mut self, path: &str) -> Result<Destination, WriteError> {
        let folder = self.local_folder()?;
        let name = path.rsplit('/').next().unwrap_or(path).to_owned();
        let path = folder.join(&name);
        let file = File::create(&path).map_err(|error| WriteError::io(&path, error))?;
        Ok(Destination::File { name, path, file })
    }

    async fn create_upload(
        &mut self,
        path: &str,
        store: Arc<dyn MultipartStore>,
    ) -> Result<Destination, Failure> {
        let path = self.path_of(path)?;
        let target = self.target.target(&path).written();
        let id = store.create_multipart(&path).await.map_err(|error| target.error(error))?;
        let mut uploads = self.uploads.lock().unwrap_or_else(PoisonError::into_inner);
        uploads.push((path.clone(), id.clone()));
        Ok(Destination::Upload(Box::new(Upload {
            store,
            io: self.io.clone(),
            path,
            target,
            id,
            buffer: Vec::new(),
            sent: 0,
            parts: Vec::new(),
            on_their_way: VecDeque::new(),
        })))
    }

    /// The path inside the store of `relative`.
    pub(super) fn path_of(&self, relative: &str) -> Result<Path, Failure> {
        path_in(&self.target, relative)
    }

    /// The local staging folder; it is made when first asked for.
    pub(super) fn local_folder(&mut self) -> Result<&FsPath, WriteError> {
        if self.local.is_none() {
            let path = FsPath::new(&*self.target.uri).join(self.folder_name());
            self.local = Some(LocalFolder::create(path)?);
        }
        Ok(self.local.as_ref().map_or(FsPath::new(""), |folder| &folder.path))
    }

    /// The commit has been decided: nothing is removed from here on, and others may finish it.
    pub(super) fn release(mut self) -> Released {
        self.uploads.lock().unwrap_or_else(PoisonError::into_inner).clear();
        Released { _lock: self.local.take().and_then(|mut folder| folder.lock.take()) }
    }
}

/// Keeps others from finishing a commit that is under way.
pub(super) struct Released {
    _lock: Option<File>,
}

/// The path inside the store of `relative` to the folder `target`.
pub(super) fn path_in(target: &Located, relative: &str) -> Result<Path, Failure> {
    let path = Path::parse(format!("{}/{relative}", target.path));
    path.map_err(|source| {
        target.target(&target.path).error(object_store::Error::InvalidPath { source }).into()
    })
}

impl Drop for Staging {
    fn drop(&mut self) {
        let uploads =
            std::mem::take(&mut *self.uploads.lock().unwrap_or_else(PoisonError::into_inner));
        let Some(store) = self.target.uploads.clone() else { return };
        if uploads.is_empty() {
            return;
        }
        // Best effort: an upload that stays behind is invisible, and buckets can be told to
        // expire such.
        drop(self.io.spawn(async move {
            for (path, id) in uploads {
                drop(store.abort_multipart(&path, &id).await);
            }
        }));
    }
}

impl LocalFolder {
    fn create(path: PathBuf) -> Result<Self, WriteError> {
        let mut made = Vec::new();
        match Self::lock(&path, &mut made) {
            Ok(lock) => Ok(Self { path, made, lock: Some(lock) }),
            Err(error) => {
                remove_empty(&made);
                Err(error)
            }
        }
    }

    /// Makes the folder and locks it. Until it is locked, whoever tidies the target takes it for
    /// abandoned and removes it, and a write that breaks off removes the folders above it that it
    /// made; then they are made again.
    fn lock(path: &FsPath, made: &mut Vec<PathBuf>) -> Result<File, WriteError> {
        let lock_path = path.join(LOCK_NAME);
        let mut attempts = 0;
        loop {
            attempts += 1;
            let created = make_folders(path, made).and_then(|()| {
                File::create(&lock_path).map_err(|error| (lock_path.clone(), error))
            });
            let lock = match created {
                Ok(lock) => lock,
                Err((_, error))
                    if error.kind() == io::ErrorKind::NotFound && attempts < ATTEMPTS_MAX =>
                {
                    continue;
                }
                Err((path, error)) => return Err(WriteError::io(&path, error)),
            };
            lock.lock().map_err(|error| WriteError::io(&lock_path, error))?;
            if lock_path.exists() {
                return Ok(lock);
            }
        }
    }
}

/// Makes `path` and the folders above it that are missing, and adds them to `made`. What cannot
/// be made comes back with the error.
fn make_folders(path: &FsPath, made: &mut Vec<PathBuf>) -> Result<(), (PathBuf, io::Error)> {
    let missing: Vec<_> = path.ancestors().take_while(|folder| !folder.exists()).collect();
    for folder in missing.into_iter().rev() {
        match fs::create_dir(folder) {
            Ok(()) if made.iter().any(|known| known == folder) => {}
            Ok(()) => made.push(folder.to_owned()),
            // Another writer made it meanwhile.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err((folder.to_owned(), error)),
        }
    }
    Ok(())
}

impl Drop for LocalFolder {
    fn drop(&mut self) {
        if self.lock.is_none() {
            return;
        }
        // Best effort: the next write to the same target removes what stays behind.
        drop(remove_staging(&self.path));
        remove_empty(&self.made);
    }
}

/// Removes the staging folder `folder`: the manifest first, so that nobody carries it out again,
/// and the lock last, so that a folder without a lock is an empty one.
pub(super) fn remove_staging(folder: &FsPath) -> io::Result<()> {
    match fs::remove_file(folder.join(MANIFEST_NAME)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name() != LOCK_NAME {
            fs::remove_file(entry.path())?;
        }
    }
    fs::remove_file(folder.join(LOCK_NAME))?;
    match fs::remove_dir(folder) {
        // Another writer removed what was empty by then.
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Removes those of `folders` (outermost first) that hold nothing.
fn remove_empty(folders: &[PathBuf]) {
    for folder in folders.iter().rev() {
        drop(fs::remove_dir(folder));
    }
}

impl StagedFile {
    /// Adds `bytes` to the file.
    pub(super) async fn append(&mut self, bytes: Vec<u8>) -> Result<(), Failure> {
        self.bytes += bytes.len() as u64;
        match &mut self.to {
            Destination::File { path, file, .. } => {
                file.write_all(&bytes).map_err(|error| WriteError::io(path, error).into())
            }
            Destination::Upload(upload) => upload.append(bytes).await,
        }
    }

    /// Ends the file; how to make it visible comes back.
    pub(super) async fn seal(self) -> Result<StagedEntry, Failure> {
        let Self { path, bytes, to } = self;
        let staged = match to {
            Destination::File { name, .. } => Staged::File(name),
            Destination::Upload(upload) => upload.seal().await?,
        };
        Ok(StagedEntry { path, staged, size_bytes: bytes })
    }
}

impl Upload {
    async fn append(&mut self, bytes: Vec<u8>) -> Result<(), Failure> {
        if self.buffer.is_empty() {
            self.buffer = bytes;
        } else {
            self.buffer.extend_from_slice(&bytes);
        }
        while self.buffer.len() >= PART_BYTES {
            let rest = self.buffer.split_off(PART_BYTES);
            let part = std::mem::replace(&mut self.buffer, rest);
            self.send(part).await?;
        }
        Ok(())
    }

    async fn send(&mut self, part: Vec<u8>) -> Result<(), Failure> {
        if self.on_their_way.len() >= PARTS_AT_ONCE {
            self.receive().await?;
        }
        let (store, path, id) = (Arc::clone(&self.store), self.path.clone(), self.id.clone());
        let index = self.sent;
        self.sent += 1;
        let sent = self
            .io
            .spawn(async move { store.put_part(&path, &id, index, PutPayload::from(part)).await });
        self.on_their_way.push_back(AbortOnDropHandle::new(sent));
        Ok(())
    }

    async fn receive(&mut self) -> Result<(), Failure> {
        let Some(first) = self.on_their_way.pop_front() else { return Ok(()) };
        let part = match first.await {
            Ok(part) => part,
            Err(stopped) => Err(stopped.into()),
        };
        self.parts.push(part.map_err(|error| self.target.error(error))?.content_id);
        Ok(())
    }

    async fn seal(mut self) -> Result<Staged, Failure> {
        let last = std::mem::take(&mut self.buffer);
        if !last.is_empty() {
            self.send(last).await?;
        }
        while !self.on_their_way.is_empty() {
            self.receive().await?;
        }
        Ok(Staged::Upload { id: self.id, parts: self.parts })
    }
}
