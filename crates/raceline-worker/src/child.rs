//! The child half of a worker: loads functions and runs them over batches until it is stopped.

use std::collections::VecDeque;
use std::io::{self, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::process;
use std::time::{Duration, Instant};

use arrow::record_batch::RecordBatch;
use raceline_exec::WorkTimes;

use crate::process::{Channel, end_when_closed, exit_now};
use crate::segment::RateGate;
use crate::transfer::{ReceiveError, SendError, Transfer};
use crate::user_error::UserError;
use crate::wire::{self, Fault, FromWorker, PackedBatch, ToWorker};

/// Outputs of one call that may be on their way before the engine asks for more. The engine
/// asks when it takes in an output and has handed on the one before it, so this must be at
/// least 2.
const OUTPUTS_IN_FLIGHT: usize = 2;

/// The engine wants no more output of this call. The function should end; what it returns or
/// raises then is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped;

/// What a call answers.
#[derive(Clone, Debug)]
pub enum Answer {
    /// A batch of the output.
    Rows(RecordBatch),
    /// The function failed for one row, whose position in the input is in the error, and goes on
    /// with the next. The engine takes it from functions that were told to go on.
    Errored(UserError),
}

/// What a language implements to run its functions.
///
/// # Contract
/// `load` is called once, before the first `call`. After a call that failed, the next one may
/// come. Calls come one after the other, all in the thread that called [`serve`]; a runtime that
/// works on several batches at a time asks [`Caller::upcoming`] for the next ones.
///
/// # Order
/// What `call` emits reaches the engine in the order of the calls to `emit`.
///
/// # Memory
/// The input lies in the engine's memory, mapped read-only. The engine reuses it when the last
/// array, buffer or slice of it is dropped, however long that takes and in whichever thread.
/// `emit` copies its batch once into this process's shared memory, but for large buffers that are
/// the input's, and waits while two outputs of the call are on their way.
///
/// # Cancellation
/// When the engine gives up on a call, it kills the process. `emit` returns [`Stopped`] when
/// the connection ended first, or when no shared memory was left; the call should then return.
///
/// # Errors
/// A [`UserError`] is for what the user's code raised. The worker lives on after it.
///
/// # Example
/// ```
/// use arrow::record_batch::RecordBatch;
/// use raceline_worker::{Answer, Caller, Runtime, UserError};
///
/// /// Returns each batch as it is.
/// struct Echo;
///
/// impl Runtime for Echo {
///     fn load(&mut self, _chain: &[Vec<u8>]) -> Result<(), UserError> {
///         Ok(())
///     }
///     fn call(
///         &mut self,
///         input: RecordBatch,
///         caller: &mut dyn Caller,
///     ) -> Result<(), UserError> {
///         let _stopped = caller.emit(Answer::Rows(input));
///         Ok(())
///     }
/// }
/// ```
pub trait Runtime {
    /// Loads the functions of `chain`, in order; constructors run here.
    ///
    /// # Errors
    /// What a constructor raised.
    #[expect(clippy::result_large_err, reason = "made once, when a user's code failed")]
    fn load(&mut self, chain: &[Vec<u8>]) -> Result<(), UserError>;

    /// Takes the gate that the functions share with those of the stage's other workers. Called
    /// before `load`, where there is one; functions that keep to no rate need none.
    fn limit(&mut self, gate: RateGate) {
        drop(gate);
    }

    /// Runs the chain over one batch and emits any number of answers, as they come.
    ///
    /// # Errors
    /// What a function raised.
    #[expect(clippy::result_large_err, reason = "made once, when a user's code failed")]
    fn call(&mut self, input: RecordBatch, caller: &mut dyn Caller) -> Result<(), UserError>;

    /// How long functions of the user ran in the last call. The rest of it is conversion.
    fn function_time(&mut self) -> Duration {
        Duration::ZERO
    }
}

/// The engine, as a call sees it.
pub trait Caller {
    /// Hands on an answer, when there is room for it.
    ///
    /// # Errors
    /// When nobody wants it.
    fn emit(&mut self, answer: Answer) -> Result<(), Stopped>;

    /// The inputs of later calls that have come since this was last asked, without waiting: each
    /// will be the input of a call of its own, in this order. The runtime may begin with them.
    ///
    /// # Errors
    /// When the connection ended.
    fn upcoming(&mut self) -> Result<Vec<RecordBatch>, Stopped>;
}

/// Serves the engine at the other end of `socket` until it stops this worker or is gone.
///
/// From here on a thread of its own ends the process at once when the engine is gone, also
/// while `runtime` is busy. After `Ok` the process should end without delay: the engine kills it
/// after 300 ms.
///
/// # Errors
/// When the socket fails or the engine speaks out of turn.
pub fn serve(socket: OwnedFd, runtime: &mut dyn Runtime) -> io::Result<()> {
    end_when_closed(socket.as_fd())?;
    Session::new(socket).run(runtime)
}

/// The connection to the engine.
struct Session {
    channel: Channel,
    transfer: Transfer,
    /// Inputs that the runtime was told of ahead of their calls; why, where one cannot be read.
    upcoming: VecDeque<Result<RecordBatch, String>>,
    /// Calls behind these that came while an earlier one was under way.
    waiting: VecDeque<PackedBatch>,
    /// Outputs of the present call, and how often the engine asked for more of them.
    outputs: usize,
    asked: usize,
    /// How often the engine will still ask for more of calls that are done.
    asked_late: usize,
    ended: bool,
    pid: u32,
    /// Where the time went since the last call was answered.
    spent: WorkTimes,
}

/// A call under way.
struct Call<'a> {
    session: &'a mut Session,
    failure: Option<EmitFailure>,
    /// How long the engine was spoken to.
    time: Duration,
}

