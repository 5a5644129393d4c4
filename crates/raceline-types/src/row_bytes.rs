//! What each row of a batch weighs.

use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::types::ByteViewType;
use arrow_array::{
    Array, ArrayRef, GenericByteViewArray, GenericListViewArray, OffsetSizeTrait, RecordBatch,
};
use arrow_schema::DataType;

use crate::memory::{INLINE_BYTES, array_sliced_bytes};

/// Bytes of each row of `batch`, at least 1.
///
/// A row weighs what its values take in Arrow memory, whatever batch it is in: the width of a
/// number, a byte for a boolean, text and binary with their offset (or view), a list with its
/// items, a struct with its fields, and a value of a dictionary as if it stood there itself. Bits
/// that tell which values are missing do not count, the place of a missing number does. Rows of
/// unions and run-end encoded columns weigh alike.
#[must_use]
pub fn row_bytes(batch: &RecordBatch) -> Vec<u64> {
    let widths = batch.columns().iter().map(|column| fixed_width(column.data_type()));
    let mut rows = vec![widths.clone().flatten().sum(); batch.num_rows()];
    for (column, _) in batch.columns().iter().zip(widths).filter(|(_, width)| width.is_none()) {
        add(column, &mut rows);
    }
    for row in &mut rows {
        *row = (*row).max(1);
    }
    rows
}

/// Adds what each value of `array` weighs to its row.
fn add(array: &ArrayRef, rows: &mut [u64]) {
    if let Some(width) = fixed_width(array.data_type()) {
        return add_alike(width, rows);
    }
    match array.data_type() {
        DataType::Utf8 => add_spans(array.as_string::<i32>().value_offsets(), rows, length),
        DataType::LargeUtf8 => add_spans(array.as_string::<i64>().value_offsets(), rows, length),
        DataType::Binary => add_spans(array.as_binary::<i32>().value_offsets(), rows, length),
        DataType::LargeBinary => add_spans(array.as_binary::<i64>().value_offsets(), rows, length),
        DataType::Utf8View => add_views(array.as_string_view(), rows),
        DataType::BinaryView => add_views(array.as_binary_view(), rows),
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            let items = Items::new(list.values(), list.value_offsets());
            add_spans(list.value_offsets(), rows, |span| items.bytes(span));
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            let items = Items::new(list.values(), list.value_offsets());
            add_spans(list.value_offsets(), rows, |span| items.bytes(span));
        }
        DataType::Map(..) => {
            let map = array.as_map();
            let entries: ArrayRef = std::sync::Arc::new(map.entries().clone());
            let items = Items::new(&entries, map.value_offsets());
            add_spans(map.value_offsets(), rows, |span| items.bytes(span));
        }
        DataType::ListView(_) => add_list_views(array.as_list_view::<i32>(), rows),
        DataType::LargeListView(_) => add_list_views(array.as_list_view::<i64>(), rows),
        DataType::FixedSizeList(_, size) => {
            let size = usize::try_from(*size).unwrap_or(0);
            let items = Items::all(array.as_fixed_size_list().values());
            for (at, row) in rows.iter_mut().enumerate() {
                *row += items.bytes(at * size..(at + 1) * size);
            }
        }
        DataType::Struct(_) => {
            for field in array.as_struct().columns() {
                add(field, rows);
            }
        }
        DataType::Dictionary(key, _) => {
            let dictionary = array.as_any_dictionary();
            let values = Items::all(dictionary.values());
            let width = key.primitive_width().unwrap_or(0) as u64;
            if dictionary.values().is_empty() {
                return add_alike(width, rows);
            }
            for ((at, row), key) in rows.iter_mut().enumerate().zip(dictionary.normalized_keys()) {
                // A key of a missing value may be any number.
                let is_value = dictionary.keys().is_valid(at);
                *row += width + if is_value { values.bytes(key..key + 1) } else { 0 };
            }
        }
        _ => {
            let bytes = array_sliced_bytes(array).div_ceil(rows.len().max(1)) as u64;
            add_alike(bytes, rows);
        }
    }
}

