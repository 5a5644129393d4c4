//! What one picture may cost.

use crate::error::{ImageFormat, MediaError};

/// Caps on one decoded picture, checked against its header before pixels are allocated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most pixels, height times width.
    pub pixels_max: u64,
    /// Most bytes of pixels as decoded, before a change of mode.
    pub bytes_max: u64,
}

impl Default for Limits {
    /// 178,956,970 pixels, the size at which Pillow too takes a picture for a decompression
    /// bomb, and 1 GiB.
    fn default() -> Self {
        Self { pixels_max: 178_956_970, bytes_max: 1 << 30 }
    }
}

impl Limits {
    /// Bytes of a picture of this shape, or which limit it breaks.
    pub(crate) fn bytes_of(
        self,
        format: ImageFormat,
        (height, width, channels): (u32, u32, u8),
    ) -> Result<usize, MediaError> {
        let pixels = u64::from(height) * u64::from(width);
        if pixels > self.pixels_max {
            return Err(MediaError::TooManyPixels {
                format,
                height,
                width,
                pixels_max: self.pixels_max,
            });
        }
        let bytes = pixels.saturating_mul(u64::from(channels));
        match usize::try_from(bytes) {
            Ok(size) if bytes <= self.bytes_max => Ok(size),
            _ => Err(MediaError::TooManyBytes { format, bytes, bytes_max: self.bytes_max }),
        }
    }
}
