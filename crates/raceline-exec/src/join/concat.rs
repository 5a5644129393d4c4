//! Putting batches one behind another, in memory that somebody else chose.
//!
//! Large values of fixed width, of any depth, and large bytes are written straight to where they
//! shall be. The rest is Arrow's to join.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayData, ArrayRef, AsArray, BooleanBufferBuilder, FixedSizeListArray,
    GenericBinaryArray, GenericListArray, OffsetSizeTrait, RecordBatch, StructArray, make_array,
};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::{concat, concat_batches};
use arrow::datatypes::{DataType, FieldRef, SchemaRef};
use arrow::error::ArrowError;
use raceline_types::{ColumnMemory, array_sliced_bytes};

/// Columns of fewer bytes are copied twice sooner than that space is looked for.
const BYTES_MIN: usize = 64 << 10;

/// The rows of all `batches`, which have `schema`, in order. Large values lie in `memory`.
///
/// # Errors
/// When Arrow cannot hold the rows.
pub(super) fn concat_into(
    memory: &dyn ColumnMemory,
    schema: &SchemaRef,
    batches: &[RecordBatch],
) -> Result<RecordBatch, ArrowError> {
    if schema.fields().is_empty() {
        return concat_batches(schema, batches);
    }
    let columns = (0..schema.fields().len()).map(|at| {
        let parts: Vec<&ArrayRef> = batches.iter().map(|batch| batch.column(at)).collect();
        column(memory, &parts)
    });
    let columns = columns.collect::<Result<Vec<ArrayRef>, ArrowError>>()?;
    RecordBatch::try_new(SchemaRef::clone(schema), columns)
}

/// The values of all `parts`, which are of one type and at least one.
fn column(memory: &dyn ColumnMemory, parts: &[&ArrayRef]) -> Result<ArrayRef, ArrowError> {
    let bytes: usize = parts.iter().map(|part| array_sliced_bytes(part)).sum();
    if bytes < BYTES_MIN {
        return joined(parts);
    }
    match parts[0].data_type() {
        DataType::FixedSizeList(item, size) if *size > 0 => {
            fixed_size_lists(memory, parts, (item, *size))
        }
        DataType::Struct(fields) if !fields.is_empty() => structs(memory, parts),
        DataType::List(item) => lists::<i32>(memory, parts, item),
        DataType::LargeList(item) => lists::<i64>(memory, parts, item),
        DataType::Binary => binaries::<i32>(memory, parts),
        DataType::LargeBinary => binaries::<i64>(memory, parts),
        other => match width(other) {
            Some(width) => fixed_width(memory, parts, width),
            None => joined(parts),
        },
    }
}

/// As Arrow does it.
fn joined(parts: &[&ArrayRef]) -> Result<ArrayRef, ArrowError> {
    let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
    concat(&parts)
}

/// Bytes of a value that lies in one buffer of nothing but values.
fn width(data_type: &DataType) -> Option<usize> {
    match data_type {
        DataType::FixedSizeBinary(bytes) => usize::try_from(*bytes).ok().filter(|bytes| *bytes > 0),
        other => other.primitive_width(),
    }
}

fn fixed_width(
    memory: &dyn ColumnMemory,
    parts: &[&ArrayRef],
    width: usize,
) -> Result<ArrayRef, ArrowError> {
    let parts_data: Vec<ArrayData> = parts.iter().map(Array::to_data).collect();
    let values = parts_data.iter().map(|data| {
        let (first, bytes) = (data.offset() * width, data.len() * width);
        &data.buffers()[0][first..first + bytes]
    });
    let values = gathered(memory, values);
    let data = ArrayData::builder(parts[0].data_type().clone())
        .len(parts.iter().map(Array::len).sum())
        .nulls(nulls_of(parts))
        .add_buffer(values);
    data.build().map(make_array)
}

fn fixed_size_lists(
    memory: &dyn ColumnMemory,
    parts: &[&ArrayRef],
    (item, size): (&FieldRef, i32),
) -> Result<ArrayRef, ArrowError> {
    let items: Vec<&ArrayRef> =
        parts.iter().map(|part| part.as_fixed_size_list().values()).collect();
    let items = column(memory, &items)?;
    let lists = FixedSizeListArray::try_new(FieldRef::clone(item), size, items, nulls_of(parts))?;
    Ok(Arc::new(lists))
}

