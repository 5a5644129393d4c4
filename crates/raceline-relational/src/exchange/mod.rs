//! Rows with equal keys in one place: in partitions, or as whole groups.
//!
//! Rows go to partitions by a hash of their keys, in memory as far as they fit and on disk beyond.
//! Partitions that are small are taken together; one that is larger than may be held at once is
//! partitioned again, by another hash, or sorted on disk.

mod group;
mod keys;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use futures::{StreamExt, stream};
use raceline_exec::{Emit, Exchange, ExchangePartition, PortStream, Region, StageAccounts};
use raceline_plan::{ExchangeForm, KeyedExchange, SortKey};
use raceline_types::{Batch, Failure, InternalError, batch_sliced_bytes};

use self::keys::KeyColumns;
use crate::engine::Engine;
use crate::error::RelationalError;
use crate::lease::Lease;
use crate::partition::HashPartitioner;
use crate::port::OpenPort;
use crate::sort::SortRegion;

/// Bytes of the input that are held back to know the types of its columns.
const LOOKAHEAD_BYTES: usize = 1 << 20;

/// Bytes of rows that are joined into one batch of a partition. The graph cuts larger ones.
const JOINED_BYTES: usize = 8 << 20;

/// Partitions of rows that become groups.
const GROUP_PARTITIONS: usize = 64;

/// Bytes of small partitions that become groups together.
const UNIT_BYTES: usize = 4 << 20;

/// Bytes of rows that become groups together at most, so that Arrow's offsets reach all of them.
const UNIT_BYTES_MAX: usize = 1 << 30;

/// Times that a partition is partitioned again at most.
const LEVELS_MAX: u32 = 3;

/// Brings rows with equal keys together. Null and NaN are one key; rows keep their values.
///
/// Without keys all rows are together. Partitions have no order; the rows of one, and of one
/// group, keep that of the input, unless they are sorted. An empty partition is left out. Every
/// field of the output is nullable, and there is no origin.
#[derive(Debug)]
pub struct ExchangeRegion {
    engine: Arc<Engine>,
    spec: Arc<KeyedExchange>,
}

impl ExchangeRegion {
    /// An exchange. Columns are looked up when the first batch shows its schema.
    #[must_use]
    pub fn new(engine: Arc<Engine>, spec: Arc<KeyedExchange>) -> Self {
        Self { engine, spec }
    }

    /// Schema of the output for an input of `schema`.
    ///
    /// # Errors
    /// [`RelationalError::ColumnNotFound`] or [`RelationalError::Objects`].
    pub fn output_schema(
        schema: &SchemaRef,
        spec: &KeyedExchange,
    ) -> Result<SchemaRef, RelationalError> {
        KeyColumns::of(schema, &spec.keys)?;
        Ok(match spec.form {
            ExchangeForm::Parts { .. } => Arc::clone(schema),
            ExchangeForm::Groups => group::schema(schema),
        })
    }
}

#[async_trait]
impl Region for ExchangeRegion {
    fn name(&self) -> Arc<str> {
        self.spec.to_string().into()
    }

    fn gathers(&self) -> bool {
        true
    }

