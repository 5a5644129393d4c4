//! Blocks of bytes on disk, each with its checksum.
//!
//! Where a block is and what it should hold is kept in memory. A block refers to its file, so that
//! the file is there for as long as any of its blocks is needed.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use raceline_types::Failure;

use super::error::SpillError;
use super::folder::{DiskFile, OpenFile};
use super::store::SpillStore;

/// Blocks that are written one after the other, in one file for as long as its folder has room.
#[derive(Debug)]
pub struct SpillLog {
    store: Arc<SpillStore>,
    stage: Option<Arc<str>>,
    open: Option<OpenFile>,
}

/// A block on disk. Cheap to clone; the bytes are deleted with the last block of their file.
#[derive(Clone, Debug)]
pub struct SpillBlock {
    file: Arc<DiskFile>,
    stage: Option<Arc<str>>,
    offset: u64,
    bytes: usize,
    checksum: u32,
}

/// Reads blocks; keeps the file of the last one open.
#[derive(Debug, Default)]
pub struct BlockReader {
    open: Option<(Arc<DiskFile>, File, u64)>,
}

impl SpillLog {
    pub(super) fn new(store: Arc<SpillStore>, stage: Option<&str>) -> Self {
        Self { store, stage: stage.map(Arc::from), open: None }
    }

    /// Writes a block. Blocks the thread.
    ///
    /// # Errors
    /// [`SpillError::NoRoom`] when no folder takes it, and [`SpillError::Closed`].
    pub fn append(&mut self, block: &[u8]) -> Result<SpillBlock, Failure> {
        let mut refusals = Vec::new();
        loop {
            let file = match &mut self.open {
                Some(open) => open,
                none => {
                    let file = self.store.new_file(block.len() as u64, &mut refusals);
                    let stage = self.stage.as_deref();
                    none.insert(file.map_err(|error| in_stage(error, stage))?)
                }
            };
            match file.append(block) {
                Ok(offset) => {
                    return Ok(SpillBlock {
                        file: Arc::clone(file.on_disk()),
                        stage: self.stage.clone(),
                        offset,
                        bytes: block.len(),
                        checksum: crc32fast::hash(block),
                    });
                }
                Err(refusal) => {
                    refusals.push((Arc::clone(file.on_disk().folder()), refusal));
                    self.open = None;
                }
            }
        }
    }
}

fn in_stage(error: SpillError, stage: Option<&str>) -> Failure {
    let failure = Failure::from(error);
    match stage {
        Some(stage) => failure.in_stage(stage),
        None => failure,
    }
}

impl SpillBlock {
    /// Its bytes on disk.
    #[must_use]
    pub fn disk_bytes(&self) -> usize {
        self.bytes
    }
}

impl BlockReader {
    /// The bytes of `block`. Blocks the thread.
    ///
    /// # Errors
    /// [`SpillError::Gone`], [`SpillError::Read`] and [`SpillError::Damaged`].
    pub fn read(&mut self, block: &SpillBlock) -> Result<Vec<u8>, Failure> {
        let bytes = self.bytes(block).map_err(|error| {
            self.open = None;
            let path = block.file.name();
            match error.kind() {
                io::ErrorKind::NotFound => SpillError::Gone { path, source: error },
                // The file is shorter than what was written.
                io::ErrorKind::UnexpectedEof => SpillError::Damaged { path, offset: block.offset },
                _ => SpillError::Read { path, offset: block.offset, source: error },
            }
        });
        let bytes = bytes.and_then(|bytes| {
            if crc32fast::hash(&bytes) == block.checksum {
                return Ok(bytes);
            }
            Err(SpillError::Damaged { path: block.file.name(), offset: block.offset })
        });
        bytes.map_err(|error| in_stage(error, block.stage.as_deref()))
    }

    fn bytes(&mut self, block: &SpillBlock) -> io::Result<Vec<u8>> {
        let mut open = match self.open.take() {
            Some(open) if Arc::ptr_eq(&open.0, &block.file) => open,
            _ => (Arc::clone(&block.file), block.file.open()?, 0),
        };
        let (_, file, at) = &mut open;
        if *at != block.offset {
            file.seek(SeekFrom::Start(block.offset))?;
        }
        let mut bytes = Vec::with_capacity(block.bytes);
        file.take(block.bytes as u64).read_to_end(&mut bytes)?;
        if bytes.len() < block.bytes {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        *at = block.offset + block.bytes as u64;
        self.open = Some(open);
        Ok(bytes)
    }
}
