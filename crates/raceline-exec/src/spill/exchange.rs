//! Rows sent to partitions, in memory as far as they fit.
//!
//! What arrives is kept as it is until there is enough of it. Then the rows of each partition are
//! gathered into a batch of its own, which copies each row once. When what was gathered passes its
//! share, partitions are written that hold most; those that have rows on disk already go first, so
//! that others stay in memory whole. Rows on disk are in blocks of a few files, and an index in
//! memory says which block is whose.

mod gather;

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use raceline_types::{Failure, InternalError, batch_sliced_bytes};

use super::codec::BatchCodec;
use super::error::SpillError;
use super::file::{BatchEncoder, SpillReader, Stored};
use super::log::SpillLog;
use super::store::SpillStore;
use gather::Pending;

/// Most files of one exchange. Partitions that follow one another share one, so that disk is free
/// again before the last of them was read.
const FILES_MAX: usize = 32;

/// A partition that has rows on disk is written before others when it has so many bytes more.
const FIRST_BYTES: usize = 64 << 10;

/// Batches of a partition are joined until they have so many bytes, as far as they are together:
/// when they are written, and those that are still small when they are read.
const JOINED_BYTES: usize = 1 << 20;

/// Sends rows to partitions.
///
/// Rows of a partition keep their order. At most `memory_bytes`, one batch of input and what is
/// being written, a few MiB, are held, whatever the sizes of the partitions; rows begin to go to
/// disk at about half of it. An exchange that is dropped leaves nothing behind.
#[derive(Debug)]
pub struct Exchange {
    schema: SchemaRef,
    encoder: BatchEncoder,
    logs: Vec<SpillLog>,
    partitions: Vec<Partition>,
    pending: Pending,
    /// Bytes of what was gathered and is in memory.
    resident_bytes: usize,
    memory_bytes: usize,
}

/// The rows of one partition so far.
#[derive(Debug, Default)]
struct Partition {
    on_disk: Stored,
    resident: Vec<RecordBatch>,
    resident_bytes: usize,
}

impl Exchange {
    /// An exchange of rows of `schema` to `partitions` partitions, which errors say belongs to
    /// `stage`.
    ///
    /// # Panics
    /// Without any partition.
    #[must_use]
    pub fn new(
        store: &Arc<SpillStore>,
        stage: &str,
        schema: &SchemaRef,
        partitions: usize,
        memory_bytes: usize,
    ) -> Self {
        assert!(partitions > 0, "an exchange has a partition");
        Self {
            schema: Arc::clone(schema),
            encoder: BatchEncoder::new(schema),
            logs: (0..partitions.min(FILES_MAX)).map(|_| store.log(Some(stage))).collect(),
            partitions: (0..partitions).map(|_| Partition::default()).collect(),
            pending: Pending::default(),
            resident_bytes: 0,
            memory_bytes,
        }
    }

    /// Sends row `i` of `batch` to partition `partition_of_row[i]`. Blocks the thread while rows
    /// are written.
    ///
    /// # Errors
    /// [`SpillError::NoRoom`] when no spill folder takes what must leave memory,
    /// [`SpillError::Rows`] for rows that cannot be gathered or have no form on disk, and
    /// [`SpillError::Closed`].
    ///
    /// # Panics
    /// When there is not one partition for each row, or there is no such partition.
    pub fn push(&mut self, batch: &RecordBatch, partition_of_row: &[u32]) -> Result<(), Failure> {
        assert_eq!(batch.num_rows(), partition_of_row.len(), "each row has a partition");
        if batch.num_rows() == 0 {
            return Ok(());
        }
        if batch.num_columns() != self.schema.fields().len() {
            return Err(InternalError::new("an exchange got other columns than it was told").into());
        }
        // A large batch comes in pieces, so that what is gathered of it stays small.
        let pieces = batch_sliced_bytes(batch) / (self.memory_bytes / 8).max(1) + 1;
        let piece_rows = batch.num_rows().div_ceil(pieces);
        for (at, partition_of_row) in partition_of_row.chunks(piece_rows).enumerate() {
            let piece = batch.slice(at * piece_rows, partition_of_row.len());
            self.pending.push(piece, partition_of_row);
            if self.pending.held_bytes() >= self.memory_bytes / 4 {
                self.gather()?;
            }
        }
        Ok(())
    }

