//! Changes of size.

use fast_image_resize::images::{Image as Target, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

use crate::error::MediaError;
use crate::image::Image;

/// Longest side that can be asked for.
const SIDE_MAX: u32 = 65_535;

/// The picture at `height` by `width`, its proportions not kept.
///
/// Bilinear, with support widened by the scale when shrinking (as Pillow's `BILINEAR`), so that
/// every source pixel counts. Colours are weighted by alpha.
///
/// # Errors
/// [`MediaError::Size`] when a side, wanted or had, is 0, or a wanted one is over 65535; or when
/// the image's bytes do not fill its shape.
pub fn resize(image: &Image, height: u32, width: u32) -> Result<Image, MediaError> {
    let unfit = || MediaError::Size { height, width };
    if height.max(width) > SIDE_MAX || [height, width, image.height, image.width].contains(&0) {
        return Err(unfit());
    }
    if (height, width) == (image.height, image.width) {
        return Ok(image.clone());
    }
    let pixel_type = match image.channels {
        1 => PixelType::U8,
        2 => PixelType::U8x2,
        3 => PixelType::U8x3,
        _ => PixelType::U8x4,
    };
    let source =
        ImageRef::new(image.width, image.height, &image.pixels, pixel_type).map_err(|_| unfit())?;
    let mut target = Target::new(width, height, pixel_type);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    Resizer::new().resize(&source, &mut target, &options).map_err(|_| unfit())?;
    Ok(Image { height, width, channels: image.channels, pixels: target.into_vec() })
}