    async fn run(&self, ports: Vec<PortStream>, out: &mut dyn Emit) -> Result<(), Failure> {
        let port = ports.into_iter().next();
        let port = port.ok_or_else(|| InternalError::new("an exchange without an input"))?;
        let lookahead_bytes = self.engine.lookahead_bytes().min(LOOKAHEAD_BYTES);
        let Some(port) = OpenPort::open(port, None, lookahead_bytes).await? else { return Ok(()) };
        let output = Self::output_schema(&port.schema, &self.spec)?;
        let accounts = out.accounts();
        let engine = self.engine.for_stage(&accounts)?;
        let (schema, row_bytes) = (Arc::clone(&port.schema), port.row_bytes);
        let keys = Arc::new(KeyColumns::of(&schema, &self.spec.keys)?);
        let lease = engine.lease("exchange");
        let mut work = Work { engine, name: self.name(), schema, row_bytes, keys, lease };
        // The schema goes on even when no row does.
        out.emit(Batch::without_origin(RecordBatch::new_empty(output))).await?;
        let port = port.counted(&accounts.held);
        match self.spec.form {
            ExchangeForm::Parts { parts, sorted } => {
                let filled = work.exchange(port, parts).await?;
                let keys = if sorted { self.spec.keys.as_slice() } else { &[] };
                work.parts(filled, keys, &accounts, out).await
            }
            ExchangeForm::Groups => {
                let partitions = if self.spec.keys.is_empty() { 1 } else { GROUP_PARTITIONS };
                let filled = work.exchange(port, partitions).await?;
                work.groups(filled, out).await
            }
        }
    }
}

/// An exchange that runs.
struct Work {
    engine: Arc<Engine>,
    /// Name of the region, for errors.
    name: Arc<str>,
    /// Schema of the rows.
    schema: SchemaRef,
    row_bytes: usize,
    keys: Arc<KeyColumns>,
    lease: Lease,
}

/// Rows that become groups, and how they came to be together.
struct Part {
    rows: ExchangePartition,
    /// How often they were partitioned.
    level: u32,
    /// Bytes of what they were a part of.
    of_bytes: u64,
}

impl Work {
    /// All rows of `port` in `partitions`. Half of the share may be in memory.
    async fn exchange(
        &mut self,
        port: OpenPort,
        partitions: usize,
    ) -> Result<Vec<ExchangePartition>, Failure> {
        let mut sent = self.sent(partitions, 0);
        let mut batches = port.batches();
        while let Some(batch) = batches.next().await {
            sent.push(&batch?)?;
            self.lease.resize(sent.exchange.held_bytes());
        }
        sent.exchange.finish()
    }

    fn sent(&self, partitions: usize, level: u32) -> Sent {
        let memory_bytes = self.lease.share_bytes() / if level == 0 { 2 } else { 4 };
        let spill = self.engine.spill();
        Sent {
            exchange: Exchange::new(spill, &self.name, &self.schema, partitions, memory_bytes),
            partitioner: self.keys.partitioner(partitions, level),
            keys: Arc::clone(&self.keys),
            partitions,
        }
    }

    /// Emits each partition, sorted by `keys` where there are some.
    async fn parts(
        mut self,
        parts: Vec<ExchangePartition>,
        keys: &[String],
        accounts: &StageAccounts,
        out: &mut dyn Emit,
    ) -> Result<(), Failure> {
        let keys = keys.iter().map(|key| SortKey { column: key.clone(), descending: false });
        let keys: Vec<_> = keys.collect();
        for part in parts {
            let held_bytes = part.held_bytes();
            let mut batches = stream::iter(part.batches()).boxed();
            if !keys.is_empty() {
                let port = OpenPort::of(Arc::clone(&self.schema), self.row_bytes, batches);
                let sort = SortRegion::new(Arc::clone(&self.engine), keys.clone(), None);
                batches = sort.sorted(port, accounts).await?;
            }
            let mut held = Held::default();
            while let Some(batch) = batches.next().await {
                held.push(batch?);
                if held.bytes >= JOINED_BYTES {
                    out.emit(Batch::without_origin(held.take()?)).await?;
                }
            }
            if !held.batches.is_empty() {
                out.emit(Batch::without_origin(held.take()?)).await?;
            }
            self.lease.resize(self.lease.size().saturating_sub(held_bytes));
        }
        Ok(())
    }

