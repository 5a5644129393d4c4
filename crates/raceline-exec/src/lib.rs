//! The machine: what runs (sources, operators, regions), how it is scheduled, what it may
//! hold, and what it tells while it runs.
//!
//! This crate does not know *what* it runs: no `DataFusion`, no Python, no storage.

mod emit;
mod operator;
mod region;
mod snapshot;
mod source;

pub use emit::Emit;
pub use operator::{BatchShape, Operator, PoolShape};
pub use region::{PortStream, Region};
pub use snapshot::{Snapshot, StageSnapshot, StageState};
pub use source::{Source, SplitReader};
