//! Readers over files of every store.

use std::io::Write as _;
use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, UInt8Type};
use raceline_connect::{BinaryReader, FileColumns, ImageReader, TextReader};
use raceline_exec::SplitReader;
use raceline_plan::{FileFormat, FileSplit, ImageReadOptions, TextReadOptions};
use raceline_types::{ErrorKind, Span, Split, SplitId, TensorType};

use super::fixture::{Place, TEXT, read, texts};

fn text_reader(place: &Place, drop_empty_lines: bool, columns: FileColumns) -> TextReader {
    TextReader::new(Arc::clone(&place.stores), TextReadOptions { drop_empty_lines }, columns)
}

fn plain(content: arrow::datatypes::Field) -> FileColumns {
    FileColumns::new(content, &[], false, None).unwrap()
}

fn owned(lines: &[&str]) -> Vec<Option<String>> {
    lines.iter().map(|line| Some((*line).to_owned())).collect()
}

#[tokio::test]
async fn lines_become_rows_with_partitions_and_paths() {
    for place in Place::both() {
        place.put("t/k=1/a.txt", "one\r\n\ntwo").await;
        place.put("t/k=__HIVE_DEFAULT_PARTITION__/b.txt", "three\n").await;
        let splits = place.splits(&place.scan(TEXT, &["t"])).await.unwrap();
        let columns = FileColumns::new(TextReader::content(), &["k".into()], true, None).unwrap();
        let batches = read(&text_reader(&place, false, columns), &splits).await.unwrap();
        assert_eq!(texts(&batches, "text"), owned(&["one", "", "two", "three"]));
        let one = Some("1".to_owned());
        assert_eq!(texts(&batches, "k"), [one.clone(), one.clone(), one, None]);
        let path = texts(&batches, "path")[3].clone().unwrap();
        assert!(path.ends_with("t/k=__HIVE_DEFAULT_PARTITION__/b.txt") && !path.contains("://"));

        let columns = plain(TextReader::content());
        let dropped = read(&text_reader(&place, true, columns), &splits).await.unwrap();
        assert_eq!(texts(&dropped, "text"), owned(&["one", "two", "three"]));
    }
}

#[tokio::test]
async fn a_projection_orders_columns_and_unknown_ones_are_refused() {
    let place = Place::memory();
    place.put("t/k=1/a.txt", "one\ntwo").await;
    let splits = place.splits(&place.scan(TEXT, &["t"])).await.unwrap();
    let wanted = ["k".to_owned()];
    let columns =
        FileColumns::new(TextReader::content(), &["k".into()], true, Some(&wanted)).unwrap();
    let batches = read(&text_reader(&place, false, columns), &splits).await.unwrap();
    assert_eq!(batches[0].data.num_columns(), 1);
    assert_eq!(texts(&batches, "k"), owned(&["1", "1"]));

    let wrong = ["txt".to_owned()];
    let error = FileColumns::new(TextReader::content(), &[], false, Some(&wrong)).unwrap_err();
    assert_eq!(error.to_string(), "no column `txt` in these files");
    let twice = FileColumns::new(TextReader::content(), &["text".into()], false, None);
    assert_eq!(
        twice.unwrap_err().to_string(),
        "the partition column `text` is also a column of the files"
    );
}

#[tokio::test]
async fn a_split_counts_its_rows_over_all_files() {
    let place = Place::memory();
    for at in 0..40 {
        place.put(&format!("t/{at:02}.txt"), "a\nb\n").await;
    }
    let splits = place.splits(&place.scan(TEXT, &["t"])).await.unwrap();
    let last = splits.last().unwrap().clone();
    let files = last.payload.downcast_ref::<Vec<FileSplit>>().unwrap().len() as u64;
    assert!(files > 1);
    let reader = text_reader(&place, false, plain(TextReader::content()));
    let batches = read(&reader, std::slice::from_ref(&last)).await.unwrap();
    let spans: Vec<Span> = batches.iter().flat_map(|batch| batch.origin.clone()).collect();
    let expected: Vec<Span> =
        (0..files).map(|at| Span { split: last.id, first_row: at * 2, rows: 2 }).collect();
    assert_eq!(spans, expected);
}

