//! The control protocol: every message between the engine, the template and a worker.
//!
//! Data never travels here: a batch is regions of shared memory and the layout that finds its
//! arrays inside. Messages are postcard, framed by the channel. Both ends are the same build of
//! this crate, so there are no versions. Nothing outside of this module derives `Serialize`.

use std::io;
use std::time::Duration;

use raceline_exec::WorkTimes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::Exit;
use crate::segment::Loan;
use crate::user_error::{Original, UserError};

/// Engine to template.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToTemplate {
    /// Fork a worker. Two descriptors travel along: its control socket, then the pipe for what
    /// it prints.
    Fork {
        /// Comes back in the answer.
        request: u32,
        /// Position of the worker in its pool.
        index: u32,
        /// Name of its stage.
        stage: String,
        /// Environment variables to set.
        env: Vec<(String, String)>,
        /// What to load first, unless it is there.
        preloads: Vec<String>,
        /// Private memory that it may take beside what it is forked with.
        data_bytes_max: Option<u64>,
    },
    /// Load what workers will need, so that it is there when the first is forked.
    Load {
        /// What to load, unless it is there.
        preloads: Vec<String>,
    },
    /// This worker is about to end by itself: reap it soon.
    Await {
        /// Its process id.
        pid: u32,
    },
    /// Kill this worker with its group, and reap it soon.
    Kill {
        /// Its process id.
        pid: u32,
    },
}

/// Template to engine.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FromTemplate {
    /// A worker runs.
    Forked {
        /// From the order.
        request: u32,
        /// Its process id.
        pid: u32,
    },
    /// A worker could not be forked.
    ForkFailed {
        /// From the order.
        request: u32,
        /// Why.
        message: String,
    },
    /// A worker ended and was reaped.
    Exited {
        /// Its process id.
        pid: u32,
        /// Its exit code, unless a signal ended it.
        code: Option<i32>,
        /// The signal that ended it.
        signal: Option<i32>,
    },
}

/// Engine to worker.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToWorker {
    /// Load the functions; answered by `Loaded` or `Failed`.
    Load {
        /// What the runtime loads, in order.
        chain: Vec<Vec<u8>>,
        /// Whether the memory of a rate gate travels along.
        is_rate_limited: bool,
    },
    /// Run the chain over a batch; answered by any number of `Output` and `Errored`, then `Done`
    /// or `Failed`.
    Call {
        /// The batch.
        batch: PackedBatch,
        /// Loans of the worker that the engine no longer views.
        returned: Vec<u64>,
    },
    /// One more output may be sent.
    Continue {
        /// Loans of the worker that the engine no longer views.
        returned: Vec<u64>,
    },
    /// End.
    Stop,
}

/// Worker to engine.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FromWorker {
    /// The functions are loaded.
    Loaded,
    /// One output of the call.
    Output {
        /// The batch.
        batch: PackedBatch,
        /// Loans of the engine that the worker no longer views.
        returned: Vec<u64>,
    },
    /// The function failed for a row of the call, whose position the error holds, and goes on.
    Errored {
        /// What it raised.
        #[serde(with = "UserErrorForm")]
        error: UserError,
    },
    /// The call is done.
    Done {
        /// Loans of the engine that the worker no longer views.
        returned: Vec<u64>,
        /// Where the time went since the call before.
        spent: Spent,
    },
    /// The load or the call failed; the worker can go on.
    Failed {
        /// Why.
        fault: Fault,
        /// Loans of the engine that the worker no longer views.
        returned: Vec<u64>,
        /// Where the time went since the call before.
        spent: Spent,
    },
}

/// The form of [`WorkTimes`] in a message.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Spent {
    queue: Duration,
    transfer: Duration,
    conversion: Duration,
    function: Duration,
}

/// Why a load or a call failed.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Fault {
    /// A user's function raised.
    User(#[serde(with = "UserErrorForm")] UserError),
    /// There was no shared memory for an output.
    Memory {
        /// Size of the output.
        bytes: u64,
        /// The operating system's error number.
        errno: i32,
    },
    /// A batch from the engine could not be read: a fault of this crate.
    Input(String),
}

