//! Images: column `image`, one row a file, uint8 of height × width × channels.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, FixedSizeListArray, Int32Array, ListArray, StructArray, UInt8Array,
};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field};
use arrow::error::ArrowError;
use async_trait::async_trait;
use futures::TryStreamExt;
use raceline_exec::{Emit, SplitReader};
use raceline_media::{Decoder, Limits, MediaError, Mode, Shape};
use raceline_plan::{FileSplit, ImageReadOptions};
use raceline_types::{
    ColumnMemory, ColumnSpace, Diagnostic, Failure, InternalError, Split, TensorType,
};

use super::columns::FileColumns;
use super::error::ReadError;
use super::fetch::contents;
use super::output::{BATCH_BYTES, Output, files_of};
use crate::store::Stores;

/// A column's offsets are 32 bits wide; a batch ends soon after [`BATCH_BYTES`].
const IMAGE_BYTES_MAX: u64 = 1 << 30;
/// Bytes of the largest file that is decoded.
const FILE_BYTES_MAX: usize = 1 << 30;
/// Pixels of the longest side, which JPEG and the decoders have as well.
const SIDE_MAX: u32 = 65_535;

/// Decodes JPEG and PNG files, one row each, in order.
///
/// The column is a fixed-shape tensor when both size and mode are given, since only then every
/// image is known to have the same shape; else a variable-shape one. It always has three
/// dimensions: a gray image is height × width × 1 (Ray Data has height × width). Pixels are decoded
/// or resized to where the column lies.
#[derive(Debug)]
pub struct ImageReader {
    stores: Arc<Stores>,
    size: Option<(u32, u32)>,
    mode: Option<Mode>,
    columns: FileColumns,
}

/// Decoded images on their way into a column.
#[derive(Debug)]
struct Pixels {
    memory: Arc<dyn ColumnMemory>,
    /// Where they are written, from the first of a batch on.
    space: Option<Box<dyn ColumnSpace>>,
    ends: Vec<i32>,
    shapes: Vec<i32>,
}

impl ImageReader {
    /// Name of the content column.
    const COLUMN: &'static str = "image";

    /// A reader whose columns are made by [`FileColumns::new`] from [`ImageReader::content`] of
    /// the same options.
    ///
    /// # Errors
    /// [`ReadError::ImageMode`] when there is no such mode.
    pub fn new(
        stores: Arc<Stores>,
        options: &ImageReadOptions,
        columns: FileColumns,
    ) -> Result<Self, ReadError> {
        let mode = options.mode.as_deref().map(parse_mode).transpose()?;
        Ok(Self { stores, size: options.size, mode, columns })
    }

    /// The content column of these options: `image`, a tensor of uint8, without null rows.
    ///
    /// # Errors
    /// An unknown mode, or a size whose pixels no Arrow list can hold.
    pub fn content(options: &ImageReadOptions) -> Result<Field, ReadError> {
        let mode = options.mode.as_deref().map(parse_mode).transpose()?;
        if let Some((height, width)) = options.size {
            let bytes = u64::from(height) * u64::from(width) * 4;
            if bytes == 0 || bytes > IMAGE_BYTES_MAX || height.max(width) > SIDE_MAX {
                return Err(ReadError::ImageSize { height, width });
            }
        }
        let tensor = match (options.size, mode) {
            (Some((height, width)), Some(mode)) => TensorType::Fixed {
                value_type: DataType::UInt8,
                shape: vec![height as usize, width as usize, usize::from(mode.channels())],
            },
            _ => TensorType::Variable { value_type: DataType::UInt8, dimensions: 3 },
        };
        let (height, width) = options.size.unwrap_or_default();
        tensor.field(Self::COLUMN).map_err(|_| ReadError::ImageSize { height, width })
    }

    /// Decodes `bytes` of `file`, behind which come `more` files, to the end of `pixels`.
    fn decode(
        &self,
        file: &FileSplit,
        bytes: &[u8],
        more: usize,
        pixels: &mut Pixels,
    ) -> Result<(), Failure> {
        let failed = |error: MediaError| {
            let (uri, advice) = (Arc::clone(&file.uri), error.hint());
            let error = ReadError::Image { uri, source: Box::new(error), advice };
            Failure::from(error).at_uri(&file.uri)
        };
        let decoder = Decoder::new(bytes, Limits::default(), self.mode);
        let decoder = match self.size {
            Some((height, width)) => decoder.and_then(|decoder| decoder.resized(height, width)),
            None => decoder,
        };
        let decoder = decoder.map_err(failed)?;
        let shape = decoder.shape();
        decoder.decode_into(pixels.place(shape.bytes(), more)?).map_err(failed)?;
        pixels.push(shape)
    }

    async fn emit(
        &self,
        pixels: &mut Pixels,
        runs: &mut Vec<(&FileSplit, usize)>,
        output: &mut Output<'_>,
    ) -> Result<(), Failure> {
        let fixed = self.size.is_some() && self.mode.is_some();
        let column = pixels.take_column(fixed).map_err(|error| {
            InternalError::caused_by("decoded images do not make a tensor column", error)
        })?;
        let batch = self.columns.batch(|| Arc::clone(&column), runs)?;
        runs.clear();
        output.emit(batch).await
    }
}

