//! Batches that were kept in memory and on disk.

use std::ops::Range;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use raceline_exec::{Emit, Source, SplitReader};
use raceline_types::{Batch, Failure, InternalError, Span, Split, SplitId};

use crate::kept::Kept;

/// Batches on disk that are read as one split: enough that starting one does not count.
const SPLIT_BATCHES: usize = 8;

/// The rows of a dataset that keeps them.
#[derive(Clone, Debug)]
pub(crate) struct KeptSource {
    name: &'static str,
    kept: Arc<Kept>,
}

/// The payload of a split: where its rows are.
#[derive(Clone, Debug)]
enum Piece {
    /// So manieth batch in memory.
    Held(usize),
    /// So manieth batches on disk.
    Spilled(Range<usize>),
}

impl KeptSource {
    pub(crate) fn new(name: &'static str, kept: Arc<Kept>) -> Self {
        Self { name, kept }
    }

    /// All pieces in order, with the number of rows of each.
    fn pieces(&self) -> Vec<(Piece, u64)> {
        let held = self.kept.rows.held().iter().map(RecordBatch::num_rows).enumerate();
        let held = held.map(|(at, rows)| (Piece::Held(at), rows as u64));
        let spilled = self.kept.rows.spilled_rows();
        let groups = spilled.chunks(SPLIT_BATCHES).enumerate().map(|(at, rows)| {
            let first = at * SPLIT_BATCHES;
            let piece = Piece::Spilled(first..first + rows.len());
            (piece, rows.iter().sum::<usize>() as u64)
        });
        held.chain(groups).collect()
    }
}

#[async_trait]
impl SplitReader for KeptSource {
    async fn read(&self, split: &Split, out: &mut dyn Emit) -> Result<(), Failure> {
        let (piece, mut first_row) = split
            .payload
            .downcast_ref::<(Piece, u64)>()
            .cloned()
            .ok_or_else(|| InternalError::new("a kept dataset was given a foreign split"))?;
        let mut emit = async |batch: RecordBatch| {
            let rows = batch.num_rows() as u64;
            let span = Span { split: split.id, first_row, rows };
            first_row += rows;
            out.emit(Batch::new(batch, vec![span])).await
        };
        match piece {
            Piece::Held(at) => emit(self.kept.rows.held()[at].clone()).await,
            Piece::Spilled(batches) => {
                for batch in self.kept.rows.read_spilled(batches)? {
                    emit(batch?).await?;
                }
                Ok(())
            }
        }
    }
}

#[async_trait]
impl Source for KeptSource {
    fn name(&self) -> Arc<str> {
        self.name.into()
    }

    fn splits(&self) -> BoxStream<'static, Result<Split, Failure>> {
        let mut first_row = 0;
        let splits = self.pieces().into_iter().enumerate().map(move |(id, (piece, rows))| {
            let first = first_row;
            first_row += rows;
            Ok(Split {
                id: SplitId(id as u64),
                label: format!("rows {first}..{first_row}").into(),
                rows: Some(rows),
                estimated_bytes: None,
                payload: Arc::new((piece, first)),
            })
        });
        stream::iter(splits.collect::<Vec<_>>()).boxed()
    }
}
