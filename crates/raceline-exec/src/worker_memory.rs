//! What operators tell of the memory of their workers, and what they are told about it.

/// What one worker of an operator holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerMemory {
    /// Its number; `None` for one that the graph has not started.
    pub worker: Option<usize>,
    /// Tells its process from others that had the same number.
    pub process: u32,
    /// Private resident memory in bytes; shared memory is not the worker's.
    pub bytes: u64,
    /// Batches, or pieces of them, that this process is done with.
    pub finished: u64,
    /// Rows of the batch, or piece, that it is at; `None` while it starts and without work.
    pub rows: Option<usize>,
}

/// Why a worker is ended in the middle of its work, and what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relief {
    /// What it holds.
    pub bytes: u64,
    /// The most that a worker of its operator has held.
    pub peak_bytes: u64,
    /// What workers may hold, all of them together.
    pub limit_bytes: u64,
    /// What follows.
    pub then: Then,
}

/// What becomes of the work of a worker that is ended to have its memory back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// It is run again at once, in a new process.
    Again,
    /// It is run again, a batch after the other: no worker of the operator is sent another batch
    /// before it has ended the one that it is at.
    Alone,
    /// It is run again in pieces of at most so many rows, and so is all work of the operator from
    /// then on.
    Smaller(usize),
    /// It is run again when the worker is readmitted.
    Later,
    /// It fails.
    Fail,
}
