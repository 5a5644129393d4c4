//! JPEG (ITU T.81, <https://www.w3.org/Graphics/JPEG/itu-t81.pdf>).

use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;

use crate::error::{ImageFormat, MediaError};
use crate::image::Shape;
use crate::limits::Limits;

/// The widest and highest picture that the format can describe.
const SIDE_MAX: usize = 65_535;

/// A picture whose headers were read.
pub(crate) struct Jpeg<'a> {
    bytes: &'a [u8],
    decoder: JpegDecoder<ZCursor<&'a [u8]>>,
    shape: Shape,
}

/// Reads the headers. CMYK and YCCK become RGB.
pub(crate) fn open(bytes: &[u8], limits: Limits) -> Result<Jpeg<'_>, MediaError> {
    let failed = |error| failure(error, bytes);
    let options = DecoderOptions::new_fast().set_max_width(SIDE_MAX).set_max_height(SIDE_MAX);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(failed)?;
    let (info, space) = decoder
        .info()
        .zip(decoder.input_colorspace())
        .ok_or_else(|| failure(DecodeErrors::FormatStatic("no frame header"), bytes))?;
    let (space, channels) = match (space, info.components) {
        (ColorSpace::Luma, 1) => (ColorSpace::Luma, 1),
        (_, 3 | 4) => (ColorSpace::RGB, 3),
        (_, components) => {
            let found = format!("{components} components");
            return Err(MediaError::Unsupported { format: ImageFormat::Jpeg, found });
        }
    };
    let (height, width) = (u32::from(info.height), u32::from(info.width));
    limits.bytes_of(ImageFormat::Jpeg, (height, width, channels))?;
    if !has_end(bytes) {
        return Err(MediaError::Truncated { format: ImageFormat::Jpeg, bytes: bytes.len() });
    }
    decoder.set_options(options.jpeg_set_out_colorspace(space));
    Ok(Jpeg { bytes, decoder, shape: Shape { height, width, channels } })
}

impl Jpeg<'_> {
    pub(crate) fn shape(&self) -> Shape {
        self.shape
    }

    /// Decodes it to `place`, which has as many bytes as the shape says.
    pub(crate) fn decode_into(mut self, place: &mut [u8]) -> Result<(), MediaError> {
        // What damaged data leave out is black, and not what was there before.
        place.fill(0);
        self.decoder.decode_into(place).map_err(|error| failure(error, self.bytes))
    }
}

/// Whether an end-of-image marker follows the first start of scan. The decoder would fill what
/// is missing of a truncated picture with gray.
fn has_end(bytes: &[u8]) -> bool {
    let mut at = 2;
    while let Some(&[0xFF, marker, high, low]) = bytes.get(at..at + 4) {
        match marker {
            // Fill bytes may precede any marker.
            0xFF => at += 1,
            // Start of scan: the coded data cannot hold a marker.
            0xDA => return bytes[at..].windows(2).any(|pair| pair == [0xFF, 0xD9]),
            _ => at += 2 + usize::from(u16::from_be_bytes([high, low])),
        }
    }
    false
}

/// Tells bytes that end early, and kinds that are not read, from bytes that are wrong.
fn failure(error: DecodeErrors, bytes: &[u8]) -> MediaError {
    let format = ImageFormat::Jpeg;
    match error {
        DecodeErrors::Unsupported(scheme) => {
            MediaError::Unsupported { format, found: format!("{scheme:?}") }
        }
        DecodeErrors::ExhaustedData | DecodeErrors::IoErrors(_) => {
            MediaError::Truncated { format, bytes: bytes.len() }
        }
        error => MediaError::Damaged { format, source: error.to_string().into() },
    }
}
