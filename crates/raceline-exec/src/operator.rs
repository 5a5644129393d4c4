//! Narrow operators: one batch in, any number of batches out.

use std::fmt;
use std::sync::Arc;

use arrow::array::Float64Array;
use async_trait::async_trait;
use raceline_types::{Batch, ColumnMemory, Failure, Resources};

use crate::emit::Emit;
use crate::snapshot::{MovedBytes, WorkTimes};
use crate::worker_memory::{Relief, WorkerMemory};

/// How an operator wants its input cut.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BatchShape {
    /// As it comes.
    AsIs,
    /// Exactly this many rows, across batch and split borders; only the last may be shorter.
    Rows(usize),
    /// At least this many rows: neighbouring small batches are joined, none is cut.
    AtLeastRows(usize),
    /// As many rows as stay within bounds, across batch and split borders.
    Within(BatchBounds),
    /// As many rows as turn out to be fastest, to begin with this many. There are fewer where
    /// bytes would be many, where nothing runs, and at the end, so that all workers have some.
    Fastest(usize),
}

/// Bounds of a batch, all of which hold at the same time.
///
/// Consecutive rows are gathered until a bound is reached or the next row would exceed one. A row
/// that exceeds one by itself is a batch by itself. So where batches end depends on the rows alone,
/// and not on how they came.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BatchBounds {
    /// Most rows, at least 1.
    pub rows_max: Option<usize>,
    /// Most bytes, as [`raceline_types::row_bytes`] weighs rows.
    pub bytes_max: Option<u64>,
    /// Most of what [`Operator::row_costs`] tells of each row, added up in order.
    pub cost_max: Option<f64>,
}

/// How many batches of an operator may run at once and what each of them takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolShape {
    /// Resources of one running batch. Where there are workers, GPUs and custom resources are not
    /// the batch's but its worker's, for as long as that lives.
    pub resources: Resources,
    /// At most this many at once; `None` is bounded by resources alone.
    pub concurrency_max: Option<usize>,
    /// Workers that live on between batches; `None` for inline work.
    pub workers: Option<WorkerShape>,
}

impl PoolShape {
    /// Inline work of one CPU token, as wide as the machine.
    #[must_use]
    pub fn inline() -> Self {
        let resources =
            Resources { cpu_nanos: raceline_types::NANOS_PER_UNIT, ..Resources::default() };
        Self { resources, concurrency_max: None, workers: None }
    }
}

/// Workers that live on between the batches of an operator. How many there are, between the
/// bounds, is the graph's to decide.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkerShape {
    /// Started before the first batch, all at once.
    pub start: usize,
    /// Kept while batches may come, also without work.
    pub least: usize,
    /// Batches that a worker may have: the one that it works on and those that wait in it.
    /// `None`: two, as far as batches are short enough for that to gain anything.
    pub in_flight_max: Option<usize>,
}

/// A worker of an operator, and which of its batches is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seat {
    /// Number of the worker, from 0.
    pub worker: usize,
    /// Number of the batch among those that the worker has had under this number, from 0. A
    /// worker works on its batches in this order.
    pub turn: u64,
}

