//! Joining the parts of a unit into one batch, and cutting large batches.

use std::sync::Arc;

use arrow::compute::concat;
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use raceline_types::{Batch, Failure, InternalError, Span};

use crate::error::ExecError;
use crate::scheduler::Morsel;

/// One batch of all rows of `parts`, in order. A single part is sliced, never copied. Parts
/// without rows count only where there are no rows at all.
///
/// # Errors
/// [`ExecError::TypeChanged`] and [`ExecError::ColumnsChanged`] when the parts' schemas differ
/// in more than nullability and metadata; [`ExecError::Join`] when Arrow cannot hold the rows.
pub(crate) fn join(parts: Vec<Morsel<Batch>>) -> Result<Batch, Failure> {
    let has_rows = parts.iter().any(|part| part.rows > 0);
    let parts = parts.into_iter().filter(|part| part.rows > 0 || !has_rows);
    let mut batches: Vec<Batch> = parts.map(rows_of).collect();
    match batches.len() {
        0 => Err(InternalError::new("a unit of work without a batch").into()),
        1 => Ok(batches.remove(0)),
        _ => join_many(&batches),
    }
}

fn rows_of(part: Morsel<Batch>) -> Batch {
    if part.rows == part.item.rows() {
        return part.item;
    }
    part.item.slice(part.first_row, part.rows)
}

fn join_many(batches: &[Batch]) -> Result<Batch, Failure> {
    let rows = batches.iter().map(Batch::rows).sum();
    let schema = common_schema(batches)?;
    let column = |index: usize| {
        let parts: Vec<_> = batches.iter().map(|b| b.data.column(index).as_ref()).collect();
        concat(&parts)
    };
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let data = (0..schema.fields().len())
        .map(column)
        .collect::<Result<Vec<_>, _>>()
        .and_then(|columns| RecordBatch::try_new_with_options(schema, columns, &options))
        .map_err(|source| ExecError::Join { rows, source })?;
    Ok(Batch::new(data, join_origins(batches)))
}

/// The first batch's schema, with every column nullable that is so in any batch.
fn common_schema(batches: &[Batch]) -> Result<SchemaRef, ExecError> {
    let first = batches[0].data.schema();
    let mut nullable: Vec<bool> = first.fields().iter().map(|field| field.is_nullable()).collect();
    for batch in &batches[1..] {
        let next = batch.data.schema();
        if Arc::ptr_eq(&first, &next) {
            continue;
        }
        check_same_columns(&first, &next)?;
        for (nullable, field) in nullable.iter_mut().zip(next.fields()) {
            *nullable |= field.is_nullable();
        }
    }
    let fields: Vec<Field> = first
        .fields()
        .iter()
        .zip(nullable)
        .map(|(field, nullable)| field.as_ref().clone().with_nullable(nullable))
        .collect();
    Ok(Arc::new(Schema::new_with_metadata(fields, first.metadata().clone())))
}

fn check_same_columns(before: &Schema, after: &Schema) -> Result<(), ExecError> {
    for (before, after) in before.fields().iter().zip(after.fields()) {
        if before.name() != after.name() {
            return Err(ExecError::ColumnsChanged { column: before.name().clone() });
        }
        if before.data_type() != after.data_type() {
            return Err(ExecError::TypeChanged {
                column: before.name().clone(),
                before: before.data_type().to_string(),
                after: after.data_type().to_string(),
            });
        }
    }
    let (short, long) = match before.fields().len().cmp(&after.fields().len()) {
        std::cmp::Ordering::Equal => return Ok(()),
        std::cmp::Ordering::Less => (before, after),
        std::cmp::Ordering::Greater => (after, before),
    };
    let column = long.field(short.fields().len()).name().clone();
    Err(ExecError::ColumnsChanged { column })
}

/// All spans in order, neighbours merged; none when some rows have no origin.
fn join_origins(batches: &[Batch]) -> Vec<Span> {
    if batches.iter().any(|batch| batch.rows() > 0 && batch.origin.is_empty()) {
        return Vec::new();
    }
    let mut joined: Vec<Span> = Vec::new();
    for span in batches.iter().flat_map(|batch| &batch.origin) {
        match joined.last_mut() {
            Some(last)
                if last.split == span.split && last.first_row + last.rows == span.first_row =>
            {
                last.rows += span.rows;
            }
            _ => joined.push(*span),
        }
    }
    joined
}

