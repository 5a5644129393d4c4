//! Batches of one schema on disk, in the order in which they were written.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::writer::IpcWriteContext;
use raceline_types::{Failure, InternalError, batch_sliced_bytes};

use super::codec::{BatchCodec, BatchDecoder};
use super::error::SpillError;
use super::log::{BlockReader, SpillBlock, SpillLog};

/// Bytes of rows in a block; a batch of more is cut. A reader holds one block at a time.
const BLOCK_BYTES: usize = 4 << 20;

/// A block that is larger than so much of its rows was not worth compressing.
const SHRUNK_PERCENT_MAX: usize = 90;

/// Blocks after such a one that are written as they are. Then one is tried again.
const PLAIN_BLOCKS: u32 = 15;

/// Writes batches.
#[derive(Debug)]
pub struct SpillWriter {
    encoder: BatchEncoder,
    log: SpillLog,
    stored: Stored,
}

/// Batches on disk. They are deleted with it and its readers.
#[derive(Debug)]
pub struct SpillFile {
    codec: Arc<BatchCodec>,
    stored: Stored,
}

/// Blocks of one schema, and what is in them.
#[derive(Debug, Default)]
pub(super) struct Stored {
    pub(super) blocks: Vec<SpillBlock>,
    block_rows: Vec<usize>,
    pub(super) rows: u64,
    pub(super) memory_bytes: u64,
}

/// Encodes batches of one schema. The codec is made with the first of them.
#[derive(Debug)]
pub(super) struct BatchEncoder {
    schema: SchemaRef,
    codec: Option<Arc<BatchCodec>>,
    context: IpcWriteContext,
    /// Blocks that are to be written as they are, because one before them did not shrink.
    plain_left: u32,
}

impl SpillWriter {
    pub(super) fn new(log: SpillLog, schema: &SchemaRef) -> Self {
        Self { encoder: BatchEncoder::new(schema), log, stored: Stored::default() }
    }

    /// Writes a batch. Blocks the thread. What is read back are its rows, in one batch or more;
    /// a batch without rows is left out.
    ///
    /// # Errors
    /// [`SpillError::NoRoom`] when no folder takes the rows, [`SpillError::Rows`] when they have
    /// other types than the schema or types that have no form on disk, and
    /// [`SpillError::Closed`].
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        self.stored.write(batch, &mut self.encoder, &mut self.log)
    }

    /// Bytes on disk so far.
    #[must_use]
    pub fn disk_bytes(&self) -> u64 {
        self.stored.disk_bytes()
    }

    /// Ends the file.
    ///
    /// # Errors
    /// [`SpillError::Rows`] when columns of the schema have no form on disk.
    pub fn finish(mut self) -> Result<SpillFile, Failure> {
        let codec = self.encoder.codec()?;
        Ok(SpillFile { codec, stored: self.stored })
    }
}

impl SpillFile {
    /// Rows in it.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.stored.rows
    }

    /// Bytes of the rows in memory.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        self.stored.memory_bytes
    }

    /// Bytes of the rows on disk.
    #[must_use]
    pub fn disk_bytes(&self) -> u64 {
        self.stored.disk_bytes()
    }

    /// Schema of all batches.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        self.codec.schema()
    }

    /// All batches, in order. Any number of readers may read at once.
    ///
    /// # Errors
    /// None today; what cannot be read is told by the reader.
    pub fn read(&self) -> Result<SpillReader, Failure> {
        SpillReader::new(&self.codec, self.stored.blocks.clone())
    }

    /// Rows of each batch that reading gives.
    #[must_use]
    pub fn batch_rows(&self) -> Vec<usize> {
        self.stored.block_rows.clone()
    }

    /// Some of the batches, in order, by their numbers.
    ///
    /// # Errors
    /// As of [`SpillFile::read`].
    ///
    /// # Panics
    /// When there are not so many.
    pub fn read_batches(&self, batches: Range<usize>) -> Result<SpillReader, Failure> {
        SpillReader::new(&self.codec, self.stored.blocks[batches].to_vec())
    }
}

