//! `DataFusion`'s spill files among those of the session: in the same folders, within their
//! quotas, with checksums, and removed with them.
//!
//! A file is written as a stream of bytes, which goes into a log of blocks. It may be read while
//! it is written, up to what was flushed.

use std::fmt;
use std::io::{self, Write};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SpillFile, SpillWriter, TempFileFactory};
use futures::{Stream, StreamExt, stream};
use raceline_exec::{BlockReader, SpillBlock, SpillLog, SpillStore};
use raceline_types::{Failure, InternalError};

use crate::error::{Carried, carry};

/// Bytes of a block. A merge holds one of each file that it reads.
const BLOCK_BYTES: usize = 128 << 10;

/// Makes spill files in a store.
#[derive(Debug)]
pub(crate) struct SpillFactory {
    store: Arc<SpillStore>,
}

impl SpillFactory {
    /// Files in `store`.
    pub(crate) fn new(store: Arc<SpillStore>) -> Self {
        Self { store }
    }
}

impl TempFileFactory for SpillFactory {
    fn create_temp_file(&self, _description: &str) -> Result<Arc<dyn SpillFile>> {
        // The stage that spills is named where its failure passes.
        let contents = Contents { log: self.store.log(None), blocks: Vec::new() };
        Ok(Arc::new(StoredFile { contents: Arc::new(Mutex::new(contents)) }))
    }
}

/// A file of `DataFusion`'s. What is on disk goes with it, its writer and its readers.
#[derive(Debug)]
struct StoredFile {
    contents: Arc<Mutex<Contents>>,
}

#[derive(Debug)]
struct Contents {
    log: SpillLog,
    blocks: Vec<SpillBlock>,
}

fn locked(contents: &Mutex<Contents>) -> MutexGuard<'_, Contents> {
    contents.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SpillFile for StoredFile {
    fn size(&self) -> Option<u64> {
        let contents = locked(&self.contents);
        Some(contents.blocks.iter().map(|block| block.disk_bytes() as u64).sum())
    }

    fn read_stream(&self) -> Result<Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>>> {
        let place = (Arc::clone(&self.contents), 0, BlockReader::default());
        let blocks = stream::try_unfold(place, |(contents, at, mut reader)| async move {
            let Some(block) = locked(&contents).blocks.get(at).cloned() else { return Ok(None) };
            let read = tokio::task::spawn_blocking(move || {
                let bytes = reader.read(&block);
                (bytes, reader)
            });
            let (bytes, reader) = read.await.map_err(|error| {
                carry(InternalError::caused_by("reading a spill file ended early", error).into())
            })?;
            Ok(Some((Bytes::from(bytes.map_err(carry)?), (contents, at + 1, reader))))
        });
        Ok(blocks.boxed())
    }

    fn open_writer(&self) -> Result<Box<dyn SpillWriter>> {
        let contents = Arc::clone(&self.contents);
        Ok(Box::new(Writer { contents, waiting: Vec::with_capacity(BLOCK_BYTES) }))
    }
}

/// Gathers bytes into blocks.
struct Writer {
    contents: Arc<Mutex<Contents>>,
    waiting: Vec<u8>,
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(BLOCK_BYTES - self.waiting.len());
        self.waiting.extend_from_slice(&bytes[..taken]);
        if self.waiting.len() == BLOCK_BYTES {
            self.flush()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let mut contents = locked(&self.contents);
        let block = contents.log.append(&self.waiting);
        let block = block.map_err(|failure: Failure| io::Error::other(Carried(failure)))?;
        contents.blocks.push(block);
        self.waiting.clear();
        Ok(())
    }
}

impl SpillWriter for Writer {
    fn finish(&mut self) -> Result<()> {
        self.flush().map_err(DataFusionError::IoError)
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { contents: _, waiting } = self;
        f.debug_struct("Writer").field("waiting_bytes", &waiting.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use raceline_exec::{SpillFolder, SpillOptions};

    use super::*;

    fn store(folder: &tempfile::TempDir, bytes_max: Option<u64>) -> Arc<SpillStore> {
        let folders = vec![SpillFolder { path: folder.path().to_owned(), bytes_max }];
        SpillStore::new(SpillOptions { folders })
    }

    #[tokio::test]
    async fn a_file_can_be_read_while_it_is_written_and_is_deleted_with_its_reader() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder, None);
        let file = SpillFactory::new(Arc::clone(&store)).create_temp_file("a test").unwrap();
        let mut writer = file.open_writer().unwrap();
        let bytes: Vec<u8> = (0..300_000_u32).map(|at| (at % 251) as u8).collect();
        writer.write_all(&bytes[..200_000]).unwrap();
        let mut reader = file.read_stream().unwrap();
        let mut found = reader.next().await.unwrap().unwrap().to_vec();
        writer.write_all(&bytes[200_000..]).unwrap();
        writer.finish().unwrap();
        assert_eq!(file.size(), Some(300_000));
        drop((file, writer));
        assert_eq!(store.used_bytes(), 300_000);
        while let Some(block) = reader.next().await {
            found.extend_from_slice(&block.unwrap());
        }
        assert!(found == bytes);
        assert_eq!(store.used_bytes(), 0);
    }

    #[tokio::test]
    async fn failures_pass_through_writers_of_arrow() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder, Some(1000));
        let file = SpillFactory::new(store).create_temp_file("a test").unwrap();
        let mut writer = file.open_writer().unwrap();
        writer.write_all(&[0; 2000]).unwrap();
        let error = arrow::error::ArrowError::from(writer.flush().unwrap_err());
        let failure = crate::error::failure(error.into());
        let text = failure.render();
        assert!(text.starts_with("no spill folder takes 2000 bytes more\n  folder `"), "{text}");
    }
}
