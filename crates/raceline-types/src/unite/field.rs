//! The united type of two fields.

use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef, Fields};

use crate::extension::{PLAIN_VALUE_KEY, TensorType};

/// The field that holds the values of both, named as `left`; `None` when there is none without
/// loss.
pub(super) fn united(left: &Field, right: &Field) -> Option<Field> {
    let nullable = left.is_nullable() || right.is_nullable();
    let field = match (left.data_type(), right.data_type()) {
        (_, DataType::Null) => return Some(left.clone().with_nullable(true)),
        (DataType::Null, _) => return Some(typed_later(left, right)),
        (one, other) if extension(left) == extension(right) => {
            left.clone().with_data_type(united_type(one, other)?)
        }
        _ => reshaped(left, right)?,
    };
    Some(field.with_nullable(nullable))
}

/// `right` in the place of the column of nulls `left`.
fn typed_later(left: &Field, right: &Field) -> Field {
    let mut metadata = right.metadata().clone();
    match left.metadata().get(PLAIN_VALUE_KEY) {
        Some(mark) => metadata.insert(PLAIN_VALUE_KEY.to_owned(), mark.clone()),
        None => metadata.remove(PLAIN_VALUE_KEY),
    };
    right.clone().with_name(left.name()).with_nullable(true).with_metadata(metadata)
}

/// What a field means beyond its storage.
fn extension(field: &Field) -> Extension<'_> {
    match TensorType::of(field) {
        Ok(Some(TensorType::Fixed { shape, .. })) => Extension::Fixed(shape),
        Ok(Some(TensorType::Variable { dimensions, .. })) => Extension::Variable(dimensions),
        Ok(None) | Err(_) => {
            Extension::Other(field.extension_type_name(), field.extension_type_metadata())
        }
    }
}

#[derive(PartialEq)]
enum Extension<'a> {
    Fixed(Vec<usize>),
    Variable(usize),
    Other(Option<&'a str>, Option<&'a str>),
}

/// The tensor of variable shape that holds the tensors of both.
fn reshaped(left: &Field, right: &Field) -> Option<Field> {
    let parts = |field: &Field| match TensorType::of(field) {
        Ok(Some(TensorType::Fixed { value_type, shape })) => Some((value_type, shape.len())),
        Ok(Some(TensorType::Variable { value_type, dimensions })) => Some((value_type, dimensions)),
        Ok(None) | Err(_) => None,
    };
    let ((one, dimensions), (other, others)) = (parts(left)?, parts(right)?);
    if dimensions != others {
        return None;
    }
    let tensor = TensorType::Variable { value_type: united_type(&one, &other)?, dimensions };
    let field = tensor.field(left.name()).ok()?;
    let mut metadata = left.metadata().clone();
    metadata.extend(field.metadata().clone());
    Some(field.with_metadata(metadata))
}

fn united_type(left: &DataType, right: &DataType) -> Option<DataType> {
    use DataType as T;
    Some(match (left, right) {
        _ if left == right => left.clone(),
        (T::Null, other) | (other, T::Null) => other.clone(),
        (T::Dictionary(_, value), other) | (other, T::Dictionary(_, value)) => {
            united_type(value, other)?
        }
        _ if left.is_integer() && right.is_integer() => wider_integer(left, right)?,
        _ if left.is_floating() && right.is_floating() => {
            let width = |one: &DataType| one.primitive_width();
            if width(left) < width(right) { right.clone() } else { left.clone() }
        }
        _ if is_number(left) && is_number(right) => T::Float64,
        _ if is_text(left) && is_text(right) => T::LargeUtf8,
        _ if is_bytes(left) && is_bytes(right) => T::LargeBinary,
        (T::List(one), T::List(other)) => T::List(united_item(one, other)?),
        (T::FixedSizeList(one, size), T::FixedSizeList(other, others)) if size == others => {
            T::FixedSizeList(united_item(one, other)?, *size)
        }
        (T::Struct(one), T::Struct(other)) => T::Struct(united_parts(one, other)?),
        _ => match (list_item(left), list_item(right)) {
            (Some(one), Some(other)) => T::LargeList(united_item(one, other)?),
            _ if left.equals_datatype(right) => left.clone(),
            _ => return None,
        },
    })
}

fn united_item(left: &FieldRef, right: &FieldRef) -> Option<FieldRef> {
    united(left, right).map(Arc::new)
}

/// The fields of both structs; what one lacks is nullable.
fn united_parts(left: &Fields, right: &Fields) -> Option<Fields> {
    let mut parts = Vec::with_capacity(left.len());
    for part in left {
        parts.push(match right.find(part.name()) {
            Some((_, other)) => united_item(part, other)?,
            None => Arc::new(Field::clone(part).with_nullable(true)),
        });
    }
    let new = right.iter().filter(|part| left.find(part.name()).is_none());
    parts.extend(new.map(|part| Arc::new(Field::clone(part).with_nullable(true))));
    Some(parts.into())
}

/// The narrowest integer that holds both.
fn wider_integer(left: &DataType, right: &DataType) -> Option<DataType> {
    let bytes = |one: &DataType| one.primitive_width();
    let (left_bytes, right_bytes) = (bytes(left)?, bytes(right)?);
    if left.is_signed_integer() == right.is_signed_integer() {
        return Some(if left_bytes < right_bytes { right.clone() } else { left.clone() });
    }
    let (signed, unsigned) = if left.is_signed_integer() {
        (left_bytes, right_bytes)
    } else {
        (right_bytes, left_bytes)
    };
    match signed.max(2 * unsigned) {
        2 => Some(DataType::Int16),
        4 => Some(DataType::Int32),
        8 => Some(DataType::Int64),
        _ => None,
    }
}

fn is_number(data_type: &DataType) -> bool {
    data_type.is_integer() || data_type.is_floating()
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

fn is_bytes(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Binary | DataType::LargeBinary | DataType::BinaryView)
}

/// The items of a list whose rows differ in length.
fn list_item(data_type: &DataType) -> Option<&FieldRef> {
    match data_type {
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item) => Some(item),
        _ => None,
    }
}

/// Whether two fields differ in nothing but nullability.
pub(super) fn same_type(left: &Field, right: &Field) -> bool {
    extension(left) == extension(right)
        && nullable_inside(left.data_type()) == nullable_inside(right.data_type())
}

fn nullable_inside(data_type: &DataType) -> DataType {
    let item = |item: &FieldRef| {
        let inside = nullable_inside(item.data_type());
        Arc::new(Field::clone(item).with_data_type(inside).with_nullable(true))
    };
    match data_type {
        DataType::List(one) => DataType::List(item(one)),
        DataType::LargeList(one) => DataType::LargeList(item(one)),
        DataType::FixedSizeList(one, size) => DataType::FixedSizeList(item(one), *size),
        DataType::Struct(parts) => DataType::Struct(parts.iter().map(item).collect()),
        other => other.clone(),
    }
}
