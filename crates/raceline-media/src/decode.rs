//! Finds out what the bytes are, and hands them to that format's decoder.

use std::fmt;

use crate::error::{ImageFormat, MediaError};
use crate::image::{Image, Mode, Shape, convert};
use crate::limits::Limits;
use crate::resize::{check_size, resize_into};
use crate::{jpeg, png};

/// A picture whose headers were read and whose pixels were not: it can be told where to put them.
///
/// Palettes are expanded, CMYK becomes RGB, 16 bits and fewer than 8 become 8. Orientation tags and
/// colour profiles are not applied.
pub struct Decoder<'a> {
    source: Source<'a>,
    mode: Option<Mode>,
    size: Option<(u32, u32)>,
}

enum Source<'a> {
    Jpeg(Box<jpeg::Jpeg<'a>>),
    Png(Box<png::Png<'a>>),
}

impl<'a> Decoder<'a> {
    /// Reads the headers of a JPEG or PNG picture, told apart by their first bytes.
    ///
    /// With `mode`, the pixels will have its channels; without, those of the file: gray, RGB, and for
    /// PNG with transparency gray and alpha or RGBA.
    ///
    /// # Errors
    /// When the bytes are no such picture, their headers are damaged or truncated, or break
    /// `limits`.
    pub fn new(bytes: &'a [u8], limits: Limits, mode: Option<Mode>) -> Result<Self, MediaError> {
        let source = match format_of(bytes)? {
            ImageFormat::Jpeg => Source::Jpeg(Box::new(jpeg::open(bytes, limits)?)),
            ImageFormat::Png => Source::Png(Box::new(png::open(bytes, limits)?)),
        };
        Ok(Self { source, mode, size: None })
    }

    /// Has the pixels resized to `height` by `width`, as [`crate::resize`] does it.
    ///
    /// # Errors
    /// [`MediaError::Size`] when there can be no such picture.
    pub fn resized(mut self, height: u32, width: u32) -> Result<Self, MediaError> {
        check_size(self.decoded(), height, width)?;
        self.size = Some((height, width));
        Ok(self)
    }

    /// The shape of what [`Self::decode_into`] writes.
    #[must_use]
    pub fn shape(&self) -> Shape {
        let decoded = self.decoded();
        let (height, width) = self.size.unwrap_or((decoded.height, decoded.width));
        Shape { height, width, channels: self.mode.map_or(decoded.channels, Mode::channels) }
    }

    /// Decodes the picture, or the first frame of an animation, to `place`, whatever is there. After
    /// an error that is anything.
    ///
    /// # Errors
    /// When the picture is damaged or truncated.
    ///
    /// # Panics
    /// When `place` has not as many bytes as the shape.
    pub fn decode_into(self, place: &mut [u8]) -> Result<(), MediaError> {
        let (wanted, decoded) = (self.shape(), self.decoded());
        assert_eq!(place.len(), wanted.bytes(), "the place fits the picture");
        if wanted == decoded {
            return self.source.decode_into(place);
        }
        let mut pixels = vec![0; decoded.bytes()];
        self.source.decode_into(&mut pixels)?;
        let Shape { height, width, channels } = decoded;
        let image = Image { height, width, channels, pixels };
        match self.mode {
            Some(mode) if (wanted.height, wanted.width) == (height, width) => {
                convert(&image.pixels, channels, mode, place);
                Ok(())
            }
            Some(mode) => resize_into(&image.into_mode(mode), wanted, place),
            None => resize_into(&image, wanted, place),
        }
    }

    /// The shape of what the file holds.
    fn decoded(&self) -> Shape {
        match &self.source {
            Source::Jpeg(jpeg) => jpeg.shape(),
            Source::Png(png) => png.shape(),
        }
    }
}

impl fmt::Debug for Decoder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder").field("shape", &self.shape()).finish_non_exhaustive()
    }
}

impl Source<'_> {
    fn decode_into(self, place: &mut [u8]) -> Result<(), MediaError> {
        match self {
            Self::Jpeg(jpeg) => jpeg.decode_into(place),
            Self::Png(png) => png.decode_into(place),
        }
    }
}

/// Decodes a picture as [`Decoder`] does, to memory of its own.
///
/// # Errors
/// When the bytes are no such picture, are damaged or truncated, or break `limits`.
pub fn decode(bytes: &[u8], limits: Limits, mode: Option<Mode>) -> Result<Image, MediaError> {
    let decoder = Decoder::new(bytes, limits, mode)?;
    let Shape { height, width, channels } = decoder.shape();
    let mut pixels = vec![0; decoder.shape().bytes()];
    decoder.decode_into(&mut pixels)?;
    Ok(Image { height, width, channels, pixels })
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
