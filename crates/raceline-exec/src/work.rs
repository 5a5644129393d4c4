//! A running piece of work: its guard against panics and cancellation, and its way out through
//! the operators that are fused to it.

use std::any::Any;
use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::FutureExt as _;
use raceline_types::{Batch, ColumnMemory, Failure, HeapMemory, InternalError, Split};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::account::StageAccounts;
use crate::emit::Emit;
use crate::error::ExecError;
use crate::graph::{Body, Node};
use crate::join::{cut, join, rows_of};
use crate::operator::{BatchShape, Operator, Seat};
use crate::region::PortStream;
use crate::scheduler::{Morsel, WorkId, bytes_of};
use crate::shell::Shell;

/// Outputs leave together while they have no more bytes than this.
const BUNDLE_BYTES: u64 = 64 << 10;

/// At most so many of them.
const BUNDLE_MOST: usize = 128;

/// Outputs leave together where one comes after the other within this time.
const BUNDLE_GAP: Duration = Duration::from_micros(100);

/// What a piece of work starts from.
pub(crate) enum Input {
    Split(Split),
    Unit(Vec<Morsel<Batch>>, Option<Seat>),
    Ports(Vec<PortStream>),
}

/// Runs `task` until it ends, panics or is cancelled.
pub(crate) async fn guard<F>(cancel: CancellationToken, task: F) -> Result<(), Failure>
where
    F: Future<Output = Result<(), Failure>>,
{
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(ExecError::Cancelled.into()),
        ended = AssertUnwindSafe(task).catch_unwind() => {
            ended.unwrap_or_else(|panic| Err(panicked(panic.as_ref())))
        }
    }
}

/// The failure that stands for a panic.
pub(crate) fn panicked(panic: &(dyn Any + Send)) -> Failure {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a value that is not text");
    InternalError::new(format!("a panic: {text}")).into()
}

/// Does one piece of work; failures name the operator they come from.
pub(crate) async fn run(
    shell: Arc<Shell>,
    id: WorkId,
    input: Input,
    resumed: Arc<Notify>,
) -> Result<(), Failure> {
    let node = Arc::clone(shell.node(id.stage));
    let gate = Arc::new(Gate { shell, id, resumed, bundle: Mutex::default() });
    let mut acting = pin!(act(&node, Arc::clone(&gate), input));
    loop {
        // Whatever the work waits for, what it has put out does not wait with it.
        let polled = poll_fn(|cx| match acting.as_mut().poll(cx) {
            Poll::Ready(ended) => Poll::Ready(Some(ended)),
            Poll::Pending if gate.bundle().is_empty() => Poll::Pending,
            Poll::Pending => Poll::Ready(None),
        });
        let ended = polled.await;
        if !matches!(ended, Some(Err(_))) {
            gate.pass(0).await?;
        }
        if let Some(ended) = ended {
            return ended.map_err(|failure| failure.in_stage(&node.body.name()));
        }
    }
}

async fn act(node: &Node, gate: Arc<Gate>, input: Input) -> Result<(), Failure> {
    let seat = if let Input::Unit(_, seat) = &input { *seat } else { None };
    let passed = vec![false; node.chain.len() + 1];
    let memory = node.inputs.first().map(|&input| Arc::clone(gate.shell.memory(input)));
    let mut outlet = Outlet { gate, seat, passed, last: None };
    let mut out = Link { operators: &node.chain, outlet: &mut outlet };
    match (&node.body, input) {
        (Body::Source(source), Input::Split(split)) => source.read(&split, &mut out).await,
        (Body::Operator(operator), Input::Unit(parts, _)) => {
            if operator.input() != BatchShape::AsIs {
                let memory = memory.unwrap_or_else(HeapMemory::shared);
                return out.emit(join(parts, memory.as_ref())?).await;
            }
            for part in parts {
                out.emit(rows_of(part)).await?;
            }
            Ok(())
        }
        (Body::Region(region), Input::Ports(ports)) => region.run(ports, &mut out).await,
        _ => Err(InternalError::new("work was started on another kind of input").into()),
    }
}

/// Where outputs leave a piece of work.
struct Gate {
    shell: Arc<Shell>,
    id: WorkId,
    resumed: Arc<Notify>,
    /// Small outputs that leave together.
    bundle: Mutex<Vec<Morsel<Batch>>>,
}

impl Gate {
    fn bundle(&self) -> MutexGuard<'_, Vec<Morsel<Batch>>> {
        self.bundle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts out what is in the bundle, and waits until the work may go on; `rest_bytes` of the
    /// last batch follow.
    async fn pass(&self, rest_bytes: u64) -> Result<(), Failure> {
        let outputs = std::mem::take(&mut *self.bundle());
        if outputs.is_empty() {
            return Ok(());
        }
        if self.shell.is_cancelled(self.id.stage) {
            return Err(ExecError::Cancelled.into());
        }
        if !self.shell.emit(self.id, outputs, rest_bytes) {
            self.resumed.notified().await;
        }
        Ok(())
    }
}

