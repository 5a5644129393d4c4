//! Arrays that hold no more than their rows.
//!
//! A view of a text may keep alive a buffer of many others, and a dictionary may have values that
//! no row has. Such rows would take more on disk, and when they are read back in memory, than they
//! weigh; in memory they would keep alive the batches that they were taken from.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeListArray, GenericByteViewArray, GenericListArray,
    OffsetSizeTrait, StructArray,
};
use arrow::buffer::{Buffer, OffsetBuffer};
use arrow::datatypes::{ByteViewType, DataType, FieldRef};
use arrow::error::ArrowError;

/// `array` without what none of its rows refers to. Arrays of other types than views,
/// dictionaries, and lists and structs of them are as they were.
///
/// # Errors
/// When Arrow cannot put the parts together again.
pub fn compact(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    Ok(match array.data_type() {
        data_type if !keeps_others(data_type) => Arc::clone(array),
        DataType::Utf8View => compact_views(array.as_string_view()),
        DataType::BinaryView => compact_views(array.as_binary_view()),
        DataType::Dictionary(..) => {
            arrow_select::dictionary::garbage_collect_any_dictionary(array.as_any_dictionary())?
        }
        DataType::Struct(fields) => {
            let parts = array.as_struct();
            let columns = parts.columns().iter().map(compact).collect::<Result<_, _>>()?;
            let nulls = parts.nulls().cloned();
            Arc::new(StructArray::try_new_with_length(fields.clone(), columns, nulls, array.len())?)
        }
        DataType::List(field) => compact_list(field, array.as_list::<i32>())?,
        DataType::LargeList(field) => compact_list(field, array.as_list::<i64>())?,
        DataType::FixedSizeList(field, length) => {
            let list = array.as_fixed_size_list();
            let nulls = list.nulls().cloned();
            let values = compact(list.values())?;
            let (field, rows) = (Arc::clone(field), list.len());
            Arc::new(FixedSizeListArray::try_new_with_length(field, *length, values, nulls, rows)?)
        }
        _ => Arc::clone(array),
    })
}

/// Whether an array of this type may hold more than its rows after they were gathered.
fn keeps_others(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8View | DataType::BinaryView | DataType::Dictionary(..) => true,
        DataType::Struct(fields) => fields.iter().any(|field| keeps_others(field.data_type())),
        DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => {
            keeps_others(field.data_type())
        }
        _ => false,
    }
}

fn compact_views<T: ByteViewType>(array: &GenericByteViewArray<T>) -> ArrayRef {
    let held: usize = array.data_buffers().iter().map(Buffer::capacity).sum();
    // Short values need no buffer, and a buffer of which every byte is used no copy.
    if held == 0 || held == array.total_buffer_bytes_used() {
        return Arc::new(array.clone());
    }
    Arc::new(array.gc())
}

fn compact_list<O: OffsetSizeTrait>(
    field: &FieldRef,
    list: &GenericListArray<O>,
) -> Result<ArrayRef, ArrowError> {
    let (first, end) = (list.value_offsets()[0], list.value_offsets()[list.len()]);
    let values = list.values().slice(first.as_usize(), (end - first).as_usize());
    let lengths = list.offsets().lengths();
    let offsets = OffsetBuffer::<O>::from_lengths(lengths);
    let nulls = list.nulls().cloned();
    let list = GenericListArray::try_new(Arc::clone(field), offsets, compact(&values)?, nulls)?;
    Ok(Arc::new(list))
}

#[cfg(test)]
mod tests {
    use arrow::array::{DictionaryArray, Int32Array, ListArray, StringArray, StringViewArray};
    use arrow::datatypes::{Field, Int32Type};

    use super::*;

    fn texts(rows: usize) -> StringViewArray {
        (0..rows).map(|row| Some(format!("a text that is too long for a view: {row}"))).collect()
    }

    #[test]
    fn what_no_row_refers_to_is_left_out_at_any_depth() {
        let views: ArrayRef = Arc::new(texts(1000).slice(10, 2));
        let compacted = compact(&views).unwrap();
        assert_eq!(&compacted, &views);
        assert!(compacted.get_buffer_memory_size() < 500);

        let field = Arc::new(Field::new("item", DataType::Utf8View, true));
        let offsets = OffsetBuffer::from_lengths([500, 1, 2, 497]);
        let list = ListArray::new(field, offsets, Arc::new(texts(1000)), None);
        let list: ArrayRef = Arc::new(list.slice(1, 2));
        let compacted = compact(&list).unwrap();
        assert_eq!(&compacted, &list);
        assert!(compacted.get_buffer_memory_size() < 500);

        let values = Arc::new(StringArray::from_iter_values((0..1000).map(|one| one.to_string())));
        let keys = Int32Array::from(vec![Some(999), None, Some(3)]);
        let dictionary: ArrayRef = Arc::new(DictionaryArray::<Int32Type>::new(keys, values));
        let field = Field::new("d", dictionary.data_type().clone(), true);
        let parts: ArrayRef =
            Arc::new(StructArray::from(vec![(Arc::new(field), Arc::clone(&dictionary))]));
        let compacted = compact(&parts).unwrap();
        assert_eq!(compacted.as_struct().column(0).as_any_dictionary().values().len(), 2);
        let texts = |array: &ArrayRef| {
            arrow::compute::cast(array.as_struct().column(0), &DataType::Utf8).unwrap()
        };
        assert_eq!(&texts(&compacted), &texts(&parts));
    }
}
