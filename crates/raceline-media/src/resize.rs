//! Changes of size.

use fast_image_resize::images::{Image as Target, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

use crate::error::MediaError;
use crate::image::{Image, Shape};

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
    let wanted = Shape { height, width, channels: image.channels };
    let had = Shape { height: image.height, width: image.width, channels: image.channels };
    check_size(had, height, width)?;
    if wanted == had {
        return Ok(image.clone());
    }
    let mut pixels = vec![0; wanted.bytes()];
    resize_into(image, wanted, &mut pixels)?;
    Ok(Image { height, width, channels: image.channels, pixels })
}

/// Refuses to make `height` by `width` of a picture of shape `had`, where that cannot be.
pub(crate) fn check_size(had: Shape, height: u32, width: u32) -> Result<(), MediaError> {
    if height.max(width) > SIDE_MAX || [height, width, had.height, had.width].contains(&0) {
        return Err(MediaError::Size { height, width });
    }
    Ok(())
}

/// Writes the picture to `place` with the size of `wanted`, which has its channels.
pub(crate) fn resize_into(
    image: &Image,
    wanted: Shape,
    place: &mut [u8],
) -> Result<(), MediaError> {
    let Shape { height, width, channels: _ } = wanted;
    let unfit = || MediaError::Size { height, width };
    let pixel_type = match image.channels {
        1 => PixelType::U8,
        2 => PixelType::U8x2,
        3 => PixelType::U8x3,
        _ => PixelType::U8x4,
    };
    let source =
        ImageRef::new(image.width, image.height, &image.pixels, pixel_type).map_err(|_| unfit())?;
    let mut target =
        Target::from_slice_u8(width, height, place, pixel_type).map_err(|_| unfit())?;
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    Resizer::new().resize(&source, &mut target, &options).map_err(|_| unfit())
}
