//! Batches that are already in memory.

use std::sync::Arc;

use arrow::array::RecordBatch;
use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use raceline_exec::{Emit, Source, SplitReader};
use raceline_types::{Batch, Failure, InternalError, Span, Split, SplitId};

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
        let batch = split
            .payload
            .downcast_ref::<RecordBatch>()
            .ok_or_else(|| InternalError::new("a memory source was given a foreign split"))?;
        let span = Span { split: split.id, first_row: 0, rows: batch.num_rows() as u64 };
        out.emit(Batch::new(batch.clone(), vec![span])).await
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
        let slices = (0..batches.len()).flat_map(move |index| {
            let batch = batches[index].clone();
            // A batch without rows still carries the schema.
            let rows = batch.num_rows() as u64;
            let cuts: Box<dyn Iterator<Item = (u64, u64)> + Send> = if rows == 0 {
                Box::new(std::iter::once((0, 0)))
            } else {
                Box::new(even_cuts(rows, wanted, rows))
            };
            cuts.map(move |(first, last)| (index, first, last, slice(&batch, first, last)))
        });
        let splits = slices.enumerate().map(|(id, (index, first, last, slice))| {
            Ok(Split {
                id: SplitId(id as u64),
                label: format!("batch {index}, rows {first}..{last}").into(),
                rows: Some(last - first),
                estimated_bytes: Some(raceline_types::batch_sliced_bytes(&slice) as u64),
                payload: Arc::new(slice),
            })
        });
        stream::iter(splits).boxed()
    }
}

fn slice(batch: &RecordBatch, first: u64, last: u64) -> RecordBatch {
    let index = |row| usize::try_from(row).expect("the rows are in memory");
    batch.slice(index(first), index(last - first))
}
