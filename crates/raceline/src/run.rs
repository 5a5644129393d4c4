//! A plan that is running.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arrow::record_batch::RecordBatch;
use raceline_exec::{ExecError, Execution, ExecutionHandle, ExecutionOptions, Snapshot, execute};
use raceline_types::Failure;
use raceline_worker::{CallerDesk, Errand, Interruption};

use crate::heap::HeapWatch;
use crate::letters::{LetterFile, StageErrors};
use crate::life::Doing;
use crate::planner::Lowered;
use crate::progress::{Progress, ProgressMode};
use crate::session::Session;
use crate::timeouts::{RunClock, RunTimeouts};
use crate::tolerance::Tolerance;
use crate::watchdog::Watchdog;

/// A plan that is running: an ordered stream of record batches.
///
/// Dropping it cancels what still runs and waits until every worker has ended. In a fork of the
/// process that started it, where none of its threads is, it fails and dropping it does nothing.
#[derive(Debug)]
pub struct Run {
    session: Session,
    running: Option<Running>,
    record: Arc<Mutex<Runs>>,
    is_remembered: bool,
}

/// The runs of a dataset, as far as they are remembered.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    /// The one that began last, while it runs.
    pub(crate) now: Option<ExecutionHandle>,
    /// The one that ended last.
    pub(crate) last: Option<RunRecord>,
}

/// What is known of a run that is over.
#[derive(Clone, Debug)]
pub(crate) struct RunRecord {
    pub(crate) snapshot: Snapshot,
    /// The rows that functions failed for; `None` where none of them keeps any.
    pub(crate) letters: Option<Vec<LetterFile>>,
    /// Batches and splits that stages went on without.
    pub(crate) losses: Vec<(Arc<str>, u64)>,
}

/// What there is until the run is over.
struct Running {
    execution: Execution,
    errors: Vec<Arc<StageErrors>>,
    /// Functions that the thread which waits calls.
    desk: Option<Box<CallerDesk>>,
    tolerance: Tolerance,
    progress: Progress,
    clock: RunClock,
    watchdog: Watchdog,
    heap: HeapWatch,
    _doing: Doing,
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("execution", &self.execution).finish_non_exhaustive()
    }
}

/// What waiting for a batch came to.
#[derive(Debug)]
pub enum Waited {
    /// A batch.
    Batch(RecordBatch),
    /// The run failed; it is over.
    Failed(Failure),
    /// There are no more batches.
    Ended,
    /// A function is to be run in this thread: [`Run::attend`] does it, then ask again.
    Errand(Errand),
    /// The time is over, the run is not.
    Pending,
}

impl Run {
    pub(crate) fn start(
        session: Session,
        mut lowered: Lowered,
        record: Arc<Mutex<Runs>>,
        timeouts: RunTimeouts,
        is_remembered: bool,
    ) -> Result<Self, Failure> {
        let options = ExecutionOptions {
            preserve_order: session.options().preserve_order,
            ..ExecutionOptions::default()
        };
        let graph = std::mem::take(&mut lowered.graph);
        let execution = execute(session.machine(), graph, lowered.root, &options)?;
        let handle = execution.handle();
        let doing = session.life().take_up(move || handle.cancel())?;
        let handle = execution.handle();
        // A debugger has the screen to itself.
        let mode = match lowered.desk {
            Some(_) => ProgressMode::Off,
            None => session.options().progress,
        };
        let screen = session.screen().clone();
        let progress = Progress::start(mode, screen, move || handle.snapshot());
        let Lowered { errors, desk, tolerance, .. } = lowered;
        let desk = desk.map(Box::new);
        let io = session.machine().io();
        // Who waits for a function that is debugged knows why.
        let quiet = timeouts.report.filter(|_| desk.is_none());
        let watchdog = Watchdog::start(io, quiet, execution.handle(), session.lines());
        let memory_bytes = session.resources().memory_bytes;
        let heap = HeapWatch::start(io, memory_bytes, session.base_bytes());
        let clock = RunClock::start(timeouts);
        record.lock().unwrap_or_else(PoisonError::into_inner).now = Some(execution.handle());
        let running = Running {
            execution,
            errors,
            desk,
            tolerance,
            progress,
            clock,
            watchdog,
            heap,
            _doing: doing,
        };
        Ok(Self { session, running: Some(running), record, is_remembered })
    }

    /// The next batch, waiting for it as long as it takes. `None` after the last batch and
    /// after a failure.
    pub fn next_batch(&mut self) -> Option<Result<RecordBatch, Failure>> {
        loop {
            match self.next_within(Duration::from_hours(1)) {
                Waited::Batch(batch) => return Some(Ok(batch)),
                Waited::Failed(failure) => return Some(Err(failure)),
                Waited::Ended => return None,
                Waited::Errand(errand) => {
                    if self.attend(errand).is_err() {
                        drop(self.end());
                        return Some(Err(ExecError::Cancelled.into()));
                    }
                }
                Waited::Pending => {}
            }
        }
    }

