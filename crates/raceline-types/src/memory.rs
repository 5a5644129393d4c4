//! What a batch weighs.

use arrow_array::cast::AsArray;
use arrow_array::types::ByteViewType;
use arrow_array::{Array, ArrayRef, GenericByteViewArray, OffsetSizeTrait, RecordBatch};
use arrow_schema::DataType;

/// A view of at most so many bytes holds its value itself.
pub(crate) const INLINE_BYTES: u32 = 12;

/// Bytes of the rows of `batch`: every buffer at its sliced size, so that a slice of a large
/// batch weighs what it holds and not what it keeps alive.
#[must_use]
pub fn batch_sliced_bytes(batch: &RecordBatch) -> usize {
    batch.columns().iter().map(array_sliced_bytes).sum()
}

/// Bytes of one array at its sliced size, at any depth.
///
/// The values of a dictionary weigh in proportion to the rows, and values that several views or
/// lists share weigh once in each. Unions and run-end encoded arrays count their whole buffers.
#[must_use]
pub fn array_sliced_bytes(array: &ArrayRef) -> usize {
    let rows = array.len();
    let nulls = array.nulls().map_or(0, |_| rows.div_ceil(8));
    let values = match array.data_type() {
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            list_bytes(list.value_offsets(), list.values().as_ref())
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            list_bytes(list.value_offsets(), list.values().as_ref())
        }
        DataType::Map(..) => {
            let map = array.as_map();
            list_bytes(map.value_offsets(), map.entries())
        }
        DataType::ListView(_) => {
            let list = array.as_list_view::<i32>();
            2 * size_of::<i32>() * rows + share(list.values(), total(list.value_sizes()))
        }
        DataType::LargeListView(_) => {
            let list = array.as_list_view::<i64>();
            2 * size_of::<i64>() * rows + share(list.values(), total(list.value_sizes()))
        }
        DataType::FixedSizeList(..) => array_sliced_bytes(array.as_fixed_size_list().values()),
        DataType::Struct(_) => array.as_struct().columns().iter().map(array_sliced_bytes).sum(),
        DataType::Dictionary(key, _) => {
            let values = array.as_any_dictionary().values();
            key.primitive_width().unwrap_or(0) * rows + share(values, rows.min(values.len()))
        }
        DataType::Utf8View => view_bytes(array.as_string_view()),
        DataType::BinaryView => view_bytes(array.as_binary_view()),
        _ => {
            let data = array.to_data();
            return data.get_slice_memory_size().unwrap_or_else(|_| array.get_buffer_memory_size());
        }
    };
    nulls + values
}

/// Bytes of lists whose items are those of `values` from the first offset to the last.
fn list_bytes<O: OffsetSizeTrait>(offsets: &[O], values: &dyn Array) -> usize {
    let first = offsets.first().map_or(0, |offset| offset.as_usize());
    let last = offsets.last().map_or(0, |offset| offset.as_usize());
    size_of_val(offsets) + array_sliced_bytes(&values.slice(first, last - first))
}

fn total<O: OffsetSizeTrait>(sizes: &[O]) -> usize {
    sizes.iter().map(|size| size.as_usize()).sum()
}

/// Bytes of `items` items of the mean size of those of `values`.
fn share(values: &ArrayRef, items: usize) -> usize {
    array_sliced_bytes(values).div_ceil(values.len().max(1)).saturating_mul(items)
}

/// Bytes of views and of the values that do not fit into them.
fn view_bytes<T: ByteViewType + ?Sized>(array: &GenericByteViewArray<T>) -> usize {
    let outside = array.lengths().filter(|&length| length > INLINE_BYTES);
    size_of::<u128>() * array.len() + outside.map(|length| length as usize).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::builder::{ListBuilder, MapBuilder, PrimitiveBuilder, StringBuilder};
    use arrow_array::types::{Float64Type, Int32Type};
    use arrow_array::{DictionaryArray, FixedSizeListArray, StringViewArray, StructArray};
    use arrow_schema::Field;

    use super::*;

    /// 100 lists of 10 doubles.
    fn lists() -> ArrayRef {
        let mut lists = ListBuilder::new(PrimitiveBuilder::<Float64Type>::new());
        for _ in 0..100 {
            lists.append_value([Some(0.5); 10]);
        }
        Arc::new(lists.finish())
    }

    #[test]
    fn a_slice_of_lists_weighs_its_own_items() {
        assert_eq!(array_sliced_bytes(&lists()), 101 * 4 + 8_000);
        assert_eq!(array_sliced_bytes(&lists().slice(90, 10)), 11 * 4 + 800);
        assert_eq!(array_sliced_bytes(&lists().slice(5, 0)), 4);
    }

    #[test]
    fn lists_weigh_so_inside_structs_and_tensors() {
        let field = Field::new("lists", lists().data_type().clone(), true);
        let item = Arc::new(field.clone());
        let pairs: ArrayRef = Arc::new(FixedSizeListArray::new(item, 2, lists(), None));
        assert_eq!(array_sliced_bytes(&pairs.slice(10, 1)), 3 * 4 + 160);
        let structs: ArrayRef = Arc::new(StructArray::new(vec![field].into(), vec![lists()], None));
        assert_eq!(array_sliced_bytes(&structs.slice(10, 1)), 2 * 4 + 80);
    }

    #[test]
    fn a_slice_of_maps_weighs_its_own_entries() {
        let values = PrimitiveBuilder::<Float64Type>::new();
        let mut maps = MapBuilder::new(None, StringBuilder::new(), values);
        for _ in 0..100 {
            maps.keys().append_value("key");
            maps.values().append_value(0.5);
            maps.append(true).unwrap();
        }
        let maps: ArrayRef = Arc::new(maps.finish());
        let whole = array_sliced_bytes(&maps);
        let slice = array_sliced_bytes(&maps.slice(40, 10));
        assert!(slice * 9 < whole, "{slice} of {whole}");
    }

    #[test]
    fn views_weigh_the_values_that_they_point_to() {
        let long = "x".repeat(1_000);
        let views: ArrayRef = Arc::new(StringViewArray::from(vec![long.as_str(), "short", &long]));
        assert_eq!(array_sliced_bytes(&views), 3 * 16 + 2_000);
        assert_eq!(array_sliced_bytes(&views.slice(1, 1)), 16);
    }

    #[test]
    fn a_slice_of_a_dictionary_weighs_its_share_of_the_values() {
        let words: Vec<String> = (0..1_000).map(|word| format!("word {word:05}")).collect();
        let words: DictionaryArray<Int32Type> = words.iter().map(String::as_str).collect();
        let words: ArrayRef = Arc::new(words);
        let (whole, slice) = (array_sliced_bytes(&words), array_sliced_bytes(&words.slice(0, 10)));
        assert!(slice * 90 < whole, "{slice} of {whole}");
    }
}