/// What each value of a type weighs, where that is known without the values.
fn fixed_width(data_type: &DataType) -> Option<u64> {
    match data_type {
        DataType::Null => Some(0),
        DataType::Boolean => Some(1),
        DataType::FixedSizeBinary(size) => u64::try_from(*size).ok(),
        DataType::FixedSizeList(item, size) => {
            Some(fixed_width(item.data_type())? * u64::try_from(*size).ok()?)
        }
        DataType::Struct(fields) => fields.iter().map(|field| fixed_width(field.data_type())).sum(),
        other => other.primitive_width().map(|width| width as u64),
    }
}

/// What the items of lists weigh.
enum Items {
    /// Each the same.
    Alike(u64),
    /// Those from the item `first` on: item `i` and all before it weigh `sums[i - first + 1]`.
    Each { first: usize, sums: Vec<u64> },
}

impl Items {
    /// The items of `values` between the first and the last of `offsets`.
    fn new<O: OffsetSizeTrait>(values: &ArrayRef, offsets: &[O]) -> Self {
        let first = offsets.first().map_or(0, |offset| offset.as_usize());
        let last = offsets.last().map_or(0, |offset| offset.as_usize());
        Self::of(values, first..last)
    }

    fn all(values: &ArrayRef) -> Self {
        Self::of(values, 0..values.len())
    }

    fn of(values: &ArrayRef, range: Range<usize>) -> Self {
        if let Some(width) = fixed_width(values.data_type()) {
            return Self::Alike(width);
        }
        let mut each = vec![0; range.len()];
        add(&values.slice(range.start, range.len()), &mut each);
        let mut sums = vec![0];
        sums.extend(each.iter().scan(0, |sum, bytes| {
            *sum += bytes;
            Some(*sum)
        }));
        Self::Each { first: range.start, sums }
    }

    fn bytes(&self, range: Range<usize>) -> u64 {
        match self {
            Self::Alike(width) => width * range.len() as u64,
            Self::Each { first, sums } => sums[range.end - first] - sums[range.start - first],
        }
    }
}

fn add_alike(bytes: u64, rows: &mut [u64]) {
    for row in rows {
        *row += bytes;
    }
}

/// The bytes between two offsets.
fn length(span: Range<usize>) -> u64 {
    span.len() as u64
}

/// Adds to each row an offset and what `weigh` says of what lies between it and the next.
fn add_spans<O: OffsetSizeTrait>(
    offsets: &[O],
    rows: &mut [u64],
    weigh: impl Fn(Range<usize>) -> u64,
) {
    for (pair, row) in offsets.windows(2).zip(rows) {
        *row += size_of::<O>() as u64 + weigh(pair[0].as_usize()..pair[1].as_usize());
    }
}

/// Adds to each row a view and the value that does not fit into it.
fn add_views<T: ByteViewType + ?Sized>(array: &GenericByteViewArray<T>, rows: &mut [u64]) {
    for (length, row) in array.lengths().zip(rows) {
        let outside = if length > INLINE_BYTES { u64::from(length) } else { 0 };
        *row += size_of::<u128>() as u64 + outside;
    }
}

