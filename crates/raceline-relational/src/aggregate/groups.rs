//! Grouped aggregation: in memory while the groups fit, on disk as states when they do not.
//!
//! Several tasks make states of rows, each state goes to the reducer of its hash, and each reducer
//! merges them in a table. A reducer that gets to the end of its input so has its groups. One whose
//! table outgrows its share hands the states out that it has so far and starts anew; all of them
//! are partitioned on disk, and merged a partition at a time. What is written are states, so the
//! rows are read once and never written.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::aggregates::AggregateMode;
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use raceline_exec::Exchange;
use raceline_types::{Failure, InternalError};
use tokio::sync::Mutex;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::stages::Stages;
use crate::engine::Engine;
use crate::error::{carry, failure};
use crate::partition::HashPartitioner;
use crate::stream::{Batches, shared, table_of};

/// Batches that wait for a reducer.
const WAITING_BATCHES: usize = 2;

/// Partitions of the states of one reducer that do not fit into memory.
const SPILL_PARTITIONS: usize = 64;

/// States for a reducer; `None` when one of those that make them has ended.
type Parcel = Result<Option<RecordBatch>, Failure>;

type States = BoxStream<'static, DataFusionResult<RecordBatch>>;

type SharedInbox = Arc<Mutex<Inbox>>;

/// The groups of `rows`, keys first, in any order.
pub(super) fn groups(
    engine: &Arc<Engine>,
    stages: &Arc<Stages>,
    rows: Batches,
    name: &Arc<str>,
    batch_rows: usize,
) -> Result<SendableRecordBatchStream, Failure> {
    let width = engine.partitions();
    let partial =
        stages.stage(AggregateMode::Partial, table_of(&stages.rows, shared(rows, width))?)?;
    let context = engine.task_context(batch_rows);
    let mut all = RecordBatchReceiverStreamBuilder::new(Arc::clone(&stages.groups), width);
    let (senders, receivers): (Vec<_>, Vec<_>) =
        (0..width).map(|_| channel::<Parcel>(WAITING_BATCHES)).unzip();
    for partition in 0..width {
        let made = partial.execute(partition, Arc::clone(&context)).map_err(failure)?;
        let router = HashPartitioner::new(stages.keys(), width, 0);
        all.spawn(route(made, router, senders.clone()));
    }
    for receiver in receivers {
        let reducer = Reducer {
            engine: Arc::clone(engine),
            stages: Arc::clone(stages),
            name: Arc::clone(name),
            states: partial.schema(),
            batch_rows,
            out: all.tx(),
        };
        all.spawn(reducer.run(Inbox::new(receiver, width)));
    }
    Ok(all.build())
}

/// Hands each of `states` to the reducer of its hash. A failure goes to all of them, since none
/// may take what it has for all that there is.
async fn route(
    mut states: SendableRecordBatchStream,
    mut router: HashPartitioner,
    reducers: Vec<Sender<Parcel>>,
) -> DataFusionResult<()> {
    while let Some(batch) = states.next().await {
        match batch.map_err(failure).and_then(|batch| router.split(&batch)) {
            Ok(parts) => {
                for (reducer, part) in reducers.iter().zip(parts) {
                    if part.num_rows() > 0 && reducer.send(Ok(Some(part))).await.is_err() {
                        return Ok(());
                    }
                }
            }
            Err(failure) => {
                for reducer in &reducers {
                    // One that is gone has failed itself.
                    let _is_gone = reducer.send(Err(failure.clone())).await.is_err();
                }
                return Err(carry(failure));
            }
        }
    }
    for reducer in &reducers {
        let _is_gone = reducer.send(Ok(None)).await.is_err();
    }
    Ok(())
}

/// The states for one reducer, from several tasks.
struct Inbox {
    states: Receiver<Parcel>,
    senders: usize,
    /// Rows that were taken.
    rows: u64,
}

impl Inbox {
    fn new(states: Receiver<Parcel>, senders: usize) -> Self {
        Self { states, senders, rows: 0 }
    }

    /// Whether all states were taken.
    fn has_ended(&self) -> bool {
        self.senders == 0
    }

    async fn next(&mut self) -> Option<Result<RecordBatch, Failure>> {
        while self.senders > 0 {
            match self.states.recv().await {
                Some(Ok(Some(states))) => {
                    self.rows += states.num_rows() as u64;
                    return Some(Ok(states));
                }
                Some(Ok(None)) => self.senders -= 1,
                Some(Err(failure)) => return Some(Err(failure)),
                None => return Some(Err(InternalError::new("a task ended early").into())),
            }
        }
        None
    }
}

