//! The operator that runs foreign functions in worker processes.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use arrow::array::Float64Array;
use async_trait::async_trait;
use raceline_exec::{
    BatchShape, Emit, MovedBytes, Operator, PoolShape, Relief, Seat, Then, WorkTimes, WorkerMemory,
};
use raceline_types::{Batch, ColumnMemory, Failure};

use crate::crossing::Crossing;
use crate::device::GpuLedger;
use crate::error::WorkerError;
use crate::errored::{ErroredBatches, ErroredRow, ErroredRows, row_of_split};
use crate::memory::mebibytes;
use crate::place::Turn;
use crate::pool::Pool;
use crate::replay::{Answers, Discard, Replay};
use crate::segment::SharedColumns;
use crate::template::Template;
use crate::worker::CallFailure;

/// Tells what each row of a batch costs.
pub type RowCosts = Arc<dyn Fn(&Batch) -> Result<Float64Array, Failure> + Send + Sync>;

/// Takes a number of rows of a batch.
pub type NoteBatchRows = Arc<dyn Fn(usize) + Send + Sync>;

/// What a process operator runs and how.
#[derive(Clone)]
pub struct ProcessSpec {
    /// Name of the stage, for errors, progress and what workers print.
    pub name: Arc<str>,
    /// What the worker's runtime loads, in order; opaque here.
    pub chain: Vec<Arc<[u8]>>,
    /// How many workers, and what each takes.
    pub pool: PoolShape,
    /// How the input is cut.
    pub input: BatchShape,
    /// What each row of the input costs, where `input` bounds that.
    pub costs: Option<RowCosts>,
    /// Takes the number of rows that was fastest, where `input` asks to find that.
    pub note_batch_rows: Option<NoteBatchRows>,
    /// The session's GPUs. Each worker holds its share for as long as it lives and sees it as
    /// `CUDA_VISIBLE_DEVICES`.
    pub gpus: Arc<GpuLedger>,
    /// How often a batch is run again on another worker when one died, and how often a worker
    /// that died while it loaded its functions is replaced.
    pub restarts_max: u64,
    /// How long a worker may compute for one batch; the time that its output waits does not
    /// count. A worker that takes longer is killed, and its batch is one whose worker died.
    pub call_timeout: Option<Duration>,
    /// Whether the workers get a [`crate::RateGate`], all of them the same.
    pub is_rate_limited: bool,
    /// What the template loads, once, before it forks a worker of this pool; opaque here.
    pub preloads: BTreeSet<String>,
    /// Where the rows go that the function fails for; `None` lets the first one end the run. The
    /// chain is one function then, which was told to go on after a row that fails.
    pub errored: Option<Arc<dyn ErroredRows>>,
    /// What takes batches that the functions fail for; `None` lets the first one end the run.
    pub errored_batches: Option<Arc<dyn ErroredBatches>>,
    /// What of a batch goes to the worker; `None` is all of it. Rows that the function fails for
    /// are whole either way.
    pub crossing: Option<Arc<dyn Crossing>>,
}

/// Finds the session's template, or starts it. Called when a worker is started.
pub type TemplateSource = Arc<dyn Fn() -> Result<Arc<Template>, Failure> + Send + Sync>;

/// Runs a chain of foreign functions in worker processes.
///
/// A run sends its batch to a worker and hands on what the worker returns as it comes. Which
/// worker is the graph's to say; one that is not told takes an idle one, or else a new one, up to
/// the concurrency of the pool. Batches may be sent to a worker before it is done with those before
/// them, and it answers them in order. What a worker returns is validated.
///
/// Every output has the origin of the whole input. Dropping a run kills its worker, whose state
/// is unknown then; dropping the operator kills all of them.
///
/// # Death
/// When a worker dies, its batch is run again on another one, which hands on the rows that the
/// first had not: nothing is lost or doubled when the functions return the same rows for the same
/// batch. State that a worker built up from batch to batch is lost with it. A batch that waited in
/// the dead worker is run again without blame. Where workers begin with batches ahead of their
/// turn, one of those may have killed it: the batch in front is blamed once, and then run alone. A
/// batch that keeps killing its workers is halved until the row is found that kills one alone. That
/// row ends the run, or goes where `errored` says, as does each row that the function raises for.
///
/// # Memory
/// Columns that were written to [`Operator::input_memory`] are read by the workers where they are,
/// whole or in slices, and those that a worker returns as it got them are the engine's own; all else
/// is copied once on its way. What a worker views is not written to before it has let go of it or
/// has ended.
///
/// A worker that the graph ends to have its memory back is no dead one: its batch is run again,
/// in smaller pieces where the graph says so, as are all batches from then on.
///
/// # Errors
/// [`crate::UdfError`] when the user's code raised, [`crate::WorkerError`] otherwise.
pub struct ProcessOperator {
    spec: Arc<ProcessSpec>,
    pool: Pool,
    /// Most rows of a call.
    rows_max: AtomicUsize,
    /// No call is sent before the one before it has ended.
    one_by_one: AtomicBool,
}

