//! Foreign functions in the thread that waits for their run, as a debugger wants it.
//!
//! No thread of the engine calls them, and none is held up: an operator leaves an *errand* at the
//! run's desk, whoever waits for the run attends to it, one step at a time, and is free again to
//! take the batch that may have come of it. While nobody waits for the run, its functions stand
//! still.

mod desk;
mod operator;

pub use desk::{CallerDesk, CallerFailure, CallerLoader, CallerRuntime, Errand, Interruption};
pub use operator::{CallerOperator, CallerSpec};
