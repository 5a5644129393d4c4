//! What an execution tells about itself while it runs and after it ended.

use std::sync::Arc;
use std::time::Duration;

use crate::account::StageMemory;
use crate::wait::Wait;

/// State of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StageState {
    /// Nothing has started yet.
    Waiting,
    /// Work is running or queued.
    Running,
    /// All output was handed on, or nobody needs more.
    Finished,
    /// Its failure ended the execution.
    Failed,
}

/// Where the time of foreign functions went, added up over all that worked at the same time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkTimes {
    /// Workers waited: for a batch, and for room for an output.
    pub queue: Duration,
    /// Batches were packed, sent and unpacked, at both ends.
    pub transfer: Duration,
    /// Batches became what the functions take, and what they returned became batches.
    pub conversion: Duration,
    /// The functions ran.
    pub function: Duration,
}

impl std::ops::Add for WorkTimes {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            queue: self.queue + other.queue,
            transfer: self.transfer + other.transfer,
            conversion: self.conversion + other.conversion,
            function: self.function + other.function,
        }
    }
}

/// Bytes of batches that went to other processes and of those that came back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MovedBytes {
    /// They were copied to memory that both see.
    pub copied: u64,
    /// They were there already.
    pub passed: u64,
}

impl std::ops::Add for MovedBytes {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { copied: self.copied + other.copied, passed: self.passed + other.passed }
    }
}

/// One stage at one moment. Counters only grow.
#[derive(Clone, Debug)]
pub struct StageSnapshot {
    /// Name: operators that run fused are joined by `->`.
    pub name: Arc<str>,
    /// State.
    pub state: StageState,
    /// Rows taken in.
    pub input_rows: u64,
    /// Rows handed out.
    pub output_rows: u64,
    /// Bytes handed out.
    pub output_bytes: u64,
    /// Batches handed out.
    pub output_batches: u64,
    /// Pieces of work (splits, batches) that ended.
    pub tasks_finished: u64,
    /// Pieces of work, when all are known.
    pub tasks_total: Option<u64>,
    /// Pieces of work running now.
    pub tasks_running: u64,
    /// Bytes waiting in its output queue.
    pub queued_bytes: u64,
    /// Live worker processes.
    pub workers: u64,
    /// What it holds, account by account.
    pub memory: StageMemory,
    /// The most that one of its worker processes held.
    pub worker_bytes_peak: u64,
    /// Rows that a function failed for and that were left out.
    pub errored_rows: u64,
    /// Rows of a batch that were fastest so far, where that is looked for.
    pub batch_rows: Option<u64>,
    /// Time that its work ran, summed over concurrent work.
    pub busy: Duration,
    /// From its first start to its end (or to now).
    pub elapsed: Duration,
    /// Where the time of its foreign functions went; `None` where it called none.
    pub times: Option<WorkTimes>,
    /// What its batches took to reach worker processes and to come back; `None` where there were
    /// none.
    pub moved: Option<MovedBytes>,
}

/// A whole execution at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Stages, inputs before what consumes them.
    pub stages: Vec<StageSnapshot>,
    /// Since the execution started (until it ended).
    pub elapsed: Duration,
    /// Bytes held in queues now.
    pub queued_bytes: u64,
    /// Most bytes ever held in queues.
    pub queued_bytes_peak: u64,
    /// Whether it ended.
    pub finished: bool,
    /// For how long nothing has moved that somebody waits for; `None` while nobody waits.
    pub quiet: Option<Duration>,
    /// Who waits on what: first whoever reads the output, the cause last, or several of them
    /// where one stage waits for more than one input.
    pub waits: Vec<Wait>,
}