impl ProcessOperator {
    /// An operator of `spec`. Nothing is started before `open` or `run`.
    #[must_use]
    pub fn new(template: TemplateSource, spec: ProcessSpec) -> Self {
        let spec = Arc::new(spec);
        let pool = Pool::new(template, Arc::clone(&spec));
        let (rows_max, one_by_one) = (AtomicUsize::new(usize::MAX), AtomicBool::new(false));
        Self { spec, pool, rows_max, one_by_one }
    }

    /// Runs `input`, as often as it takes.
    async fn work(
        &self,
        turn: &mut Turn<'_>,
        input: Batch,
        out: &mut dyn Emit,
    ) -> Result<(), Failure> {
        let errored = self.spec.errored.as_deref();
        let mut replay = Replay::new(out, errored);
        let start = replay.mark();
        let result = match self.repeat(turn, &input, &mut replay).await {
            Err(CallFailure::Died(_)) if errored.is_some() && input.rows() > 0 => {
                replay.rewind(start);
                self.run_around(turn, &input, &mut replay).await
            }
            result => result,
        };
        let (failure, died) = match result {
            Ok(()) if replay.missing() > 0 => {
                let (stage, rows) = (Arc::clone(&self.spec.name), replay.missing());
                (Failure::from(WorkerError::Unrepeatable { stage, rows }), false)
            }
            Ok(()) => return Ok(()),
            Err(CallFailure::Broken(failure)) => return Err(failure),
            Err(CallFailure::Raised(failure)) => (failure, false),
            Err(CallFailure::Died(failure)) => (failure, true),
            Err(CallFailure::Again) => unreachable!("it was made again"),
        };
        let errored = self.spec.errored_batches.as_ref();
        if errored.is_some_and(|errored| errored.take(input.rows(), &failure)) {
            return Ok(());
        }
        Err(if died { self.blame(turn, &input, failure).await } else { failure })
    }

    /// Runs `input` once, in pieces where the graph has asked for that. A piece whose worker was
    /// ended for its memory is run again.
    async fn attempt(
        &self,
        turn: &mut Turn<'_>,
        input: &Batch,
        out: &mut dyn Answers,
    ) -> Result<(), CallFailure> {
        let (mut done, rows) = (0, input.rows());
        loop {
            turn.ready().await;
            if self.one_by_one.load(Ordering::Relaxed) {
                turn.be_alone();
            }
            let most = self.rows_max.load(Ordering::Relaxed);
            let piece = if rows - done > most {
                turn.be_alone();
                input.slice(done, most)
            } else if done > 0 {
                input.slice(done, rows - done)
            } else {
                input.clone()
            };
            let start = out.mark();
            match turn.attempt(&self.pool, &piece, out).await {
                Ok(()) => done += piece.rows(),
                Err(CallFailure::Again) => {
                    out.rewind(start);
                    continue;
                }
                Err(failure) => return Err(failure),
            }
            if done >= rows {
                return Ok(());
            }
        }
    }

