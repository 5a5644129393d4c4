//! Arrays of the data that other libraries hand over.
//!
//! In Arrow's C interface a struct's offset counts for its children too, whose own offsets come
//! on top. `arrow` 59 applies it twice to a struct inside a struct and panics, so the arrays of
//! nested types are put together here, each over the window of its data that it shows. So are those
//! that hold dictionaries, whose keys are not always such as `arrow` takes.

use std::sync::Arc;

use arrow::array::{
    ArrayData, ArrayRef, AsArray, FixedSizeListArray, GenericListArray, MapArray, OffsetSizeTrait,
    StructArray, make_array, new_empty_array, new_null_array,
};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, FieldRef};
use arrow::error::ArrowError;

/// The values of `data` from `first` on, over the same memory.
///
/// # Errors
/// When children do not fit their parent.
pub(super) fn window(data: &ArrayData, first: usize, len: usize) -> Result<ArrayRef, ArrowError> {
    let nulls = data.nulls().map(|nulls| nulls.slice(first, len));
    let at = data.offset() + first;
    Ok(match data.data_type() {
        DataType::Struct(fields) => {
            let children = data.child_data().iter().map(|child| window(child, at, len));
            let children = children.collect::<Result<_, _>>()?;
            Arc::new(StructArray::try_new_with_length(fields.clone(), children, nulls, len)?)
        }
        nested if len == 0 => new_empty_array(nested),
        DataType::FixedSizeList(field, width) if is_put_together(field) && *width > 0 => {
            let values = usize::try_from(*width).map_err(|_| negative_width(*width))?;
            let values = window(&data.child_data()[0], at * values, len * values)?;
            Arc::new(FixedSizeListArray::try_new(Arc::clone(field), *width, values, nulls)?)
        }
        DataType::List(field) if is_put_together(field) => {
            let (field, values) = (Arc::clone(field), whole(&data.child_data()[0])?);
            let offsets = offsets::<i32>(data, at, len);
            Arc::new(GenericListArray::try_new(field, offsets, values, nulls)?)
        }
        DataType::LargeList(field) if is_put_together(field) => {
            let (field, values) = (Arc::clone(field), whole(&data.child_data()[0])?);
            let offsets = offsets::<i64>(data, at, len);
            Arc::new(GenericListArray::try_new(field, offsets, values, nulls)?)
        }
        DataType::Map(field, is_sorted) => {
            let entries = whole(&data.child_data()[0])?.as_struct().clone();
            let offsets = offsets::<i32>(data, at, len);
            Arc::new(MapArray::try_new(Arc::clone(field), offsets, entries, nulls, *is_sorted)?)
        }
        // Below a null, a key may point into a dictionary that holds nothing.
        dictionary @ DataType::Dictionary(..) if data.child_data()[0].is_empty() => {
            new_null_array(dictionary, len)
        }
        _ => make_array(data.slice(first, len)),
    })
}

fn whole(data: &ArrayData) -> Result<ArrayRef, ArrowError> {
    window(data, 0, data.len())
}

fn offsets<O: OffsetSizeTrait>(data: &ArrayData, at: usize, len: usize) -> OffsetBuffer<O> {
    OffsetBuffer::new(ScalarBuffer::new(data.buffers()[0].clone(), at, len + 1))
}

/// Whether arrays of the type, inside of others, are put together here.
fn is_put_together(field: &FieldRef) -> bool {
    match field.data_type() {
        DataType::Struct(_) | DataType::Map(..) | DataType::Dictionary(..) => true,
        DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => {
            is_put_together(field)
        }
        _ => false,
    }
}

fn negative_width(width: i32) -> ArrowError {
    ArrowError::CDataInterface(format!("a fixed-size list of {width} values"))
}
