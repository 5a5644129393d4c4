//! Starting and stopping the workers of operators.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use raceline_types::Failure;
use tokio_util::sync::CancellationToken;

use super::Shell;
use super::stages::CLOSE_WAIT_MAX;
use crate::operator::Operator;
use crate::scheduler::{Event, Outcome};
use crate::work::panicked;

/// How often the scheduler looks for workers that have no work.
const TICK: Duration = Duration::from_millis(500);

impl Shell {
    /// The operator whose workers are those of `stage`.
    fn owner(&self, stage: usize) -> &Arc<dyn Operator> {
        &self.nodes[stage].chain[0]
    }

    pub(super) async fn start_worker(
        self: Arc<Self>,
        stage: usize,
        worker: usize,
        stop: CancellationToken,
    ) {
        let operator = self.owner(stage);
        let start = AssertUnwindSafe(operator.start_worker(worker)).catch_unwind();
        let started: Result<bool, Failure> = tokio::select! {
            biased;
            () = stop.cancelled() => Ok(false),
            started = start => started.unwrap_or_else(|panic| Err(panicked(panic.as_ref()))),
        };
        let (ended, outcome_if_ok) = match started {
            Ok(true) => (Ok(()), Outcome::Done),
            Ok(false) => (Ok(()), Outcome::Cancelled),
            Err(failure) => (Err(failure.in_stage(&operator.name())), Outcome::Failed),
        };
        let event = |outcome| {
            let outcome = if outcome == Outcome::Done { outcome_if_ok } else { outcome };
            Event::WorkerStarted { stage, worker, outcome }
        };
        self.end(stage, ended, event, None);
    }

    pub(super) async fn stop_worker(self: Arc<Self>, stage: usize, worker: usize) {
        let stop = AssertUnwindSafe(self.owner(stage).stop_worker(worker)).catch_unwind();
        // What could not be done ends with the process: there is nobody to tell.
        drop(tokio::time::timeout(CLOSE_WAIT_MAX, stop).await);
        self.on(Event::WorkerStopped { stage, worker });
    }

    /// Tells the scheduler that time passes, until everything has ended.
    pub(super) async fn tick(self: Arc<Self>) {
        let mut finished = self.finished();
        while tokio::time::timeout(TICK, finished.wait_for(|&ended| ended)).await.is_err() {
            self.on(Event::Tick);
        }
    }
}
