//! One worker process, seen from the engine.

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use raceline_exec::Then;
use raceline_types::{Batch, Failure, InternalError};
use tokio::sync::Mutex as AsyncMutex;
use tokio::time::timeout;

use crate::device::GpuShare;
use crate::error::{Exit, UdfError, WorkerError};
use crate::errored::{ErroredRow, raised};
use crate::ledger::TimeLedger;
use crate::memory::{Gauge, Gauges};
use crate::operator::ProcessSpec;
use crate::output::{LineSplitter, Printed};
use crate::process::{AsyncReceiver, AsyncSender, async_channel};
use crate::replay::Answers;
use crate::segment::SharedMemory;
use crate::template::{ForkOrder, Forked, Process, Template};
use crate::transfer::{ReceiveError, SendError, Transfer};
use crate::user_error::UserError;
use crate::wire::{self, Fault, FromWorker, PackedBatch, ToWorker};

/// How long a worker may take to end when it is asked to.
const STOP_GRACE: Duration = Duration::from_millis(300);

/// How long a worker whose connection ended may take to end by itself.
const OWN_END: Duration = Duration::from_millis(500);

/// How long the last lines of a worker that ended may take to arrive.
const LAST_LINES: Duration = Duration::from_millis(100);

/// A worker with its functions loaded. Dropping it kills the process.
///
/// Calls may be sent ahead of the answers to those before them; the worker does them in order.
#[derive(Debug)]
pub(crate) struct Worker {
    spec: Arc<ProcessSpec>,
    pid: u32,
    gauge: Arc<Gauge>,
    outbox: AsyncMutex<AsyncSender>,
    inbox: AsyncMutex<Inbox>,
    transfer: Mutex<Transfer>,
    ledger: Arc<TimeLedger>,
}

/// The process and what comes from it: whoever reads the answers to a call holds it.
#[derive(Debug)]
struct Inbox {
    process: Process,
    receiver: AsyncReceiver,
    printed: Printed,
}

/// Where a worker works, and with what.
pub(crate) struct Post<'a> {
    /// How many workers of the pool were started before.
    pub(crate) index: u32,
    /// The GPUs that it sees.
    pub(crate) gpus: Option<&'a GpuShare>,
    /// Its number in the graph.
    pub(crate) worker: Option<usize>,
    /// Those of the pool.
    pub(crate) gauges: &'a Gauges,
    /// The memory of its rate gate.
    pub(crate) gate: Option<Arc<OwnedFd>>,
    /// Where its time goes.
    pub(crate) ledger: Arc<TimeLedger>,
    /// What batches for the pool are written to.
    pub(crate) memory: Arc<SharedMemory>,
}

/// A worker with an explicit amount of memory gets no more than so many times of it.
const DATA_TIMES: u64 = 2;

/// And so much more, for what libraries set aside and never use.
const DATA_SPARE_BYTES: u64 = 256 << 20;

/// How a call failed.
#[derive(Debug)]
pub(crate) enum CallFailure {
    /// The worker ended, and not because of this call: it is to be made again.
    Again,
    /// The function raised; the worker can go on.
    Raised(Failure),
    /// The worker died.
    Died(Failure),
    /// Anything else; the worker is in the middle of something and must be dropped.
    Broken(Failure),
}

