//! A running piece of work: its guard against panics and cancellation, and its way out through
//! the operators that are fused to it.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use async_trait::async_trait;
use futures::FutureExt as _;
use raceline_types::{Batch, Failure, InternalError, Split};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::emit::Emit;
use crate::error::ExecError;
use crate::graph::Body;
use crate::join::{cut, join};
use crate::operator::{Operator, Seat};
use crate::region::PortStream;
use crate::scheduler::{Morsel, WorkId};
use crate::shell::Shell;

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
    let seat = if let Input::Unit(_, seat) = &input { *seat } else { None };
    let passed = vec![false; node.chain.len() + 1];
    let mut outlet = Outlet { shell, id, resumed, seat, passed };
    let mut out = Link { operators: &node.chain, outlet: &mut outlet };
    let ended = match (&node.body, input) {
        (Body::Source(source), Input::Split(split)) => source.read(&split, &mut out).await,
        (Body::Operator(_), Input::Unit(parts, _)) => match join(parts) {
            Ok(batch) => out.emit(batch).await,
            Err(failure) => Err(failure),
        },
        (Body::Region(region), Input::Ports(ports)) => region.run(ports, &mut out).await,
        _ => Err(InternalError::new("work was started on another kind of input").into()),
    };
    ended.map_err(|failure| failure.in_stage(&node.body.name()))
}

/// The end of a piece of work's chain: the stage's queue.
struct Outlet {
    shell: Arc<Shell>,
    id: WorkId,
    resumed: Arc<Notify>,
    /// The worker for the stage's own operator.
    seat: Option<Seat>,
    /// Whether a batch has passed each link, the queue last.
    passed: Vec<bool>,
}

impl Outlet {
    async fn queue(&self, batch: Batch) -> Result<(), Failure> {
        for mut piece in cut(batch, self.shell.target_batch_bytes()) {
            if let Some(scale) = self.shell.scale(self.id.stage) {
                let weights = scale.weigh(&piece.item)?;
                piece = piece.weighed(weights);
            }
            if self.shell.is_cancelled(self.id.stage) {
                return Err(ExecError::Cancelled.into());
            }
            if !self.shell.emit(self.id, piece) {
                self.resumed.notified().await;
            }
            // Work that is always admitted at once must still let others run on its thread.
            tokio::task::yield_now().await;
        }
        Ok(())
    }
}

/// What is left of a chain of fused operators.
struct Link<'a> {
    operators: &'a [Arc<dyn Operator>],
    outlet: &'a mut Outlet,
}

#[async_trait]
impl Emit for Link<'_> {
    async fn emit(&mut self, batch: Batch) -> Result<(), Failure> {
        let depth = self.outlet.passed.len() - 1 - self.operators.len();
        let is_first = !std::mem::replace(&mut self.outlet.passed[depth], true);
        if batch.rows() == 0 && !is_first {
            return Ok(());
        }
        if depth == 0 {
            self.outlet.shell.count_read(self.outlet.id.stage, batch.rows());
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