fn structs(memory: &dyn ColumnMemory, parts: &[&ArrayRef]) -> Result<ArrayRef, ArrowError> {
    let fields = parts[0].as_struct().fields();
    let children = (0..fields.len()).map(|at| {
        let children: Vec<&ArrayRef> =
            parts.iter().map(|part| part.as_struct().column(at)).collect();
        column(memory, &children)
    });
    let children = children.collect::<Result<Vec<ArrayRef>, ArrowError>>()?;
    Ok(Arc::new(StructArray::try_new(fields.clone(), children, nulls_of(parts))?))
}

fn lists<O: OffsetSizeTrait>(
    memory: &dyn ColumnMemory,
    parts: &[&ArrayRef],
    item: &FieldRef,
) -> Result<ArrayRef, ArrowError> {
    let Some(offsets) = offsets_of(parts.iter().map(|part| part.as_list::<O>().value_offsets()))
    else {
        return joined(parts);
    };
    let items: Vec<ArrayRef> = parts
        .iter()
        .map(|part| {
            let (from, to) = ends(part.as_list::<O>().value_offsets());
            part.as_list::<O>().values().slice(from, to - from)
        })
        .collect();
    let items = column(memory, &items.iter().collect::<Vec<_>>())?;
    let item = FieldRef::clone(item);
    Ok(Arc::new(GenericListArray::try_new(item, offsets, items, nulls_of(parts))?))
}

fn binaries<O: OffsetSizeTrait>(
    memory: &dyn ColumnMemory,
    parts: &[&ArrayRef],
) -> Result<ArrayRef, ArrowError> {
    let Some(offsets) = offsets_of(parts.iter().map(|part| part.as_binary::<O>().value_offsets()))
    else {
        return joined(parts);
    };
    let values = parts.iter().map(|part| {
        let (from, to) = ends(part.as_binary::<O>().value_offsets());
        &part.as_binary::<O>().value_data()[from..to]
    });
    let values = gathered(memory, values);
    Ok(Arc::new(GenericBinaryArray::try_new(offsets, values, nulls_of(parts))?))
}

/// The first and the last of `offsets`.
fn ends<O: OffsetSizeTrait>(offsets: &[O]) -> (usize, usize) {
    let end = |offset: Option<&O>| offset.map_or(0, |offset| offset.as_usize());
    (end(offsets.first()), end(offsets.last()))
}

/// Offsets of one part behind another, from 0 on; `None` when they are too large for their type.
fn offsets_of<'a, O: OffsetSizeTrait>(
    parts: impl Iterator<Item = &'a [O]>,
) -> Option<OffsetBuffer<O>> {
    let mut offsets = vec![O::default()];
    for part in parts {
        let (end, (from, to)) = (offsets[offsets.len() - 1], ends(part));
        O::from_usize(end.as_usize() + (to - from))?;
        let from = part.first().copied().unwrap_or_default();
        offsets.extend(part.iter().skip(1).map(|&offset| end + (offset - from)));
    }
    Some(OffsetBuffer::new(ScalarBuffer::from(offsets)))
}

/// All `parts` one behind another.
fn gathered<'a>(
    memory: &dyn ColumnMemory,
    parts: impl Iterator<Item = &'a [u8]> + Clone,
) -> Buffer {
    let bytes = parts.clone().map(<[u8]>::len).sum();
    let mut space = memory.space(bytes);
    let mut rest = space.bytes_mut();
    for part in parts {
        let (place, behind) = rest.split_at_mut(part.len());
        place.copy_from_slice(part);
        rest = behind;
    }
    space.into_buffer(bytes)
}

/// Which values of all `parts` are null; `None` where none is.
fn nulls_of(parts: &[&ArrayRef]) -> Option<NullBuffer> {
    if parts.iter().all(|part| part.null_count() == 0) {
        return None;
    }
    let mut bits = BooleanBufferBuilder::new(parts.iter().map(Array::len).sum());
    for part in parts {
        match part.nulls() {
            Some(nulls) => bits.append_buffer(nulls.inner()),
            None => bits.append_n(part.len(), true),
        }
    }
    Some(NullBuffer::new(bits.finish()))
}

#[cfg(test)]
mod tests;
