//! Batches kept for later: the first of them in memory, the rest on disk.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use raceline_types::{Failure, Lookahead, batch_sliced_bytes, conform, unite_batches};

use super::file::{SpillFile, SpillReader, SpillWriter};
use super::store::SpillStore;

/// Takes in batches of one input, whose types may change as far as [`raceline_types::conform`]
/// takes them.
#[derive(Debug)]
pub struct SpillBuffer {
    store: Arc<SpillStore>,
    stage: Arc<str>,
    memory_bytes: usize,
    held: Vec<RecordBatch>,
    held_bytes: usize,
    spilled: Option<(SchemaRef, SpillWriter)>,
}

/// Batches of one schema, in the order in which they came. Those on disk are deleted with it and
/// its readers.
#[derive(Debug)]
pub struct KeptRows {
    held: Vec<RecordBatch>,
    held_bytes: usize,
    spilled: Option<SpillFile>,
}

impl SpillBuffer {
    /// A buffer that holds up to `memory_bytes`; the rest goes to files of `store`, which errors
    /// say belong to `stage`.
    #[must_use]
    pub fn new(store: &Arc<SpillStore>, stage: &str, memory_bytes: usize) -> Self {
        let (store, stage) = (Arc::clone(store), stage.into());
        Self { store, stage, memory_bytes, held: Vec::new(), held_bytes: 0, spilled: None }
    }

    /// Adds a batch. Blocks the thread when it is written.
    ///
    /// # Errors
    /// [`raceline_types::UniteError`] when its columns do not go together with those before it,
    /// and as of [`SpillWriter::write`].
    pub fn push(&mut self, batch: RecordBatch) -> Result<(), Failure> {
        if let Some((schema, writer)) = &mut self.spilled {
            return writer.write(&conform(&batch, schema)?);
        }
        let bytes = batch_sliced_bytes(&batch);
        if self.held_bytes.saturating_add(bytes) <= self.memory_bytes {
            self.held_bytes += bytes;
            self.held.push(batch);
            return Ok(());
        }
        // From here on the types are those of what came so far.
        let mut lookahead = Lookahead::new(usize::MAX);
        for batch in std::mem::take(&mut self.held) {
            lookahead.push(batch);
        }
        lookahead.push(batch);
        if let Some((schema, mut batches)) = lookahead.fix()? {
            let mut writer = self.store.create(&self.stage, &schema);
            if let Some(last) = batches.pop() {
                writer.write(&last)?;
            }
            self.held = batches;
            self.spilled = Some((schema, writer));
        }
        Ok(())
    }

    /// Bytes that it holds in memory now.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// What was pushed.
    ///
    /// # Errors
    /// As of [`SpillBuffer::push`].
    pub fn finish(self) -> Result<KeptRows, Failure> {
        let Self { store: _, stage: _, memory_bytes: _, held, held_bytes, spilled } = self;
        match spilled {
            None => Ok(KeptRows { held: unite_batches(held)?, held_bytes, spilled: None }),
            Some((_, writer)) => Ok(KeptRows { held, held_bytes, spilled: Some(writer.finish()?) }),
        }
    }
}

impl KeptRows {
    /// Schema of all batches; `None` when there were none.
    #[must_use]
    pub fn schema(&self) -> Option<&SchemaRef> {
        let held = self.held.first().map(RecordBatch::schema_ref);
        held.or_else(|| self.spilled.as_ref().map(SpillFile::schema))
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> u64 {
        let held: usize = self.held.iter().map(RecordBatch::num_rows).sum();
        held as u64 + self.spilled.as_ref().map_or(0, SpillFile::rows)
    }

    /// Bytes of all rows when they are in memory.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        self.held_bytes as u64 + self.spilled.as_ref().map_or(0, SpillFile::memory_bytes)
    }

    /// Bytes of the rows that are in memory now.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// Whether some of the batches are on disk.
    #[must_use]
    pub fn is_spilled(&self) -> bool {
        self.spilled.is_some()
    }

    /// The batches in memory, which come first.
    #[must_use]
    pub fn held(&self) -> &[RecordBatch] {
        &self.held
    }

    /// Rows of each batch on disk.
    #[must_use]
    pub fn spilled_rows(&self) -> Vec<usize> {
        self.spilled.as_ref().map_or_else(Vec::new, SpillFile::batch_rows)
    }

    /// The batches on disk that are so manieth. Blocks the thread.
    ///
    /// # Errors
    /// As of [`SpillFile::read`].
    ///
    /// # Panics
    /// When there are not so many.
    pub fn read_spilled(&self, batches: Range<usize>) -> Result<SpillReader, Failure> {
        let file = self.spilled.as_ref().expect("there are batches on disk");
        file.read_batches(batches)
    }

    /// All batches. Those in memory are freed as they are handed out; reading the others blocks
    /// the thread.
    ///
    /// # Errors
    /// As of [`SpillFile::read`].
    pub fn into_batches(
        self,
    ) -> Result<impl Iterator<Item = Result<RecordBatch, Failure>> + Send, Failure> {
        let reader = self.spilled.as_ref().map(SpillFile::read).transpose()?;
        Ok(self.held.into_iter().map(Ok).chain(reader.into_iter().flatten()))
    }
}
