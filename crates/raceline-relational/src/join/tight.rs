//! Joins of sides that are both larger than their share of the memory: partitioned on disk by a
//! hash of the keys, and joined a partition at a time.
//!
//! `DataFusion`'s hash join fails when its table does not fit (55.2,
//! <https://github.com/apache/datafusion/issues/24768>); here none is begun that does not.
//!
//! A partition of which neither side fits is partitioned again, by another hash. One that does not
//! get smaller so has a hot key, and is sorted and merged.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use datafusion::common::NullEquality;
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, stream};
use raceline_exec::{Exchange, ExchangePartition};
use raceline_types::Failure;
use tokio::sync::mpsc::Sender;

use super::gather::lookup_bytes;
use super::merge::sorted;
use super::pair::{PairJoin, Side};
use crate::engine::Engine;
use crate::error::{carry, failure};
use crate::lease::Lease;
use crate::partition::HashPartitioner;
use crate::stream::{Batches, table_of};

/// Partitions of each side at first. Nobody knows yet how large they are.
const PARTITIONS: usize = 256;

/// Times that a partition is partitioned again at most.
const LEVELS_MAX: u32 = 4;

/// What a join needs at every level.
#[derive(Debug)]
pub(crate) struct Tight {
    /// Memory and disk.
    pub(crate) engine: Arc<Engine>,
    /// The join.
    pub(crate) join: Arc<dyn PairJoin>,
    /// Name of the stage, for errors.
    pub(crate) name: Arc<str>,
    /// Rows of a batch.
    pub(crate) batch_rows: usize,
}

/// The rows of both sides, left and right, whose keys have one hash.
struct Pair {
    sides: [ExchangePartition; 2],
    /// How often it was partitioned.
    level: u32,
    /// Whether it is as large as what it is a part of.
    is_hot: bool,
}

/// Pairs that are not joined yet.
type Pairs = Arc<Mutex<VecDeque<Pair>>>;

impl Tight {
    /// Joins the left and the right input in `width` threads. Takes what `lease` has: half of it for
    /// the exchange, half of it for tables.
    pub(crate) async fn join(
        self: Arc<Self>,
        inputs: [Batches; 2],
        width: usize,
        lease: Lease,
    ) -> Result<SendableRecordBatchStream, Failure> {
        let exchange_bytes = lease.size() / 4;
        let [left, right] = inputs;
        let left = self.exchange(left, Side::Left, exchange_bytes).await?;
        let right = self.exchange(right, Side::Right, exchange_bytes).await?;
        let pairs = left.into_iter().zip(right);
        let pairs =
            pairs.map(|(left, right)| Pair { sides: [left, right], level: 0, is_hot: false });
        let pairs: Pairs = Arc::new(Mutex::new(pairs.collect()));
        let mut all = RecordBatchReceiverStreamBuilder::new(self.join.schema(), width);
        let lease = Arc::new(lease);
        for _ in 0..width {
            let worker = Worker {
                tight: Arc::clone(&self),
                table_bytes: lease.size() / 2 / width,
                out: all.tx(),
                _lease: Arc::clone(&lease),
            };
            all.spawn(worker.run(Arc::clone(&pairs)));
        }
        Ok(all.build())
    }

    async fn exchange(
        &self,
        mut batches: Batches,
        side: Side,
        memory_bytes: usize,
    ) -> Result<Vec<ExchangePartition>, Failure> {
        let mut parts = self.partitioned(side, 0, PARTITIONS, memory_bytes);
        while let Some(batch) = batches.next().await {
            parts.push(&batch?)?;
        }
        parts.exchange.finish()
    }

    fn partitioned(
        &self,
        side: Side,
        level: u32,
        partitions: usize,
        memory_bytes: usize,
    ) -> Partitioned {
        let (schema, keys) = (self.join.schema_of(side), self.join.keys_of(side));
        let spill = self.engine.spill();
        Partitioned {
            exchange: Exchange::new(spill, &self.name, schema, partitions, memory_bytes),
            partitioner: HashPartitioner::new(keys.into(), partitions, level),
            null_equality: self.join.null_equality(),
        }
    }
}

/// One side on its way to partitions.
struct Partitioned {
    exchange: Exchange,
    partitioner: HashPartitioner,
    null_equality: NullEquality,
}

