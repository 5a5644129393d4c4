//! CSV: headers, types, ranges and bad values.

use datafusion::logical_expr::lit;
use proptest::prelude::*;
use raceline_plan::expression::{binary, column};
use raceline_plan::{CsvReadOptions, FileFormat, FileScan, ScanRequest};
use raceline_types::ErrorKind;

use super::{Files, block_on, columns, fault, names, ranges, rows, scan};
use object_store::ObjectStoreExt;

fn csv(request: ScanRequest) -> FileScan {
    let options =
        CsvReadOptions { delimiter: b',', quote: b'"', has_header: true, infer_rows: 100 };
    scan(FileFormat::Csv(options), request)
}

#[test]
fn columns_are_found_by_name_whatever_their_order_in_a_file() {
    let files = Files::new();
    let splits = [
        files.put("a.csv", "id,name,x\n1,one,0.5\n2,,\n"),
        files.put("b.csv", "extra,x,id\nq,1.5,3\n"),
        files.put("empty.csv", ""),
        files.put("header.csv", "id,name,x\n"),
    ];
    let read = files.read(&csv(columns(&["id", "name", "x"])), &splits).unwrap();
    assert_eq!(names(&read), ["id", "name", "x"]);
    assert_eq!(rows(&read), ["1 one 0.5", "2  null", "3 null 1.5"]);
    assert_eq!(
        fault(files.read(&csv(ScanRequest::default()), &splits)),
        "column `extra` is none of those of the first file\n  file: /b.csv\n  columns that are \
         read: id: Int64, name: Utf8, x: Float64\n  columns of the file: extra: Utf8, x: Float64, \
         id: Int64\n  hint: put first a file that has all columns, or select the columns that you \
         need"
    );
    let request = ScanRequest {
        predicate: Some(binary(">", column("x"), lit(0.5)).unwrap()),
        ..columns(&["name", "id"])
    };
    assert_eq!(rows(&files.read(&csv(request), &splits).unwrap()), ["null 3"]);
}

#[test]
fn byte_order_marks_and_foreign_line_ends_are_no_part_of_names_and_values() {
    let files = Files::new();
    let splits = [
        files.put("a.csv", "\u{feff}id,name\r\n1,one\r\n"),
        files.put("b.csv", "\u{feff}name,id\r\ntwo,2"),
    ];
    let read = files.read(&csv(ScanRequest::default()), &splits).unwrap();
    assert_eq!(names(&read), ["id", "name"]);
    assert_eq!(rows(&read), ["1 one", "2 two"]);
}

#[test]
fn delimiters_quotes_and_files_without_header_are_read() {
    let files = Files::new();
    let split = [files.put("a.csv", "1;'a;b'\n2;'c\nd'\n")];
    let options =
        CsvReadOptions { delimiter: b';', quote: b'\'', has_header: false, infer_rows: 100 };
    let scan = scan(FileFormat::Csv(options), ScanRequest::default());
    let read = files.read(&scan, &split).unwrap();
    assert_eq!(names(&read), ["column_1", "column_2"]);
    assert_eq!(rows(&read), ["1 a;b", "2 c\nd"]);
}

#[test]
fn a_bad_value_is_told_with_file_line_and_column() {
    let files = Files::new();
    let splits = [files.put("a.csv", "id,x\n1,2\n"), files.put("b.csv", "x,id\n1,2\n3,4\n5,six\n")];
    assert_eq!(
        fault(files.read(&csv(ScanRequest::default()), &splits)).lines().collect::<Vec<_>>()[..2],
        ["value `six` in line 4 does not fit column `id` of type `Int64`", "  file: /b.csv"]
    );
    let failure = files.read(&csv(columns(&["id"])), &splits).unwrap_err();
    assert_eq!(failure.kind(), ErrorKind::Source);
    assert!(failure.to_string().contains("`six` in line 4 does not fit column `id`"), "{failure}");
    // A column that nobody asks for is not parsed.
    assert_eq!(rows(&files.read(&csv(columns(&["x"])), &splits).unwrap()), ["2", "1", "3", "5"]);
}

#[test]
fn lines_are_those_of_the_file_in_every_range() {
    let files = Files::new();
    let lines: Vec<_> = (0..40).map(|id| id.to_string()).collect();
    let text = format!("id\n{}\nx\n", lines.join("\n"));
    let good = files.put("good.csv", "id\n1\n");
    let split = files.put("a.csv", text);
    for cut in [1, 2, 3, 50, split.size_bytes - 2] {
        let mut splits = ranges(&split, &[cut]);
        splits.insert(0, good.clone());
        let failure = files.read(&csv(ScanRequest::default()), &splits).unwrap_err();
        assert!(failure.to_string().starts_with("value `x` in line 42 "), "{cut}: {failure}");
    }
}