fn add_list_views<O: OffsetSizeTrait>(array: &GenericListViewArray<O>, rows: &mut [u64]) {
    let items = Items::all(array.values());
    let views = array.value_offsets().iter().zip(array.value_sizes());
    for ((first, size), row) in views.zip(rows) {
        let first = first.as_usize();
        *row += 2 * size_of::<O>() as u64 + items.bytes(first..first + size.as_usize());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::builder::{ListBuilder, MapBuilder, PrimitiveBuilder, StringBuilder};
    use arrow_array::types::{Float64Type, Int32Type};
    use arrow_array::{
        BooleanArray, DictionaryArray, FixedSizeListArray, Int64Array, LargeStringArray, NullArray,
        StringArray, StringViewArray, StructArray,
    };
    use arrow_schema::{Field, Schema};

    use super::*;

    fn bytes(columns: Vec<ArrayRef>) -> Vec<u64> {
        let field = |(at, column): (usize, &ArrayRef)| {
            Field::new(at.to_string(), column.data_type().clone(), true)
        };
        let schema = Schema::new(columns.iter().enumerate().map(field).collect::<Vec<_>>());
        row_bytes(&RecordBatch::try_new(Arc::new(schema), columns).unwrap())
    }

    /// Weighs `column` whole, and each of its slices to the same.
    fn check(column: ArrayRef, expected: &[u64]) {
        for first in 0..column.len() {
            for end in first..=column.len() {
                let slice = column.slice(first, end - first);
                assert_eq!(bytes(vec![slice]), &expected[first..end], "{first}..{end}");
            }
        }
        assert_eq!(bytes(vec![column]), expected);
    }

    #[test]
    fn numbers_weigh_their_width_also_where_they_are_missing() {
        check(Arc::new(Int64Array::from(vec![Some(1), None])), &[8, 8]);
        check(Arc::new(BooleanArray::from(vec![true, false, true])), &[1, 1, 1]);
        check(Arc::new(NullArray::new(2)), &[1, 1]);
    }

    #[test]
    fn columns_add_up() {
        let text: ArrayRef = Arc::new(StringArray::from(vec!["", "three"]));
        assert_eq!(
            bytes(vec![Arc::clone(&text), Arc::new(Int64Array::from(vec![1, 2]))]),
            [12, 17]
        );
    }

    #[test]
    fn text_weighs_its_bytes_and_its_place() {
        check(Arc::new(StringArray::from(vec![Some("é"), None, Some("abc")])), &[6, 4, 7]);
        check(Arc::new(LargeStringArray::from(vec!["ab", ""])), &[10, 8]);
        let long = "x".repeat(100);
        check(Arc::new(StringViewArray::from(vec!["short", &long])), &[16, 116]);
    }

    #[test]
    fn lists_weigh_their_items() {
        let mut numbers = ListBuilder::new(PrimitiveBuilder::<Float64Type>::new());
        let mut words = ListBuilder::new(StringBuilder::new());
        for items in [0, 3, 1] {
            numbers.append_value((0..items).map(|_| Some(0.5)));
            words.append_value((0..items).map(|_| Some("word")));
        }
        check(Arc::new(numbers.finish()), &[4, 28, 12]);
        let words: ArrayRef = Arc::new(words.finish());
        check(Arc::clone(&words), &[4, 28, 12]);
        let field = Arc::new(Field::new("item", words.data_type().clone(), true));
        let pairs = FixedSizeListArray::new(field, 1, words, None);
        check(Arc::new(pairs), &[4, 28, 12]);
    }

    #[test]
    fn tensors_structs_and_maps_weigh_what_is_in_them() {
        let items: ArrayRef = Arc::new(Int64Array::from_iter_values(0..6));
        let field = Arc::new(Field::new("item", DataType::Int64, true));
        let tensors: ArrayRef = Arc::new(FixedSizeListArray::new(field, 3, items, None));
        check(Arc::clone(&tensors), &[24, 24]);
        let text: ArrayRef = Arc::new(StringArray::from(vec!["", "ab"]));
        let fields = vec![
            Field::new("tensor", tensors.data_type().clone(), true),
            Field::new("text", DataType::Utf8, true),
        ];
        check(Arc::new(StructArray::new(fields.into(), vec![tensors, text], None)), &[28, 30]);
        let mut maps =
            MapBuilder::new(None, StringBuilder::new(), PrimitiveBuilder::<Float64Type>::new());
        maps.append(true).unwrap();
        maps.keys().append_value("key");
        maps.values().append_value(0.5);
        maps.append(true).unwrap();
        check(Arc::new(maps.finish()), &[4, 4 + 4 + 3 + 8]);
    }

    #[test]
    fn a_dictionary_weighs_as_its_values() {
        let words = [Some("a"), None, Some("four"), Some("a")];
        let words: DictionaryArray<Int32Type> = words.into_iter().collect();
        check(Arc::new(words), &[4 + 5, 4, 4 + 8, 4 + 5]);
        let missing: DictionaryArray<Int32Type> = [None::<&str>, None].into_iter().collect();
        check(Arc::new(missing), &[4, 4]);
    }

    #[test]
    fn rows_without_columns_weigh_something() {
        let options = arrow_array::RecordBatchOptions::new().with_row_count(Some(2));
        let empty = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &options);
        assert_eq!(row_bytes(&empty.unwrap()), [1, 1]);
    }
}
