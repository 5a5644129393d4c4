//! Lays out a batch and writes it.

use std::collections::BTreeMap;
use std::ops::Range;

use arrow::array::{Array, ArrayData, BufferSpec, ByteView, OffsetSizeTrait, RecordBatch, layout};
use arrow::buffer::{BooleanBuffer, Buffer};
use arrow::datatypes::{DataType, UnionMode};
use arrow::error::ArrowError;

use crate::segment::ALIGNMENT_BYTES;
use crate::wire::{ArrayLayout, BatchLayout, BufferLayout};

use Fill::{Bits, Bytes, Offsets32, Offsets64, Views};

/// Where every buffer of a batch goes.
#[derive(Debug, Default)]
pub(crate) struct PackPlan {
    layout: BatchLayout,
    /// What is written, and to which buffer of the layout.
    fills: Vec<(usize, Fill)>,
    /// Bytes of the segment.
    bytes: usize,
    /// Bytes of buffers that are written, and of those that are not.
    copied_bytes: u64,
    passed_bytes: u64,
}

/// Stands for the region of a buffer that has no place yet.
const NO_REGION: u32 = u32::MAX;

/// What is written to one buffer (to two for views).
#[derive(Debug)]
enum Fill {
    Bytes(Buffer),
    Bits(BooleanBuffer),
    /// 32-bit offsets, less the first of them.
    Offsets32(Buffer),
    /// 64-bit offsets, less the first of them.
    Offsets64(Buffer),
    /// Views, and behind them in a buffer of its own the bytes that the long ones refer to.
    Views {
        views: Buffer,
        data: Vec<Buffer>,
    },
}

/// Longest value that a view holds itself.
const INLINE_BYTES: usize = 12;

impl PackPlan {
    /// Lays out `batch` in a segment that is region 0.
    ///
    /// # Errors
    /// When an array refers to values that it does not have, which a valid batch cannot.
    pub(crate) fn new(batch: &RecordBatch) -> Result<Self, ArrowError> {
        let mut plan = Self::default();
        plan.layout.rows = batch.num_rows() as u64;
        for column in batch.columns() {
            plan.add_array(&column.to_data())?;
        }
        plan.place_rest(0);
        Ok(plan)
    }

    /// Bytes that the batch takes in its segment.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes of what is written to the segment, and of what is passed by naming where it lies.
    pub(crate) fn moved_bytes(&self) -> (u64, u64) {
        (self.copied_bytes, self.passed_bytes)
    }

    /// Buffers of at least `bytes_min` that would be written as they are, by number.
    pub(crate) fn large(&self, bytes_min: usize) -> Vec<(usize, Buffer)> {
        let fills = self.fills.iter().filter_map(|(at, fill)| match fill {
            Bytes(bytes) if bytes.len() >= bytes_min => Some((*at, bytes.clone())),
            _ => None,
        });
        fills.collect()
    }

    /// Names for each buffer of `parts`, by number, where its bytes lie already: a region, and the
    /// first byte in it. The other buffers are laid out in a segment that is region `segment`.
    pub(crate) fn pass(&mut self, parts: &BTreeMap<usize, (u32, u64)>, segment: u32) {
        self.fills.retain(|(at, _)| !parts.contains_key(at));
        for (at, buffer) in self.layout.buffers.iter_mut().enumerate() {
            let place = parts.get(&at).copied();
            (buffer.region, buffer.offset) = place.unwrap_or((NO_REGION, 0));
        }
        self.place_rest(segment);
    }

    /// Writes the batch to the start of `segment`.
    ///
    /// # Panics
    /// When `segment` is shorter than [`PackPlan::bytes`].
    pub(crate) fn write(self, segment: &mut [u8]) -> BatchLayout {
        let place = |at: usize| {
            let BufferLayout { region: _, offset, bytes } = self.layout.buffers[at];
            let offset = usize::try_from(offset).expect("it was a usize");
            offset..offset + usize::try_from(bytes).expect("it was a usize")
        };
        for (at, fill) in self.fills {
            let range = place(at);
            match fill {
                Bytes(source) => segment[range].copy_from_slice(&source),
                Bits(bits) => segment[range].copy_from_slice(bits.sliced().as_slice()),
                Offsets32(offsets) => {
                    write_offsets(offsets.typed_data(), &mut segment[range], i32::to_ne_bytes);
                }
                Offsets64(offsets) => {
                    write_offsets(offsets.typed_data(), &mut segment[range], i64::to_ne_bytes);
                }
                Views { views, data } => {
                    let data_range = place(at + 1);
                    let (head, tail) = segment.split_at_mut(data_range.start);
                    let tail = &mut tail[..data_range.len()];
                    write_views(&views, &data, &mut head[range], tail);
                }
            }
        }
        self.layout
    }