/// Puts the running task behind all others of its thread, where any thread may take it.
///
/// `tokio::task::yield_now` keeps a task from the other threads until its own has nothing else to
/// do, so that a producer and its consumer would take turns on one thread.
async fn step_back() {
    let mut stepped = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut stepped, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// The end of a piece of work's chain: the stage's queue.
struct Outlet {
    gate: Arc<Gate>,
    /// The worker for the stage's own operator.
    seat: Option<Seat>,
    /// Whether a batch has passed each link, the queue last.
    passed: Vec<bool>,
    /// When the last output came.
    last: Option<Instant>,
}

impl Outlet {
    async fn queue(&mut self, batch: Batch) -> Result<(), Failure> {
        let gate = Arc::clone(&self.gate);
        let pieces = cut(batch, gate.shell.target_batch_bytes());
        let mut rest_bytes = bytes_of(&pieces);
        let is_small = rest_bytes <= BUNDLE_BYTES / 8;
        if is_small && self.comes_fast() {
            let mut bundle = gate.bundle();
            if bundle.len() < BUNDLE_MOST && bytes_of(&bundle) + rest_bytes <= BUNDLE_BYTES {
                for piece in pieces {
                    bundle.push(self.weighed(piece)?);
                }
                return Ok(());
            }
        }
        for piece in pieces {
            rest_bytes -= piece.bytes;
            let piece = self.weighed(piece)?;
            gate.bundle().push(piece);
            gate.pass(rest_bytes).await?;
            // Whoever takes the batch runs on this thread next, where no other may steal it; the
            // work itself must be there for another thread to go on with.
            step_back().await;
        }
        Ok(())
    }

    /// Whether this output comes shortly after the one before it.
    fn comes_fast(&mut self) -> bool {
        let now = Instant::now();
        let last = self.last.replace(now);
        last.is_some_and(|last| now.duration_since(last) < BUNDLE_GAP)
    }

    fn weighed(&self, piece: Morsel<Batch>) -> Result<Morsel<Batch>, Failure> {
        match self.gate.shell.scale(self.gate.id.stage) {
            Some(scale) => {
                let weights = scale.weigh(&piece.item)?;
                Ok(piece.weighed(weights))
            }
            None => Ok(piece),
        }
    }
}

/// What is left of a chain of fused operators.
struct Link<'a> {
    operators: &'a [Arc<dyn Operator>],
    outlet: &'a mut Outlet,
}

#[async_trait]
impl Emit for Link<'_> {
    fn accounts(&self) -> StageAccounts {
        self.outlet.gate.shell.accounts(self.outlet.gate.id.stage)
    }

    fn memory(&self) -> Arc<dyn ColumnMemory> {
        Arc::clone(self.outlet.gate.shell.memory(self.outlet.gate.id.stage))
    }

    async fn emit(&mut self, batch: Batch) -> Result<(), Failure> {
        let depth = self.outlet.passed.len() - 1 - self.operators.len();
        let is_first = !std::mem::replace(&mut self.outlet.passed[depth], true);
        if batch.rows() == 0 && !is_first {
            return Ok(());
        }
        if depth == 0 {
            let gate = &self.outlet.gate;
            gate.shell.count_read(gate.id.stage, batch.rows());
        }
        let Some((operator, rest)) = self.operators.split_first() else {
            return self.outlet.queue(batch).await;
        };
        let seat = self.outlet.seat.take();
        let mut out = Link { operators: rest, outlet: &mut *self.outlet };
        let ended = match seat {
            Some(seat) => operator.run_on(seat, batch, &mut out).await,
            None => operator.run(batch, &mut out).await,
        };
        ended.map_err(|failure| failure.in_stage(&operator.name()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn a_producer_goes_on_while_its_consumer_holds_the_thread() {
        let threads = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build();
        let threads = threads.expect("a runtime");
        let handle = threads.handle().clone();
        let ended = threads.block_on(async {
            let producer = threads.spawn(async move {
                let produced = Arc::new(AtomicBool::new(false));
                let seen = Arc::clone(&produced);
                let consumer = handle.spawn(async move {
                    let until = Instant::now() + Duration::from_secs(20);
                    while !seen.load(Ordering::Acquire) && Instant::now() < until {
                        std::thread::yield_now();
                    }
                    seen.load(Ordering::Acquire)
                });
                step_back().await;
                produced.store(true, Ordering::Release);
                consumer.await
            });
            producer.await
        });
        assert!(ended.expect("the producer ends").expect("the consumer ends"));
    }
}
