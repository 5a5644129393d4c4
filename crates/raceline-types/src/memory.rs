//! What a batch weighs.

use arrow_array::{Array, ArrayRef, RecordBatch};

/// Bytes of the rows of `batch`: every buffer at its sliced size, so that a slice of a large
/// batch weighs what it holds and not what it keeps alive.
#[must_use]
pub fn batch_sliced_bytes(batch: &RecordBatch) -> usize {
    batch.columns().iter().map(array_sliced_bytes).sum()
}

/// Bytes of one array at its sliced size.
///
/// Arrays whose layout cannot be measured by slice (views) count their whole buffers.
#[must_use]
pub fn array_sliced_bytes(array: &ArrayRef) -> usize {
    let data = array.to_data();
    data.get_slice_memory_size().unwrap_or_else(|_| array.get_buffer_memory_size())
}