    fn add_array(&mut self, data: &ArrayData) -> Result<(), ArrowError> {
        let nulls = data.nulls().filter(|nulls| nulls.null_count() > 0);
        self.layout.arrays.push(ArrayLayout {
            len: data.len() as u64,
            offset: 0,
            has_nulls: nulls.is_some(),
            buffers: 0,
        });
        if let Some(nulls) = nulls {
            let bits = nulls.inner().clone();
            let bytes = bits.len().div_ceil(8);
            self.add_fill(bytes, Bits(bits));
        }
        self.add_values(data)
    }

    /// Adds the buffers, then the children, so that buffers belong to the array begun last.
    fn add_values(&mut self, data: &ArrayData) -> Result<(), ArrowError> {
        let (first, len) = (data.offset(), data.len());
        match data.data_type() {
            DataType::Null => {}
            DataType::Boolean => {
                let bits = BooleanBuffer::new(data.buffers()[0].clone(), first, len);
                self.add_buffer(len.div_ceil(8), Bits(bits));
            }
            DataType::Utf8 | DataType::Binary => {
                let (from, to) = self.add_offsets::<i32>(data)?;
                self.add_bytes(slice_buffer(&data.buffers()[1], from, to)?);
            }
            DataType::LargeUtf8 | DataType::LargeBinary => {
                let (from, to) = self.add_offsets::<i64>(data)?;
                self.add_bytes(slice_buffer(&data.buffers()[1], from, to)?);
            }
            DataType::Utf8View | DataType::BinaryView => self.add_views(data)?,
            DataType::List(_) | DataType::Map(_, _) => {
                let (from, to) = self.add_offsets::<i32>(data)?;
                self.add_array(&slice_array(&data.child_data()[0], from, to)?)?;
            }
            DataType::LargeList(_) => {
                let (from, to) = self.add_offsets::<i64>(data)?;
                self.add_array(&slice_array(&data.child_data()[0], from, to)?)?;
            }
            DataType::FixedSizeList(_, size) => {
                let size = usize::try_from(*size).unwrap_or(0);
                let (from, to) = (first * size, (first + len) * size);
                self.add_array(&slice_array(&data.child_data()[0], from, to)?)?;
            }
            DataType::Struct(_) => {
                // Slicing a struct's data slices its children, whatever its own offset says.
                for child in data.child_data() {
                    self.add_array(&slice_array(child, 0, len)?)?;
                }
            }
            DataType::Union(_, UnionMode::Sparse) => {
                self.add_fixed_width_buffers(data)?;
                for child in data.child_data() {
                    self.add_array(&slice_array(child, first, first + len)?)?;
                }
            }
            // What these refer to may be in any order and repeated, so it is packed whole.
            DataType::Union(_, UnionMode::Dense)
            | DataType::Dictionary(_, _)
            | DataType::ListView(_)
            | DataType::LargeListView(_) => {
                self.add_fixed_width_buffers(data)?;
                data.child_data().iter().try_for_each(|child| self.add_array(child))?;
            }
            DataType::RunEndEncoded(_, _) => {
                if let Some(array) = self.layout.arrays.last_mut() {
                    array.offset = first as u64;
                }
                data.child_data().iter().try_for_each(|child| self.add_array(child))?;
            }
            _ => self.add_fixed_width_buffers(data)?,
        }
        Ok(())
    }

    fn add_fixed_width_buffers(&mut self, data: &ArrayData) -> Result<(), ArrowError> {
        for (buffer, spec) in data.buffers().iter().zip(layout(data.data_type()).buffers) {
            let BufferSpec::FixedWidth { byte_width, .. } = spec else {
                return Err(malformed("a buffer is not of fixed width"));
            };
            let (first, len) = (data.offset() * byte_width, data.len() * byte_width);
            let values = if len == 0 {
                Buffer::default()
            } else {
                slice_buffer(buffer, first, first + len)?
            };
            self.add_bytes(values);
        }
        Ok(())
    }

    /// Adds the offsets of a list or of bytes, and returns the range that they refer to.
    fn add_offsets<O: OffsetSizeTrait>(
        &mut self,
        data: &ArrayData,
    ) -> Result<(usize, usize), ArrowError> {
        if data.is_empty() {
            self.add_bytes(Buffer::from_vec(vec![O::default()]));
            return Ok((0, 0));
        }
        let width = size_of::<O>();
        let first = data.offset() * width;
        let offsets = slice_buffer(&data.buffers()[0], first, first + (data.len() + 1) * width)?;
        let values = offsets.typed_data::<O>();
        let (from, to) = (values[0].as_usize(), values[data.len()].as_usize());
        let bytes = offsets.len();
        let fill = match (from, O::IS_LARGE) {
            (0, _) => Bytes(offsets),
            (_, true) => Offsets64(offsets),
            (_, false) => Offsets32(offsets),
        };
        self.add_buffer(bytes, fill);
        Ok((from, to))
    }