    /// Runs `input`, again on another worker as often as one dies and the spec allows it.
    async fn repeat(
        &self,
        turn: &mut Turn<'_>,
        input: &Batch,
        replay: &mut Replay<'_>,
    ) -> Result<(), CallFailure> {
        let start = replay.mark();
        for restart in 1.. {
            match self.attempt(turn, input, replay).await {
                Err(CallFailure::Died(failure)) if restart <= self.spec.restarts_max => {
                    let (rows, most) = (input.rows(), self.spec.restarts_max);
                    self.pool.tell(&format!(
                        "{failure}; its batch of {rows} rows is run again ({restart} of {most})"
                    ));
                    replay.rewind(start);
                }
                result => return result,
            }
        }
        unreachable!("the last attempt returns")
    }

    /// Runs `input`, whose workers died, in halves, and their halves, so that only the rows that
    /// kill a worker alone are left out.
    async fn run_around(
        &self,
        turn: &mut Turn<'_>,
        input: &Batch,
        replay: &mut Replay<'_>,
    ) -> Result<(), CallFailure> {
        let mut parts = halves(0..input.rows());
        while let Some(part) = parts.pop() {
            let rows = input.slice(part.start, part.len());
            let start = replay.mark();
            let is_alone = part.len() == 1;
            let result = if is_alone {
                self.repeat(turn, &rows, replay).await
            } else {
                self.attempt(turn, &rows, replay).await
            };
            match result {
                Err(CallFailure::Died(failure)) => {
                    replay.rewind(start);
                    if is_alone {
                        let failure = poison(&failure, input, part.start);
                        let row = ErroredRow { input: rows, failure };
                        replay.errored(row).map_err(CallFailure::Broken)?;
                    } else {
                        parts.extend(halves(part));
                    }
                }
                result => result?,
            }
        }
        Ok(())
    }

    /// The failure for `input`, whose workers died of `failure`. It names the row that kills a
    /// worker alone, if there is one: halves are run, and what they return is thrown away.
    async fn blame(&self, turn: &mut Turn<'_>, input: &Batch, failure: Failure) -> Failure {
        let (mut row, mut rows) = (0, input.rows());
        if rows == 0 {
            return failure;
        }
        if rows > 1 {
            self.pool.tell(&format!("{failure}; looking for the row of {rows} that kills it"));
        }
        while rows > 1 {
            let half = rows / 2;
            match self.attempt(turn, &input.slice(row, half), &mut Discard).await {
                Err(CallFailure::Died(_)) => rows = half,
                Err(CallFailure::Broken(_) | CallFailure::Again) => return failure,
                Ok(()) | Err(CallFailure::Raised(_)) => {
                    row += half;
                    rows -= half;
                }
            }
        }
        let Err(CallFailure::Died(alone)) =
            self.attempt(turn, &input.slice(row, rows), &mut Discard).await
        else {
            return failure;
        };
        poison(&alone, input, row)
    }
}

/// Both halves of some rows, the first one last; one row is not halved.
fn halves(rows: Range<usize>) -> Vec<Range<usize>> {
    if rows.len() == 1 {
        return vec![rows];
    }
    let middle = rows.start + rows.len() / 2;
    vec![middle..rows.end, rows.start..middle]
}

/// The failure of row `row` of `input`, which alone ended a worker as `death` says.
fn poison(death: &Failure, input: &Batch, row: usize) -> Failure {
    let Some(poison) = WorkerError::poison(death, row, input.rows()) else { return death.clone() };
    match row_of_split(input, row as u64) {
        Some(row) => Failure::from(poison).at_rows(row, row),
        None => poison.into(),
    }
}

#[async_trait]
impl Operator for ProcessOperator {
    fn name(&self) -> Arc<str> {
        Arc::clone(&self.spec.name)
    }

    fn pool(&self) -> PoolShape {
        self.spec.pool.clone()
    }

    fn input(&self) -> BatchShape {
        self.spec.input
    }

    fn row_costs(&self, input: &Batch) -> Result<Float64Array, Failure> {
        costs_of(self.spec.costs.as_ref(), input)
    }

    fn note_batch_rows(&self, rows: usize) {
        if let Some(note) = &self.spec.note_batch_rows {
            note(rows);
        }
    }

    fn limit_workers(&self, workers_max: usize) {
        self.pool.limit(workers_max);
    }

    /// What is written there is read by the workers where it is.
    fn input_memory(&self, bytes_max: u64) -> Option<Arc<dyn ColumnMemory>> {
        let memory = Arc::clone(&self.pool.memory);
        Some(Arc::new(SharedColumns { memory, bytes_max }))
    }