#[tokio::test]
async fn ranges_of_one_file_have_every_line_once() {
    for place in Place::both() {
        let lines: Vec<_> = (0..3000).map(|line| format!("line {line}\r\n")).collect();
        let text = lines.concat();
        place.put("big.txt", text.clone()).await;
        let whole = place.splits(&place.scan(TEXT, &["big.txt"])).await.unwrap().remove(0);
        let file = whole.payload.downcast_ref::<Vec<FileSplit>>().unwrap()[0].clone();
        let size = file.size_bytes;
        let cuts: Vec<u64> = (0..=20).map(|cut| size * cut / 20).collect();
        let splits: Vec<Split> = cuts
            .windows(2)
            .zip(0..)
            .map(|(pair, id)| {
                let piece = FileSplit { range: Some(pair[0]..pair[1]), ..file.clone() };
                Split { id: SplitId(id), payload: Arc::new(vec![piece]), ..whole.clone() }
            })
            .collect();
        let reader = text_reader(&place, false, plain(TextReader::content()));
        let lines = texts(&read(&reader, &splits).await.unwrap(), "text");
        assert_eq!(lines.len(), 3000);
        let at_place = |(line, at): (&Option<String>, usize)| *line == Some(format!("line {at}"));
        assert!(lines.iter().zip(0..).all(at_place));
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn compression_is_told_by_the_name() {
    for place in Place::both() {
        // Two members, one behind the other.
        place.put("t/a.txt.gz", [gzip(b"one\ntw"), gzip(b"o\n")].concat()).await;
        let splits = place.splits(&place.scan(TEXT, &["t"])).await.unwrap();
        let reader = text_reader(&place, false, plain(TextReader::content()));
        assert_eq!(texts(&read(&reader, &splits).await.unwrap(), "text"), owned(&["one", "two"]));
        let reader = BinaryReader::new(Arc::clone(&place.stores), plain(BinaryReader::content()));
        let batches = read(&reader, &splits).await.unwrap();
        assert_eq!(batches[0].data.column(0).as_binary::<i32>().value(0), b"one\ntwo\n");

        let long = gzip(&b"many words\n".repeat(5000));
        place.put("t/cut.txt.gz", &long[..long.len() / 2]).await;
        let splits = place.splits(&place.scan(TEXT, &["t/cut.txt.gz"])).await.unwrap();
        let reader = text_reader(&place, false, plain(TextReader::content()));
        let failure = read(&reader, &splits).await.unwrap_err();
        let message = format!("cannot decompress `{}` as gzip", place.path("t/cut.txt.gz"));
        assert_eq!(failure.to_string(), message);
        assert_eq!(failure.kind(), ErrorKind::Source);
    }
}

#[tokio::test]
async fn bytes_that_are_not_utf8_name_file_and_line() {
    let place = Place::local();
    place.put("t/a.txt", b"fine\nbro\xffken\n".to_vec()).await;
    let splits = place.splits(&place.scan(TEXT, &["t"])).await.unwrap();
    let reader = text_reader(&place, false, plain(TextReader::content()));
    let failure = read(&reader, &splits).await.unwrap_err();
    assert_eq!(failure.to_string(), format!("line 2 of `{}` is not UTF-8", place.path("t/a.txt")));
    assert_eq!(failure.place().uri.as_deref(), Some(&*place.path("t/a.txt")));
}

#[tokio::test]
async fn an_empty_file_has_a_schema_and_no_rows() {
    let place = Place::memory();
    place.put("t/a.txt", "").await;
    let splits = place.splits(&place.scan(TEXT, &["t"])).await.unwrap();
    let reader = text_reader(&place, false, plain(TextReader::content()));
    let batches = read(&reader, &splits).await.unwrap();
    assert_eq!((batches.len(), batches[0].rows()), (1, 0));
}

#[tokio::test]
async fn a_file_that_is_gone_is_named() {
    let place = Place::local();
    place.put("t/a.bin", "x").await;
    let splits = place.splits(&place.scan(FileFormat::Binary, &["t"])).await.unwrap();
    std::fs::remove_file(place.path("t/a.bin")).unwrap();
    let reader = BinaryReader::new(Arc::clone(&place.stores), plain(BinaryReader::content()));
    let failure = read(&reader, &splits).await.unwrap_err();
    assert_eq!(failure.to_string(), format!("no such file or folder: `{}`", place.path("t/a.bin")));
    assert_eq!(failure.kind(), ErrorKind::NotFound);
}

fn png(width: u32, height: u32, color: png::ColorType, pixels: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(color);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header().unwrap().write_image_data(pixels).unwrap();
    bytes
}

#[tokio::test]
async fn images_are_tensors_of_their_own_shapes() {
    let place = Place::memory();
    place.put("i/a.png", png(2, 1, png::ColorType::Rgb, &[1, 2, 3, 4, 5, 6])).await;
    place.put("i/b.png", png(1, 3, png::ColorType::Grayscale, &[7, 8, 9])).await;
    let options = ImageReadOptions::default();
    let content = ImageReader::content(&options).unwrap();
    let variable = TensorType::Variable { value_type: DataType::UInt8, dimensions: 3 };
    assert_eq!(TensorType::of(&content).unwrap(), Some(variable));
    let splits = place.splits(&place.scan(FileFormat::Image(options.clone()), &["i"])).await;
    let reader = ImageReader::new(Arc::clone(&place.stores), &options, plain(content)).unwrap();
    let batches = read(&reader, &splits.unwrap()).await.unwrap();
    let shapes: Vec<Vec<i32>> = batches
        .iter()
        .flat_map(|batch| {
            let shapes = batch.data.column(0).as_struct().column(1).as_fixed_size_list();
            (0..shapes.len())
                .map(|row| {
                    let shape = shapes.value(row);
                    shape.as_primitive::<arrow::datatypes::Int32Type>().values().to_vec()
                })
                .collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(shapes, [[1, 2, 3], [3, 1, 1]]);
}

#[tokio::test]
async fn images_of_given_size_and_mode_are_fixed_tensors() {
    let place = Place::memory();
    place.put("i/a.png", png(1, 1, png::ColorType::Grayscale, &[9])).await;
    let options = ImageReadOptions { size: Some((2, 2)), mode: Some("RGB".into()) };
    let content = ImageReader::content(&options).unwrap();
    let format = FileFormat::Image(options.clone());
    let splits = place.splits(&place.scan(format, &["i"])).await.unwrap();
    let reader = ImageReader::new(Arc::clone(&place.stores), &options, plain(content)).unwrap();
    let batches = read(&reader, &splits).await.unwrap();
    let image = batches[0].data.column(0).as_fixed_size_list().value(0);
    assert_eq!(image.as_primitive::<UInt8Type>().values().to_vec(), vec![9; 12]);
}

#[tokio::test]
async fn what_is_no_image_is_named() {
    let place = Place::local();
    place.put("i/a.png", "not a picture").await;
    let options = ImageReadOptions::default();
    let content = ImageReader::content(&options).unwrap();
    let format = FileFormat::Image(options.clone());
    let splits = place.splits(&place.scan(format, &["i"])).await.unwrap();
    let reader = ImageReader::new(Arc::clone(&place.stores), &options, plain(content)).unwrap();
    let failure = read(&reader, &splits).await.unwrap_err();
    let path = place.path("i/a.png");
    assert_eq!(failure.to_string(), format!("cannot decode the image `{path}`"));
    assert!(failure.render().contains("caused by: not an image this build can read"));

    let odd = ImageReadOptions { size: None, mode: Some("CMYKX".into()) };
    assert_eq!(ImageReader::content(&odd).unwrap_err().to_string(), "unknown image mode `CMYKX`");
    for (height, width) in [(0, 5), (1, 65_536), (100_000, 1), (65_535, 65_535)] {
        let none = ImageReadOptions { size: Some((height, width)), mode: None };
        let error = ImageReader::content(&none).unwrap_err();
        assert_eq!(error.to_string(), format!("cannot resize images to `{height}` by `{width}`"));
    }
}

#[tokio::test]
async fn names_are_told_without_opening_files() {
    let place = Place::local();
    place.put("i/a.png", "not a picture").await;
    let options = ImageReadOptions::default();
    let splits = place.splits(&place.scan(FileFormat::Image(options.clone()), &["i"])).await;
    let splits = splits.unwrap();
    let path = ["path".to_owned()];
    let content = ImageReader::content(&options).unwrap();
    let columns = FileColumns::new(content, &[], true, Some(&path)).unwrap();
    let images = ImageReader::new(Arc::clone(&place.stores), &options, columns).unwrap();
    let columns = FileColumns::new(BinaryReader::content(), &[], true, Some(&path)).unwrap();
    let binary = BinaryReader::new(Arc::clone(&place.stores), columns);
    std::fs::remove_file(place.path("i/a.png")).unwrap();
    for reader in [&images as &dyn SplitReader, &binary] {
        let batches = read(reader, &splits).await.unwrap();
        assert_eq!(texts(&batches, "path"), owned(&[&place.path("i/a.png")]));
    }
}

#[tokio::test]
async fn a_file_too_large_for_a_column_is_refused_before_it_is_fetched() {
    let place = Place::local();
    place.put("t/a.bin", "x").await;
    let mut splits = place.splits(&place.scan(FileFormat::Binary, &["t"])).await.unwrap();
    let file = splits[0].payload.downcast_ref::<Vec<FileSplit>>().unwrap()[0].clone();
    splits[0].payload = Arc::new(vec![FileSplit { size_bytes: 1 << 31, ..file }]);
    std::fs::remove_file(place.path("t/a.bin")).unwrap();
    let reader = BinaryReader::new(Arc::clone(&place.stores), plain(BinaryReader::content()));
    let failure = read(&reader, &splits).await.unwrap_err();
    let message = format!("`{}` is larger than 2139095039 bytes", place.path("t/a.bin"));
    assert_eq!(failure.to_string(), message);
}

#[tokio::test]
async fn long_paths_count_in_batches_of_short_lines() {
    let place = Place::memory();
    let name = format!("{}/{}.txt", "d".repeat(200), "f".repeat(200));
    place.put(&name, "\n".repeat(200_000)).await;
    let splits = place.splits(&place.scan(TEXT, &[&name])).await.unwrap();
    let columns = FileColumns::new(TextReader::content(), &[], true, None).unwrap();
    let batches = read(&text_reader(&place, false, columns), &splits).await.unwrap();
    let rows: Vec<_> = batches.iter().map(raceline_types::Batch::rows).collect();
    assert_eq!(rows.iter().sum::<usize>(), 200_000);
    assert!(rows.iter().all(|&rows| rows < 60_000), "{rows:?}");
}
