//! Batches cut anew by numbers of rows.

use std::collections::VecDeque;

use arrow::compute::concat_batches;
use arrow::record_batch::RecordBatch;
use raceline_types::{Failure, batch_sliced_bytes, unite_batches};

use super::repartition::RepartitionError;

/// Rows in the order in which they came, given out by number.
#[derive(Debug, Default)]
pub(super) struct Rows {
    held: VecDeque<RecordBatch>,
    held_rows: usize,
}

impl Rows {
    /// Adds the rows of `batch`.
    pub(super) fn push(&mut self, batch: RecordBatch) {
        self.held_rows += batch.num_rows();
        self.held.push_back(batch);
    }

    /// How many rows there are.
    pub(super) fn held_rows(&self) -> usize {
        self.held_rows
    }

    /// Bytes of the rows that there are.
    pub(super) fn held_bytes(&self) -> usize {
        self.held.iter().map(batch_sliced_bytes).sum()
    }

    /// Takes the first `rows` rows, or all where there are fewer, as one batch. `None` when there
    /// is not even a batch without rows.
    pub(super) fn take(&mut self, rows: usize) -> Result<Option<RecordBatch>, Failure> {
        let mut parts = Vec::new();
        let mut wanted = rows.min(self.held_rows);
        self.held_rows -= wanted;
        while let Some(batch) = self.held.pop_front() {
            let taken = wanted.min(batch.num_rows());
            wanted -= taken;
            if taken < batch.num_rows() {
                let rest = batch.slice(taken, batch.num_rows() - taken);
                parts.push(batch.slice(0, taken));
                self.held.push_front(rest);
                break;
            }
            parts.push(batch);
        }
        // Of batches without rows one is enough, and none where there are others.
        let mut empty = None;
        parts.retain(|part| {
            if part.num_rows() == 0 {
                empty.get_or_insert_with(|| part.clone());
            }
            part.num_rows() > 0
        });
        if parts.len() < 2 {
            return Ok(parts.pop().or(empty));
        }
        let parts = unite_batches(parts)?;
        let joined = concat_batches(parts[0].schema_ref(), &parts);
        Ok(Some(joined.map_err(|source| RepartitionError::Join { source })?))
    }
}
