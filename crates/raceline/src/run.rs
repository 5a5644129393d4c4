//! A plan that is running.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arrow::record_batch::RecordBatch;
use raceline_exec::{Execution, ExecutionOptions, Snapshot, execute};
use raceline_plan::Node;
use raceline_types::Failure;

use crate::planner;
use crate::progress::Progress;
use crate::session::Session;

/// A plan that is running: an ordered stream of record batches.
///
/// Dropping it cancels what still runs and waits until every worker has ended.
#[derive(Debug)]
pub struct Run {
    execution: Option<Execution>,
    progress: Option<Progress>,
    record: Arc<Mutex<Option<Snapshot>>>,
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
    /// The time is over, the run is not.
    Pending,
}

impl Run {
    pub(crate) fn start(
        session: &Session,
        plan: &Arc<Node>,
        record: Arc<Mutex<Option<Snapshot>>>,
    ) -> Result<Self, Failure> {
        let plan = planner::optimize(plan);
        let lowered = session.block_on(planner::lower(session, &plan))?;
        let options = ExecutionOptions {
            preserve_order: session.options().preserve_order,
            ..ExecutionOptions::default()
        };
        let execution = execute(session.machine(), lowered.graph, lowered.root, &options)?;
        let handle = execution.handle();
        let progress = Progress::start(session.options().progress, move || handle.snapshot());
        Ok(Self { execution: Some(execution), progress: Some(progress), record })
    }

    /// The next batch, waiting for it as long as it takes. `None` after the last batch and
    /// after a failure.
    pub fn next_batch(&mut self) -> Option<Result<RecordBatch, Failure>> {
        loop {
            match self.next_within(Duration::from_hours(1)) {
                Waited::Batch(batch) => return Some(Ok(batch)),
                Waited::Failed(failure) => return Some(Err(failure)),
                Waited::Ended => return None,
                Waited::Pending => {}
            }
        }
    }

    /// The next batch, if it comes within `wait`. Nothing is lost by asking again.
    pub fn next_within(&mut self, wait: Duration) -> Waited {
        let Some(execution) = &mut self.execution else { return Waited::Ended };
        match execution.blocking_next(wait) {
            raceline_exec::Waited::TimedOut => Waited::Pending,
            raceline_exec::Waited::Batch(Ok(batch)) => Waited::Batch(batch.data),
            raceline_exec::Waited::Batch(Err(failure)) => {
                // The failure that ended the run says more than one of its aftermath.
                drop(self.end());
                Waited::Failed(failure)
            }
            raceline_exec::Waited::Ended => match self.end() {
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
        match &self.execution {
            Some(execution) => Some(execution.snapshot()),
            None => self.record.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    /// Cancels what still runs, waits until it has ended, and keeps its last snapshot.
    fn end(&mut self) -> Result<(), Failure> {
        let Some(execution) = self.execution.take() else { return Ok(()) };
        let handle = execution.handle();
        let closed = execution.blocking_close();
        self.progress = None;
        *self.record.lock().unwrap_or_else(PoisonError::into_inner) = Some(handle.snapshot());
        closed
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // Nobody is left to tell that a worker did not end in time.
        drop(self.end());
    }
}
