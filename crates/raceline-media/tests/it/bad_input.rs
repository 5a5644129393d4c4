//! Bytes that are no picture, lie about it, or end too early.

use png::{BitDepth, ColorType};
use proptest::prelude::*;
use raceline_media::{Image, Limits, MediaError, Mode, decode, resize};
use raceline_types::Failure;

use crate::pictures::{FIXTURES, fixture, png_of};

fn refused(bytes: &[u8], limits: Limits) -> String {
    decode(bytes, limits, Some(Mode::Rgb)).unwrap_err().to_string()
}

#[test]
fn what_is_no_picture_is_named_by_its_first_bytes() {
    let wanted = "not an image this build can read: starts with `GIF89a\\x01\\x00`";
    assert_eq!(refused(b"GIF89a\x01\x00\x01\x00", Limits::default()), wanted);
    assert_eq!(refused(b"", Limits::default()), "not an image: it has no bytes");
    let failure = Failure::from(decode(b"id,name\n", Limits::default(), None).unwrap_err());
    let text = failure.at_uri("a.jpg").render();
    assert_eq!(
        text,
        "not an image this build can read: starts with `id,name\\n`\n  file: a.jpg\n  hint: JPEG \
         and PNG are read, whatever the file's name; leave other files out by a glob such as \
         `*.jpg`, or read them by read_binary_files"
    );
}

#[test]
fn every_truncation_of_a_jpeg_is_an_error() {
    for name in ["rgb.jpg", "progressive.jpg", "restart.jpg", "cmyk.jpg"] {
        let whole = fixture(name);
        for end in 3..whole.len() - 1 {
            assert!(decode(&whole[..end], Limits::default(), None).is_err(), "{name} to {end}");
        }
    }
    let half = &fixture("rgb.jpg")[..700];
    let wanted = "JPEG image is truncated: it ends after `700` bytes";
    assert_eq!(refused(half, Limits::default()), wanted);
}

#[test]
fn a_truncated_or_damaged_png_is_an_error() {
    let whole = fixture("palette.png");
    let wanted = "PNG image is truncated: it ends after `150` bytes";
    assert_eq!(refused(&whole[..150], Limits::default()), wanted);
    let mut damaged = whole.to_vec();
    damaged[20] ^= 1;
    let error = decode(&damaged, Limits::default(), None).unwrap_err();
    assert_eq!(error.to_string(), "PNG image is damaged");
    assert!(Failure::from(error).render().contains("caused by: CRC error"));
}

#[test]
fn a_bomb_is_refused_by_its_header() {
    let limits = Limits { pixels_max: 700, ..Limits::default() };
    let wanted = "image of `24` by `32` is over the limit of `700` pixels";
    assert_eq!(refused(fixture("rgb.jpg"), limits), format!("JPEG {wanted}"));
    assert_eq!(refused(fixture("palette.png"), limits), format!("PNG {wanted}"));
    let limits = Limits { bytes_max: 2_303, ..Limits::default() };
    let wanted = "JPEG image of `2304` bytes is over the limit of `2303` bytes";
    assert_eq!(refused(fixture("rgb.jpg"), limits), wanted);
}

#[test]
fn a_huge_side_is_refused_before_anything_is_allocated() {
    let mut bytes = png_of((1, 1), ColorType::Grayscale, BitDepth::Eight, &[0]);
    bytes[16..24].copy_from_slice(&[0x7F, 0xFF, 0xFF, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF]);
    let checksum = crc32(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&checksum.to_be_bytes());
    let error = decode(&bytes, Limits::default(), None).unwrap_err();
    assert!(matches!(error, MediaError::TooManyPixels { height: 0x7FFF_FFFF, .. }), "{error}");
}

/// The checksum of a PNG chunk (ISO 15948, annex D).
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xEDB8_8320 * (crc & 1)))
    })
}

#[test]
fn sizes_that_no_picture_has_are_refused() {
    let image = Image { height: 1, width: 1, channels: 1, pixels: vec![7] };
    assert_eq!(
        resize(&image, 0, 5).unwrap_err().to_string(),
        "cannot resize an image to `0` by `5`"
    );
    assert!(resize(&image, 65_536, 1).is_err());
    let short = Image { height: 9, ..image };
    assert!(resize(&short, 2, 2).is_err());
}

/// Splitmix64: the cases are the same in each run, and a failing one is named by its seed.
fn next(state: &mut u64) -> usize {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    usize::try_from((mixed ^ (mixed >> 27)) >> 33).unwrap()
}

#[test]
fn mutated_pictures_never_panic() {
    let limits = Limits { pixels_max: 1 << 18, ..Limits::default() };
    let mut decoded = 0;
    for seed in 0..4_000_u64 {
        let mut state = seed;
        let (name, whole) = FIXTURES[next(&mut state) % FIXTURES.len()];
        let mut bytes = whole.to_vec();
        for _ in 0..=next(&mut state) % 6 {
            let at = next(&mut state) % bytes.len();
            match next(&mut state) % 4 {
                0 => bytes.truncate(at.max(8)),
                1 => drop(bytes.splice(at..at, [0xFF, 0xC4])),
                _ => bytes[at] = u8::try_from(next(&mut state) % 256).unwrap(),
            }
        }
        let outcome = std::panic::catch_unwind(|| decode(&bytes, limits, None));
        let Ok(outcome) = outcome else { panic!("{name} panics with seed {seed}") };
        if let Ok(image) = outcome {
            let shape = u64::from(image.height) * u64::from(image.width);
            assert_eq!(image.pixels.len() as u64, shape * u64::from(image.channels), "seed {seed}");
            decoded += 1;
        }
    }
    assert!((200..3_900).contains(&decoded), "the mutations test nothing: {decoded} decoded");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn png_pixels_come_back(height in 1..20_u32, width in 1..20_u32, seed in any::<u64>()) {
        let mut state = seed;
        let pixels: Vec<u8> =
            (0..height * width * 3).map(|_| u8::try_from(next(&mut state) % 256).unwrap()).collect();
        let bytes = png_of((height, width), ColorType::Rgb, BitDepth::Eight, &pixels);
        let image = decode(&bytes, Limits::default(), None).unwrap();
        prop_assert_eq!(&image, &Image { height, width, channels: 3, pixels });
    }

    #[test]
    fn a_plain_picture_stays_plain_when_resized(
        shape in (1..30_u32, 1..30_u32),
        target in (1..30_u32, 1..30_u32),
        value in any::<u8>(),
        channels in 1..=3_u8,
    ) {
        let count = (shape.0 * shape.1) as usize * usize::from(channels);
        // Two channels are gray and alpha: what is nearly transparent has no exact colour.
        let value = if channels == 2 { 255 } else { value };
        let pixels = vec![value; count];
        let image = Image { height: shape.0, width: shape.1, channels, pixels };
        let resized = resize(&image, target.0, target.1).unwrap();
        prop_assert_eq!(resized.pixels.len(), (target.0 * target.1) as usize * usize::from(channels));
        prop_assert!(resized.pixels.iter().all(|pixel| pixel.abs_diff(value) <= 1));
    }
}