impl Call<'_> {
    /// What `work` returns, unless it or something before it failed.
    fn attempt<T>(
        &mut self,
        work: impl FnOnce(&mut Session) -> Result<T, EmitFailure>,
    ) -> Result<T, Stopped> {
        self.session.end_if_forked();
        if self.failure.is_some() {
            return Err(Stopped);
        }
        let start = Instant::now();
        let done = work(self.session);
        self.time += start.elapsed();
        done.map_err(|failure| {
            self.failure = Some(failure);
            Stopped
        })
    }
}

impl Caller for Call<'_> {
    fn emit(&mut self, answer: Answer) -> Result<(), Stopped> {
        self.attempt(|session| match answer {
            Answer::Rows(output) => session.emit(&output),
            Answer::Errored(error) => {
                session.send(&FromWorker::Errored { error }).map_err(EmitFailure::Io)
            }
        })
    }

    fn upcoming(&mut self) -> Result<Vec<RecordBatch>, Stopped> {
        self.attempt(Session::look_ahead)
    }
}

/// Why an emit did not send.
enum EmitFailure {
    /// For the engine to report.
    Fault(Box<Fault>),
    /// The engine is gone.
    Gone,
    /// The connection failed.
    Io(io::Error),
}

impl Session {
    fn new(socket: OwnedFd) -> Self {
        let channel = Channel::new(socket.into());
        Self {
            channel,
            transfer: Transfer::of_worker(),
            upcoming: VecDeque::new(),
            waiting: VecDeque::new(),
            outputs: 0,
            asked: 0,
            asked_late: 0,
            ended: false,
            pid: process::id(),
            spent: WorkTimes::default(),
        }
    }

