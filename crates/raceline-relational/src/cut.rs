//! Batches cut so that a sort can hold several of them.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use futures::{StreamExt, TryStreamExt, stream};
use raceline_types::{Failure, InternalError, batch_sliced_bytes};

use crate::error::RelationalError;
use crate::stream::Batches;

/// What pieces may weigh.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PieceSize {
    /// Bytes of a piece, as far as it has several rows.
    pub(crate) bytes_max: usize,
    /// Bytes of a row beyond which it cannot be sorted.
    pub(crate) row_bytes_max: usize,
}

/// `batches` in pieces of about `size` at most, which keep alive nothing but their rows: a batch that
/// is larger than the memory of a sort ends it (`DataFusion` 55.2,
/// <https://github.com/apache/datafusion/issues/19679>), and a slice counts as all that it is cut of.
pub(crate) fn cut(batches: Batches, size: PieceSize) -> Batches {
    let pieces = batches.map(move |batch| {
        let pieces = pieces(&batch?, size)?;
        Ok::<_, Failure>(stream::iter(pieces.into_iter().map(Ok)))
    });
    pieces.try_flatten().boxed()
}

fn pieces(batch: &RecordBatch, size: PieceSize) -> Result<Vec<RecordBatch>, Failure> {
    let (rows, bytes) = (batch.num_rows(), batch_sliced_bytes(batch));
    let is_whole = batch.get_array_memory_size() <= 2 * bytes + size.bytes_max / 4;
    if rows == 0 || (bytes <= size.bytes_max && is_whole) {
        return Ok(vec![batch.clone()]);
    }
    let step = (rows * size.bytes_max / bytes.max(1)).clamp(1, rows);
    let mut pieces = Vec::with_capacity(rows.div_ceil(step));
    for start in (0..rows).step_by(step) {
        let piece = copied(batch, start, step.min(rows - start))
            .map_err(|error| InternalError::caused_by("a batch could not be cut", error))?;
        let piece_bytes = batch_sliced_bytes(&piece);
        if piece_bytes > size.row_bytes_max && piece.num_rows() == 1 {
            let (bytes, bytes_max) = (piece_bytes, size.row_bytes_max);
            return Err(RelationalError::LargeRow { bytes, bytes_max }.into());
        }
        pieces.push(piece);
    }
    Ok(pieces)
}

/// Some rows of `batch`, copied.
fn copied(batch: &RecordBatch, start: usize, rows: usize) -> Result<RecordBatch, ArrowError> {
    let at = |row: usize| u32::try_from(row).map_err(|_| ArrowError::OffsetOverflowError(row));
    let taken: UInt32Array = (at(start)?..at(start + rows)?).collect::<Vec<_>>().into();
    let column = |column: &ArrayRef| -> Result<ArrayRef, ArrowError> {
        let column = take(column.as_ref(), &taken, None)?;
        Ok(match column.data_type() {
            DataType::Utf8View => Arc::new(column.as_string_view().gc()),
            DataType::BinaryView => Arc::new(column.as_binary_view().gc()),
            _ => column,
        })
    };
    let columns = batch.columns().iter().map(column).collect::<Result<_, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(batch.schema(), columns, &options)
}

#[cfg(test)]
mod tests {
    use arrow::array::{StringArray, StringViewArray};
    use arrow::compute::concat_batches;

    use super::*;
    use crate::fixture::block_on;

    const SIZE: PieceSize = PieceSize { bytes_max: 10_000, row_bytes_max: 50_000 };

    fn texts(bytes: usize, rows: usize) -> RecordBatch {
        let text = |row: usize| format!("{row:0bytes$}");
        let plain = StringArray::from_iter_values((0..rows).map(text));
        let views = StringViewArray::from_iter_values((0..rows).map(text));
        let columns: [(&str, ArrayRef); 2] =
            [("plain", Arc::new(plain)), ("views", Arc::new(views))];
        RecordBatch::try_from_iter(columns).unwrap()
    }

    fn cut_all(batch: &RecordBatch) -> Result<Vec<RecordBatch>, Failure> {
        block_on(cut(stream::iter([Ok(batch.clone())]).boxed(), SIZE).try_collect())
    }

    #[test]
    fn large_batches_are_cut_and_keep_their_rows() {
        let batch = texts(1_000, 100);
        let pieces = cut_all(&batch).unwrap();
        assert!(pieces.len() >= 20);
        for piece in &pieces {
            assert!(batch_sliced_bytes(piece) <= SIZE.bytes_max);
            assert!(piece.get_array_memory_size() <= 2 * SIZE.bytes_max);
        }
        assert_eq!(concat_batches(&batch.schema(), &pieces).unwrap(), batch);
    }

    #[test]
    fn a_slice_gives_up_the_rest_and_a_whole_batch_is_not_copied() {
        let batch = texts(100, 10_000).slice(50, 3);
        let [piece] = cut_all(&batch).unwrap().try_into().unwrap();
        assert_eq!(piece, batch);
        assert!(piece.get_array_memory_size() < 5_000);
        let small = texts(10, 10);
        let [piece] = cut_all(&small).unwrap().try_into().unwrap();
        assert!(Arc::ptr_eq(piece.column(0), small.column(0)));
    }

    #[test]
    fn a_row_that_cannot_be_sorted_is_an_error_that_says_what_it_needs() {
        assert_eq!(cut_all(&texts(20_000, 3)).unwrap().len(), 3);
        let refused = cut_all(&texts(30_000, 3)).unwrap_err();
        assert_eq!(
            refused.render(),
            "a row of 60024 bytes is too large to be sorted, at most 50000 fit\n  hint: give the \
             session more memory, at least 1.3 times as much, or leave wide columns out"
        );
    }
}