/// Merges the states of one part of the hashes.
struct Reducer {
    engine: Arc<Engine>,
    stages: Arc<Stages>,
    /// Name of the region, for errors.
    name: Arc<str>,
    /// Schema of the states.
    states: SchemaRef,
    batch_rows: usize,
    out: Sender<DataFusionResult<RecordBatch>>,
}

impl Reducer {
    async fn run(self, inbox: Inbox) -> DataFusionResult<()> {
        self.reduce(Arc::new(Mutex::new(inbox))).await.map_err(carry)
    }

    async fn reduce(&self, inbox: SharedInbox) -> Result<(), Failure> {
        let mut merged = self.merge(&inbox)?;
        let mut next = merged.next().await;
        // It hands nothing out before its input has ended, or was ended because it is full.
        if !inbox.lock().await.has_ended() {
            return self.spill(&inbox, stream::iter(next).chain(merged).boxed()).await;
        }
        while let Some(states) = next {
            let groups = states.and_then(|states| self.stages.evaluate(&states));
            if !self.emit(groups.map_err(failure)?).await {
                return Ok(());
            }
            next = merged.next().await;
        }
        Ok(())
    }

    /// Hands on groups; false when nobody wants more.
    async fn emit(&self, groups: RecordBatch) -> bool {
        self.out.send(Ok(groups)).await.is_ok()
    }

    /// One table of states until the inbox has ended or its share of the memory is used up.
    fn merge(&self, inbox: &SharedInbox) -> Result<SendableRecordBatchStream, Failure> {
        let pool = self.engine.run_pool(self.engine.partitions());
        let source = (Arc::clone(inbox), Arc::clone(&pool));
        let states = stream::unfold(source, |(inbox, pool)| async move {
            if pool.is_full() {
                return None;
            }
            let states = inbox.lock().await.next().await?;
            Some((states, (inbox, pool)))
        });
        let states = table_of(&self.states, vec![states.boxed()])?;
        let merged = self.stages.stage(AggregateMode::PartialReduce, states)?;
        merged.execute(0, self.engine.run_context(pool, self.batch_rows)?).map_err(failure)
    }

    /// Partitions all states on disk, those of `first` and what is left in the inbox, and merges
    /// them a partition at a time.
    async fn spill(&self, inbox: &SharedInbox, mut first: States) -> Result<(), Failure> {
        let mut lease = self.engine.lease("aggregate");
        let held_bytes = lease.share_bytes() / 2 / self.engine.partitions();
        lease.resize(held_bytes);
        let mut kept = Kept::new(self, held_bytes);
        while let Some(states) = first.next().await {
            kept.push(&states.map_err(failure)?)?;
        }
        drop(first);
        // Tables are worth their while as long as they make of many states few.
        while kept.rows < inbox.lock().await.rows / 5 * 4 && !inbox.lock().await.has_ended() {
            let mut merged = self.merge(inbox)?;
            while let Some(states) = merged.next().await {
                kept.push(&states.map_err(failure)?)?;
            }
        }
        while let Some(states) = inbox.lock().await.next().await {
            kept.push(&states?)?;
        }
        let context = self.engine.task_context(self.batch_rows);
        for partition in kept.exchange.finish()? {
            let states = table_of(&self.states, vec![stream::iter(partition.batches()).boxed()])?;
            let last = self.stages.stage(AggregateMode::Final, states)?;
            let mut groups = last.execute(0, Arc::clone(&context)).map_err(failure)?;
            while let Some(groups) = groups.next().await {
                if !self.emit(groups.map_err(failure)?).await {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// States that did not fit into a table.
struct Kept {
    exchange: Exchange,
    partitioner: HashPartitioner,
    rows: u64,
}

impl Kept {
    fn new(reducer: &Reducer, memory_bytes: usize) -> Self {
        let Reducer { engine, stages, name, states, .. } = reducer;
        let exchange = Exchange::new(engine.spill(), name, states, SPILL_PARTITIONS, memory_bytes);
        let partitioner = HashPartitioner::new(stages.keys(), SPILL_PARTITIONS, 1);
        Self { exchange, partitioner, rows: 0 }
    }

    fn push(&mut self, states: &RecordBatch) -> Result<(), Failure> {
        self.rows += states.num_rows() as u64;
        let places = self.partitioner.partition_of_row(states)?;
        self.exchange.push(states, &places)
    }
}
