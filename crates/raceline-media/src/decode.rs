//! Finds out what the bytes are, and hands them to that format's decoder.

use crate::error::{ImageFormat, MediaError};
use crate::image::{Image, Mode};
use crate::limits::Limits;
use crate::{jpeg, png};

/// Decodes a JPEG or PNG picture, told apart by their first bytes.
///
/// With `mode`, the picture has its channels; without, those of the file: gray, RGB, and for PNG
/// with transparency gray and alpha or RGBA. Palettes are expanded, CMYK becomes RGB, 16 bits
/// and fewer than 8 become 8. Of an animation the first frame is decoded. Orientation tags and
/// colour profiles are not applied.
///
/// # Errors
/// When the bytes are no such picture, are damaged or truncated, or break `limits`.
pub fn decode(bytes: &[u8], limits: Limits, mode: Option<Mode>) -> Result<Image, MediaError> {
    let image = match format_of(bytes)? {
        ImageFormat::Jpeg => jpeg::decode(bytes, limits),
        ImageFormat::Png => png::decode(bytes, limits),
    }?;
    Ok(match mode {
        Some(mode) => image.into_mode(mode),
        None => image,
    })
}

/// The format that the first bytes announce.
fn format_of(bytes: &[u8]) -> Result<ImageFormat, MediaError> {
    match bytes {
        [] => Err(MediaError::Empty),
        [0xFF, 0xD8, 0xFF, ..] => Ok(ImageFormat::Jpeg),
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1A, b'\n', ..] => Ok(ImageFormat::Png),
        _ => {
            let head = bytes[..bytes.len().min(8)].escape_ascii().to_string();
            Err(MediaError::Unrecognised { head })
        }
    }
}
