//! Joining the parts of a unit into one batch, and cutting large batches.

mod concat;

use raceline_types::{Batch, ColumnMemory, Failure, InternalError, Span, unite_batches};

use self::concat::concat_into;

use crate::error::ExecError;
use crate::scheduler::Morsel;

/// One batch of all rows of `parts`, in order, their columns united. A single part is sliced,
/// never copied; of several, large columns are written to `memory`. Parts without rows count only
/// where there are no rows at all.
///
/// # Errors
/// [`raceline_types::UniteError`] when columns cannot become one; [`ExecError::Join`] when Arrow
/// cannot hold the rows.
pub(crate) fn join(parts: Vec<Morsel<Batch>>, memory: &dyn ColumnMemory) -> Result<Batch, Failure> {
    let has_rows = parts.iter().any(|part| part.rows > 0);
    let parts = parts.into_iter().filter(|part| part.rows > 0 || !has_rows);
    let mut batches: Vec<Batch> = parts.map(rows_of).collect();
    match batches.len() {
        0 => Err(InternalError::new("a unit of work without a batch").into()),
        1 => Ok(batches.remove(0)),
        _ => join_many(batches, memory),
    }
}

pub(crate) fn rows_of(part: Morsel<Batch>) -> Batch {
    if part.rows == part.item.rows() {
        return part.item;
    }
    part.item.slice(part.first_row, part.rows)
}

fn join_many(batches: Vec<Batch>, memory: &dyn ColumnMemory) -> Result<Batch, Failure> {
    let rows = batches.iter().map(Batch::rows).sum();
    let origin = join_origins(&batches);
    let united = unite_batches(batches.into_iter().map(|batch| batch.data).collect())?;
    let data = concat_into(memory, united[0].schema_ref(), &united)
        .map_err(|source| ExecError::Join { rows, source })?;
    Ok(Batch::new(data, origin))
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
        return vec![Morsel { item: batch, first_row: 0, rows, bytes, weights: Vec::new() }];
    }
    let piece_rows = rows.div_ceil(pieces);
    (0..rows)
        .step_by(piece_rows)
        .map(|first| {
            let item = batch.slice(first, piece_rows.min(rows - first));
            let bytes = bytes / rows as u64 * item.rows() as u64 + CARRY_BYTES;
            Morsel { first_row: 0, rows: item.rows(), bytes, item, weights: Vec::new() }
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
    use std::sync::Arc;

    use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, StringArray};
    use arrow::datatypes::{Field, Schema};
    use raceline_types::{HeapMemory, SplitId};

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
        Morsel { item, first_row, rows, bytes: 0, weights: Vec::new() }
    }

    fn joined(parts: Vec<Morsel<Batch>>) -> Result<Batch, Failure> {
        join(parts, &HeapMemory)
    }

    fn message(parts: Vec<Morsel<Batch>>) -> String {
        joined(parts).unwrap_err().to_string()
    }

    #[test]
    fn parts_are_joined_in_order_with_merged_spans() {
        let joined =
            joined(vec![part(ids(0, 10, false), 6, 4), part(ids(10, 5, true), 0, 2)]).unwrap();
        let expected = Int64Array::from_iter_values([6, 7, 8, 9, 10, 11]);
        assert_eq!(joined.data.column(0).as_ref(), &expected as &dyn Array);
        assert_eq!(joined.origin, [Span { split: SplitId(0), first_row: 6, rows: 6 }]);
        assert!(joined.data.schema().field(0).is_nullable());
    }

    #[test]
    fn rows_without_origin_leave_the_whole_without() {
        let mixed = Batch::without_origin(ids(0, 2, false).data);
        let joined = joined(vec![part(ids(0, 2, false), 0, 2), part(mixed, 0, 2)]).unwrap();
        assert!(joined.origin.is_empty());
    }

    #[test]
    fn batches_without_columns_keep_their_rows() {
        let options = RecordBatchOptions::new().with_row_count(Some(3));
        let schema = Arc::new(Schema::empty());
        let data = RecordBatch::try_new_with_options(schema, vec![], &options).unwrap();
        let one = Batch::without_origin(data);
        let joined = joined(vec![part(one.clone(), 0, 3), part(one, 0, 3)]).unwrap();
        assert_eq!(joined.rows(), 6);
    }

    #[test]
    fn columns_are_united() {
        let text = batch("id", Arc::new(StringArray::from(vec!["a"])), false, vec![]);
        assert_eq!(
            message(vec![part(ids(0, 1, false), 0, 1), part(text, 0, 1)]),
            "column `id` is `Int64` in some batches and `Utf8` in later ones"
        );
        let two = |names: [&str; 2]| {
            let column = |value| Arc::new(Int64Array::from(vec![value])) as ArrayRef;
            let columns = names.map(|name| (name, column(i64::from(name == "b"))));
            Batch::without_origin(RecordBatch::try_from_iter(columns).unwrap())
        };
        let joined =
            joined(vec![part(two(["a", "b"]), 0, 1), part(two(["b", "a"]), 0, 1)]).unwrap();
        assert_eq!(joined.data.column(1).as_ref(), &Int64Array::from(vec![1, 1]) as &dyn Array);
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