    /// Adds views with the bytes that they refer to: only those, unless views share them.
    fn add_views(&mut self, data: &ArrayData) -> Result<(), ArrowError> {
        let first = data.offset() * VIEW_BYTES;
        let last = first + data.len() * VIEW_BYTES;
        let views = slice_buffer(&data.buffers()[0], first, last)?;
        let sources = &data.buffers()[1..];
        let mut referred_bytes = 0;
        for view in views.typed_data::<u128>() {
            if let Some((buffer, range)) = referred(*view) {
                let source = sources.get(buffer).filter(|source| range.end <= source.len());
                source.ok_or_else(|| malformed("a view leaves its buffer"))?;
                referred_bytes += range.len();
            }
        }
        let whole_bytes = sources.iter().map(Buffer::len).sum();
        if referred_bytes > whole_bytes || i32::try_from(referred_bytes).is_err() {
            self.add_bytes(views);
            for source in sources {
                self.add_bytes(source.clone());
            }
            return Ok(());
        }
        let bytes = views.len();
        self.add_buffer(bytes, Views { views, data: sources.to_vec() });
        self.count_buffer();
        self.add_layout(referred_bytes);
        Ok(())
    }

    fn add_bytes(&mut self, bytes: Buffer) {
        self.add_buffer(bytes.len(), Bytes(bytes));
    }

    /// Adds a buffer that is counted as one of the array begun last.
    fn add_buffer(&mut self, bytes: usize, fill: Fill) {
        self.count_buffer();
        self.add_fill(bytes, fill);
    }

    fn count_buffer(&mut self) {
        if let Some(array) = self.layout.arrays.last_mut() {
            array.buffers += 1;
        }
    }

    fn add_fill(&mut self, bytes: usize, fill: Fill) {
        self.fills.push((self.layout.buffers.len(), fill));
        self.add_layout(bytes);
    }

    fn add_layout(&mut self, bytes: usize) {
        let bytes = bytes as u64;
        self.layout.buffers.push(BufferLayout { region: NO_REGION, offset: 0, bytes });
    }

    /// Lays the buffers that have no place out in a segment that is region `segment`.
    fn place_rest(&mut self, segment: u32) {
        (self.bytes, self.copied_bytes, self.passed_bytes) = (0, 0, 0);
        for buffer in &mut self.layout.buffers {
            if buffer.region != NO_REGION {
                self.passed_bytes += buffer.bytes;
                continue;
            }
            let offset = self.bytes.next_multiple_of(ALIGNMENT_BYTES);
            (buffer.region, buffer.offset) = (segment, offset as u64);
            self.bytes = offset + usize::try_from(buffer.bytes).expect("it was a usize");
            self.copied_bytes += buffer.bytes;
        }
    }
}

/// Bytes of one view.
const VIEW_BYTES: usize = size_of::<u128>();

/// Buffer and bytes that a view refers to, unless it holds its value itself.
fn referred(view: u128) -> Option<(usize, Range<usize>)> {
    let ByteView { length, prefix: _, buffer_index, offset } = ByteView::from(view);
    let (length, offset) = (length as usize, offset as usize);
    (length > INLINE_BYTES).then(|| (buffer_index as usize, offset..offset + length))
}

/// Writes `views` with the bytes that they refer to gathered in `gathered`.
fn write_views(views: &Buffer, sources: &[Buffer], places: &mut [u8], gathered: &mut [u8]) {
    let mut end = 0;
    let views = views.typed_data::<u128>();
    for (&view, place) in views.iter().zip(places.chunks_exact_mut(VIEW_BYTES)) {
        let mut packed = view;
        if let Some((buffer, range)) = referred(view) {
            let offset = u32::try_from(end).expect("the plan keeps it below 2^31");
            packed = ByteView::from(view).with_buffer_index(0).with_offset(offset).as_u128();
            gathered[end..end + range.len()].copy_from_slice(&sources[buffer][range.clone()]);
            end += range.len();
        }
        place.copy_from_slice(&packed.to_ne_bytes());
    }
}

/// Writes `offsets` less the first of them.
fn write_offsets<O: OffsetSizeTrait, const WIDTH: usize>(
    offsets: &[O],
    places: &mut [u8],
    to_bytes: impl Fn(O) -> [u8; WIDTH],
) {
    let first = offsets[0];
    for (place, offset) in places.chunks_exact_mut(WIDTH).zip(offsets) {
        place.copy_from_slice(&to_bytes(*offset - first));
    }
}

fn slice_buffer(buffer: &Buffer, from: usize, to: usize) -> Result<Buffer, ArrowError> {
    if from > to || to > buffer.len() {
        return Err(malformed("offsets leave their buffer"));
    }
    Ok(buffer.slice_with_length(from, to - from))
}

fn slice_array(array: &ArrayData, from: usize, to: usize) -> Result<ArrayData, ArrowError> {
    if from > to || to > array.len() {
        return Err(malformed("offsets leave the child array"));
    }
    Ok(array.slice(from, to - from))
}

fn malformed(what: &str) -> ArrowError {
    ArrowError::InvalidArgumentError(what.to_owned())
}