    fn run(&mut self, runtime: &mut dyn Runtime) -> io::Result<()> {
        while !self.ended {
            if let Some(input) = self.next_input()? {
                self.answer(runtime, input)?;
                continue;
            }
            match self.receive_idle()? {
                None | Some(ToWorker::Stop) => self.ended = true,
                Some(ToWorker::Continue { returned }) => self.go_on(returned)?,
                Some(ToWorker::Load { chain, is_rate_limited }) => {
                    if is_rate_limited {
                        runtime.limit(RateGate::open(self.channel.take_descriptor()?)?);
                    }
                    let loaded = runtime.load(&chain);
                    self.end_if_forked();
                    let answer = match loaded {
                        Ok(()) => FromWorker::Loaded,
                        Err(error) => self.failed(Fault::User(error)),
                    };
                    self.send(&answer)?;
                    self.spent = WorkTimes::default();
                }
                Some(ToWorker::Call { batch, returned }) => {
                    self.transfer.take_back(returned)?;
                    self.waiting.push_back(batch);
                }
            }
        }
        Ok(())
    }

    /// The input of the next call that came while another one was under way.
    fn next_input(&mut self) -> io::Result<Option<Result<RecordBatch, String>>> {
        if let Some(input) = self.upcoming.pop_front() {
            return Ok(Some(input));
        }
        let Some(batch) = self.waiting.pop_front() else { return Ok(None) };
        self.unpack(&batch).map(Some)
    }

    fn unpack(&mut self, batch: &PackedBatch) -> io::Result<Result<RecordBatch, String>> {
        let (start, Self { channel, transfer, .. }) = (Instant::now(), &mut *self);
        let unpacked = transfer.unpack(batch, || channel.take_descriptor());
        self.spent.transfer += start.elapsed();
        match unpacked {
            Ok(input) => Ok(Ok(input)),
            Err(ReceiveError::Arrow(error)) => Ok(Err(error.to_string())),
            Err(ReceiveError::Segment(error)) => Err(error),
        }
    }

    fn answer(
        &mut self,
        runtime: &mut dyn Runtime,
        input: Result<RecordBatch, String>,
    ) -> io::Result<()> {
        (self.outputs, self.asked) = (0, 0);
        let answer = match input {
            Ok(input) => self.call(runtime, input)?,
            Err(message) => self.failed(Fault::Input(message)),
        };
        // It asks once for each output but the first.
        self.asked_late += self.outputs.saturating_sub(1) - self.asked;
        if self.ended { Ok(()) } else { self.send(&answer) }
    }

    /// The engine asks for more, of the earliest call of which it has not asked enough.
    fn go_on(&mut self, returned: Vec<u64>) -> io::Result<()> {
        if self.asked_late > 0 {
            self.asked_late -= 1;
        } else {
            self.asked += 1;
        }
        self.transfer.take_back(returned)
    }

    fn call(&mut self, runtime: &mut dyn Runtime, input: RecordBatch) -> io::Result<FromWorker> {
        let began = Instant::now();
        let mut call = Call { session: self, failure: None, time: Duration::ZERO };
        let result = runtime.call(input, &mut call);
        let in_call = began.elapsed().saturating_sub(call.time);
        let failure = call.failure;
        self.end_if_forked();
        let function = runtime.function_time().min(in_call);
        self.spent.function += function;
        self.spent.conversion += in_call.saturating_sub(function);
        match (failure, result) {
            (Some(EmitFailure::Io(error)), _) => Err(error),
            (Some(EmitFailure::Gone), _) => {
                self.ended = true;
                Ok(self.done())
            }
            (Some(EmitFailure::Fault(fault)), _) => Ok(self.failed(*fault)),
            (None, Err(error)) => Ok(self.failed(Fault::User(error))),
            (None, Ok(())) => Ok(self.done()),
        }
    }

