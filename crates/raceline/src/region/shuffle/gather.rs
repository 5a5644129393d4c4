//! Rows from anywhere in many batches, in one batch of its own memory.

use std::sync::Arc;

use arrow::array::{Array, RecordBatch, RecordBatchOptions};
use arrow::compute::interleave;
use arrow::datatypes::SchemaRef;
use raceline_exec::compact;
use raceline_types::batch_sliced_bytes;

use super::error::ShuffleError;

/// Where a row is: which batch, and which row of it.
pub(super) type Position = (usize, usize);

/// Batches that are put out have about this many bytes.
const OUTPUT_BYTES: usize = 4 << 20;
/// And at most this many rows.
const OUTPUT_ROWS_MAX: usize = 64 * 1024;

/// The rows of `batches`, all of the schema `schema`, at `positions`, in that order.
///
/// # Errors
/// When Arrow cannot hold the rows in one batch.
pub(super) fn gather(
    schema: &SchemaRef,
    batches: &[RecordBatch],
    positions: &[Position],
) -> Result<RecordBatch, ShuffleError> {
    let columns = (0..schema.fields().len()).map(|at| {
        let arrays: Vec<&dyn Array> =
            batches.iter().map(|batch| batch.column(at).as_ref()).collect();
        // Views would keep the values of all rows that they were gathered from alive.
        compact(&interleave(&arrays, positions)?)
    });
    let options = RecordBatchOptions::new().with_row_count(Some(positions.len()));
    columns
        .collect::<Result<Vec<_>, _>>()
        .and_then(|columns| {
            RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
        })
        .map_err(|source| ShuffleError::Gather { source })
}

/// Rows that a batch of gathered rows should have, when it is made of rows like these.
pub(super) fn output_rows(batches: &[RecordBatch]) -> usize {
    let bytes = batches.iter().map(batch_sliced_bytes).sum();
    batch_rows(bytes, batches.iter().map(RecordBatch::num_rows).sum())
}

/// Rows that a batch should have, when `rows` of them have `bytes`.
pub(super) fn batch_rows(bytes: usize, rows: usize) -> usize {
    let row_bytes = bytes.checked_div(rows).unwrap_or(0).max(1);
    (OUTPUT_BYTES / row_bytes).clamp(1, OUTPUT_ROWS_MAX)
}