    /// Emits the groups of all partitions.
    async fn groups(
        mut self,
        parts: Vec<ExchangePartition>,
        out: &mut dyn Emit,
    ) -> Result<(), Failure> {
        let most_bytes = (self.lease.share_bytes() / 2).clamp(1, UNIT_BYTES_MAX);
        let first = parts.into_iter().rev();
        let mut rest: Vec<_> =
            first.map(|rows| Part { rows, level: 0, of_bytes: u64::MAX }).collect();
        let mut unit = Held::default();
        while let Some(part) = rest.pop() {
            let bytes = usize::try_from(part.rows.memory_bytes()).unwrap_or(usize::MAX);
            if bytes > most_bytes {
                rest.extend(self.apart(part, most_bytes)?.into_iter().rev());
                continue;
            }
            if unit.bytes + bytes > most_bytes.min(UNIT_BYTES) {
                self.emit_groups(&mut unit, out).await?;
            }
            let in_memory_bytes = part.rows.held_bytes();
            for batch in part.rows.batches() {
                unit.push(batch?);
            }
            let more_bytes = unit.bytes.saturating_sub(in_memory_bytes);
            self.lease.resize(self.lease.size() + more_bytes);
        }
        self.emit_groups(&mut unit, out).await
    }

    /// Emits the groups of `unit`, which is empty then.
    async fn emit_groups(&mut self, unit: &mut Held, out: &mut dyn Emit) -> Result<(), Failure> {
        if unit.batches.is_empty() {
            return Ok(());
        }
        let bytes = unit.bytes;
        // They are there twice while they are brought together.
        self.lease.resize(self.lease.size() + bytes);
        let groups = group::groups(&self.keys, &unit.take()?)?;
        self.lease.resize(self.lease.size().saturating_sub(2 * bytes));
        out.emit(Batch::without_origin(groups)).await
    }

    /// A part of more than `most_bytes` in smaller ones, unless it has one group that is too large.
    fn apart(&self, part: Part, most_bytes: usize) -> Result<Vec<Part>, Failure> {
        let Part { rows, level, of_bytes } = part;
        let bytes = rows.memory_bytes();
        if self.keys.is_empty() || level == LEVELS_MAX || bytes > of_bytes / 10 * 9 {
            let (all_rows, batches) = (rows.rows(), rows.batches());
            let (key, rows) = group::largest(&self.keys, batches)?;
            let bytes = u128::from(bytes) * u128::from(rows) / u128::from(all_rows.max(1));
            let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
            return Err(
                RelationalError::LargeGroup { key, rows, bytes, bytes_max: most_bytes }.into()
            );
        }
        let mut sent = self.sent(GROUP_PARTITIONS, level + 1);
        for batch in rows.batches() {
            sent.push(&batch?)?;
        }
        let parts = sent.exchange.finish()?.into_iter();
        Ok(parts.map(|rows| Part { rows, level: level + 1, of_bytes: bytes }).collect())
    }
}

/// Rows on their way to partitions.
struct Sent {
    exchange: Exchange,
    partitioner: HashPartitioner,
    keys: Arc<KeyColumns>,
    partitions: usize,
}

impl Sent {
    fn push(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        if self.partitions == 1 {
            return self.exchange.push(batch, &vec![0; batch.num_rows()]);
        }
        let places = self.partitioner.partition_of_row(&self.keys.of_rows(batch)?)?;
        self.exchange.push(batch, &places)
    }
}

/// Batches of one schema that become one.
#[derive(Default)]
struct Held {
    batches: Vec<RecordBatch>,
    bytes: usize,
}

impl Held {
    fn push(&mut self, batch: RecordBatch) {
        self.bytes += batch_sliced_bytes(&batch);
        self.batches.push(batch);
    }

    /// All rows; nothing is held then.
    fn take(&mut self) -> Result<RecordBatch, Failure> {
        let Self { mut batches, bytes: _ } = std::mem::take(self);
        if batches.len() == 1 {
            return Ok(batches.remove(0));
        }
        concat_batches(batches[0].schema_ref(), &batches)
            .map_err(|error| InternalError::caused_by("rows of a group", error).into())
    }
}