/// Reads batches, one block at a time. Blocks the thread; ends after the first failure.
pub struct SpillReader {
    decoder: BatchDecoder,
    reader: BlockReader,
    blocks: std::vec::IntoIter<SpillBlock>,
}

impl SpillReader {
    pub(super) fn new(codec: &BatchCodec, blocks: Vec<SpillBlock>) -> Result<Self, Failure> {
        let decoder = codec.decoder().map_err(|source| SpillError::Rows { source })?;
        Ok(Self { decoder, reader: BlockReader::default(), blocks: blocks.into_iter() })
    }

    fn read(&mut self, block: &SpillBlock) -> Result<RecordBatch, Failure> {
        let bytes = self.reader.read(block)?;
        let batch = self.decoder.decode(bytes);
        Ok(batch.map_err(|error| {
            InternalError::caused_by("a block that was spilled cannot be decoded", error)
        })?)
    }
}

impl Iterator for SpillReader {
    type Item = Result<RecordBatch, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        let block = self.blocks.next()?;
        let batch = self.read(&block);
        if batch.is_err() {
            self.blocks = Vec::new().into_iter();
        }
        Some(batch)
    }
}

impl Stored {
    /// Bytes of the blocks on disk.
    pub(super) fn disk_bytes(&self) -> u64 {
        self.blocks.iter().map(|block| block.disk_bytes() as u64).sum()
    }

    /// Adds the rows of `batch`, in blocks of a bounded size.
    pub(super) fn write(
        &mut self,
        batch: &RecordBatch,
        encoder: &mut BatchEncoder,
        log: &mut SpillLog,
    ) -> Result<(), Failure> {
        let (rows, bytes) = (batch.num_rows(), batch_sliced_bytes(batch));
        let pieces = bytes.div_ceil(BLOCK_BYTES).clamp(1, rows.max(1));
        let piece_rows = rows.div_ceil(pieces).max(1);
        for first in (0..rows).step_by(piece_rows) {
            let piece = batch.slice(first, piece_rows.min(rows - first));
            self.blocks.push(log.append(&encoder.encode(&piece)?)?);
            self.block_rows.push(piece.num_rows());
        }
        self.rows += rows as u64;
        self.memory_bytes += bytes as u64;
        Ok(())
    }
}

impl BatchEncoder {
    pub(super) fn new(schema: &SchemaRef) -> Self {
        let (schema, context) = (Arc::clone(schema), IpcWriteContext::default());
        Self { schema, codec: None, context, plain_left: 0 }
    }

    /// The codec of its batches.
    pub(super) fn codec(&mut self) -> Result<Arc<BatchCodec>, Failure> {
        if let Some(codec) = &self.codec {
            return Ok(Arc::clone(codec));
        }
        let codec = BatchCodec::new(&self.schema).map_err(|source| SpillError::Rows { source })?;
        Ok(Arc::clone(self.codec.insert(Arc::new(codec))))
    }

    fn encode(&mut self, batch: &RecordBatch) -> Result<Vec<u8>, Failure> {
        let codec = self.codec()?;
        let is_compressed = self.plain_left == 0;
        let block = codec.encode(batch, is_compressed, &mut self.context);
        let block = block.map_err(|source: ArrowError| SpillError::Rows { source })?;
        if !is_compressed {
            self.plain_left -= 1;
        } else if block.len() > batch_sliced_bytes(batch) / 100 * SHRUNK_PERCENT_MAX {
            self.plain_left = PLAIN_BLOCKS;
        }
        Ok(block)
    }
}

impl fmt::Debug for SpillReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { decoder: _, reader: _, blocks } = self;
        f.debug_struct("SpillReader").field("blocks_left", &blocks.len()).finish()
    }
}
