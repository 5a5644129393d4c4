//! Sources: what a plan reads.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use raceline_types::{Failure, Split};

use crate::emit::Emit;

/// Reads one split from start to end.
///
/// # Contract
/// Reading the same split twice gives the same rows in the same order, as long as what it
/// points at has not changed.
///
/// # Order
/// Batches are emitted in the row order of the split.
///
/// # Memory
/// A reader holds at most a batch of its own beside what `emit` admitted.
///
/// # Cancellation
/// The future may be dropped at any await point; whatever it opened is released on drop.
///
/// # Errors
/// Name the file (`Failure::at_uri`) and, where known, the rows.
///
/// # Example
/// See [`Source`].
#[async_trait]
pub trait SplitReader: fmt::Debug + Send + Sync + 'static {
    /// Emits all rows of `split`, each batch with its spans (rows counted from 0 in the split).
    async fn read(&self, split: &Split, out: &mut dyn Emit) -> Result<(), Failure>;
}

/// A source: finds splits and reads them.
///
/// # Contract
/// `splits` may be called again for another execution and lists anew.
///
/// # Order
/// Splits come in source order with ids 0, 1, 2, …
///
/// # Memory
/// `splits` is lazy: listing overlaps reading and does not run ahead of the consumer by more
/// than its own page of results.
///
/// # Cancellation
/// Dropping the stream ends the listing.
///
/// # Errors
/// The first failure ends the stream.
///
/// # Example
/// A range of integers is one split per million rows; `read` emits batches of a fixed number of
/// rows of the split.
#[async_trait]
pub trait Source: SplitReader {
    /// Short name for progress, `explain` and errors: `ReadParquet`, `Range`.
    fn name(&self) -> Arc<str>;

    /// The splits, found lazily.
    fn splits(&self) -> BoxStream<'static, Result<Split, Failure>>;
}
