//! Regions: streaming work over whole inputs: sorts, aggregates, limits, unions, sinks.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use raceline_types::{Batch, Failure};

use crate::emit::Emit;

/// The ordered batches that arrive at one input port of a region.
///
/// Polling it frees the budget of the batch that it hands out: from then on the region accounts
/// for it. Dropping it tells the graph that the region needs no more of this input, which
/// cancels the work that only feeds it.
pub type PortStream = BoxStream<'static, Result<Batch, Failure>>;

/// Work that sees its whole input in order, in one place.
///
/// # Contract
/// `run` is called once an execution. It may drop a port early; it must not poll a port after
/// it ended or failed.
///
/// # Order
/// Ports deliver in input order when the execution preserves order. What `run` emits is the
/// order of the output.
///
/// # Memory
/// Reading a batch off a port takes it out of the queues' budget; a region that keeps batches
/// does so under its own fixed share, and tells of them in its [`Emit::accounts`].
///
/// # Cancellation
/// The future may be dropped at any await point; files staged until then are removed on drop.
///
/// # Errors
/// A failure from a port is passed on unchanged.
///
/// # Example
/// ```
/// use std::sync::Arc;
/// use async_trait::async_trait;
/// use futures::StreamExt;
/// use raceline_exec::{Emit, PortStream, Region};
/// use raceline_types::Failure;
///
/// #[derive(Debug)]
/// struct Union;
///
/// #[async_trait]
/// impl Region for Union {
///     fn name(&self) -> Arc<str> {
///         "Union".into()
///     }
///     async fn run(&self, ports: Vec<PortStream>, out: &mut dyn Emit) -> Result<(), Failure> {
///         for mut port in ports {
///             while let Some(batch) = port.next().await {
///                 out.emit(batch?).await?;
///             }
///         }
///         Ok(())
///     }
/// }
/// ```
#[async_trait]
pub trait Region: fmt::Debug + Send + Sync + 'static {
    /// Short name for progress, `explain` and errors: `Sort(price)`.
    fn name(&self) -> Arc<str>;

    /// Whether it takes in all of its input before its first output, so that what feeds it has
    /// ended by then.
    fn gathers(&self) -> bool {
        false
    }

    /// Whether it hands on batches of its input as they are, whole or in slices, so that they are
    /// best written where its output is.
    fn hands_on(&self) -> bool {
        false
    }

    /// Consumes `ports` (one stream an input, in plan order) and emits the output.
    async fn run(&self, ports: Vec<PortStream>, out: &mut dyn Emit) -> Result<(), Failure>;
}
