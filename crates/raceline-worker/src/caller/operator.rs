//! The operator whose functions run in the thread that waits for the run.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::Float64Array;
use async_trait::async_trait;
use raceline_exec::{BatchShape, Emit, ExecError, Operator, PoolShape, WorkTimes};
use raceline_types::{Batch, Failure, InternalError, Resources};
use tokio::sync::{mpsc, oneshot};

use super::desk::{CallerDesk, Errand, Order, Reply};
use crate::child::Answer;
use crate::crossing::Crossing;
use crate::error::UdfError;
use crate::errored::{ErroredBatches, ErroredRow, ErroredRows, raised};
use crate::ledger::TimeLedger;
use crate::operator::{RowCosts, costs_of};

/// What a caller operator runs and how.
pub struct CallerSpec {
    /// Name of the stage, for errors and progress.
    pub name: Arc<str>,
    /// Its functions, in order; opaque here.
    pub chain: Vec<Arc<dyn Any + Send + Sync>>,
    /// How the input is cut.
    pub input: BatchShape,
    /// What each row of the input costs, where `input` bounds that.
    pub costs: Option<RowCosts>,
    /// Where the rows go that the function fails for; `None` lets the first one end the run.
    pub errored: Option<Arc<dyn ErroredRows>>,
    /// What takes batches that the functions fail for; `None` lets the first one end the run.
    pub errored_batches: Option<Arc<dyn ErroredBatches>>,
    /// What of a batch the functions get; `None` is all of it.
    pub crossing: Option<Arc<dyn Crossing>>,
}

/// Runs a chain of foreign functions in the thread that waits for the run, by errands at its
/// [`CallerDesk`].
///
/// One batch is worked on at a time, in the order of the input, and answers are asked for one by
/// one: the thread that makes them is the one that takes the output, so that it must never wait
/// for room. Every output has the origin of the whole input. It takes no resources, and a batch
/// waits for as long as nobody waits for the run.
///
/// # Errors
/// As of [`crate::ProcessOperator`]; what the functions raised holds the exception itself.
pub struct CallerOperator {
    name: Arc<str>,
    input: BatchShape,
    costs: Option<RowCosts>,
    errored: Option<Arc<dyn ErroredRows>>,
    errored_batches: Option<Arc<dyn ErroredBatches>>,
    crossing: Option<Arc<dyn Crossing>>,
    stage: usize,
    errands: mpsc::Sender<Errand>,
    ledger: TimeLedger,
}

impl CallerOperator {
    /// An operator of `spec`, whose run has `desk`.
    #[must_use]
    pub fn new(desk: &mut CallerDesk, spec: CallerSpec) -> Self {
        let CallerSpec { name, chain, input, costs, errored, errored_batches, crossing } = spec;
        let (stage, errands) = desk.add(chain);
        let ledger = TimeLedger::default();
        Self { name, input, costs, errored, errored_batches, crossing, stage, errands, ledger }
    }

    async fn ask(&self, order: Order) -> Result<Reply, Failure> {
        // Both ends of the desk go when the run is over.
        let over = || Failure::from(ExecError::Cancelled);
        let start = Instant::now();
        let (reply, answered) = oneshot::channel();
        let errand = Errand { stage: self.stage, order, reply };
        self.errands.send(errand).await.map_err(|_| over())?;
        let (reply, times) = answered.await.map_err(|_| over())?;
        let queue = start.elapsed().saturating_sub(times.conversion + times.function);
        self.ledger.add(WorkTimes { queue, ..times });
        Ok(reply)
    }

    fn errored(&self, row: ErroredRow) -> Result<(), Failure> {
        match &self.errored {
            Some(errored) => errored.take(row),
            None => Err(row.failure),
        }
    }
}

#[async_trait]
impl Operator for CallerOperator {
    fn name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    fn pool(&self) -> PoolShape {
        PoolShape { resources: Resources::default(), concurrency_max: Some(1), workers: None }
    }

    fn input(&self) -> BatchShape {
        self.input
    }

    fn row_costs(&self, input: &Batch) -> Result<Float64Array, Failure> {
        costs_of(self.costs.as_ref(), input)
    }

    async fn run(&self, input: Batch, out: &mut dyn Emit) -> Result<(), Failure> {
        let mut order = Order::Begin(match &self.crossing {
            Some(crossing) => crossing.sent(&input.data)?,
            None => input.data.clone(),
        });
        let mut answered = 0;
        loop {
            match self.ask(order).await? {
                Reply::Answered(None) => return Ok(()),
                Reply::Answered(Some(Answer::Rows(data))) => {
                    let rows = data.num_rows();
                    let data = match &self.crossing {
                        Some(crossing) => crossing.output(&input.data, answered, data)?,
                        None => data,
                    };
                    answered += rows;
                    out.emit(Batch::new(data, input.origin.clone())).await?;
                }
                Reply::Answered(Some(Answer::Errored(error))) => {
                    let row = ErroredRow::of(&self.name, error, &input).ok_or_else(|| {
                        InternalError::new("a function failed for a row that it did not have")
                    })?;
                    self.errored(row)?;
                }
                Reply::Raised { error, in_constructor: true } => {
                    return Err(UdfError::new(&self.name, *error, true).into());
                }
                Reply::Raised { error, in_constructor: false } => {
                    let failure = raised(&self.name, *error, &input);
                    let errored = self.errored_batches.as_ref();
                    if errored.is_some_and(|errored| errored.take(input.rows(), &failure)) {
                        return Ok(());
                    }
                    return Err(failure);
                }
            }
            order = Order::Next;
        }
    }

    fn errored_rows(&self) -> u64 {
        self.errored.as_ref().map_or(0, |errored| errored.taken())
    }

    fn times(&self) -> Option<WorkTimes> {
        self.ledger.times()
    }
}

impl fmt::Debug for CallerOperator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallerOperator")
            .field("name", &self.name)
            .field("input", &self.input)
            .field("errored", &self.errored)
            .finish_non_exhaustive()
    }
}
