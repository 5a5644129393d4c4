//! The errors of worker processes.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use arrow::error::ArrowError;
use raceline_exec::Relief;
use raceline_types::{Diagnostic, ErrorKind, Failure};
use thiserror::Error;

use crate::memory::mebibytes;
use crate::user_error::UserError;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// With this exit code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// It was killed, because it took longer than this for a batch.
    Late(Duration),
    /// It was killed, to have its memory back.
    Relieved,
    /// It was killed, because it had closed its connection to the engine.
    Closed,
    /// It is gone, and its parent could not tell how.
    Unknown,
}

impl Exit {
    /// What a process that ended so likely suffered from.
    fn hint(self) -> &'static str {
        match self {
            Self::Signal(SIGKILL) => {
                "the kernel kills a process this way when memory runs out: lower `batch_size` or \
                 `concurrency`, or give the function less to hold"
            }
            Self::Signal(
                libc::SIGABRT | libc::SIGBUS | libc::SIGFPE | libc::SIGILL | libc::SIGSEGV,
            ) => {
                "native code that the function calls crashed: run the function on one batch \
                 outside of Raceline to find out which"
            }
            Self::Signal(_) => "the function, or another program, sent it this signal",
            Self::Code(_) => "the function ended its own process: raise an exception instead",
            Self::Late(_) => {
                "the function hangs or is slow: raise `timeout_s`, or lower `batch_size`"
            }
            Self::Relieved => {
                "lower `batch_size` or `concurrency`, or raise `raceline.init(memory=…)`"
            }
            Self::Closed => "the function closes descriptors that it did not open: let it not",
            Self::Unknown => {
                "the template process that started it is gone: run again, which starts a new one"
            }
        }
    }
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => match SIGNAL_NAMES.iter().find(|(known, _)| known == signal) {
                Some((_, name)) => write!(f, "signal {name}"),
                None => write!(f, "signal {signal}"),
            },
            Self::Late(limit) => {
                write!(f, "it took longer than {} s for a batch", limit.as_secs_f64())
            }
            Self::Relieved => f.write_str("it was ended to have its memory back"),
            Self::Closed => f.write_str("it closed its connection to the engine"),
            Self::Unknown => f.write_str("unknown exit status"),
        }
    }
}

/// A user's function raised.
#[derive(Clone, Debug, Error)]
#[error("function `{function}` raised {}", summary(&.error.type_name, &.error.message))]
pub struct UdfError {
    /// Name of the stage.
    pub stage: Arc<str>,
    /// Name of the function, or of the stage when the function is not known.
    pub function: String,
    /// What it raised.
    pub error: UserError,
    /// Whether it raised while it was constructed, before it saw a row.
    pub in_constructor: bool,
}

impl UdfError {
    /// For what a function of `stage` raised.
    pub(crate) fn new(stage: &Arc<str>, error: UserError, in_constructor: bool) -> Self {
        let function = error.function.clone().unwrap_or_else(|| stage.to_string());
        Self { stage: Arc::clone(stage), function, error, in_constructor }
    }
}

fn summary(type_name: &str, message: &str) -> String {
    if message.is_empty() { type_name.to_owned() } else { format!("{type_name}: {message}") }
}

impl Diagnostic for UdfError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Udf
    }

    fn detail(&self) -> Option<String> {
        let UserError { traceback, row, .. } = &self.error;
        let row = row.map(|row| format!("row {row} of the batch that the function was given"));
        let traceback = Some(traceback.trim_end().to_owned()).filter(|text| !text.is_empty());
        let parts: Vec<String> = row.into_iter().chain(traceback).collect();
        (!parts.is_empty()).then(|| parts.join("\n"))
    }

    fn hint(&self) -> Option<String> {
        self.in_constructor.then(|| {
            "the error came from the constructor, which runs once in every worker before the \
             first batch"
                .to_owned()
        })
    }
}

