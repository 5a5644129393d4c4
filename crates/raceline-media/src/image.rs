//! A decoded picture, and the changes between its channel layouts.

/// Which channels a picture has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// One channel: luma. Pillow's `L`.
    Gray,
    /// Red, green, blue. Pillow's `RGB`.
    Rgb,
    /// Red, green, blue and alpha (0 is transparent, not premultiplied). Pillow's `RGBA`.
    Rgba,
}

impl Mode {
    /// Number of channels.
    #[must_use]
    pub fn channels(self) -> u8 {
        match self {
            Self::Gray => 1,
            Self::Rgb => 3,
            Self::Rgba => 4,
        }
    }
}

/// How large a picture is: height × width × channels bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Rows of pixels.
    pub height: u32,
    /// Pixels in a row.
    pub width: u32,
    /// Channels: 1 gray, 2 gray and alpha, 3 RGB, 4 RGBA.
    pub channels: u8,
}

impl Shape {
    /// Bytes of the pixels. Those of a shape that no memory holds are more than there are.
    #[must_use]
    pub fn bytes(self) -> usize {
        let sides = (self.height as usize).saturating_mul(self.width as usize);
        sides.saturating_mul(usize::from(self.channels))
    }
}

/// Pixels of 8 bits a channel, as height × width × channels in C order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Rows of pixels.
    pub height: u32,
    /// Pixels in a row.
    pub width: u32,
    /// Channels: 1 gray, 2 gray and alpha, 3 RGB, 4 RGBA.
    pub channels: u8,
    /// `height * width * channels` bytes.
    pub pixels: Vec<u8>,
}

impl Image {
    /// The same picture with the channels of `mode`.
    ///
    /// Colour becomes luma by ITU-R 601 weights as in Pillow; an alpha channel is dropped, not
    /// blended; a missing one is opaque.
    #[must_use]
    pub fn into_mode(self, mode: Mode) -> Self {
        if self.channels == mode.channels() {
            return self;
        }
        let count = self.pixels.len() / usize::from(self.channels);
        let mut pixels = vec![0; count * usize::from(mode.channels())];
        convert(&self.pixels, self.channels, mode, &mut pixels);
        Self { channels: mode.channels(), pixels, ..self }
    }
}

/// Writes `pixels` of so many `channels` to `place` with those of `mode`.
pub(crate) fn convert(pixels: &[u8], channels: u8, mode: Mode, place: &mut [u8]) {
    let places = place.chunks_exact_mut(usize::from(mode.channels()));
    for (pixel, place) in pixels.chunks_exact(usize::from(channels)).zip(places) {
        let (rgb, alpha) = match *pixel {
            [red, green, blue] => ([red, green, blue], u8::MAX),
            [red, green, blue, alpha] => ([red, green, blue], alpha),
            [gray, alpha] => ([gray; 3], alpha),
            _ => ([pixel[0]; 3], u8::MAX),
        };
        match mode {
            Mode::Gray => place[0] = luma(rgb),
            Mode::Rgb => place.copy_from_slice(&rgb),
            Mode::Rgba => {
                place[..3].copy_from_slice(&rgb);
                place[3] = alpha;
            }
        }
    }
}

/// Luma by ITU-R 601: 0.299, 0.587 and 0.114 in 16-bit fixed point, rounded. The weights sum to
/// 2¹⁶, so the three equal channels of a gray pixel give that gray.
fn luma([red, green, blue]: [u8; 3]) -> u8 {
    let weighted =
        u32::from(red) * 19_595 + u32::from(green) * 38_470 + u32::from(blue) * 7_471 + 0x8000;
    u8::try_from(weighted >> 16).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn gray_is_what_pillow_gives() {
        let image =
            Image { height: 1, width: 2, channels: 3, pixels: vec![0, 55, 255, 65, 55, 190] };
        assert_eq!(image.into_mode(Mode::Gray).pixels, [61, 73]);
    }

    proptest! {
        #[test]
        fn modes_keep_shape_and_gray(pixels in prop::collection::vec(any::<u8>(), 6)) {
            let gray = Image { height: 2, width: 3, channels: 1, pixels };
            for mode in [Mode::Rgb, Mode::Rgba] {
                let wide = gray.clone().into_mode(mode);
                prop_assert_eq!(wide.pixels.len(), 6 * usize::from(mode.channels()));
                prop_assert_eq!(&wide.into_mode(Mode::Gray), &gray);
            }
        }

        #[test]
        fn opaque_alpha_can_be_added_and_dropped(pixels in prop::collection::vec(any::<u8>(), 18)) {
            let rgb = Image { height: 3, width: 2, channels: 3, pixels };
            prop_assert_eq!(rgb.clone().into_mode(Mode::Rgba).into_mode(Mode::Rgb), rgb);
        }
    }
}