    /// Attends to an errand: runs a function in this thread, for as long as it takes.
    ///
    /// # Errors
    /// What ends the wait in the language of the function, such as Ctrl-C: drop the run then.
    pub fn attend(&mut self, errand: Errand) -> Result<(), Interruption> {
        match self.running.as_mut().and_then(|running| running.desk.as_mut()) {
            Some(desk) => desk.attend(errand),
            None => Ok(()),
        }
    }

    /// The next batch, if it comes within `wait`. Nothing is lost by asking again.
    pub fn next_within(&mut self, wait: Duration) -> Waited {
        let Some(Running { execution, desk, clock, .. }) = &mut self.running else {
            return Waited::Ended;
        };
        if let Err(error) = self.session.life().check_home() {
            return Waited::Failed(error.into());
        }
        if let Err(error) = clock.check(execution) {
            drop(self.end());
            return Waited::Failed(error.into());
        }
        let slice = clock.slice(wait);
        let next = async {
            tokio::select! {
                biased;
                batch = execution.next() => Ok(batch),
                // Only where no batch is there: a function runs no sooner than it must.
                errand = errand_of(desk) => Err(errand),
            }
        };
        let io = self.session.machine().io();
        match io.block_on(async { tokio::time::timeout(slice, next).await }) {
            // A function that is debugged takes what it takes.
            Err(_) if desk.is_some() => Waited::Pending,
            Err(_) => match clock.check_wait(execution) {
                Ok(()) => Waited::Pending,
                Err(error) => {
                    drop(self.end());
                    Waited::Failed(error.into())
                }
            },
            Ok(Err(errand)) => Waited::Errand(errand),
            Ok(Ok(Some(Ok(batch)))) => Waited::Batch(batch.data),
            Ok(Ok(Some(Err(failure)))) => {
                // The failure that ended the run says more than one of its aftermath.
                drop(self.end());
                Waited::Failed(failure)
            }
            Ok(Ok(None)) => match self.end() {
                Ok(()) => Waited::Ended,
                Err(failure) => Waited::Failed(failure),
            },
        }
    }

    /// All batches that are left.
    ///
    /// # Errors
    /// The first failure of the run.
    pub fn collect(mut self) -> Result<Vec<RecordBatch>, Failure> {
        std::iter::from_fn(|| self.next_batch()).collect()
    }

    /// What the run is doing, or did.
    #[must_use]
    pub fn snapshot(&self) -> Option<Snapshot> {
        if let Some(running) = &self.running {
            return Some(running.execution.snapshot());
        }
        let record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        record.last.as_ref().map(|record| record.snapshot.clone())
    }

    /// Cancels what still runs, waits until it has ended, and keeps what is known of it.
    fn end(&mut self) -> Result<(), Failure> {
        let Some(running) = self.running.take() else { return Ok(()) };
        if self.session.life().check_home().is_err() {
            std::mem::forget(running);
            return Ok(());
        }
        let Running { execution, errors, desk, tolerance, progress, watchdog, heap, .. } = running;
        drop((watchdog, heap));
        let handle = execution.handle();
        let closed = execution.blocking_close();
        drop(progress);
        // Here, in the thread that ran them, the functions end that were in the middle of a batch.
        drop(desk);
        let kept = letters_of(&errors);
        let letters = kept.as_ref().map_or(None, Clone::clone);
        let last = RunRecord { snapshot: handle.snapshot(), letters, losses: tolerance.losses() };
        if self.is_remembered {
            self.session.history().add(last.snapshot.clone());
        }
        *self.record.lock().unwrap_or_else(PoisonError::into_inner) =
            Runs { now: None, last: Some(last) };
        closed.and(kept.map(drop))
    }
}

/// The next errand at a desk; never, where there is none.
async fn errand_of(desk: &mut Option<Box<CallerDesk>>) -> Errand {
    match desk {
        Some(desk) => desk.next().await,
        None => std::future::pending().await,
    }
}

/// The letters of all stages.
fn letters_of(errors: &[Arc<StageErrors>]) -> Result<Option<Vec<LetterFile>>, Failure> {
    let mut all = None;
    for stage in errors {
        if let Some(files) = stage.finish()? {
            all.get_or_insert_with(Vec::new).extend(files);
        }
    }
    Ok(all)
}

impl Drop for Run {
    fn drop(&mut self) {
        // Nobody is left to tell that a worker did not end in time.
        drop(self.end());
    }
}
