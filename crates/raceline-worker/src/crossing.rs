//! What of a batch crosses to a worker, and what the engine makes of the answer.

use std::fmt;

use arrow::record_batch::RecordBatch;
use raceline_types::Failure;

/// Sends a worker less than the whole batch, and puts the rest beside what it answers.
///
/// # Contract
/// `output` is called for each batch that a worker returns for an input, with the same input that
/// `sent` was called with. Both are functions of their arguments alone: batches are sent again
/// when a worker dies.
///
/// # Order
/// `sent` keeps the rows of the input and their order. Answers come in order.
///
/// # Memory
/// Columns that stay are not copied.
///
/// # Cancellation
/// Neither waits.
///
/// # Errors
/// A failure ends the run.
///
/// # Example
/// ```
/// use arrow::record_batch::RecordBatch;
/// use raceline_types::{Failure, InternalError};
/// use raceline_worker::Crossing;
///
/// /// Sends the first column.
/// #[derive(Debug)]
/// struct First;
///
/// impl Crossing for First {
///     fn sent(&self, input: &RecordBatch) -> Result<RecordBatch, Failure> {
///         let first = input.project(&[0]);
///         first.map_err(|error| InternalError::caused_by("no column", error).into())
///     }
///     fn output(
///         &self,
///         _input: &RecordBatch,
///         _answered: usize,
///         answer: RecordBatch,
///     ) -> Result<RecordBatch, Failure> {
///         Ok(answer)
///     }
/// }
/// ```
pub trait Crossing: fmt::Debug + Send + Sync + 'static {
    /// The batch that the worker gets for `input`: as many rows.
    ///
    /// # Errors
    /// When there is none.
    fn sent(&self, input: &RecordBatch) -> Result<RecordBatch, Failure>;

    /// The output for `answer`, which the worker returned for `input` after `answered` rows.
    ///
    /// # Errors
    /// When the answer does not fit the input.
    fn output(
        &self,
        input: &RecordBatch,
        answered: usize,
        answer: RecordBatch,
    ) -> Result<RecordBatch, Failure>;
}
