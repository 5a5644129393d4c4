//! PNG (<https://www.w3.org/TR/png-3/>).

use std::io::{Cursor, ErrorKind};

use png::{Decoder, DecodingError, Reader, Transformations};

use crate::error::{ImageFormat, MediaError};
use crate::image::Shape;
use crate::limits::Limits;

/// A picture whose headers were read.
pub(crate) struct Png<'a> {
    bytes: usize,
    reader: Reader<Cursor<&'a [u8]>>,
    shape: Shape,
}

/// Reads the headers.
pub(crate) fn open(bytes: &[u8], limits: Limits) -> Result<Png<'_>, MediaError> {
    let failed = |error| failure(error, bytes.len());
    let bytes_max = usize::try_from(limits.bytes_max).unwrap_or(usize::MAX);
    let mut decoder =
        Decoder::new_with_limits(Cursor::new(bytes), png::Limits { bytes: bytes_max });
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    decoder.set_transformations(Transformations::normalize_to_color8());
    let header = decoder.read_header_info().map_err(failed)?;
    limits.bytes_of(ImageFormat::Png, (header.height, header.width, 1))?;
    let reader = decoder.read_info().map_err(failed)?;
    let (width, height) = reader.info().size();
    let channels = u8::try_from(reader.output_color_type().0.samples()).unwrap_or(u8::MAX);
    limits.bytes_of(ImageFormat::Png, (height, width, channels))?;
    Ok(Png { bytes: bytes.len(), reader, shape: Shape { height, width, channels } })
}

impl Png<'_> {
    pub(crate) fn shape(&self) -> Shape {
        self.shape
    }

    /// Decodes it, or the first frame of an animation, to `place`, which has as many bytes as the
    /// shape says.
    pub(crate) fn decode_into(mut self, place: &mut [u8]) -> Result<(), MediaError> {
        let frame = self.reader.next_frame(place).map_err(|error| failure(error, self.bytes))?;
        if (frame.width, frame.height) != (self.shape.width, self.shape.height) {
            let found = format!("first frame of {} by {}", frame.height, frame.width);
            return Err(MediaError::Unsupported { format: ImageFormat::Png, found });
        }
        Ok(())
    }
}

/// Tells bytes that end early from bytes that are wrong.
fn failure(error: DecodingError, bytes: usize) -> MediaError {
    let format = ImageFormat::Png;
    match error {
        DecodingError::IoError(io) if io.kind() == ErrorKind::UnexpectedEof => {
            MediaError::Truncated { format, bytes }
        }
        error => MediaError::Damaged { format, source: Box::new(error) },
    }
}