    fn emit(&mut self, output: &RecordBatch) -> Result<(), EmitFailure> {
        while self.outputs >= self.asked + OUTPUTS_IN_FLIGHT {
            let message = self.receive_idle().map_err(EmitFailure::Io)?;
            self.hear(message)?;
        }
        let start = Instant::now();
        let (batch, attached) = self.transfer.pack(output).map_err(|error| {
            EmitFailure::Fault(Box::new(match error {
                SendError::Arrow(error) => Fault::User(invalid_output(&error.to_string())),
                SendError::Memory { bytes, source } => {
                    let errno = source.raw_os_error().unwrap_or(libc::ENOMEM);
                    Fault::Memory { bytes: bytes as u64, errno }
                }
            }))
        })?;
        let message = FromWorker::Output { batch, returned: self.transfer.returned() };
        let frame = wire::encode(&message).map_err(EmitFailure::Io)?;
        self.channel.send(&frame, &attached.descriptors()).map_err(EmitFailure::Io)?;
        self.outputs += 1;
        self.spent.transfer += start.elapsed();
        Ok(())
    }

    /// Takes in a message that came in the middle of a call.
    fn hear(&mut self, message: Option<ToWorker>) -> Result<(), EmitFailure> {
        match message {
            Some(ToWorker::Continue { returned }) => self.go_on(returned).map_err(EmitFailure::Io),
            Some(ToWorker::Call { batch, returned }) => {
                self.transfer.take_back(returned).map_err(EmitFailure::Io)?;
                self.waiting.push_back(batch);
                Ok(())
            }
            None | Some(ToWorker::Stop) => Err(EmitFailure::Gone),
            Some(ToWorker::Load { .. }) => {
                let error = io::Error::other("the engine sent work in the middle of a call");
                Err(EmitFailure::Io(error))
            }
        }
    }

    /// Reads what has come, without waiting, and unpacks the calls among it.
    fn look_ahead(&mut self) -> Result<Vec<RecordBatch>, EmitFailure> {
        let is_open = self.channel.read_available().map_err(EmitFailure::Io)?;
        while let Some(frame) = self.channel.take_frame().map_err(EmitFailure::Io)? {
            let message = wire::decode(&frame).map_err(EmitFailure::Io)?;
            self.hear(Some(message))?;
        }
        if !is_open {
            return Err(EmitFailure::Gone);
        }
        let mut inputs = Vec::new();
        while let Some(batch) = self.waiting.pop_front() {
            let input = self.unpack(&batch).map_err(EmitFailure::Io)?;
            inputs.extend(input.clone().ok());
            self.upcoming.push_back(input);
        }
        Ok(inputs)
    }

    /// Ends a process that a function forked and that came back from it: two would speak for
    /// one worker.
    fn end_if_forked(&self) {
        if process::id() != self.pid {
            let told = "a process that a function forked came back from it and was ended: end it \
                        in the function, by `os._exit`";
            // A closed standard error leaves nowhere to tell of it.
            let _closed = writeln!(io::stderr().lock(), "{told}").is_err();
            exit_now(1);
        }
    }

    fn failed(&mut self, fault: Fault) -> FromWorker {
        let spent = std::mem::take(&mut self.spent).into();
        FromWorker::Failed { fault, returned: self.transfer.returned(), spent }
    }

    fn done(&mut self) -> FromWorker {
        let spent = std::mem::take(&mut self.spent).into();
        FromWorker::Done { returned: self.transfer.returned(), spent }
    }

    /// The next message, while there is nothing to do before it comes.
    fn receive_idle(&mut self) -> io::Result<Option<ToWorker>> {
        let start = Instant::now();
        let received = self.receive();
        self.spent.queue += start.elapsed();
        received
    }

    fn receive(&mut self) -> io::Result<Option<ToWorker>> {
        self.channel.receive()?.map(|frame| wire::decode(&frame)).transpose()
    }

    fn send(&self, message: &FromWorker) -> io::Result<()> {
        self.channel.send(&wire::encode(message)?, &[])
    }
}

fn invalid_output(message: &str) -> UserError {
    UserError {
        type_name: "ValueError".to_owned(),
        message: format!("the output is not valid Arrow: {message}"),
        ..UserError::default()
    }
}
