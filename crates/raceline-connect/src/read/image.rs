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
use raceline_media::{Image, Limits, MediaError, Mode, decode, resize};
use raceline_plan::{FileSplit, ImageReadOptions};
use raceline_types::{Diagnostic, Failure, InternalError, Split, TensorType};

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
/// dimensions: a gray image is height × width × 1 (Ray Data has height × width).
#[derive(Debug)]
pub struct ImageReader {
    stores: Arc<Stores>,
    size: Option<(u32, u32)>,
    mode: Option<Mode>,
    columns: FileColumns,
}

/// Decoded images on their way into a column.
#[derive(Default)]
struct Pixels {
    values: Vec<u8>,
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

    fn decode(&self, file: &FileSplit, bytes: &[u8]) -> Result<Image, Failure> {
        let decoded = decode(bytes, Limits::default(), self.mode);
        let sized = decoded.and_then(|image| match self.size {
            Some((height, width)) if (image.height, image.width) != (height, width) => {
                resize(&image, height, width)
            }
            _ => Ok(image),
        });
        sized.map_err(|error: MediaError| {
            let (uri, advice) = (Arc::clone(&file.uri), error.hint());
            let error = ReadError::Image { uri, source: Box::new(error), advice };
            Failure::from(error).at_uri(&file.uri)
        })
    }

    async fn emit(
        &self,
        pixels: &mut Pixels,
        runs: &mut Vec<(&FileSplit, usize)>,
        output: &mut Output<'_>,
    ) -> Result<(), Failure> {
        let pixels = std::mem::take(pixels);
        let fixed = self.size.is_some() && self.mode.is_some();
        let column = pixels.column(fixed).map_err(|error| {
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
    fn push(&mut self, image: &Image) -> Result<(), Failure> {
        self.values.extend_from_slice(&image.pixels);
        let too_large = |_| InternalError::new("decoded images outgrow a batch");
        self.ends.push(i32::try_from(self.values.len()).map_err(too_large)?);
        for side in [image.height, image.width, u32::from(image.channels)] {
            self.shapes.push(i32::try_from(side).map_err(too_large)?);
        }
        Ok(())
    }

    /// The tensor column: fixed-shape (all images have one shape), else variable-shape.
    fn column(self, fixed: bool) -> Result<ArrayRef, ArrowError> {
        let rows = self.ends.len();
        let values = Arc::new(UInt8Array::from(self.values));
        let item = Arc::new(Field::new_list_field(DataType::UInt8, true));
        if fixed {
            let size = self.ends.first().copied().unwrap_or_default();
            return Ok(Arc::new(FixedSizeListArray::try_new(item, size, values, None)?));
        }
        let starts = std::iter::once(0).chain(self.ends);
        let offsets = OffsetBuffer::new(starts.collect::<ScalarBuffer<_>>());
        let data = ListArray::try_new(item, offsets, values, None)?;
        let dimension = Arc::new(Field::new_list_field(DataType::Int32, false));
        let shapes = Arc::new(Int32Array::from(self.shapes));
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
        let mut output = Output::new(split, &self.columns, out);
        if !self.columns.wants_content() {
            return output.emit_names(&files).await;
        }
        let mut contents = contents(&self.stores, &files, (false, FILE_BYTES_MAX));
        let mut pixels = Pixels::default();
        let mut runs = Vec::new();
        for file in files.iter() {
            let Some(bytes) = contents.try_next().await? else { break };
            // Decoding is the work of this reader and runs where it runs.
            pixels.push(&self.decode(file, &bytes)?)?;
            runs.push((file, 1));
            if pixels.values.len() >= BATCH_BYTES {
                self.emit(&mut pixels, &mut runs, &mut output).await?;
            }
        }
        if !runs.is_empty() {
            self.emit(&mut pixels, &mut runs, &mut output).await?;
        }
        output.finish().await
    }
}
