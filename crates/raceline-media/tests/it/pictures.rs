//! Pictures to test with.

/// A picture of the fixtures folder. All show one scene: red grows to the right, green downwards,
/// blue to the left.
pub(crate) const FIXTURES: [(&str, &[u8]); 7] = [
    ("rgb.jpg", include_bytes!("fixtures/rgb.jpg")),
    ("progressive.jpg", include_bytes!("fixtures/progressive.jpg")),
    ("gray.jpg", include_bytes!("fixtures/gray.jpg")),
    ("cmyk.jpg", include_bytes!("fixtures/cmyk.jpg")),
    ("restart.jpg", include_bytes!("fixtures/restart.jpg")),
    ("odd.jpg", include_bytes!("fixtures/odd.jpg")),
    ("palette.png", include_bytes!("fixtures/palette.png")),
];

/// Bytes of a fixture.
pub(crate) fn fixture(name: &str) -> &'static [u8] {
    FIXTURES.iter().find(|(known, _)| *known == name).unwrap().1
}

/// A PNG file with these pixels.
pub(crate) fn png_of(
    (height, width): (u32, u32),
    color: png::ColorType,
    depth: png::BitDepth,
    pixels: &[u8],
) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(color);
    encoder.set_depth(depth);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(pixels).unwrap();
    writer.finish().unwrap();
    bytes
}