impl Worker {
    /// Forks a worker and loads the chain into it. A dropped start leaves no process.
    pub(crate) async fn start(
        template: &Template,
        spec: &Arc<ProcessSpec>,
        post: Post<'_>,
    ) -> Result<Self, Failure> {
        let Post { index, gpus, worker, gauges, gate, ledger, memory } = post;
        let env =
            gpus.into_iter().map(|gpus| ("CUDA_VISIBLE_DEVICES".to_owned(), gpus.to_string()));
        let (stage, data_bytes_max) = (Arc::clone(&spec.name), data_bytes_max(spec));
        let (env, preloads) = (env.collect(), spec.preloads.iter().cloned().collect());
        let order = ForkOrder { index, stage, env, preloads, data_bytes_max };
        let Forked { process, socket, output } = template.fork(order).await?;
        let pid = process.pid();
        let gauge = gauges.add(worker, process.killer());
        let connection =
            |source| WorkerError::Connection { stage: Arc::clone(&spec.name), pid, source };
        let (sender, receiver) = async_channel(socket).map_err(connection)?;
        let prefix = format!("({} pid={pid}) ", spec.name);
        let lines = LineSplitter::new(prefix, template.lines());
        let printed = Printed::forward(output.into(), lines).map_err(connection)?;
        let spec = Arc::clone(spec);
        let inbox = AsyncMutex::new(Inbox { process, receiver, printed });
        let (outbox, transfer) = (AsyncMutex::new(sender), Mutex::new(Transfer::of_engine(memory)));
        let worker = Self { spec, pid, gauge, outbox, inbox, transfer, ledger };
        worker.load(gate.as_deref()).await?;
        Ok(worker)
    }

    async fn load(&self, gate: Option<&OwnedFd>) -> Result<(), Failure> {
        let mut inbox = self.inbox.lock().await;
        let chain = self.spec.chain.iter().map(|payload| payload.to_vec()).collect();
        let message = ToWorker::Load { chain, is_rate_limited: gate.is_some() };
        let gate = gate.map(AsFd::as_fd);
        let sent = match wire::encode(&message) {
            Ok(frame) => self.outbox.lock().await.send(&frame, gate.as_slice()).await,
            Err(error) => Err(error),
        };
        if let Err(error) = sent {
            return Err(self.lost(&mut inbox, error, None).await);
        }
        match inbox.receive().await {
            Ok(FromWorker::Loaded) => Ok(()),
            Ok(FromWorker::Failed { fault: Fault::User(error), .. }) => {
                Err(UdfError::new(&self.spec.name, error, true).into())
            }
            Ok(_) => Err(self.out_of_turn()),
            Err(error) => Err(self.lost(&mut inbox, error, None).await),
        }
    }

    /// Sends the call that runs the chain over `input`; [`Self::answers`] follows, in the order
    /// of the calls. A dropped send leaves the worker in the middle of it: drop the worker then.
    pub(crate) async fn call(&self, input: &Batch) -> Result<(), CallFailure> {
        let start = Instant::now();
        let sent = match &self.spec.crossing {
            Some(crossing) => &crossing.sent(&input.data).map_err(CallFailure::Raised)?,
            None => &input.data,
        };
        let packed = self.transfer().pack(sent);
        let (batch, attached) = packed.map_err(|error| {
            CallFailure::Raised(match error {
                SendError::Arrow(error) => {
                    InternalError::caused_by("a batch for a worker is not valid", error).into()
                }
                SendError::Memory { bytes, source } => self.no_memory(bytes, source),
            })
        })?;
        self.ledger.moved(batch.moved_bytes);
        let message = ToWorker::Call { batch, returned: self.transfer().returned() };
        let descriptors = attached.descriptors();
        let sent = match wire::encode(&message) {
            Ok(frame) => self.outbox.lock().await.send(&frame, &descriptors).await,
            Err(error) => Err(error),
        };
        self.ledger.transferred(start);
        match sent {
            // The answers tell how it ended.
            Err(error) if is_gone(&error) => Ok(()),
            sent => sent.map_err(|error| CallFailure::Broken(self.broken(error))),
        }
    }