/// A worker process, or what lies between it and the engine, failed.
#[derive(Debug, Error)]
pub enum WorkerError {
    /// The template process could not be started.
    #[error("cannot start the worker template `{program}`")]
    Start {
        /// Its program.
        program: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The template process ended though the session still needs it.
    #[error("the worker template ended early: {exit}")]
    TemplateEnded {
        /// How it ended.
        exit: Exit,
        /// The last of what it printed.
        output: String,
    },
    /// A worker could not be forked.
    #[error("cannot start a worker process for `{stage}`: {message}")]
    Fork {
        /// Name of the stage.
        stage: Arc<str>,
        /// What the template says.
        message: String,
    },
    /// A worker ended in the middle of its work.
    #[error("worker process {pid} of `{stage}` died: {exit}")]
    Died {
        /// Name of the stage.
        stage: Arc<str>,
        /// Process id.
        pid: u32,
        /// How it ended.
        exit: Exit,
        /// Rows of the batch it was working on; `None` while it was loading its functions.
        rows: Option<usize>,
        /// Private memory that it held when it was last measured.
        held_bytes: Option<u64>,
    },
    /// A worker holds more memory than there is for all of them, and its batch cannot be smaller.
    #[error(
        "a worker of `{stage}` holds {}, of {} that there are for workers",
        mebibytes(relief.bytes),
        mebibytes(relief.limit_bytes)
    )]
    OverMemory {
        /// Name of the stage.
        stage: Arc<str>,
        /// What it holds, and what there is.
        relief: Relief,
        /// Rows of the batch it was working on; `None` while it was loading its functions.
        rows: Option<usize>,
    },
    /// A row kills every worker that gets it, also alone.
    #[error("row {row} of a batch of {rows} rows kills the workers of `{stage}`: {exit}")]
    Poison {
        /// Name of the stage.
        stage: Arc<str>,
        /// Position in the batch.
        row: usize,
        /// Rows of the batch.
        rows: usize,
        /// How the last of them ended.
        exit: Exit,
        /// Private memory that it held when it was last measured.
        held_bytes: Option<u64>,
    },
    /// A batch that was run again, because its worker had died, gave fewer rows than before.
    #[error("`{stage}` returned {rows} rows fewer when a batch was run again")]
    Unrepeatable {
        /// Name of the stage.
        stage: Arc<str>,
        /// How many fewer.
        rows: usize,
    },
    /// What a worker returned is no valid Arrow data.
    #[error("`{stage}` returned data that is not valid Arrow")]
    Output {
        /// Name of the stage.
        stage: Arc<str>,
        /// What is wrong.
        #[source]
        source: ArrowError,
    },
    /// Shared memory for a batch could not be had.
    #[error("cannot get {bytes} bytes of shared memory for `{stage}`")]
    Memory {
        /// Name of the stage.
        stage: Arc<str>,
        /// Size of the batch.
        bytes: usize,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// All GPUs of the session are taken.
    #[error("no GPU is free for a worker of `{stage}`, which asks for {asked}")]
    NoGpu {
        /// Name of the stage.
        stage: Arc<str>,
        /// GPUs of one worker.
        asked: f64,
    },
    /// The GPUs of the machine could not be listed.
    #[error("cannot ask `nvidia-smi` for the GPUs: {reason}")]
    Gpus {
        /// What it did.
        reason: String,
    },
    /// The socket to a worker failed, or it spoke out of turn.
    #[error("the connection to worker process {pid} of `{stage}` failed")]
    Connection {
        /// Name of the stage.
        stage: Arc<str>,
        /// Process id.
        pid: u32,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl WorkerError {
    /// How the worker ended whose death `failure` is.
    pub(crate) fn exit_of(failure: &Failure) -> Option<Exit> {
        match failure.downcast_ref() {
            Some(Self::Died { exit, .. }) => Some(*exit),
            _ => None,
        }
    }

    /// The failure of a row that, alone, ended a worker as `death` says.
    pub(crate) fn poison(death: &Failure, row: usize, rows: usize) -> Option<Self> {
        match death.downcast_ref() {
            Some(Self::Died { stage, exit, held_bytes, .. }) => {
                let (stage, exit, held_bytes) = (Arc::clone(stage), *exit, *held_bytes);
                Some(Self::Poison { stage, row, rows, exit, held_bytes })
            }
            _ => None,
        }
    }
}

/// What a worker was doing.
fn work(rows: Option<usize>) -> String {
    match rows {
        Some(1) => "it was working on a batch of 1 row".to_owned(),
        Some(rows) => format!("it was working on a batch of {rows} rows"),
        None => "it was loading its functions".to_owned(),
    }
}

/// What a process held that somebody killed, likely for lack of memory.
fn held_at_kill(exit: Exit, held_bytes: Option<u64>) -> Option<String> {
    let bytes = held_bytes.filter(|_| exit == Exit::Signal(SIGKILL))?;
    Some(format!("held {} of memory when it was last measured", mebibytes(bytes)))
}

/// What ends processes by signal in practice.
const SIGNAL_NAMES: [(i32, &str); 9] = [
    (libc::SIGABRT, "SIGABRT"),
    (libc::SIGBUS, "SIGBUS"),
    (libc::SIGFPE, "SIGFPE"),
    (libc::SIGHUP, "SIGHUP"),
    (libc::SIGILL, "SIGILL"),
    (libc::SIGKILL, "SIGKILL"),
    (libc::SIGPIPE, "SIGPIPE"),
    (libc::SIGSEGV, "SIGSEGV"),
    (libc::SIGTERM, "SIGTERM"),
];

const SIGKILL: i32 = libc::SIGKILL;

impl Diagnostic for WorkerError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Died { exit: Exit::Signal(SIGKILL) | Exit::Unknown, .. }
            | Self::Poison { exit: Exit::Signal(SIGKILL) | Exit::Unknown, .. }
            | Self::OverMemory { .. }
            | Self::Start { .. }
            | Self::TemplateEnded { .. }
            | Self::Fork { .. }
            | Self::Memory { .. }
            | Self::NoGpu { .. }
            | Self::Gpus { .. } => ErrorKind::Resource,
            Self::Died { .. }
            | Self::Poison { .. }
            | Self::Unrepeatable { .. }
            | Self::Output { .. } => ErrorKind::Udf,
            Self::Connection { .. } => ErrorKind::Internal,
        }
    }

    fn detail(&self) -> Option<String> {
        match self {
            Self::TemplateEnded { output, .. } if !output.is_empty() => Some(output.clone()),
            Self::Died { rows, exit, held_bytes, .. } => {
                let held = held_at_kill(*exit, *held_bytes).map(|held| format!(", and {held}"));
                Some(work(*rows) + &held.unwrap_or_default())
            }
            Self::Poison { exit, held_bytes, .. } => {
                held_at_kill(*exit, *held_bytes).map(|held| format!("the last of them {held}"))
            }
            Self::OverMemory { relief, rows, .. } => Some(format!(
                "{}; the most that a worker of the stage has held is {}",
                work(*rows),
                mebibytes(relief.peak_bytes)
            )),
            _ => None,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Died { exit, .. } | Self::Poison { exit, .. } => exit.hint(),
            Self::OverMemory { rows: None, .. } => {
                "give the session more, `raceline.init(memory=…)`, or let the constructor load less"
            }
            Self::OverMemory { .. } => {
                "lower `batch_size`, let the function hold less for each row, say by `memory=…` \
                 what a worker may take, or give the session more: `raceline.init(memory=…)`"
            }
            Self::Unrepeatable { .. } => {
                "a worker died after it had returned rows, and the function does not return the \
                 same rows twice: make it do so, for example by seeding it from its batch"
            }
            Self::Start { .. } => "check that the program exists and may be run",
            Self::TemplateEnded { .. } => "run again, which starts a new one",
            Self::Fork { .. } => "check the limits on processes and memory (`ulimit -a`)",
            Self::Memory { .. } => "lower `batch_size`, or free memory",
            Self::NoGpu { .. } => {
                "lower `num_gpus` or `concurrency`, or declare more: `raceline.init(num_gpus=…)`"
            }
            Self::Gpus { .. } => {
                "run `nvidia-smi` to see what is wrong, or declare what there is: \
                 `raceline.init(num_gpus=…)`"
            }
            Self::Output { .. } | Self::Connection { .. } => return None,
        };
        Some(hint.to_owned())
    }
}