#[test]
fn a_bad_time_is_told_like_any_value() {
    let files = Files::new();
    let splits = [
        files.put("a.csv", "at\n2024-01-01T00:00:00\n"),
        files.put("b.csv", "at\n2024-01-01T00:00:00\nnoon\n"),
    ];
    let failure = files.read(&csv(ScanRequest::default()), &splits).unwrap_err();
    assert!(
        failure.to_string().starts_with("value `noon` in line 3 does not fit column `at`"),
        "{failure:?}"
    );
}

#[test]
fn rows_of_another_width_and_other_files_are_told() {
    let files = Files::new();
    let ragged = [files.put("a.csv", "id,x\n1,2\n"), files.put("b.csv", "id,x\n1,2\n1,2,3\n")];
    let text = fault(files.read(&csv(ScanRequest::default()), &ragged));
    assert_eq!(
        text,
        "not a CSV file: incorrect number of fields for line 3, expected 2 got 3\n  \
         file: /b.csv\n  hint: remove the file from the paths, or write it again as CSV"
    );
    let binary = [files.put("c.csv", vec![0xFF, 0xFE, b'\n', 0xFF, b'\n'])];
    let text = fault(files.read(&csv(ScanRequest::default()), &binary));
    assert!(text.contains("  file: /c.csv\n"), "{text}");
    let empty = files.put("empty.csv", "");
    let text = files.infer(&csv(ScanRequest::default()), &empty).unwrap_err().render();
    assert!(text.starts_with("not a CSV file: it has no columns\n  file: /empty.csv"), "{text}");
}

#[test]
fn types_are_found_from_whole_rows_whatever_their_length() {
    let files = Files::new();
    let value = "a\nb,\"\"c\"\"\n".repeat(600_000);
    let split = files.put("a.csv", format!("id,text\n1,\"{value}\"\n2,\"{value}\"\n3,x\n"));
    let read = files.read(&csv(columns(&["id"])), &[split]).unwrap();
    assert_eq!(rows(&read), ["1", "2", "3"]);
}

#[test]
fn two_columns_of_one_name_are_refused() {
    let files = Files::new();
    let (good, bad) = (files.put("a.csv", "a,b\n1,2\n"), files.put("b.csv", "a,b,a\n1,2,3\n"));
    for splits in [vec![bad.clone()], vec![good, bad]] {
        assert_eq!(
            fault(files.read(&csv(ScanRequest::default()), &splits)),
            "column `a` occurs twice\n  file: /b.csv\n  hint: give each column of the file a name \
             of its own"
        );
    }
}

#[test]
fn compressed_files_are_read_whole_by_their_first_range() {
    let files = Files::new();
    let split = files.put_gzip("a.csv.gz", "id\n1\n2\n3\n");
    let read = files.read(&csv(ScanRequest::default()), &ranges(&split, &[5, 9])).unwrap();
    assert_eq!(rows(&read), ["1", "2", "3"]);
    let whole = block_on(async {
        let stored = files.store.get(&split.location.as_ref().into()).await?;
        stored.bytes().await
    });
    let whole = whole.unwrap();
    let cut = files.put("cut.csv.gz", &whole[..whole.len() - 12]);
    let text = fault(files.read(&csv(ScanRequest::default()), &[split.clone(), cut]));
    assert!(text.contains("  file: /cut.csv.gz\n"), "{text}");
    let broken = files.put("b.csv.gz", "id\n1\n");
    let text = fault(files.read(&csv(ScanRequest::default()), &[split, broken]));
    assert!(text.contains("  file: /b.csv.gz\n"), "{text}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn ranges_cover_every_row_once(cuts in prop::collection::vec(any::<u64>(), 0..6)) {
        let files = Files::new();
        let lines: Vec<_> = (0..40).map(|id| format!("{id} {}", "y".repeat(id % 7))).collect();
        let text = lines.iter().map(|line| line.replace(' ', ",") + "\n");
        let split = files.put("a.csv", "id,name\n".to_owned() + &text.collect::<String>());
        let read = files.read(&csv(ScanRequest::default()), &ranges(&split, &cuts)).unwrap();
        prop_assert_eq!(rows(&read), lines);
    }
}
