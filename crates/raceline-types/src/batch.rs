//! A record batch with the record of where its rows came from.

use arrow_array::RecordBatch;

use crate::id::SplitId;
use crate::memory::batch_sliced_bytes;

/// A run of rows of one split.
///
/// Rows are counted before any operator ran: from the start of the dataset where a source knows
/// that (ranges, batches in memory), else from the start of what the split's reader produced.
/// They are row ordinals, never batch numbers, so that cutting batches differently does not
/// change their meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    /// The split the rows belong to.
    pub split: SplitId,
    /// Ordinal of the first row.
    pub first_row: u64,
    /// Number of rows.
    pub rows: u64,
}

/// A record batch and the spans that its rows were derived from.
///
/// `origin` *covers* the batch: every row was derived from rows inside these spans, in span
/// order. A row-preserving operator hands the spans on unchanged; one that drops or multiplies
/// rows (a filter, a flat map) hands on the spans of its whole input. The output of an
/// operator that mixes rows of its whole input (a sort, an aggregate) has no origin.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The rows.
    pub data: RecordBatch,
    /// Where the rows came from; empty when rows of the whole input were mixed.
    pub origin: Vec<Span>,
}

impl Batch {
    /// A batch derived from `origin`.
    #[must_use]
    pub fn new(data: RecordBatch, origin: Vec<Span>) -> Self {
        Self { data, origin }
    }

    /// A batch without origin.
    #[must_use]
    pub fn without_origin(data: RecordBatch) -> Self {
        Self { data, origin: Vec::new() }
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.data.num_rows()
    }

    /// Bytes that the rows occupy, each buffer counted once at its sliced size.
    #[must_use]
    pub fn bytes(&self) -> usize {
        batch_sliced_bytes(&self.data)
    }

    /// Rows `[first, first + rows)` of this batch, sharing its memory.
    ///
    /// The spans are cut to the same rows when they map one to one onto the batch; otherwise
    /// the slice keeps all of them, which still covers it.
    ///
    /// # Panics
    /// When the range leaves the batch.
    #[must_use]
    pub fn slice(&self, first: usize, rows: usize) -> Self {
        let data = self.data.slice(first, rows);
        let covered: u64 = self.origin.iter().map(|span| span.rows).sum();
        if covered != self.data.num_rows() as u64 {
            return Self { data, origin: self.origin.clone() };
        }
        Self { data, origin: slice_spans(&self.origin, first as u64, rows as u64) }
    }
}

/// The part of `spans` that holds rows `[first, first + rows)` of their concatenation.
fn slice_spans(spans: &[Span], first: u64, rows: u64) -> Vec<Span> {
    let (start, end) = (first, first + rows);
    let mut position = 0;
    let mut kept = Vec::new();
    for span in spans {
        let from = start.max(position);
        let to = end.min(position + span.rows);
        if from < to {
            kept.push(Span {
                split: span.split,
                first_row: span.first_row + (from - position),
                rows: to - from,
            });
        }
        position += span.rows;
    }
    kept
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Int64Array, RecordBatch};
    use arrow_schema::{DataType, Field, Schema};

    use super::*;

    fn span(split: u64, first_row: u64, rows: u64) -> Span {
        Span { split: SplitId(split), first_row, rows }
    }

    fn batch(rows: i64, origin: Vec<Span>) -> Batch {
        let schema = Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, false)]));
        let ids = Arc::new(Int64Array::from_iter_values(0..rows));
        Batch::new(RecordBatch::try_new(schema, vec![ids]).unwrap(), origin)
    }

    #[test]
    fn a_slice_keeps_exactly_the_spans_of_its_rows() {
        let whole = batch(10, vec![span(0, 90, 4), span(1, 0, 6)]);
        assert_eq!(whole.slice(2, 5).origin, vec![span(0, 92, 2), span(1, 0, 3)]);
        assert_eq!(whole.slice(4, 6).origin, vec![span(1, 0, 6)]);
        assert!(whole.slice(3, 0).origin.is_empty());
    }

    #[test]
    fn a_slice_of_a_filtered_batch_keeps_the_cover() {
        let filtered = batch(3, vec![span(7, 0, 100)]);
        assert_eq!(filtered.slice(1, 1).origin, vec![span(7, 0, 100)]);
    }
}
