//! Running a graph and taking its output.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::{Stream, StreamExt};
use raceline_types::{Batch, Failure};
use tokio::runtime::Handle;

use crate::error::ExecError;
use crate::graph::{Graph, NodeId};
use crate::machine::Machine;
use crate::scheduler::Limits;
use crate::shell::Shell;
use crate::snapshot::Snapshot;

/// How long [`Execution::close`] waits for work that was told to end.
const CLOSE_WAIT_MAX: Duration = Duration::from_secs(15);

/// How long dropping an execution waits.
const DROP_WAIT_MAX: Duration = Duration::from_secs(2);

/// The queues hold at least this many batches of the target size together.
const QUEUED_BATCHES_MIN: u64 = 16;

/// One queue holds this many batches of the target size for each thread that computes.
const AHEAD_BATCHES: u64 = 4;

/// Batches are not cut smaller than this, in bytes, however small the queues.
const TARGET_BATCH_BYTES_MIN: u64 = 64 * 1024;

/// How an execution runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutionOptions {
    /// Whether outputs keep input order. Default: yes.
    pub preserve_order: bool,
    /// Larger outputs are cut by rows to about this many bytes; less where the queues are
    /// small. Default: 8 MiB.
    pub target_batch_bytes: u64,
    /// Bytes that all queues may hold together; `None` is this execution's part of what the
    /// machine has. Besides, no queue holds more than four target batches for each thread that
    /// computes.
    pub queue_bytes: Option<u64>,
}

impl Default for ExecutionOptions {
    fn default() -> Self {
        Self { preserve_order: true, target_batch_bytes: 8 * 1024 * 1024, queue_bytes: None }
    }
}

/// Starts `graph` on `machine`; the output is that of `root`.
///
/// # Errors
/// Before anything starts: `ResourceError::Unmeetable` when a worker asks for more than the
/// machine has; an internal error when the graph is not a tree under `root`, or an operator was
/// fused that needs a stage of its own.
pub fn execute(
    machine: &Arc<Machine>,
    graph: Graph,
    root: NodeId,
    options: &ExecutionOptions,
) -> Result<Execution, Failure> {
    let compiled = graph.compile(root, machine.resources())?;
    let queue_bytes = options.queue_bytes.unwrap_or(machine.options().queue_bytes);
    let target_max = (queue_bytes / QUEUED_BATCHES_MIN).max(TARGET_BATCH_BYTES_MIN);
    let target_batch_bytes = options.target_batch_bytes.clamp(1, target_max);
    let limits = Limits {
        resources: machine.resources().clone(),
        queue_bytes,
        ahead_bytes: AHEAD_BATCHES * machine.options().compute_threads as u64 * target_batch_bytes,
        target_batch_bytes,
        preserve_order: options.preserve_order,
    };
    let shell = Shell::start(Arc::clone(machine), compiled, &limits, options.queue_bytes);
    Ok(Execution { handle: ExecutionHandle { shell }, over: false })
}

/// A running graph. It works ahead of its consumer as far as its queues allow.
///
/// Dropping it cancels what runs and, outside a runtime, waits up to two seconds until
/// everything was closed.
#[derive(Debug)]
pub struct Execution {
    handle: ExecutionHandle,
    over: bool,
}

/// What a bounded wait for a batch came to.
#[derive(Debug)]
pub enum Waited {
    /// The next batch, or the failure that ended the execution.
    Batch(Result<Batch, Failure>),
    /// There are no more batches.
    Ended,
    /// Nothing yet: ask again.
    TimedOut,
}

impl Execution {
    /// The next batch of the output. After the first failure, and after the end: `None`.
    ///
    /// # Cancel safety
    /// Dropping the future loses no batch.
    ///
    /// # Errors
    /// The first failure of the execution, once; [`ExecError::Cancelled`] when it was cancelled
    /// before its output was taken to the end.
    pub async fn next(&mut self) -> Option<Result<Batch, Failure>> {
        StreamExt::next(self).await
    }

    /// The next batch, waiting at most `wait_max`, from a thread outside any runtime.
    ///
    /// # Panics
    /// Inside a runtime, where threads must not block.
    pub fn blocking_next(&mut self, wait_max: Duration) -> Waited {
        let machine = Arc::clone(self.handle.shell.machine());
        let waited =
            machine.io().block_on(async { tokio::time::timeout(wait_max, self.next()).await });
        match waited {
            Ok(Some(batch)) => Waited::Batch(batch),
            Ok(None) => Waited::Ended,
            Err(_) => Waited::TimedOut,
        }
    }

