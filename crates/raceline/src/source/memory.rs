//! Batches that are already in memory.

use std::sync::Arc;

use arrow::array::RecordBatch;
use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use raceline_exec::{Emit, Source, SplitReader};
use raceline_types::{Batch, Failure, InternalError, Span, Split, SplitId, batch_sliced_bytes};

use super::even_cuts;

/// Batches in memory, cut so that every CPU finds work.
#[derive(Debug)]
pub(crate) struct MemorySource {
    name: &'static str,
    batches: Arc<[RecordBatch]>,
    splits_wanted: u64,
}

impl MemorySource {
    /// `batches` in at least `splits_wanted` splits (as long as there are rows).
    pub(crate) fn new(name: &'static str, batches: Arc<[RecordBatch]>, splits_wanted: u64) -> Self {
        Self { name, batches, splits_wanted }
    }
}

#[async_trait]
impl SplitReader for MemorySource {
    async fn read(&self, split: &Split, out: &mut dyn Emit) -> Result<(), Failure> {
        let Piece { first_row, rows } = split
            .payload
            .downcast_ref()
            .ok_or_else(|| InternalError::new("a memory source was given a foreign split"))?;
        let span = Span { split: split.id, first_row: *first_row, rows: rows.num_rows() as u64 };
        out.emit(Batch::new(rows.clone(), vec![span])).await
    }
}

#[async_trait]
impl Source for MemorySource {
    fn name(&self) -> Arc<str> {
        self.name.into()
    }

    fn splits(&self) -> BoxStream<'static, Result<Split, Failure>> {
        let batches = Arc::clone(&self.batches);
        let wanted = self.splits_wanted.div_ceil(batches.len().max(1) as u64);
        let mut start = 0;
        let pieces = (0..batches.len()).flat_map(move |index| {
            let batch = batches[index].clone();
            let rows = batch.num_rows() as u64;
            let first_row = start;
            start += rows;
            cuts(rows, wanted).map(move |(first, last)| Piece {
                first_row: first_row + first,
                rows: slice(&batch, first, last),
            })
        });
        let splits = pieces.enumerate().map(|(id, piece)| {
            let rows = piece.rows.num_rows() as u64;
            Ok(Split {
                id: SplitId(id as u64),
                label: format!("rows {}..{}", piece.first_row, piece.first_row + rows).into(),
                rows: Some(rows),
                estimated_bytes: Some(batch_sliced_bytes(&piece.rows) as u64),
                payload: Arc::new(piece),
            })
        });
        stream::iter(splits).boxed()
    }
}

/// The payload of a split.
struct Piece {
    /// Its first row, counted in all batches.
    first_row: u64,
    rows: RecordBatch,
}

/// Runs of the rows of a batch. A batch without rows is one run: it still carries the schema.
fn cuts(rows: u64, wanted: u64) -> Box<dyn Iterator<Item = (u64, u64)> + Send> {
    match rows {
        0 => Box::new(std::iter::once((0, 0))),
        rows => Box::new(even_cuts(rows, wanted, rows)),
    }
}

fn slice(batch: &RecordBatch, first: u64, last: u64) -> RecordBatch {
    let index = |row| usize::try_from(row).expect("the rows are in memory");
    batch.slice(index(first), index(last - first))
}
