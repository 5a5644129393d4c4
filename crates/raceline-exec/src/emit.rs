//! Where a running source, operator or region puts its output.

use std::sync::Arc;

use async_trait::async_trait;
use raceline_types::{Batch, ColumnMemory, Failure, HeapMemory};

use crate::account::StageAccounts;

/// The output side of work in progress.
///
/// # Contract
/// `emit` may be called any number of times while the work runs. An empty batch (no rows) is
/// passed on when it is the first of its work, so that a schema without rows is not lost.
///
/// # Order
/// Batches of one piece of work keep the order in which they were emitted; between pieces of
/// work the graph restores input order.
///
/// # Memory
/// `emit` returns once the batch is admitted to the budget; until then the caller waits and
/// must hold no lock and no CPU-bound state that others need. Batches larger than the target
/// size are cut by the graph.
///
/// # Cancellation
/// When the execution is cancelled, or nobody needs the output any more, `emit` fails with a
/// failure of kind [`raceline_types::ErrorKind::Cancelled`]; the work passes it on and ends.
///
/// # Errors
/// The cancellation above, and what an operator that runs fused behind the work fails with, or the
/// consumer that tells what rows weigh.
///
/// # Example
/// ```
/// use raceline_exec::Emit;
/// use raceline_types::{Batch, Failure};
///
/// async fn twice(input: Batch, out: &mut dyn Emit) -> Result<(), Failure> {
///     out.emit(input.clone()).await?;
///     out.emit(input).await
/// }
/// ```
#[async_trait]
pub trait Emit: Send {
    /// Hands one batch on; see the trait for what waiting and failing mean.
    async fn emit(&mut self, batch: Batch) -> Result<(), Failure>;

    /// Where the work tells of what it holds beside the batches that the graph knows of: those it
    /// was given and those that it has emitted. By default accounts that nobody reads.
    fn accounts(&self) -> StageAccounts {
        StageAccounts::default()
    }

    /// Where large columns of what the work emits are best written, since whoever takes them reads
    /// them there. By default the heap.
    fn memory(&self) -> Arc<dyn ColumnMemory> {
        HeapMemory::shared()
    }
}