/// A narrow operator: each batch is worked on by itself, by any worker, in any order.
///
/// # Contract
/// `open` is called once before the first `run` and `close` once after the last, on success,
/// failure and cancellation alike. `run` is called concurrently, at most
/// [`PoolShape::concurrency_max`] times. Calling `run` again with the same input is allowed
/// (retry), unless the operator says otherwise in its own docs.
///
/// Where [`PoolShape::workers`] are asked for, the graph decides which of them live: it calls
/// `start_worker`, then `run_on` instead of `run` for each of the worker's batches, and
/// `stop_worker` when the worker has no batch and is not needed. `close` ends those that are left.
/// What workers hold is asked for by `memory`; where that is too much for the session, some are
/// ended by `relieve_worker`, and their batches run again.
///
/// # Order
/// Outputs of one `run` keep their order; the graph restores input order between runs.
///
/// # Memory
/// `run` holds its input, its own output batch, and what `emit` admitted.
///
/// # Cancellation
/// The future of `run` may be dropped at any await point. `close` ends what runs outside the
/// process, within a second.
///
/// # Errors
/// The graph adds the stage's name; the operator names column and rows where it knows them.
///
/// # Example
/// ```
/// use std::sync::Arc;
/// use async_trait::async_trait;
/// use raceline_exec::{BatchShape, Emit, Operator, PoolShape};
/// use raceline_types::{Batch, Failure};
///
/// #[derive(Debug)]
/// struct FirstRow;
///
/// #[async_trait]
/// impl Operator for FirstRow {
///     fn name(&self) -> Arc<str> {
///         "FirstRow".into()
///     }
///     fn pool(&self) -> PoolShape {
///         PoolShape::inline()
///     }
///     fn input(&self) -> BatchShape {
///         BatchShape::AsIs
///     }
///     async fn run(&self, input: Batch, out: &mut dyn Emit) -> Result<(), Failure> {
///         let rows = input.rows().min(1);
///         out.emit(input.slice(0, rows)).await
///     }
/// }
/// ```
#[async_trait]
pub trait Operator: fmt::Debug + Send + Sync + 'static {
    /// Short name for progress, `explain` and errors: `MapBatches(embed)`.
    fn name(&self) -> Arc<str>;

    /// How wide it may run and what a run takes.
    fn pool(&self) -> PoolShape;

    /// How its input is to be cut.
    fn input(&self) -> BatchShape;

    /// What each row costs, where [`BatchBounds::cost_max`] bounds that; by default nothing. The
    /// graph refuses costs that are missing, negative or not finite.
    ///
    /// # Errors
    /// What cannot be told of these rows, or of rows of their columns.
    fn row_costs(&self, input: &Batch) -> Result<Float64Array, Failure> {
        Ok(Float64Array::from_value(0.0, input.rows()))
    }

    /// Told before `close` which number of rows turned out to be fastest, where
    /// [`BatchShape::Fastest`] is asked for.
    fn note_batch_rows(&self, _rows: usize) {}

    /// Told once before `open`: no more than `workers_max` workers (at least 1) can ever run at
    /// once, so an operator that starts workers by itself keeps no more than that.
    fn limit_workers(&self, _workers_max: usize) {}

    /// Where its input is best written, if it cares: whatever makes columns for it, or joins
    /// batches for it, does so there. Input that lies elsewhere is as good, and slower. Asked for
    /// once, before `open`; not more than `bytes_max` of it is to be in use, as far as that is known.
    fn input_memory(&self, _bytes_max: u64) -> Option<Arc<dyn ColumnMemory>> {
        None
    }

    /// Gets ready.
    async fn open(&self) -> Result<(), Failure> {
        Ok(())
    }

    /// Starts worker `worker`, which does not live, and waits until it can work. `false` when
    /// what it needs is not free now, and another worker of this operator lives. A dropped start
    /// leaves no worker.
    async fn start_worker(&self, _worker: usize) -> Result<bool, Failure> {
        Ok(true)
    }

    /// Ends worker `worker`, which lives and has no batch.
    async fn stop_worker(&self, _worker: usize) {}

    /// Works on one batch.
    async fn run(&self, input: Batch, out: &mut dyn Emit) -> Result<(), Failure>;

    /// Works on one batch with a certain worker, which may still work on the one before it. Each
    /// turn of a worker is called for once, in any order.
    async fn run_on(&self, _seat: Seat, input: Batch, out: &mut dyn Emit) -> Result<(), Failure> {
        self.run(input, out).await
    }

    /// Measures what its workers hold; nothing where the system does not tell. Must not wait.
    fn memory(&self) -> Vec<WorkerMemory> {
        Vec::new()
    }

    /// Ends worker `worker`, if it still is `process`, in the middle of its work, which goes on
    /// as [`Relief::then`] says: rows that it has emitted do not come again. Must not wait.
    fn relieve_worker(&self, _worker: usize, _process: u32, _relief: Relief) {}

    /// There is memory for the work of `worker` again, which waits for this.
    fn readmit_worker(&self, _worker: usize) {}

    /// Ends workers and frees what `open` took. Called once, also after a failure.
    async fn close(&self) {}

    /// Live workers, for progress; 0 for inline work.
    fn workers(&self) -> usize {
        0
    }

    /// Rows that it failed for and went on without.
    fn errored_rows(&self) -> u64 {
        0
    }

    /// Where the time of its foreign functions went so far; `None` where it has called none.
    fn times(&self) -> Option<WorkTimes> {
        None
    }

    /// What its batches and their results took to reach other processes; `None` where none had to.
    fn moved_bytes(&self) -> Option<MovedBytes> {
        None
    }
}
