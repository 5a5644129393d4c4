//! What a reader hands on, with its rows counted.

use std::sync::Arc;

use arrow::array::{RecordBatch, new_empty_array};
use arrow::datatypes::DataType;
use raceline_exec::Emit;
use raceline_plan::FileSplit;
use raceline_types::{Batch, Failure, InternalError, Span, Split};

use super::columns::FileColumns;

/// Batches are put out when they hold this many bytes of content.
pub(super) const BATCH_BYTES: usize = 8 << 20;

/// The files of `split`.
pub(super) fn files_of(split: &Split) -> Result<Arc<Vec<FileSplit>>, Failure> {
    Arc::clone(&split.payload).downcast::<Vec<FileSplit>>().map_err(|_| {
        InternalError::new(format!("{} `{}` is no split of files", split.id, split.label)).into()
    })
}

/// The rows of one split on their way out.
pub(super) struct Output<'a> {
    split: &'a Split,
    columns: &'a FileColumns,
    out: &'a mut dyn Emit,
    rows: u64,
    batches: u64,
}

impl<'a> Output<'a> {
    pub(super) fn new(split: &'a Split, columns: &'a FileColumns, out: &'a mut dyn Emit) -> Self {
        Self { split, columns, out, rows: 0, batches: 0 }
    }

    /// Hands `data` on as the next rows of the split.
    pub(super) async fn emit(&mut self, data: RecordBatch) -> Result<(), Failure> {
        let rows = data.num_rows() as u64;
        let span = Span { split: self.split.id, first_row: self.rows, rows };
        self.rows += rows;
        self.batches += 1;
        self.out.emit(Batch::new(data, vec![span])).await
    }

    /// Hands on one row for each of `files`, none of which is opened: only their names are wanted.
    pub(super) async fn emit_names(&mut self, files: &[FileSplit]) -> Result<(), Failure> {
        let runs: Vec<_> = files.iter().map(|file| (file, 1)).collect();
        self.emit(self.columns.batch(|| new_empty_array(&DataType::Null), &runs)?).await
    }

    /// Ends the split: one that had no batch hands on an empty one, for its schema.
    pub(super) async fn finish(mut self) -> Result<(), Failure> {
        match self.batches {
            0 => {
                let schema = Arc::clone(self.columns.schema());
                self.emit(RecordBatch::new_empty(schema)).await
            }
            _ => Ok(()),
        }
    }
}