fn parse_mode(mode: &str) -> Result<Mode, ReadError> {
    match mode {
        "L" => Ok(Mode::Gray),
        "RGB" => Ok(Mode::Rgb),
        "RGBA" => Ok(Mode::Rgba),
        other => Err(ReadError::ImageMode { mode: other.to_owned() }),
    }
}

impl Pixels {
    fn new(memory: Arc<dyn ColumnMemory>) -> Self {
        Self { memory, space: None, ends: Vec::new(), shapes: Vec::new() }
    }

    /// Bytes of the images so far.
    fn bytes(&self) -> usize {
        self.ends.last().map_or(0, |end| usize::try_from(*end).unwrap_or(0))
    }

    /// Where the `bytes` of the next image go, behind which `more` may come.
    fn place(&mut self, bytes: usize, more: usize) -> Result<&mut [u8], Failure> {
        let start = self.bytes();
        let end = start + bytes;
        let mut space = self.space.take().unwrap_or_else(|| {
            // As many as make a batch, if they are alike; what is not needed is given back.
            let images = bytes.saturating_mul(more.saturating_add(1));
            self.memory.space(images.min(BATCH_BYTES + bytes))
        });
        if space.bytes_mut().len() < end {
            let mut larger = self.memory.space(end + end / 2);
            larger.bytes_mut()[..start].copy_from_slice(&space.bytes_mut()[..start]);
            space = larger;
        }
        let place = self.space.insert(space).bytes_mut().get_mut(start..end);
        place.ok_or_else(|| InternalError::new("an image has no place in its column").into())
    }

    /// Counts the image that was written to its place.
    fn push(&mut self, shape: Shape) -> Result<(), Failure> {
        let too_large = |_| InternalError::new("decoded images outgrow a batch");
        self.ends.push(i32::try_from(self.bytes() + shape.bytes()).map_err(too_large)?);
        for side in [shape.height, shape.width, u32::from(shape.channels)] {
            self.shapes.push(i32::try_from(side).map_err(too_large)?);
        }
        Ok(())
    }

    /// The tensor column: fixed-shape (all images have one shape), else variable-shape. The next
    /// column begins.
    fn take_column(&mut self, fixed: bool) -> Result<ArrayRef, ArrowError> {
        let bytes = self.bytes();
        let (ends, shapes) = (std::mem::take(&mut self.ends), std::mem::take(&mut self.shapes));
        let rows = ends.len();
        let values = self.space.take().map(|space| space.into_buffer(bytes)).unwrap_or_default();
        let values = Arc::new(UInt8Array::new(values.into(), None));
        let item = Arc::new(Field::new_list_field(DataType::UInt8, true));
        if fixed {
            let size = ends.first().copied().unwrap_or_default();
            return Ok(Arc::new(FixedSizeListArray::try_new(item, size, values, None)?));
        }
        let starts = std::iter::once(0).chain(ends);
        let offsets = OffsetBuffer::new(starts.collect::<ScalarBuffer<_>>());
        let data = ListArray::try_new(item, offsets, values, None)?;
        let dimension = Arc::new(Field::new_list_field(DataType::Int32, false));
        let shapes = Arc::new(Int32Array::from(shapes));
        let shape = FixedSizeListArray::try_new(dimension, 3, shapes, None)?;
        debug_assert_eq!(shape.len(), rows);
        let fields = [
            Field::new("data", data.data_type().clone(), false),
            Field::new("shape", shape.data_type().clone(), false),
        ];
        Ok(Arc::new(StructArray::try_new(
            fields.into_iter().collect(),
            vec![Arc::new(data), Arc::new(shape)],
            None,
        )?))
    }
}

#[async_trait]
impl SplitReader for ImageReader {
    async fn read(&self, split: &Split, out: &mut dyn Emit) -> Result<(), Failure> {
        let files = files_of(split)?;
        let mut pixels = Pixels::new(out.memory());
        let mut output = Output::new(split, &self.columns, out);
        if !self.columns.wants_content() {
            return output.emit_names(&files).await;
        }
        let mut contents = contents(&self.stores, &files, (false, FILE_BYTES_MAX));
        let mut runs = Vec::new();
        for (at, file) in files.iter().enumerate() {
            let Some(bytes) = contents.try_next().await? else { break };
            // Decoding is the work of this reader and runs where it runs.
            self.decode(file, &bytes, files.len() - at - 1, &mut pixels)?;
            runs.push((file, 1));
            if pixels.bytes() >= BATCH_BYTES {
                self.emit(&mut pixels, &mut runs, &mut output).await?;
            }
        }
        if !runs.is_empty() {
            self.emit(&mut pixels, &mut runs, &mut output).await?;
        }
        output.finish().await
    }
}