impl Partitioned {
    fn push(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        let places = match self.null_equality {
            NullEquality::NullEqualsNothing => self.partitioner.partition_of_joined_row(batch)?,
            NullEquality::NullEqualsNull => self.partitioner.partition_of_row(batch)?,
        };
        self.exchange.push(batch, &places)
    }
}

/// Joins one pair after the other.
struct Worker {
    tight: Arc<Tight>,
    /// Bytes that a table may take.
    table_bytes: usize,
    out: Sender<DataFusionResult<RecordBatch>>,
    _lease: Arc<Lease>,
}

impl Worker {
    async fn run(self, pairs: Pairs) -> DataFusionResult<()> {
        loop {
            let pair = pairs.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some(pair) = pair else { return Ok(()) };
            if !self.pair(pair).await.map_err(carry)? {
                return Ok(());
            }
        }
    }

    /// Joins a pair; false when nobody wants more.
    fn pair(&self, pair: Pair) -> BoxFuture<'_, Result<bool, Failure>> {
        async move {
            let (first, needed_bytes) = pair.smaller();
            if pair.sides.iter().all(|side| side.rows() == 0) {
                Ok(true)
            } else if needed_bytes <= self.table_bytes {
                self.by_table(pair, first).await
            } else if pair.is_hot || pair.level == LEVELS_MAX {
                self.by_merge(pair).await
            } else {
                self.by_parts(pair, needed_bytes).await
            }
        }
        .boxed()
    }

    async fn by_table(&self, pair: Pair, first: Side) -> Result<bool, Failure> {
        let Tight { engine, join, batch_rows, .. } = self.tight.as_ref();
        let [left, right] = pair.sides.map(read);
        let left = table_of(join.schema_of(Side::Left), vec![left])?;
        let right = table_of(join.schema_of(Side::Right), vec![right])?;
        let (built, probed) = if first == Side::Left { (left, right) } else { (right, left) };
        let plan = join.by_table(first, built, probed)?;
        self.emit(plan.execute(0, engine.leased_context(*batch_rows)).map_err(failure)?).await
    }

    async fn by_merge(&self, pair: Pair) -> Result<bool, Failure> {
        let Tight { engine, join, batch_rows, .. } = self.tight.as_ref();
        let [left, right] = pair.sides.map(read);
        let left = sorted(engine, join.as_ref(), Side::Left, left)?;
        let right = sorted(engine, join.as_ref(), Side::Right, right)?;
        let plan = join.by_merge(left, right)?;
        self.emit(plan.execute(0, engine.task_context(*batch_rows)).map_err(failure)?).await
    }

    async fn by_parts(&self, pair: Pair, needed_bytes: usize) -> Result<bool, Failure> {
        let level = pair.level + 1;
        let partitions = (needed_bytes / self.table_bytes.max(1) * 2).clamp(2, PARTITIONS);
        let parts = |side: Side, rows: ExchangePartition| {
            let held_bytes = self.table_bytes / 2;
            let mut parts = self.tight.partitioned(side, level, partitions, held_bytes);
            for batch in rows.batches() {
                parts.push(&batch?)?;
            }
            parts.exchange.finish()
        };
        let [left, right] = pair.sides;
        let (left, right) = (parts(Side::Left, left)?, parts(Side::Right, right)?);
        for (left, right) in left.into_iter().zip(right) {
            let mut pair = Pair { sides: [left, right], level, is_hot: false };
            pair.is_hot = pair.smaller().1 > needed_bytes / 4 * 3;
            if !self.pair(pair).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn emit(&self, mut joined: SendableRecordBatchStream) -> Result<bool, Failure> {
        while let Some(batch) = joined.next().await {
            if self.out.send(Ok(batch.map_err(failure)?)).await.is_err() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Pair {
    /// The side that is the smaller one in a table, and what that takes.
    fn smaller(&self) -> (Side, usize) {
        let [left, right] = self.sides.each_ref().map(|side| {
            let number = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
            lookup_bytes(number(side.memory_bytes()), number(side.rows()))
        });
        if left <= right { (Side::Left, left) } else { (Side::Right, right) }
    }
}

fn read(rows: ExchangePartition) -> Batches {
    stream::iter(rows.batches()).boxed()
}
