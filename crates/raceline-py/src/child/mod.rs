//! The Python half of worker processes: what `python -m raceline._worker` runs.
//!
//! The protocol, the segments and the life cycle are `raceline_worker`'s; the conventions of
//! calling functions are the Python module `raceline._chain`'s. This is the bridge.

mod batch;
mod collector;
mod runtime;
mod template;

pub(crate) use batch::{WorkerBatch, is_plain_value, join_batches, value_to_batches};
pub(crate) use collector::RowCollector;
pub(crate) use runtime::{RateGate, Stopwatch};
pub(crate) use template::{WorkerRequest, WorkerTemplate};