    /// Hands on what the call over `input` returns, the next that was sent. Dropped answers leave
    /// the worker in the middle of it: drop the worker then.
    pub(crate) async fn answers(
        &self,
        input: &Batch,
        out: &mut dyn Answers,
    ) -> Result<(), CallFailure> {
        let mut inbox = self.inbox.lock().await;
        self.gauge.begin(input.rows());
        let mut is_first = true;
        let mut answered = 0;
        let mut left = self.spec.call_timeout;
        loop {
            match inbox.receive_within(&mut left).await {
                Ok(FromWorker::Output { batch, returned }) => {
                    let start = Instant::now();
                    let output = self.unpack(&mut inbox, &batch).map_err(CallFailure::Broken)?;
                    self.take_back(returned).map_err(CallFailure::Broken)?;
                    self.ledger.moved(batch.moved_bytes);
                    self.ledger.transferred(start);
                    if !is_first {
                        self.ask_for_more().await.map_err(CallFailure::Broken)?;
                    }
                    is_first = false;
                    let rows = output.num_rows();
                    let output = match &self.spec.crossing {
                        Some(crossing) => crossing
                            .output(&input.data, answered, output)
                            .map_err(CallFailure::Broken)?,
                        None => output,
                    };
                    answered += rows;
                    let output = Batch::new(output, input.origin.clone());
                    out.emit(output).await.map_err(CallFailure::Broken)?;
                }
                Ok(FromWorker::Errored { error }) => {
                    let row = self.errored(error, input).map_err(CallFailure::Broken)?;
                    out.errored(row).map_err(CallFailure::Broken)?;
                }
                Ok(FromWorker::Done { returned, spent }) => {
                    self.gauge.end();
                    self.ledger.add(spent.into());
                    return self.take_back(returned).map_err(CallFailure::Broken);
                }
                Ok(FromWorker::Failed { fault, returned, spent }) => {
                    self.gauge.end();
                    self.ledger.add(spent.into());
                    self.take_back(returned).map_err(CallFailure::Broken)?;
                    return Err(CallFailure::Raised(self.fault(fault, input)));
                }
                Ok(FromWorker::Loaded) => return Err(CallFailure::Broken(self.out_of_turn())),
                Err(error) => {
                    let failure = self.lost(&mut inbox, error, Some(input.rows())).await;
                    return Err(match WorkerError::exit_of(&failure) {
                        Some(Exit::Relieved) => CallFailure::Again,
                        Some(_) => CallFailure::Died(failure),
                        None => CallFailure::Broken(failure),
                    });
                }
            }
        }
    }

    /// Asks the worker to end, waits up to 300 ms, then kills it.
    pub(crate) async fn stop(&self) {
        let mut inbox = self.inbox.lock().await;
        if self.send(&ToWorker::Stop).await.is_ok() {
            // Either it closed its end, or it did not in time; both lead to the same end.
            let _ended = timeout(STOP_GRACE, inbox.receive()).await.is_ok();
        }
        inbox.end().await;
    }

    fn unpack(
        &self,
        inbox: &mut Inbox,
        batch: &PackedBatch,
    ) -> Result<arrow::array::RecordBatch, Failure> {
        let unpacked = self.transfer().unpack(batch, || inbox.receiver.take_descriptor());
        unpacked.map_err(|error| match error {
            ReceiveError::Arrow(source) => {
                WorkerError::Output { stage: Arc::clone(&self.spec.name), source }.into()
            }
            ReceiveError::Segment(source) => self.broken(source),
        })
    }

    async fn ask_for_more(&self) -> Result<(), Failure> {
        let message = ToWorker::Continue { returned: self.transfer().returned() };
        match self.send(&message).await {
            Ok(()) => Ok(()),
            Err(error) if is_gone(&error) => Ok(()),
            Err(error) => Err(self.broken(error)),
        }
    }

    fn take_back(&self, returned: Vec<u64>) -> Result<(), Failure> {
        self.transfer().take_back(returned).map_err(|error| self.broken(error))
    }

    fn fault(&self, fault: Fault, input: &Batch) -> Failure {
        match fault {
            Fault::User(error) => raised(&self.spec.name, error, input),
            Fault::Memory { bytes, errno } => {
                let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
                self.no_memory(bytes, io::Error::from_raw_os_error(errno))
            }
            Fault::Input(message) => {
                InternalError::new(format!("a worker cannot read its input: {message}")).into()
            }
        }
    }