    /// What it does now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.handle.snapshot()
    }

    /// A handle for other threads.
    #[must_use]
    pub fn handle(&self) -> ExecutionHandle {
        self.handle.clone()
    }

    /// Cancels it and returns at once.
    pub fn cancel(&self) {
        self.handle.cancel();
    }

    /// Cancels what still runs and waits until all work has ended and every operator was
    /// closed.
    ///
    /// # Errors
    /// [`ExecError::StillRunning`] when that takes longer than 15 s.
    pub async fn close(self) -> Result<(), Failure> {
        self.cancel();
        self.handle.wait_finished(CLOSE_WAIT_MAX).await
    }

    /// [`Self::close`] for a thread outside any runtime.
    ///
    /// # Errors
    /// As [`Self::close`].
    ///
    /// # Panics
    /// Inside a runtime, where threads must not block.
    pub fn blocking_close(self) -> Result<(), Failure> {
        let machine = Arc::clone(self.handle.shell.machine());
        machine.io().block_on(self.close())
    }
}

impl Stream for Execution {
    type Item = Result<Batch, Failure>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.over {
            return Poll::Ready(None);
        }
        let polled = self.handle.shell.poll_root(cx);
        self.over = matches!(polled, Poll::Ready(None | Some(Err(_))));
        polled
    }
}

impl Drop for Execution {
    fn drop(&mut self) {
        self.cancel();
        if Handle::try_current().is_err() {
            let machine = Arc::clone(self.handle.shell.machine());
            // Work that computes without a break cannot be waited for; it ends on its own.
            drop(machine.io().block_on(self.handle.wait_finished(DROP_WAIT_MAX)));
        }
    }
}

/// Watches and cancels an execution from any thread.
#[derive(Clone)]
pub struct ExecutionHandle {
    shell: Arc<Shell>,
}

impl ExecutionHandle {
    /// What the execution does now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.shell.snapshot()
    }

    /// For how long nothing has moved that somebody waits for; `None` while nobody waits. What is
    /// waited for is in the [`Snapshot`].
    #[must_use]
    pub fn quiet(&self) -> Option<Duration> {
        self.shell.quiet()
    }

    /// Cancels the execution and returns at once.
    pub fn cancel(&self) {
        self.shell.cancel();
    }

    async fn wait_finished(&self, wait_max: Duration) -> Result<(), Failure> {
        let mut finished = self.shell.finished();
        match tokio::time::timeout(wait_max, finished.wait_for(|&ended| ended)).await {
            Ok(_) => Ok(()),
            Err(_) => Err(ExecError::StillRunning { wait_s: wait_max.as_secs() }.into()),
        }
    }
}

impl std::fmt::Debug for ExecutionHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExecutionHandle").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use raceline_types::{ErrorKind, Resources};

    use super::*;
    use crate::emit::Emit;
    use crate::machine::MachineOptions;
    use crate::region::{PortStream, Region};
    use crate::scheduler::Event;

    #[derive(Debug)]
    struct Hang;

    #[async_trait]
    impl Region for Hang {
        fn name(&self) -> Arc<str> {
            "Hang".into()
        }

        async fn run(&self, _: Vec<PortStream>, _: &mut dyn Emit) -> Result<(), Failure> {
            std::future::pending().await
        }
    }

    #[test]
    fn a_broken_scheduler_is_an_error_and_no_hang() {
        let machine = Machine::new(MachineOptions {
            resources: Resources::new(1.0, 0.0, 0).unwrap(),
            queue_bytes: 1024,
            compute_threads: 1,
            io_threads: 1,
        })
        .unwrap();
        let mut graph = Graph::new();
        let root = graph.region(vec![], Arc::new(Hang));
        let mut execution = execute(&machine, graph, root, &ExecutionOptions::default()).unwrap();
        let waited = execution.blocking_next(Duration::from_millis(10));
        assert!(matches!(waited, Waited::TimedOut));
        execution.handle.shell.on(Event::Closed { stage: 77 });
        let Waited::Batch(Err(failure)) = execution.blocking_next(Duration::from_secs(5)) else {
            panic!("it fails")
        };
        assert_eq!(failure.kind(), ErrorKind::Internal);
        execution.blocking_close().unwrap();
    }
}
