//! A shuffle of all rows, or of all batches: in memory while they fit, else by way of the disk.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{Field, Schema, SchemaRef};
use async_trait::async_trait;
use futures::StreamExt;
use futures::future::BoxFuture;
use raceline_exec::{Emit, Exchange, ExchangePartition, PortStream, Region, SpillStore};
use raceline_types::{
    Batch, Failure, InternalError, Lookahead, Random, batch_sliced_bytes, conform,
};
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;

use super::gather::{Position, gather, output_rows};
use super::order::{BUCKETS, Place, Unit, buckets_of, part_of};

/// Parts in which rows are kept that do not fit into memory together.
const PARTS: u32 = 256;
/// Parts that are small are brought together up to this many bytes, so that what rows are gathered
/// from is close by.
const TOGETHER_BYTES_MAX: usize = 64 << 20;
/// What the key and the place of a row take.
const PLACE_BYTES: usize = 16;

/// Puts all of its input into a random order, which depends on the seed and the order of the input
/// alone: not on threads, memory, or how batches are cut (of batches, it does depend on that).
///
/// Each row is written and read at most once, unless the input is more than sixteen times the
/// session's memory; then it is so twice.
#[derive(Debug)]
pub(crate) struct ShuffleRegion {
    unit: Unit,
    random: Random,
    store: Arc<SpillStore>,
    limit_bytes: usize,
}

impl ShuffleRegion {
    /// A shuffle by `seed` that holds about `limit_bytes` in memory, and the rest in `store`.
    pub(crate) fn new(unit: Unit, seed: u64, store: Arc<SpillStore>, limit_bytes: usize) -> Self {
        Self { unit, random: Random::new(seed), store, limit_bytes }
    }

    /// What the stage is called.
    fn title(&self) -> &'static str {
        match self.unit {
            Unit::Rows => "RandomShuffle",
            Unit::Batches => "RandomizeBlockOrder",
        }
    }

    /// Puts out `batches`, which are the whole input.
    async fn emit_held(
        &self,
        batches: Vec<RecordBatch>,
        out: &mut dyn Emit,
    ) -> Result<(), Failure> {
        let mut keys = Keys::new(self.unit, self.random);
        let keys: Vec<ArrayRef> = batches.iter().map(|batch| keys.of(batch)).collect();
        let order = self.unit.order(self.random, &keys);
        drop(keys);
        match self.unit {
            Unit::Rows => emit_in_order(batches, order, out).await,
            Unit::Batches => {
                for (batch, _) in order.into_iter().filter(|(_, row)| *row == 0) {
                    let batch = batches[batch as usize].clone();
                    out.emit(Batch::without_origin(batch)).await?;
                }
                Ok(())
            }
        }
    }

    /// Spreads rows that come with their keys, all in `buckets`, over parts.
    fn spread(&self, schema: &SchemaRef, buckets: Range<u32>) -> Spread {
        let memory_bytes = self.limit_bytes / 2;
        let parts = PARTS.min(buckets.end - buckets.start);
        let exchange =
            Exchange::new(&self.store, self.title(), schema, parts as usize, memory_bytes);
        Spread { unit: self.unit, exchange, buckets, parts }
    }

    /// Puts out all rows of `parts`, in the order of their buckets.
    fn emit_parts<'a>(
        &'a self,
        parts: Vec<(Range<u32>, ExchangePartition)>,
        schema: &'a SchemaRef,
        out: &'a mut dyn Emit,
    ) -> BoxFuture<'a, Result<(), Failure>> {
        let fits_bytes = self.limit_bytes / 4;
        let together_bytes = fits_bytes.min(TOGETHER_BYTES_MAX);
        Box::pin(async move {
            let mut together = Vec::new();
            let mut bytes = 0;
            for (buckets, part) in parts {
                let part_bytes = usize::try_from(part.memory_bytes()).unwrap_or(usize::MAX);
                if bytes + part_bytes > together_bytes {
                    self.emit_together(std::mem::take(&mut together), schema, out).await?;
                    bytes = 0;
                }
                if part_bytes > fits_bytes && buckets.end - buckets.start > 1 {
                    let parts = self.spread_again(buckets, part, schema)?;
                    self.emit_parts(parts, schema, out).await?;
                } else {
                    bytes += part_bytes;
                    together.push(part);
                }
            }
            self.emit_together(together, schema, out).await
        })
    }

    /// The parts of a part that is too large.
    fn spread_again(
        &self,
        buckets: Range<u32>,
        part: ExchangePartition,
        schema: &SchemaRef,
    ) -> Result<Vec<(Range<u32>, ExchangePartition)>, Failure> {
        let mut spread = self.spread(&with_key(schema, self.unit), buckets);
        for batch in part.batches() {
            spread.push(&batch?)?;
        }
        spread.finish()
    }

    /// Puts out the rows of parts that follow each other.
    async fn emit_together(
        &self,
        parts: Vec<ExchangePartition>,
        schema: &SchemaRef,
        out: &mut dyn Emit,
    ) -> Result<(), Failure> {
        let (mut batches, mut keys) = (Vec::new(), Vec::new());
        for batch in parts.into_iter().flat_map(ExchangePartition::batches) {
            let (batch, key) = without_key(&batch?, schema)?;
            batches.push(batch);
            keys.push(key);
        }
        let order = self.unit.order(self.random, &keys);
        drop(keys);
        emit_in_order(batches, order, out).await
    }
}

#[async_trait]
impl Region for ShuffleRegion {
    fn name(&self) -> Arc<str> {
        self.title().into()
    }

