//! Pixels of the fixtures and of resized pictures as Pillow 13.0 gives them.

use png::{BitDepth, ColorType};
use raceline_media::{Image, Limits, Mode, decode, resize};

use crate::pictures::{fixture, png_of};

fn pixel(image: &Image, row: u32, column: u32) -> &[u8] {
    let channels = usize::from(image.channels);
    let at = (row * image.width + column) as usize * channels;
    &image.pixels[at..at + channels]
}

fn assert_near(found: &[u8], wanted: &[u8], tolerance: u8, what: &str) {
    assert_eq!(found.len(), wanted.len(), "{what}");
    let near = found.iter().zip(wanted).all(|(a, b)| a.abs_diff(*b) <= tolerance);
    assert!(near, "{what}: found {found:?}, wanted {wanted:?}");
}

#[test]
fn jpeg_pixels_are_those_of_pillow() {
    let wanted: [(&str, [[u8; 3]; 3]); 6] = [
        ("rgb.jpg", [[0, 2, 245], [163, 55, 89], [254, 251, 12]]),
        ("progressive.jpg", [[0, 2, 245], [163, 55, 89], [254, 251, 12]]),
        ("gray.jpg", [[29; 3], [91; 3], [225; 3]]),
        ("cmyk.jpg", [[0, 0, 255], [164, 55, 90], [255, 254, 0]]),
        ("restart.jpg", [[0, 0, 254], [164, 54, 91], [254, 254, 0]]),
        ("odd.jpg", [[0, 4, 244], [139, 72, 115], [255, 249, 11]]),
    ];
    for (name, corners) in wanted {
        let image = decode(fixture(name), Limits::default(), Some(Mode::Rgb)).unwrap();
        let shape = if name == "odd.jpg" { (19, 37, 3) } else { (24, 32, 3) };
        assert_eq!((image.height, image.width, image.channels), shape, "{name}");
        let places = [(0, 0), (5, 20), (image.height - 1, image.width - 1)];
        for ((row, column), wanted) in places.into_iter().zip(corners) {
            let what = format!("{name} at {row}, {column}");
            assert_near(pixel(&image, row, column), &wanted, 6, &what);
        }
    }
}

#[test]
fn without_mode_the_channels_are_those_of_the_file() {
    let channels = |bytes| decode(bytes, Limits::default(), None).unwrap().channels;
    assert_eq!(channels(fixture("gray.jpg")), 1);
    assert_eq!(channels(fixture("cmyk.jpg")), 3);
    assert_eq!(channels(fixture("palette.png")), 3);
    let alpha = png_of((1, 2), ColorType::GrayscaleAlpha, BitDepth::Eight, &[1, 2, 3, 4]);
    assert_eq!(channels(&alpha), 2);
}

#[test]
fn png_of_every_depth_becomes_eight_bits() {
    let read = |bytes: &[u8]| decode(bytes, Limits::default(), None).unwrap().pixels;
    assert_eq!(
        pixel(&decode(fixture("palette.png"), Limits::default(), None).unwrap(), 5, 20),
        [152, 83, 103]
    );
    let bits = png_of((1, 8), ColorType::Grayscale, BitDepth::One, &[0b1010_0001]);
    assert_eq!(read(&bits), [255, 0, 255, 0, 0, 0, 0, 255]);
    let deep = png_of((1, 2), ColorType::Grayscale, BitDepth::Sixteen, &[0x12, 0x34, 0xFF, 0]);
    assert_eq!(read(&deep), [0x12, 0xFF]);
    let rgba = png_of((1, 1), ColorType::Rgba, BitDepth::Eight, &[9, 8, 7, 6]);
    assert_eq!(read(&rgba), [9, 8, 7, 6]);
}

/// The scene of the fixtures, exactly.
fn scene() -> Image {
    let (height, width) = (24_u32, 32_u32);
    let pixels = (0..height)
        .flat_map(|y| (0..width).map(move |x| (x * 255 / 31, y * 255 / 23)))
        .flat_map(|(x, y)| [x, y, 255 - x].map(|value| u8::try_from(value).unwrap()))
        .collect();
    Image { height, width, channels: 3, pixels }
}

#[test]
fn resizing_is_that_of_pillow() {
    let small = resize(&scene(), 7, 10).unwrap();
    assert_eq!((small.height, small.width, small.pixels.len()), (7, 10, 210));
    for (column, wanted) in [(0, [11, 127, 244]), (4, [114, 127, 141]), (9, [243, 127, 12])] {
        assert_near(pixel(&small, 3, column), &wanted, 1, "small");
    }
    let large = resize(&scene(), 30, 40).unwrap();
    for (column, wanted) in [(0, [0, 87, 255]), (2, [12, 87, 243]), (4, [25, 87, 230])] {
        assert_near(pixel(&large, 10, column), &wanted, 1, "large");
    }
    assert_eq!(resize(&scene(), 24, 32).unwrap(), scene());
}

#[test]
fn resizing_weighs_colours_by_alpha() {
    let mut image = scene().into_mode(Mode::Rgba);
    for (at, pixel) in image.pixels.chunks_exact_mut(4).enumerate() {
        pixel[3] = u8::try_from(at % 32 * 8).unwrap();
    }
    let small = resize(&image, 3, 4).unwrap();
    for (column, wanted) in [(0, [45, 127, 210, 34]), (3, [221, 126, 33, 214])] {
        assert_near(pixel(&small, 1, column), &wanted, 2, "alpha");
    }
}