    /// The row of `input` that the function failed for, and went on after.
    fn errored(&self, error: UserError, input: &Batch) -> Result<ErroredRow, Failure> {
        ErroredRow::of(&self.spec.name, error, input).ok_or_else(|| self.out_of_turn())
    }

    fn no_memory(&self, bytes: usize, source: io::Error) -> Failure {
        WorkerError::Memory { stage: Arc::clone(&self.spec.name), bytes, source }.into()
    }

    /// The failure for a connection that ended with `error`: the worker died, or it is broken.
    async fn lost(&self, inbox: &mut Inbox, error: io::Error, rows: Option<usize>) -> Failure {
        let late = self.spec.call_timeout.filter(|_| error.kind() == ErrorKind::TimedOut);
        if !is_gone(&error) && late.is_none() {
            return self.broken(error);
        }
        let ended = match late {
            Some(limit) => Some(Exit::Late(limit)),
            None => inbox.process.ends_within(OWN_END).await,
        };
        inbox.end().await;
        let (stage, pid, held_bytes) =
            (Arc::clone(&self.spec.name), self.pid, self.gauge.last_bytes());
        let exit = match self.gauge.relief() {
            Some(relief) if relief.then == Then::Fail => {
                return WorkerError::OverMemory { stage, relief, rows }.into();
            }
            Some(_) => Exit::Relieved,
            None => ended.unwrap_or(Exit::Closed),
        };
        WorkerError::Died { stage, pid, exit, rows, held_bytes }.into()
    }

    fn broken(&self, source: io::Error) -> Failure {
        let (stage, pid) = (Arc::clone(&self.spec.name), self.pid);
        WorkerError::Connection { stage, pid, source }.into()
    }

    fn out_of_turn(&self) -> Failure {
        self.broken(io::Error::other("the worker spoke out of turn"))
    }

    async fn send(&self, message: &ToWorker) -> io::Result<()> {
        self.outbox.lock().await.send(&wire::encode(message)?, &[]).await
    }

    fn transfer(&self) -> MutexGuard<'_, Transfer> {
        self.transfer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let loans = self.transfer().take_loans();
        self.inbox.get_mut().process.keep_until_ended(loans);
    }
}

impl Inbox {
    /// Ends the process and takes in its last lines.
    async fn end(&mut self) {
        self.process.end().await;
        self.printed.ended_within(LAST_LINES).await;
    }

    /// The next message, and what is left of the time for it.
    async fn receive_within(&mut self, left: &mut Option<Duration>) -> io::Result<FromWorker> {
        let Some(limit) = *left else { return self.receive().await };
        let start = Instant::now();
        let message = timeout(limit, self.receive()).await;
        *left = Some(limit.saturating_sub(start.elapsed()));
        message.unwrap_or_else(|_late| Err(ErrorKind::TimedOut.into()))
    }

    /// The next message; an unexpected end when the worker is gone. The end of the process
    /// counts too: a process that the worker forked may hold the socket open for longer.
    async fn receive(&mut self) -> io::Result<FromWorker> {
        let Self { receiver, process, .. } = self;
        let frame = tokio::select! {
            biased;
            frame = receiver.receive() => frame?,
            // What it said before it ended is there by now.
            _exit = process.ended() => receiver.receive_available()?,
        };
        let frame = frame.ok_or_else(|| io::Error::from(ErrorKind::UnexpectedEof))?;
        wire::decode(&frame)
    }
}

/// What a worker may take that was promised an amount of memory: a backstop, so that a single
/// allocation cannot take the machine. Drivers of GPUs set aside far more than they use.
fn data_bytes_max(spec: &ProcessSpec) -> Option<u64> {
    let resources = &spec.pool.resources;
    let is_held = resources.memory_bytes > 0 && resources.gpu_nanos == 0;
    is_held
        .then(|| resources.memory_bytes.saturating_mul(DATA_TIMES).saturating_add(DATA_SPARE_BYTES))
}

fn is_gone(error: &io::Error) -> bool {
    use ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof)
}
