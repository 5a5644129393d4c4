//! The machine: what runs (sources, operators, regions), how it is scheduled, what it may
//! hold, and what it tells while it runs.
//!
//! This crate does not know *what* it runs: no `DataFusion`, no Python, no storage.

mod account;
mod column_memories;
mod emit;
mod error;
mod execution;
mod graph;
mod join;
mod machine;
mod operator;
mod pools;
mod port;
mod region;
mod scheduler;
mod sharing;
mod shell;
mod snapshot;
mod source;
mod spill;
mod wait;
mod weigh;
mod work;
mod worker_memory;

pub use account::{Held, Level, MemoryAccount, StageAccounts, StageMemory};
pub use emit::Emit;
pub use error::ExecError;
pub use execution::{Execution, ExecutionHandle, ExecutionOptions, Waited, execute};
pub use graph::{Graph, NodeId};
pub use machine::{Machine, MachineOptions};
pub use operator::{BatchBounds, BatchShape, Operator, PoolShape, Seat, WorkerShape};
pub use region::{PortStream, Region};
pub use snapshot::{MovedBytes, Snapshot, StageSnapshot, StageState, WorkTimes};
pub use source::{Source, SplitReader};
pub use spill::{
    BlockReader, Exchange, ExchangePartition, FolderRefusal, KeptRows, Refusal, SessionFolder,
    SpillBlock, SpillBuffer, SpillError, SpillFile, SpillFolder, SpillLog, SpillOptions,
    SpillReader, SpillStore, SpillWriter, compact, sweep_folders,
};
pub use wait::{Wait, WaitOn};
pub use worker_memory::{Relief, Then, WorkerMemory};
