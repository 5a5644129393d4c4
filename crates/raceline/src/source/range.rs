//! `range(n)`: integers made on the fly.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use raceline_exec::{Emit, Source, SplitReader};
use raceline_types::{Batch, Failure, InternalError, Span, Split, SplitId};

use super::even_cuts;

/// Rows of one batch: 512 KiB of int64, which stays in a core's cache.
const BATCH_ROWS: u64 = 64 * 1024;

/// The integers from 0 to `rows`, exclusive, in the int64 column `id`.
#[derive(Debug)]
pub(crate) struct RangeSource {
    rows: u64,
    splits_wanted: u64,
    schema: SchemaRef,
}

impl RangeSource {
    /// `rows` integers in at least `splits_wanted` splits (as long as there are rows).
    pub(crate) fn new(rows: u64, splits_wanted: u64) -> Self {
        Self { rows, splits_wanted, schema: range_schema() }
    }
}

/// Schema of a range.
pub(crate) fn range_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, true)]))
}

#[async_trait]
impl SplitReader for RangeSource {
    async fn read(&self, split: &Split, out: &mut dyn Emit) -> Result<(), Failure> {
        let (first, last) = *split
            .payload
            .downcast_ref::<(u64, u64)>()
            .ok_or_else(|| InternalError::new("a range source was given a foreign split"))?;
        let mut row = first;
        while row < last {
            let rows = BATCH_ROWS.min(last - row);
            let ids = Int64Array::from_iter_values(row.cast_signed()..(row + rows).cast_signed());
            let column: ArrayRef = Arc::new(ids);
            let data = RecordBatch::try_new(Arc::clone(&self.schema), vec![column])
                .map_err(|error| InternalError::caused_by("a range batch", error))?;
            let span = Span { split: split.id, first_row: row, rows };
            out.emit(Batch::new(data, vec![span])).await?;
            row += rows;
        }
        Ok(())
    }
}

#[async_trait]
impl Source for RangeSource {
    fn name(&self) -> Arc<str> {
        "Range".into()
    }

    fn splits(&self) -> BoxStream<'static, Result<Split, Failure>> {
        let rows_max = 1 << 20;
        let cuts = even_cuts(self.rows, self.splits_wanted, rows_max);
        let splits = cuts.enumerate().map(|(index, (first, last))| {
            Ok(Split {
                id: SplitId(index as u64),
                label: format!("range {first}..{last}").into(),
                rows: Some(last - first),
                estimated_bytes: Some((last - first) * 8),
                payload: Arc::new((first, last)),
            })
        });
        stream::iter(splits).boxed()
    }
}