    fn gathers(&self) -> bool {
        true
    }

    async fn run(&self, ports: Vec<PortStream>, out: &mut dyn Emit) -> Result<(), Failure> {
        let mut input = futures::stream::iter(ports).flatten().fuse();
        let mut held = Lookahead::new(usize::MAX);
        let mut held_bytes = 0;
        while held_bytes <= self.limit_bytes {
            let Some(batch) = input.next().await else { break };
            let data = batch?.data;
            held_bytes += batch_sliced_bytes(&data) + PLACE_BYTES * data.num_rows();
            held.push(data);
        }
        let Some((schema, batches)) = held.fix()? else { return Ok(()) };
        // The schema goes on even when no row does.
        out.emit(Batch::without_origin(RecordBatch::new_empty(Arc::clone(&schema)))).await?;
        if held_bytes <= self.limit_bytes {
            return self.emit_held(batches, out).await;
        }
        let keyed = with_key(&schema, self.unit);
        let mut keys = Keys::new(self.unit, self.random);
        let mut spread = self.spread(&keyed, 0..BUCKETS);
        for batch in batches {
            spread.push(&keyed_batch(&batch, keys.of(&batch), &keyed)?)?;
        }
        while let Some(batch) = input.next().await {
            let batch = conform(&batch?.data, &schema)?;
            spread.push(&keyed_batch(&batch, keys.of(&batch), &keyed)?)?;
        }
        self.emit_parts(spread.finish()?, &schema, out).await
    }
}

/// The keys of all rows, in the order of the input.
struct Keys {
    unit: Unit,
    random: Random,
    next_batch: u64,
    next_row: u64,
}

impl Keys {
    fn new(unit: Unit, random: Random) -> Self {
        Self { unit, random, next_batch: 0, next_row: 0 }
    }

    /// The keys of the rows of the next batch.
    fn of(&mut self, batch: &RecordBatch) -> ArrayRef {
        let rows = batch.num_rows();
        let keys = self.unit.keys(self.random, self.next_batch, self.next_row, rows);
        self.next_batch += u64::from(rows > 0);
        self.next_row += rows as u64;
        keys
    }
}

/// Rows on their way into parts.
struct Spread {
    unit: Unit,
    exchange: Exchange,
    buckets: Range<u32>,
    parts: u32,
}

impl Spread {
    /// Takes rows with their keys.
    fn push(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        let buckets = self.unit.buckets(batch.column(batch.num_columns() - 1));
        let parts = buckets.into_iter().map(|bucket| part_of(bucket, &self.buckets, self.parts));
        self.exchange.push(batch, &parts.collect::<Vec<_>>())
    }

    fn finish(self) -> Result<Vec<(Range<u32>, ExchangePartition)>, Failure> {
        let parts = self.exchange.finish()?;
        let buckets = (0..self.parts).map(|part| buckets_of(part, &self.buckets, self.parts));
        Ok(buckets.zip(parts).collect())
    }
}

/// Puts out the rows of `batches` at `order`. They are brought together by all threads, each for a
/// batch of its own: their places are all over memory, and it is memory that they wait for.
async fn emit_in_order(
    batches: Vec<RecordBatch>,
    order: Vec<Place>,
    out: &mut dyn Emit,
) -> Result<(), Failure> {
    let runtime = Handle::current();
    let rows = output_rows(&batches);
    let (batches, order): (Arc<[_]>, Arc<[_]>) = (batches.into(), order.into());
    let starts = (0..order.len()).step_by(rows);
    let mut gathered = futures::stream::iter(starts)
        .map(|start| {
            let (batches, order) = (Arc::clone(&batches), Arc::clone(&order));
            AbortOnDropHandle::new(runtime.spawn(async move {
                let places = &order[start..order.len().min(start + rows)];
                let positions: Vec<Position> =
                    places.iter().map(|(batch, row)| (*batch as usize, *row as usize)).collect();
                gather(batches[0].schema_ref(), &batches, &positions)
            }))
        })
        .buffered(runtime.metrics().num_workers());
    while let Some(rows) = gathered.next().await {
        let rows =
            rows.map_err(|error| InternalError::caused_by("gathering rows stopped", error))??;
        out.emit(Batch::without_origin(rows)).await?;
    }
    Ok(())
}

/// `schema` with a column for the keys, which has no name of its own: columns go by position here.
fn with_key(schema: &SchemaRef, unit: Unit) -> SchemaRef {
    let key = Arc::new(Field::new("", unit.key_type(), false));
    let fields: Vec<_> = schema.fields().iter().map(Arc::clone).chain([key]).collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

fn keyed_batch(
    batch: &RecordBatch,
    keys: ArrayRef,
    schema: &SchemaRef,
) -> Result<RecordBatch, Failure> {
    let columns = batch.columns().iter().map(Arc::clone).chain([keys]).collect();
    RecordBatch::try_new(Arc::clone(schema), columns)
        .map_err(|error| InternalError::caused_by("keys do not fit their rows", error).into())
}

/// The columns of `schema`, and the keys behind them.
fn without_key(
    batch: &RecordBatch,
    schema: &SchemaRef,
) -> Result<(RecordBatch, ArrayRef), Failure> {
    let (keys, columns) = batch
        .columns()
        .split_last()
        .ok_or_else(|| InternalError::new("shuffled rows came back without keys"))?;
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let rows = RecordBatch::try_new_with_options(Arc::clone(schema), columns.to_vec(), &options)
        .map_err(|error| InternalError::caused_by("shuffled columns changed type", error))?;
    Ok((rows, Arc::clone(keys)))
}
