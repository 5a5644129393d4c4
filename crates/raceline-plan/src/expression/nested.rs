//! Functions of structs, maps and tensors: the namespaces `.struct`, `.map` and `.arr`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, make_array};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use arrow::error::ArrowError;
use datafusion_common::{Result, exec_err};
use raceline_types::TensorType;

use super::named::{FunctionError, Kernel, Parameters, value_field};

/// Names of the functions.
pub(super) const NAMES: &[&str] =
    &["struct.field", "struct.field_by_index", "map.keys", "map.values", "arr.to_list"];

/// The function of this name; `None` when there is none.
pub(super) fn kernel(given: &Parameters<'_>) -> Result<Option<Kernel>, FunctionError> {
    Ok(Some(match given.function {
        "struct.field" => {
            let name = given.text("name")?;
            field(move |fields| fields.iter().position(|field| field.name() == &name))
        }
        "struct.field_by_index" => {
            let index = given.size("index")?;
            field(move |fields| (index < fields.len()).then_some(index))
        }
        "map.keys" => entries(0),
        "map.values" => entries(1),
        "arr.to_list" => Kernel::of_field(
            |field| Some(value_field(list_type(&item_of(field)?, &shape_of(field)?))),
            to_list,
        ),
        _ => return Ok(None),
    }))
}

/// A field of a struct, found by `position`.
fn field(position: impl Fn(&Fields) -> Option<usize> + Send + Sync + 'static) -> Kernel {
    let position = Arc::new(position);
    let find = Arc::clone(&position);
    Kernel::of_field(
        move |field| {
            let DataType::Struct(fields) = field.data_type() else { return None };
            find(fields).map(|at| Field::clone(&fields[at]))
        },
        move |array, field| {
            let at = match field.data_type() {
                DataType::Struct(fields) => position(fields),
                _ => None,
            };
            let Some(at) = at else {
                return exec_err!("{} has no such field", array.data_type());
            };
            let structs = array.as_struct();
            let column = structs.column(at);
            if column.data_type() == &DataType::Null {
                return Ok(Arc::clone(column));
            }
            // What is missing as a whole has no fields.
            let nulls = NullBuffer::union(structs.nulls(), column.nulls());
            Ok(make_array(column.to_data().into_builder().nulls(nulls).build()?))
        },
    )
}

/// The keys (0) or values (1) of maps, as lists.
fn entries(part: usize) -> Kernel {
    let item = move |data_type: &DataType| match data_type {
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(parts) => parts
                .get(part)
                .map(|field| Arc::new(Field::new_list_field(field.data_type().clone(), true))),
            _ => None,
        },
        _ => None,
    };
    Kernel::of_one(
        move |data_type| item(data_type).map(DataType::List),
        move |array| {
            let Some(item) = item(array.data_type()) else {
                return exec_err!("{} is no type of maps", array.data_type());
            };
            let maps = array.as_map();
            let values = Arc::clone(maps.entries().column(part));
            let (offsets, nulls) = (maps.offsets().clone(), maps.nulls().cloned());
            Ok(Arc::new(ListArray::try_new(item, offsets, values, nulls)?))
        },
    )
}

/// The field of the elements of an array of fixed size.
fn item_of(field: &Field) -> Option<FieldRef> {
    match field.data_type() {
        DataType::FixedSizeList(item, _) => Some(Arc::clone(item)),
        _ => None,
    }
}

/// The lengths of the lists that a row becomes, the outermost first.
fn shape_of(field: &Field) -> Option<Vec<usize>> {
    match (TensorType::of(field), field.data_type()) {
        (Ok(Some(TensorType::Fixed { shape, .. })), _) => Some(shape),
        (Ok(None), DataType::FixedSizeList(_, size)) => Some(vec![usize::try_from(*size).ok()?]),
        _ => None,
    }
}

/// Lists in lists, as many as `shape` has lengths.
fn list_type(item: &FieldRef, shape: &[usize]) -> DataType {
    let innermost = DataType::List(Arc::clone(item));
    let wrapped = |inner, _: &usize| DataType::List(Arc::new(Field::new_list_field(inner, true)));
    shape.iter().skip(1).fold(innermost, wrapped)
}

fn to_list(array: &ArrayRef, field: &Field) -> Result<ArrayRef> {
    let (Some(item), Some(shape)) = (item_of(field), shape_of(field)) else {
        return exec_err!("{} is no type of arrays of a fixed size", field.data_type());
    };
    let arrays = array.as_fixed_size_list();
    let mut values = Arc::clone(arrays.values());
    let mut item = item;
    for (depth, size) in shape.iter().enumerate().rev() {
        let lists: usize = arrays.len() * shape[..depth].iter().product::<usize>();
        let nulls = if depth == 0 { arrays.nulls().cloned() } else { None };
        let end = |list: usize| {
            i32::try_from(list * size).map_err(|_| ArrowError::OffsetOverflowError(list * size))
        };
        let ends: Vec<i32> = (0..=lists).map(end).collect::<Result<_, _>>()?;
        let offsets = OffsetBuffer::new(ScalarBuffer::from(ends));
        values = Arc::new(ListArray::try_new(Arc::clone(&item), offsets, values, nulls)?);
        item = Arc::new(Field::new_list_field(values.data_type().clone(), true));
    }
    Ok(values)
}
