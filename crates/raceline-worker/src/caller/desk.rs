//! The desk of a run: where its operators leave work for the thread that waits for it.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::record_batch::RecordBatch;
use raceline_exec::WorkTimes;
use tokio::sync::{mpsc, oneshot};

use crate::child::Answer;
use crate::user_error::UserError;

/// Errands that wait on the desk; whoever brings more waits beside it.
const ERRANDS_MAX: usize = 1;

/// What a language implements to run a chain of its functions in the thread that waits for a run.
///
/// # Contract
/// All calls come from whichever thread waits for the run, one at a time; mostly that is one
/// thread. `begin` may come while the batch before still has answers: nobody wants them then.
///
/// # Order
/// What `next` answers goes on in this order.
///
/// # Memory
/// A batch that was answered must not change any more, whatever the function does to its own.
///
/// # Cancellation
/// The runtime is dropped in the thread that ends the run, maybe in the middle of a batch.
///
/// # Errors
/// [`CallerFailure::Raised`] is what a function raised, and ends the run as it would from a worker.
/// [`CallerFailure::Interrupted`] is not about the function: it goes to the thread that waits.
///
/// # Example
/// ```
/// use arrow::record_batch::RecordBatch;
/// use raceline_worker::{Answer, CallerFailure, CallerRuntime};
///
/// /// Returns each batch as it is.
/// struct Echo(Option<RecordBatch>);
///
/// impl CallerRuntime for Echo {
///     fn begin(&mut self, input: RecordBatch) -> Result<(), CallerFailure> {
///         self.0 = Some(input);
///         Ok(())
///     }
///     fn next(&mut self) -> Result<Option<Answer>, CallerFailure> {
///         Ok(self.0.take().map(Answer::Rows))
///     }
/// }
/// ```
pub trait CallerRuntime: Send + Sync {
    /// Begins with a batch.
    ///
    /// # Errors
    /// What a function raised, or what ends the wait.
    fn begin(&mut self, input: RecordBatch) -> Result<(), CallerFailure>;

    /// What the chain answers next; `None` after the last.
    ///
    /// # Errors
    /// As [`Self::begin`].
    fn next(&mut self) -> Result<Option<Answer>, CallerFailure>;

    /// How long functions of the user ran since this was last asked.
    fn function_time(&mut self) -> Duration {
        Duration::ZERO
    }
}

/// Loads the functions of one stage, in order, in the thread that waits for the run; constructors
/// run here.
pub type CallerLoader = Arc<
    dyn Fn(&[Arc<dyn Any + Send + Sync>]) -> Result<Box<dyn CallerRuntime>, CallerFailure>
        + Send
        + Sync,
>;

/// Why a runtime did not answer.
#[derive(Debug)]
pub enum CallerFailure {
    /// A function raised.
    Raised(Box<UserError>),
    /// Something ends the wait of the thread: Ctrl-C, or the end of a debugger's session.
    Interrupted(Interruption),
}

/// What ends the wait of the thread, in its own language.
pub struct Interruption(pub Box<dyn Any + Send>);

/// What an operator wants to be done.
pub(super) enum Order {
    /// To begin with a batch, and its first answer.
    Begin(RecordBatch),
    /// The next answer for that batch.
    Next,
}

/// How an order was answered.
pub(super) enum Reply {
    /// With this, or with nothing more.
    Answered(Option<Answer>),
    /// A function raised, maybe before it saw a row.
    Raised { error: Box<UserError>, in_constructor: bool },
}

/// A step of an operator's work, for the thread that waits for the run.
pub struct Errand {
    pub(super) stage: usize,
    pub(super) order: Order,
    pub(super) reply: oneshot::Sender<(Reply, WorkTimes)>,
}

/// The desk of one run. Who waits for the run has it, and with it the loaded functions.
pub struct CallerDesk {
    load: CallerLoader,
    stages: Vec<Stage>,
    brought: mpsc::Sender<Errand>,
    errands: mpsc::Receiver<Errand>,
}

struct Stage {
    chain: Vec<Arc<dyn Any + Send + Sync>>,
    loaded: Option<Box<dyn CallerRuntime>>,
}

impl CallerDesk {
    /// A desk of no stage, whose functions `load` will load.
    #[must_use]
    pub fn new(load: CallerLoader) -> Self {
        let (brought, errands) = mpsc::channel(ERRANDS_MAX);
        Self { load, stages: Vec::new(), brought, errands }
    }

    /// A place for a stage of these functions: its number, and where its errands are brought to.
    pub(super) fn add(
        &mut self,
        chain: Vec<Arc<dyn Any + Send + Sync>>,
    ) -> (usize, mpsc::Sender<Errand>) {
        self.stages.push(Stage { chain, loaded: None });
        (self.stages.len() - 1, self.brought.clone())
    }

    /// The next errand, as soon as there is one. Cancel-safe.
    pub async fn next(&mut self) -> Errand {
        match self.errands.recv().await {
            Some(errand) => errand,
            // The desk holds a sender itself, so that more may always come.
            None => std::future::pending().await,
        }
    }

    /// Attends to an errand: runs functions until there is an answer.
    ///
    /// # Errors
    /// What ends the wait for the run: the run should be ended then.
    pub fn attend(&mut self, errand: Errand) -> Result<(), Interruption> {
        let Errand { stage, order, reply } = errand;
        if reply.is_closed() {
            // Nobody needs it any more.
            return Ok(());
        }
        let stage = &mut self.stages[stage];
        let mut times = WorkTimes::default();
        let answered = match stage.loaded(&self.load) {
            Ok(runtime) => {
                let start = Instant::now();
                let answered = answer(runtime, order);
                times.function = runtime.function_time();
                times.conversion = start.elapsed().saturating_sub(times.function);
                answered.or_else(|failure| failure.reply(false))
            }
            Err(failure) => failure.reply(true),
        }?;
        // When the stage was cancelled meanwhile, nobody is there to hear.
        let _heard = reply.send((answered, times)).is_ok();
        Ok(())
    }
}

impl Stage {
    /// Its functions, which are loaded when they are first needed.
    fn loaded(&mut self, load: &CallerLoader) -> Result<&mut dyn CallerRuntime, CallerFailure> {
        match &mut self.loaded {
            Some(runtime) => Ok(runtime.as_mut()),
            empty => Ok(empty.insert(load(&self.chain)?).as_mut()),
        }
    }
}

fn answer(runtime: &mut dyn CallerRuntime, order: Order) -> Result<Reply, CallerFailure> {
    if let Order::Begin(input) = order {
        runtime.begin(input)?;
    }
    Ok(Reply::Answered(runtime.next()?))
}

impl CallerFailure {
    fn reply(self, in_constructor: bool) -> Result<Reply, Interruption> {
        match self {
            Self::Raised(error) => Ok(Reply::Raised { error, in_constructor }),
            Self::Interrupted(interruption) => Err(interruption),
        }
    }
}

impl fmt::Debug for CallerDesk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallerDesk").field("stages", &self.stages.len()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Errand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Errand").field("stage", &self.stage).finish_non_exhaustive()
    }
}

impl fmt::Debug for Interruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Interruption")
    }
}
