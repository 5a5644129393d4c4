//! Values of one type as values of the type that it was united to.

use std::sync::Arc;

use arrow::buffer::OffsetBuffer;
use arrow::compute::cast;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type, UInt64Type};
use arrow_array::{
    Array, ArrayRef, FixedSizeListArray, GenericListArray, ListArray, OffsetSizeTrait,
    PrimitiveArray, StructArray, new_null_array,
};
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Fields};

use crate::extension::TensorType;

/// Integers up to this are exact as float64.
const EXACT_FLOAT_INTEGER: u64 = 1 << 53;

/// Values that the united type does not hold.
pub(super) enum ConvertError {
    /// An integer that is not exact as float64.
    Inexact(String),
    /// Anything else: a null where there must be none, lists too long for their offsets.
    Arrow(ArrowError),
}

impl From<ArrowError> for ConvertError {
    fn from(error: ArrowError) -> Self {
        Self::Arrow(error)
    }
}

/// `array` of the field `own` as one of `target`, to which `own` was united.
pub(super) fn convert(
    array: &ArrayRef,
    own: &Field,
    target: &Field,
) -> Result<ArrayRef, ConvertError> {
    if array.data_type() == target.data_type() {
        return Ok(Arc::clone(array));
    }
    if let (Ok(Some(TensorType::Fixed { shape, .. })), Ok(Some(TensorType::Variable { .. }))) =
        (TensorType::of(own), TensorType::of(target))
    {
        return variable_tensors(array, &shape, target);
    }
    match (array.data_type(), target.data_type()) {
        (DataType::Null, other) => Ok(new_null_array(other, array.len())),
        (DataType::Int64, DataType::Float64) => {
            let values = array.as_primitive::<Int64Type>().iter().flatten();
            exact_float(array, values.map(|value| (value.unsigned_abs(), value.to_string())))
        }
        (DataType::UInt64, DataType::Float64) => {
            let values = array.as_primitive::<UInt64Type>().iter().flatten();
            exact_float(array, values.map(|value| (value, value.to_string())))
        }
        (DataType::Struct(_), DataType::Struct(parts)) => structs(array.as_struct(), parts),
        (DataType::FixedSizeList(own, _), DataType::FixedSizeList(item, size)) => {
            let lists = array.as_fixed_size_list();
            let values = convert(lists.values(), own, item)?;
            let (nulls, rows) = (lists.nulls().cloned(), lists.len());
            let lists = FixedSizeListArray::try_new_with_length(
                Arc::clone(item),
                *size,
                values,
                nulls,
                rows,
            );
            Ok(Arc::new(lists?))
        }
        (DataType::List(own), DataType::List(item)) => lists(array.as_list::<i32>(), own, item),
        (DataType::LargeList(own), DataType::LargeList(item)) => {
            lists(array.as_list::<i64>(), own, item)
        }
        (
            DataType::List(item) | DataType::ListView(item) | DataType::LargeListView(item),
            DataType::LargeList(_),
        ) => {
            let large = cast(array, &DataType::LargeList(Arc::clone(item)))?;
            convert(&large, own, target)
        }
        (DataType::Dictionary(_, value), _) => convert(&cast(array, value)?, own, target),
        (_, other) => Ok(cast(array, other)?),
    }
}

fn exact_float(
    array: &ArrayRef,
    values: impl Iterator<Item = (u64, String)>,
) -> Result<ArrayRef, ConvertError> {
    let mut inexact = values.filter(|(size, _)| *size > EXACT_FLOAT_INTEGER);
    match inexact.next() {
        Some((_, value)) => Err(ConvertError::Inexact(value)),
        None => Ok(cast(array, &DataType::Float64)?),
    }
}

fn lists<O: OffsetSizeTrait>(
    lists: &GenericListArray<O>,
    own: &FieldRef,
    item: &FieldRef,
) -> Result<ArrayRef, ConvertError> {
    let values = convert(lists.values(), own, item)?;
    let (offsets, nulls) = (lists.offsets().clone(), lists.nulls().cloned());
    Ok(Arc::new(GenericListArray::try_new(Arc::clone(item), offsets, values, nulls)?))
}

fn structs(structs: &StructArray, parts: &Fields) -> Result<ArrayRef, ConvertError> {
    let rows = structs.len();
    let columns = parts.iter().map(|part| match structs.fields().find(part.name()) {
        Some((at, own)) => convert(structs.column(at), own, part),
        None => Ok(new_null_array(part.data_type(), rows)),
    });
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let nulls = structs.nulls().cloned();
    Ok(Arc::new(StructArray::try_new_with_length(parts.clone(), columns, nulls, rows)?))
}

/// Tensors of one shape in the storage of tensors of any shape.
fn variable_tensors(
    array: &ArrayRef,
    shape: &[usize],
    target: &Field,
) -> Result<ArrayRef, ConvertError> {
    let tensors = array.as_fixed_size_list();
    let too_large = || ArrowError::InvalidArgumentError("tensors beyond 2^31 elements".into());
    let DataType::Struct(parts) = target.data_type() else {
        unreachable!("storage of a variable-shape tensor")
    };
    let (DataType::List(item), DataType::FixedSizeList(size_item, dimensions)) =
        (parts[0].data_type(), parts[1].data_type())
    else {
        unreachable!("storage of a variable-shape tensor")
    };
    let DataType::FixedSizeList(own, size) = tensors.data_type() else {
        unreachable!("storage of a fixed-shape tensor")
    };
    let rows = i32::try_from(tensors.len()).map_err(|_| too_large())?;
    let offsets = (0..=rows).map(|row| row.checked_mul(*size));
    let offsets: Vec<i32> = offsets.collect::<Option<_>>().ok_or_else(too_large)?;
    let values = convert(tensors.values(), own, item)?;
    let offsets = OffsetBuffer::new(offsets.into());
    let data = ListArray::try_new(Arc::clone(item), offsets, values, None)?;
    let sizes = shape.iter().map(|&size| i32::try_from(size));
    let sizes = sizes.collect::<Result<Vec<_>, _>>().map_err(|_| too_large())?;
    let sizes = PrimitiveArray::<Int32Type>::from_iter_values(
        sizes.iter().copied().cycle().take(sizes.len() * tensors.len()),
    );
    let shapes = FixedSizeListArray::try_new_with_length(
        Arc::clone(size_item),
        *dimensions,
        Arc::new(sizes),
        None,
        tensors.len(),
    )?;
    let columns: Vec<ArrayRef> = vec![Arc::new(data), Arc::new(shapes)];
    Ok(Arc::new(StructArray::try_new(parts.clone(), columns, tensors.nulls().cloned())?))
}