/// The form of [`UserError`] in a message.
#[derive(Serialize, Deserialize)]
#[serde(remote = "UserError")]
struct UserErrorForm {
    type_name: String,
    message: String,
    traceback: String,
    exception: Option<Vec<u8>>,
    row: Option<u64>,
    function: Option<String>,
    /// It stays in its process.
    #[serde(skip)]
    original: Option<Original>,
}

/// A batch in shared memory.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PackedBatch {
    /// Where its bytes are.
    pub(crate) regions: Vec<Region>,
    /// Files of them that the reader does not have; their descriptors travel along, in order.
    pub(crate) new_files: Vec<NewFile>,
    /// Files that its writer has given back.
    pub(crate) given_back: Vec<u32>,
    /// Its schema.
    pub(crate) schema: SchemaRef,
    /// Its arrays.
    pub(crate) layout: BatchLayout,
    /// Bytes that were copied to have them there, and bytes that were there already.
    pub(crate) moved_bytes: (u64, u64),
}

/// Memory that a batch lies in.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Region {
    /// A part of a file of the writer, on loan until the reader returns it.
    Lent {
        /// Number of the loan.
        loan: u64,
        /// Number of the file.
        file: u32,
        /// First byte in the file.
        offset: u64,
        /// Size in bytes.
        bytes: u64,
    },
    /// What the reader itself has lent.
    Yours {
        /// Number of the loan.
        loan: u64,
    },
}

/// A shared file.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct NewFile {
    /// Its writer's number for it; none is given twice.
    pub(crate) number: u32,
    /// Its size.
    pub(crate) bytes: u64,
}

/// A schema, sent once and named by a slot from then on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SchemaRef {
    /// Slot in the reader's table.
    pub(crate) slot: u32,
    /// The schema as an Arrow IPC flatbuffer when the slot is set or set anew.
    pub(crate) ipc: Option<Vec<u8>>,
}

/// Where the arrays of a batch are inside of its regions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct BatchLayout {
    /// Rows of the batch.
    pub(crate) rows: u64,
    /// Arrays, depth first: each before its children.
    pub(crate) arrays: Vec<ArrayLayout>,
    /// Buffers of the arrays in the same order; an array's validity bitmap comes first.
    pub(crate) buffers: Vec<BufferLayout>,
}

/// One array. Its type is the schema's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ArrayLayout {
    /// Number of values.
    pub(crate) len: u64,
    /// Values to skip at the start (run-end encoded arrays only).
    pub(crate) offset: u64,
    /// Whether it has a validity bitmap.
    pub(crate) has_nulls: bool,
    /// Number of buffers beside the validity bitmap.
    pub(crate) buffers: u32,
}

/// One buffer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct BufferLayout {
    /// Position of its region; of an empty buffer any.
    pub(crate) region: u32,
    /// First byte in the region.
    pub(crate) offset: u64,
    /// Size without padding.
    pub(crate) bytes: u64,
}

impl From<WorkTimes> for Spent {
    fn from(times: WorkTimes) -> Self {
        let WorkTimes { queue, transfer, conversion, function } = times;
        Self { queue, transfer, conversion, function }
    }
}

impl From<Spent> for WorkTimes {
    fn from(spent: Spent) -> Self {
        let Spent { queue, transfer, conversion, function } = spent;
        Self { queue, transfer, conversion, function }
    }
}

impl From<Loan> for Region {
    fn from(Loan { number, file, offset, bytes }: Loan) -> Self {
        Self::Lent { loan: number, file, offset, bytes }
    }
}

impl FromTemplate {
    /// The message that tells how a worker ended.
    pub(crate) fn exited(pid: u32, exit: Exit) -> Self {
        let (code, signal) = match exit {
            Exit::Code(code) => (Some(code), None),
            Exit::Signal(signal) => (None, Some(signal)),
            Exit::Late(_) | Exit::Relieved | Exit::Closed | Exit::Unknown => (None, None),
        };
        Self::Exited { pid, code, signal }
    }
}

/// A message as bytes.
///
/// # Errors
/// When it cannot be encoded, which no message above can cause.
pub(crate) fn encode(message: &impl Serialize) -> io::Result<Vec<u8>> {
    postcard::to_stdvec(message).map_err(io::Error::other)
}

/// The message in a frame.
///
/// # Errors
/// When the bytes are no such message.
pub(crate) fn decode<M: DeserializeOwned>(frame: &[u8]) -> io::Result<M> {
    postcard::from_bytes(frame).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}