    /// Has the template start, which takes longer than a worker, while the first input is read.
    async fn open(&self) -> Result<(), Failure> {
        (self.pool.template)().map(drop)
    }

    async fn start_worker(&self, worker: usize) -> Result<bool, Failure> {
        self.pool.place(worker).fill(&self.pool).await
    }

    async fn stop_worker(&self, worker: usize) {
        self.pool.place(worker).stop().await;
    }

    async fn run(&self, input: Batch, out: &mut dyn Emit) -> Result<(), Failure> {
        let place = self.pool.take().await?;
        let done = self.work(&mut place.next_turn(), input, out).await;
        self.pool.give_back(place);
        done
    }

    async fn run_on(&self, seat: Seat, input: Batch, out: &mut dyn Emit) -> Result<(), Failure> {
        let place = self.pool.place(seat.worker);
        let mut turn = place.turn(seat.turn);
        self.work(&mut turn, input, out).await
    }

    fn memory(&self) -> Vec<WorkerMemory> {
        self.pool.gauges.measure()
    }

    fn relieve_worker(&self, worker: usize, process: u32, relief: Relief) {
        // It may have ended since it was measured.
        let gauge = self.pool.gauges.of(worker, process);
        let then = match relief.then {
            Then::Again => "its batch is run again".to_owned(),
            Then::Alone => {
                self.one_by_one.store(true, Ordering::Relaxed);
                "its batches are run again one by one, as are all from here on".to_owned()
            }
            Then::Smaller(rows) => {
                self.rows_max.fetch_min(rows.max(1), Ordering::Relaxed);
                format!("its batch is run again in pieces of {rows} rows, as are all from here on")
            }
            Then::Later => {
                if gauge.is_some() {
                    self.pool.place(worker).close();
                }
                "its batch is run again when there is room".to_owned()
            }
            Then::Fail => "there are no smaller pieces".to_owned(),
        };
        let Some(gauge) = gauge else { return };
        let (held, limit) = (mebibytes(relief.bytes), mebibytes(relief.limit_bytes));
        self.pool.tell(&format!(
            "worker process {process} held {held}, of {limit} that there are for workers, and was \
             ended; {then}"
        ));
        gauge.relieve(relief);
    }

    fn readmit_worker(&self, worker: usize) {
        self.pool.place(worker).open();
    }

    async fn close(&self) {
        self.pool.close().await;
    }

    fn workers(&self) -> usize {
        self.pool.live()
    }

    fn errored_rows(&self) -> u64 {
        self.spec.errored.as_ref().map_or(0, |errored| errored.taken())
    }

    fn times(&self) -> Option<WorkTimes> {
        self.pool.ledger.times()
    }

    fn moved_bytes(&self) -> Option<MovedBytes> {
        self.pool.ledger.moved_bytes()
    }
}

/// What each row of `input` costs; nothing where that is not said.
pub(crate) fn costs_of(costs: Option<&RowCosts>, input: &Batch) -> Result<Float64Array, Failure> {
    costs.map_or_else(|| Ok(Float64Array::from_value(0.0, input.rows())), |costs| costs(input))
}

impl fmt::Debug for ProcessSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, chain, pool, input, restarts_max, call_timeout, .. } = self;
        let Self { is_rate_limited, preloads, errored, errored_batches, crossing, .. } = self;
        f.debug_struct("ProcessSpec")
            .field("name", name)
            .field("functions", &chain.len())
            .field("pool", pool)
            .field("input", input)
            .field("restarts_max", restarts_max)
            .field("call_timeout", call_timeout)
            .field("is_rate_limited", is_rate_limited)
            .field("preloads", preloads)
            .field("errored", errored)
            .field("errored_batches", errored_batches)
            .field("crossing", crossing)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ProcessOperator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { spec, pool, rows_max, one_by_one } = self;
        f.debug_struct("ProcessOperator")
            .field("spec", spec)
            .field("workers", &pool.live())
            .field("rows_max", rows_max)
            .field("one_by_one", one_by_one)
            .finish()
    }
}
