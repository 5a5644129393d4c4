//! PNG (<https://www.w3.org/TR/png-3/>).

use std::io::{Cursor, ErrorKind};

use png::{Decoder, DecodingError, Transformations};

use crate::error::{ImageFormat, MediaError};
use crate::image::Image;
use crate::limits::Limits;

/// Decodes the picture, or the first frame of an animation.
pub(crate) fn decode(bytes: &[u8], limits: Limits) -> Result<Image, MediaError> {
    let failed = |error| failure(error, bytes.len());
    let bytes_max = usize::try_from(limits.bytes_max).unwrap_or(usize::MAX);
    let mut decoder =
        Decoder::new_with_limits(Cursor::new(bytes), png::Limits { bytes: bytes_max });
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    decoder.set_transformations(Transformations::normalize_to_color8());
    let header = decoder.read_header_info().map_err(failed)?;
    limits.bytes_of(ImageFormat::Png, (header.height, header.width, 1))?;
    let mut reader = decoder.read_info().map_err(failed)?;
    let (width, height) = reader.info().size();
    let channels = u8::try_from(reader.output_color_type().0.samples()).unwrap_or(u8::MAX);
    let mut pixels = vec![0; limits.bytes_of(ImageFormat::Png, (height, width, channels))?];
    let frame = reader.next_frame(&mut pixels).map_err(failed)?;
    if (frame.width, frame.height) != (width, height) {
        let found = format!("first frame of {} by {}", frame.height, frame.width);
        return Err(MediaError::Unsupported { format: ImageFormat::Png, found });
    }
    Ok(Image { height, width, channels, pixels })
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