/// `batch` in pieces of about `target_bytes` at most, cut by rows; a single row is never cut.
/// Rows are taken to weigh alike.
pub(crate) fn cut(batch: Batch, target_bytes: u64) -> Vec<Morsel<Batch>> {
    let bytes = weight(&batch);
    let rows = batch.rows();
    let pieces = usize::try_from(bytes.div_ceil(target_bytes.max(1))).unwrap_or(usize::MAX);
    if pieces <= 1 || rows <= 1 {
        return vec![Morsel { item: batch, first_row: 0, rows, bytes }];
    }
    let piece_rows = rows.div_ceil(pieces);
    (0..rows)
        .step_by(piece_rows)
        .map(|first| {
            let item = batch.slice(first, piece_rows.min(rows - first));
            let bytes = bytes / rows as u64 * item.rows() as u64 + CARRY_BYTES;
            Morsel { first_row: 0, rows: item.rows(), bytes, item }
        })
        .collect()
}

/// What carrying any batch costs, so that batches without bytes are bounded too.
const CARRY_BYTES: u64 = 256;

fn weight(batch: &Batch) -> u64 {
    batch.bytes() as u64 + CARRY_BYTES
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, ArrayRef, Int64Array, StringArray};
    use raceline_types::SplitId;

    use super::*;

    fn batch(name: &str, values: ArrayRef, nullable: bool, origin: Vec<Span>) -> Batch {
        let field = Field::new(name, values.data_type().clone(), nullable);
        let schema = Arc::new(Schema::new(vec![field]));
        Batch::new(RecordBatch::try_new(schema, vec![values]).unwrap(), origin)
    }

    fn ids(first: i64, rows: i64, nullable: bool) -> Batch {
        let values = Arc::new(Int64Array::from_iter_values(first..first + rows));
        let (first_row, rows) = (first.unsigned_abs(), rows.unsigned_abs());
        let span = Span { split: SplitId(0), first_row, rows };
        batch("id", values, nullable, vec![span])
    }

    fn part(item: Batch, first_row: usize, rows: usize) -> Morsel<Batch> {
        Morsel { item, first_row, rows, bytes: 0 }
    }

    fn message(parts: Vec<Morsel<Batch>>) -> String {
        join(parts).unwrap_err().to_string()
    }

    #[test]
    fn parts_are_joined_in_order_with_merged_spans() {
        let joined =
            join(vec![part(ids(0, 10, false), 6, 4), part(ids(10, 5, true), 0, 2)]).unwrap();
        let expected = Int64Array::from_iter_values([6, 7, 8, 9, 10, 11]);
        assert_eq!(joined.data.column(0).as_ref(), &expected as &dyn Array);
        assert_eq!(joined.origin, [Span { split: SplitId(0), first_row: 6, rows: 6 }]);
        assert!(joined.data.schema().field(0).is_nullable());
    }

    #[test]
    fn rows_without_origin_leave_the_whole_without() {
        let mixed = Batch::without_origin(ids(0, 2, false).data);
        let joined = join(vec![part(ids(0, 2, false), 0, 2), part(mixed, 0, 2)]).unwrap();
        assert!(joined.origin.is_empty());
    }

    #[test]
    fn batches_without_columns_keep_their_rows() {
        let options = RecordBatchOptions::new().with_row_count(Some(3));
        let schema = Arc::new(Schema::empty());
        let data = RecordBatch::try_new_with_options(schema, vec![], &options).unwrap();
        let one = Batch::without_origin(data);
        let joined = join(vec![part(one.clone(), 0, 3), part(one, 0, 3)]).unwrap();
        assert_eq!(joined.rows(), 6);
    }

    #[test]
    fn a_changed_column_is_named() {
        let text = batch("id", Arc::new(StringArray::from(vec!["a"])), false, vec![]);
        assert_eq!(
            message(vec![part(ids(0, 1, false), 0, 1), part(text, 0, 1)]),
            "column `id` changed its type from `Int64` to `Utf8`"
        );
        let other = batch("key", Arc::new(Int64Array::from(vec![1])), false, vec![]);
        assert_eq!(
            message(vec![part(ids(0, 1, false), 0, 1), part(other, 0, 1)]),
            "the columns changed: `id` is in one batch and not in the next"
        );
    }

    #[test]
    fn large_batches_are_cut_by_rows() {
        let rows: Vec<usize> =
            cut(ids(0, 1000, false), 2000).iter().map(|piece| piece.rows).collect();
        assert_eq!(rows, [200, 200, 200, 200, 200]);
        let bytes: u64 = cut(ids(0, 1000, false), 2000).iter().map(|piece| piece.bytes).sum();
        assert!((8_000..8_000 + 6 * CARRY_BYTES).contains(&bytes), "{bytes}");
        assert_eq!(cut(ids(0, 1, false), 1).len(), 1, "a row is never cut");
    }
}
