//! Foreign functions in processes, whatever their language; or in the thread that waits for them.
//!
//! The engine half forks workers from a *template* process, sends them record batches through
//! shared memory and hands on what they return. The child half, linked into the language's own
//! process, serves them: a language implements [`Runtime`] and forks; everything else is here.
//!
//! ```text
//! engine                         template             worker
//! ProcessOperator ─ Pool         TemplateLoop         serve(socket, Runtime)
//!        │           └ Worker ────── control socket ──────┘  │
//!        └ Template ─── socket ───┘     shared memory ◄──────┘
//! ```
//!
//! What a session leaves behind is nothing: workers end with the socket that the engine holds,
//! also when they are busy, and shared memory has no name.

mod caller;
mod child;
mod crossing;
mod device;
mod error;
mod errored;
mod fork;
mod gpus;
mod ledger;
mod memory;
mod operator;
mod output;
mod own_memory;
mod pack;
mod place;
mod pool;
mod process;
mod replay;
mod segment;
mod template;
mod transfer;
mod user_error;
mod wire;
mod worker;

pub use caller::{
    CallerDesk, CallerFailure, CallerLoader, CallerOperator, CallerRuntime, CallerSpec, Errand,
    Interruption,
};
pub use child::{Answer, Caller, Runtime, Stopped, serve};
pub use crossing::Crossing;
pub use device::GpuLedger;
pub use error::{Exit, UdfError, WorkerError};
pub use errored::{ErroredBatches, ErroredRow, ErroredRows};
pub use fork::{ForkRequest, TemplateLoop, TemplateOrder};
pub use gpus::{declare_gpus, find_gpus};
pub use operator::{NoteBatchRows, ProcessOperator, ProcessSpec, RowCosts, TemplateSource};
pub use output::LineSink;
pub use own_memory::OwnMemory;
pub use segment::RateGate;
pub use template::{Launcher, Template};
pub use user_error::{Original, UserError};
