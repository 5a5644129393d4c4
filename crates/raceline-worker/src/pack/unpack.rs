//! Rebuilds a batch over the memory that it lies in.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::slice;

use arrow::array::{ArrayData, ArrayRef, RecordBatch, RecordBatchOptions, make_array};
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;

use crate::wire::{ArrayLayout, BatchLayout, BufferLayout};

/// Most values of an array. Far more than memory holds; it keeps sums of sizes in range.
const VALUES_MAX: u64 = 1 << 48;

/// The batch of `schema` that `layout` describes over `regions`. Its buffers share them.
///
/// Lengths, offsets, keys, views, UTF-8 and nulls in columns declared without are checked.
///
/// # Errors
/// When the layout or the data are not valid Arrow of this schema.
pub(crate) fn unpack(
    schema: &SchemaRef,
    layout: &BatchLayout,
    regions: &[Buffer],
) -> Result<RecordBatch, ArrowError> {
    // Arrow asserts a few things that it does not validate; a peer must not be able to end this
    // process by them.
    catch_unwind(AssertUnwindSafe(|| Reader::new(layout, regions).batch(schema, layout.rows)))
        .unwrap_or_else(|_| Err(malformed("the arrays break an assertion of Arrow")))
}

struct Reader<'a> {
    arrays: slice::Iter<'a, ArrayLayout>,
    buffers: slice::Iter<'a, BufferLayout>,
    regions: &'a [Buffer],
}

impl<'a> Reader<'a> {
    fn new(layout: &'a BatchLayout, regions: &'a [Buffer]) -> Self {
        Self { arrays: layout.arrays.iter(), buffers: layout.buffers.iter(), regions }
    }

    fn batch(mut self, schema: &SchemaRef, rows: u64) -> Result<RecordBatch, ArrowError> {
        let columns = schema.fields().iter().map(|field| self.column(field.data_type()));
        let columns = columns.collect::<Result<Vec<ArrayRef>, ArrowError>>()?;
        if self.arrays.len() > 0 || self.buffers.len() > 0 {
            return Err(malformed("the layout has more arrays than the schema"));
        }
        let rows = usize::try_from(rows).map_err(|_| malformed("too many rows"))?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(SchemaRef::clone(schema), columns, &options)
    }

    fn column(&mut self, data_type: &DataType) -> Result<ArrayRef, ArrowError> {
        Ok(make_array(self.array(data_type)?))
    }

    fn array(&mut self, data_type: &DataType) -> Result<ArrayData, ArrowError> {
        let ArrayLayout { len, offset, has_nulls, buffers } =
            self.arrays.next().ok_or_else(|| malformed("the layout has too few arrays"))?;
        if len.saturating_add(*offset) > VALUES_MAX {
            return Err(malformed("an array is too long"));
        }
        let values = |count: u64| usize::try_from(count).map_err(|_| malformed("too many values"));
        let (len, offset) = (values(*len)?, values(*offset)?);
        check_size(data_type, len)?;
        let mut builder = ArrayData::builder(data_type.clone()).len(len).offset(offset);
        if *has_nulls {
            let bits = self.buffer()?;
            if bits.len() < (offset + len).div_ceil(8) {
                return Err(malformed("a validity bitmap is too short"));
            }
            builder = builder.null_bit_buffer(Some(bits));
        }
        for _ in 0..*buffers {
            builder = builder.add_buffer(self.buffer()?);
        }
        for child in child_types(data_type) {
            builder = builder.add_child_data(self.array(child)?);
        }
        // What was passed as it lay may begin anywhere; a segment's buffers are aligned.
        builder = builder.align_buffers(true);
        // This validates the array fully; its children were validated when they were built.
        builder.build()
    }

    fn buffer(&mut self) -> Result<Buffer, ArrowError> {
        let BufferLayout { region, offset, bytes } =
            self.buffers.next().ok_or_else(|| malformed("the layout has too few buffers"))?;
        if *bytes == 0 {
            return Ok(Buffer::default());
        }
        let region = self.regions.get(*region as usize);
        let region = region.ok_or_else(|| malformed("a buffer lies in no region"))?;
        let end = offset.checked_add(*bytes).and_then(|end| usize::try_from(end).ok());
        let outside = || malformed("a buffer lies outside of its segment");
        let end = end.filter(|end| *end <= region.len()).ok_or_else(outside)?;
        let start = usize::try_from(*offset).map_err(|_| outside())?;
        Ok(region.slice_with_length(start, end - start))
    }
}

/// Refuses sizes in types that Arrow would only assert.
fn check_size(data_type: &DataType, len: usize) -> Result<(), ArrowError> {
    if let DataType::FixedSizeList(_, size) | DataType::FixedSizeBinary(size) = data_type {
        usize::try_from(*size)
            .ok()
            .and_then(|size| size.checked_mul(len))
            .ok_or_else(|| malformed("a fixed size is negative or too large"))?;
    }
    Ok(())
}

fn child_types(data_type: &DataType) -> Vec<&DataType> {
    match data_type {
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _) => vec![item.data_type()],
        DataType::Struct(fields) => fields.iter().map(|field| field.data_type()).collect(),
        DataType::Union(fields, _) => fields.iter().map(|(_, field)| field.data_type()).collect(),
        DataType::Dictionary(_, values) => vec![values],
        DataType::RunEndEncoded(ends, values) => vec![ends.data_type(), values.data_type()],
        _ => Vec::new(),
    }
}

fn malformed(what: &str) -> ArrowError {
    ArrowError::InvalidArgumentError(what.to_owned())
}