    /// Bytes that it holds in memory now.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.pending.held_bytes() + self.resident_bytes
    }

    /// Bytes that it has on disk now.
    #[must_use]
    pub fn disk_bytes(&self) -> u64 {
        self.partitions.iter().map(|partition| partition.on_disk.disk_bytes()).sum()
    }

    /// All partitions, in order; empty ones too. They hold what is in memory until they are read
    /// or dropped.
    ///
    /// # Errors
    /// As of [`Exchange::push`].
    pub fn finish(mut self) -> Result<Vec<ExchangePartition>, Failure> {
        self.gather()?;
        let codec = self.encoder.codec()?;
        let partitions = self.partitions.into_iter();
        Ok(partitions.map(|rows| ExchangePartition { codec: Arc::clone(&codec), rows }).collect())
    }

    /// Brings the rows that wait to their partitions.
    fn gather(&mut self) -> Result<(), Failure> {
        let pending = std::mem::take(&mut self.pending);
        if pending.is_empty() {
            return Ok(());
        }
        // The rows are there twice for as long as it lasts.
        let room_bytes = self.memory_bytes.saturating_sub(2 * pending.held_bytes());
        if self.resident_bytes > room_bytes {
            self.spill(room_bytes / 2)?;
        }
        let partitions = &mut self.partitions;
        let resident_bytes = &mut self.resident_bytes;
        pending.gather(&self.schema, partitions.len(), |at, batch| {
            let bytes = batch_sliced_bytes(&batch);
            partitions[at].resident.push(batch);
            partitions[at].resident_bytes += bytes;
            *resident_bytes += bytes;
        })?;
        // What comes next waits in a quarter of it.
        if self.resident_bytes > self.memory_bytes / 4 * 3 {
            self.spill(self.memory_bytes / 2)?;
        }
        Ok(())
    }

    /// Writes partitions until no more than `keep_bytes` are in memory.
    fn spill(&mut self, keep_bytes: usize) -> Result<(), Failure> {
        let mut order: Vec<usize> = (0..self.partitions.len()).collect();
        order.sort_by_key(|&at| {
            let partition = &self.partitions[at];
            let bytes = partition.resident_bytes;
            let goes_first = !partition.on_disk.blocks.is_empty() && bytes >= FIRST_BYTES;
            std::cmp::Reverse((goes_first, bytes))
        });
        let (partitions, files) = (self.partitions.len(), self.logs.len());
        for at in order {
            if self.resident_bytes <= keep_bytes {
                break;
            }
            let partition = &mut self.partitions[at];
            let log = &mut self.logs[at * files / partitions];
            self.resident_bytes -= partition.resident_bytes;
            partition.resident_bytes = 0;
            let resident = std::mem::take(&mut partition.resident);
            for batch in Joined::new(resident.into_iter().map(Ok)) {
                partition.on_disk.write(&batch?, &mut self.encoder, log)?;
            }
        }
        Ok(())
    }
}

/// The rows of one partition, in the order in which they were sent. What is on disk is deleted
/// with it and its neighbours.
#[derive(Debug)]
pub struct ExchangePartition {
    codec: Arc<BatchCodec>,
    rows: Partition,
}

impl ExchangePartition {
    /// Rows in it.
    #[must_use]
    pub fn rows(&self) -> u64 {
        let resident: usize = self.rows.resident.iter().map(RecordBatch::num_rows).sum();
        self.rows.on_disk.rows + resident as u64
    }

    /// Bytes of all rows when they are in memory.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        self.rows.on_disk.memory_bytes + self.rows.resident_bytes as u64
    }

    /// Bytes of the rows that are in memory now.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.rows.resident_bytes
    }

    /// All rows, in batches of a few hundred KiB to a few MiB as far as there are so many. Blocks
    /// the thread where rows are on disk; ends after the first failure. Rows that were in memory
    /// are freed as they are handed out.
    ///
    /// Failures are [`SpillError::Gone`], [`SpillError::Read`] and [`SpillError::Damaged`].
    pub fn batches(self) -> impl Iterator<Item = Result<RecordBatch, Failure>> + Send {
        let Self { codec, rows: Partition { on_disk, resident, resident_bytes: _ } } = self;
        let (reader, fault) = match SpillReader::new(&codec, on_disk.blocks) {
            Ok(reader) => (Some(reader), None),
            Err(failure) => (None, Some(Err(failure))),
        };
        let on_disk = fault.into_iter().chain(reader.into_iter().flatten());
        Joined::new(on_disk.chain(resident.into_iter().map(Ok)))
    }
}

/// Batches of one schema, joined as far as they are small.
struct Joined<I> {
    batches: I,
    ended: bool,
}

impl<I: Iterator<Item = Result<RecordBatch, Failure>>> Joined<I> {
    fn new(batches: I) -> Self {
        Self { batches, ended: false }
    }

    /// The next batches that have enough bytes together; none at the end.
    fn next_few(&mut self) -> Result<Vec<RecordBatch>, Failure> {
        let (mut few, mut bytes) = (Vec::new(), 0);
        while bytes < JOINED_BYTES && !self.ended {
            match self.batches.next().transpose()? {
                Some(batch) => {
                    bytes += batch_sliced_bytes(&batch);
                    few.push(batch);
                }
                None => self.ended = true,
            }
        }
        Ok(few)
    }
}

impl<I: Iterator<Item = Result<RecordBatch, Failure>>> Iterator for Joined<I> {
    type Item = Result<RecordBatch, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        let few = match self.next_few() {
            Ok(few) => few,
            Err(failure) => {
                self.ended = true;
                return Some(Err(failure));
            }
        };
        if few.len() < 2 {
            return few.into_iter().next().map(Ok);
        }
        let joined = concat_batches(few[0].schema_ref(), &few);
        Some(joined.map_err(|source| SpillError::Rows { source }.into()))
    }
}
