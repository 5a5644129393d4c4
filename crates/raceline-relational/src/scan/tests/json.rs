//! JSON: lines, arrays, objects, ranges and bad values.

use arrow::datatypes::DataType;
use datafusion::logical_expr::lit;
use proptest::prelude::*;
use raceline_plan::expression::{binary, column};
use raceline_plan::{FileFormat, FileScan, JsonReadOptions, ScanRequest};
use raceline_types::ErrorKind;

use super::{Files, columns, fault, names, ranges, rows, scan};

pub(super) fn json(request: ScanRequest) -> FileScan {
    scan(FileFormat::Json(JsonReadOptions { infer_rows: 100 }), request)
}

#[test]
fn lines_arrays_and_objects_are_read() {
    let files = Files::new();
    let splits = [
        files.put("a.jsonl", "{\"id\": 1, \"tags\": [\"p\", null]}\n\n{\"tags\": [], \"id\": 2}\n"),
        files.put("b.json", " [{\"id\": 3, \"tags\": null},\n {\"id\": 4}]\n"),
        files.put("c.json", "{\n  \"id\": 5,\n  \"tags\": [\"q\"]\n}"),
        files.put("d.json", ""),
        files.put("e.json", "[]"),
        files.put_gzip("f.json.gz", "[{\"id\": 6}]"),
    ];
    let read = files.read(&json(ScanRequest::default()), &splits).unwrap();
    assert_eq!(names(&read), ["id", "tags"]);
    assert_eq!(rows(&read), ["1 [p, null]", "2 []", "3 null", "4 null", "5 [q]", "6 null"]);
    let predicate = Some(binary(">", column("id"), lit(4)).unwrap());
    let request = ScanRequest { predicate, ..columns(&["id"]) };
    assert_eq!(rows(&files.read(&json(request), &splits).unwrap()), ["5", "6"]);
}

#[test]
fn bad_files_are_told_by_name() {
    let files = Files::new();
    let good = files.put("a.jsonl", "{\"id\": 1}\n");
    for (name, text) in [
        ("b.jsonl", "{\"id\": 1}\n{\"id\": \n"),
        ("c.json", "[{\"id\": 1}, {\"id\""),
        ("d.json", "id,x\n1,2\n"),
    ] {
        let bad = files.put(name, text);
        let failure = files.read(&json(ScanRequest::default()), &[good.clone(), bad]).unwrap_err();
        assert_eq!(failure.kind(), ErrorKind::Source, "{failure:?}");
        assert!(failure.to_string().starts_with("not a JSON file: "), "{failure:?}");
        assert_eq!(failure.place().uri.as_deref(), Some(format!("/{name}").as_str()));
    }
    let other = files.put("e.jsonl", "{\"id\": \"one\"}\n");
    assert_eq!(
        fault(files.read(&json(ScanRequest::default()), &[good, other])),
        "a value does not fit the type of its column\n  file: /e.jsonl\n  caused by: Arrow error: \
         Parser error: can't parse the string value one to decimal\n  hint: types are found from the start of the first \
         file: write the files with the same types, or put first one that shows them"
    );
    let first = [files.put("f.json", "[1, 2]")];
    let text = fault(files.read(&json(ScanRequest::default()), &first));
    assert!(text.starts_with("not a JSON file: `1` is not an object\n  file: /f.json"), "{text}");
}

#[test]
fn integers_keep_all_digits_and_no_fraction_is_dropped() {
    let files = Files::new();
    let text =
        format!("{{\"id\": {}}}\n{{\"id\": {}}}\n{{\"id\": 2.0}}\n{{}}\n", i64::MIN, i64::MAX);
    let splits = [files.put("a.jsonl", "{\"id\": 1}\n"), files.put("b.jsonl", text)];
    let read = files.read(&json(ScanRequest::default()), &splits).unwrap();
    assert_eq!(read.schema().field(0).data_type(), &DataType::Int64);
    let (least, most) = (i64::MIN.to_string(), i64::MAX.to_string());
    assert_eq!(rows(&read), ["1", least.as_str(), most.as_str(), "2", "null"]);
    for (number, told) in
        [("1.5", "`1.5` is not an integer"), ("9223372036854775808", "9223372036854775808")]
    {
        let other = files.put("c.jsonl", format!("{{\"id\": {number}}}\n"));
        let read = files.read(&json(ScanRequest::default()), &[splits[0].clone(), other]);
        let text = fault(read);
        assert!(
            text.starts_with(
                "a value does not fit the type of its column\n  file: /c.jsonl\n  column: id\n"
            ),
            "{text}"
        );
        assert!(text.contains(told), "{text}");
    }
}

#[test]
fn no_fraction_is_dropped_at_any_depth() {
    let files = Files::new();
    let first =
        files.put("a.jsonl", "{\"a\": {\"b\": 1}, \"l\": [1, null], \"m\": [{\"c\": 3}]}\n");
    let later =
        files.put("b.jsonl", "{\"a\": null, \"l\": [2.0]}\n{\"a\": {\"b\": 2}, \"m\": []}\n");
    let read = files.read(&json(ScanRequest::default()), &[first.clone(), later]).unwrap();
    let expected = ["{b: 1} [1, null] [{c: 3}]", "null [2] null", "{b: 2} null []"];
    assert_eq!(rows(&read), expected);
    for (text, column) in [
        ("{\"a\": {\"b\": 1.75}}", "a"),
        ("{\"l\": [7, 1.75]}", "l"),
        ("{\"m\": [{\"c\": 1.75}]}", "m"),
    ] {
        let bad = files.put("c.jsonl", text);
        let text = fault(files.read(&json(ScanRequest::default()), &[first.clone(), bad]));
        let expected = format!(
            "a value does not fit the type of its column\n  file: /c.jsonl\n  column: {column}\n"
        );
        assert!(text.starts_with(&expected), "{text}");
        assert!(text.contains("`1.75` is not an integer"), "{text}");
    }
}

#[test]
fn no_key_is_dropped_without_a_word() {
    let files = Files::new();
    let first = files.put("a.jsonl", "{\"a\": 1, \"s\": {\"t\": 2}}\n");
    for (name, text, key) in [
        ("b.jsonl", "{\"a\": 1}\n{\"a\": 1, \"z\": 5}\n", "z"),
        ("b.json", "[{\"a\": 1, \"s\": {\"u\": 5}}]", "s.u"),
    ] {
        let other = files.put(name, text);
        let splits = [first.clone(), other];
        assert_eq!(
            fault(files.read(&json(ScanRequest::default()), &splits)),
            format!(
                "key `{key}` is none of the columns that were found\n  file: /{name}\n  hint: \
                 columns are found from the start of the first file: put first a file that starts \
                 with all keys, select the columns that you need, or read the lines with \
                 `read_text` and parse them in a function"
            )
        );
        // Who names columns has seen which there are.
        assert_eq!(rows(&files.read(&json(columns(&["a"])), &splits).unwrap())[..2], ["1", "1"]);
    }
}

#[test]
fn keys_that_give_way_to_folders_and_paths_are_not_missed() {
    let files = Files::new();
    let splits = [
        files.put("k=x/a.jsonl", "{\"id\": 1, \"k\": 7}\n"),
        files.put("k=y/a.json", "[{\"id\": 2, \"path\": {\"deep\": 1}}]"),
    ];
    let scan = FileScan { include_paths: true, ..json(ScanRequest::default()) };
    let read = files.read(&scan, &splits).unwrap();
    assert_eq!(names(&read), ["id", "k", "path"]);
    assert_eq!(rows(&read), ["1 x /k=x/a.jsonl", "2 y /k=y/a.json"]);
}

#[test]
fn arrays_are_read_whatever_their_strings_hold_and_must_end() {
    let files = Files::new();
    let text = r#" [ {"s": "a,]\"[{\\"} , {"s": "}", "l": [[1,2],[3]]},{}] "#;
    let read = files.read(&json(columns(&["s", "l"])), &[files.put("a.json", text)]).unwrap();
    assert_eq!(rows(&read), [r#"a,]"[{\ null"#, "} [[1, 2], [3]]", "null null"]);
    let good = files.put("good.json", "[{\"s\": \"\"}]");
    for (text, reason) in [
        ("[{\"s\": \"\"}", "its array does not end"),
        ("[{\"s\": \"\"}] {}", "something comes behind its array"),
    ] {
        let bad = files.put("b.json", text);
        let text = fault(files.read(&json(ScanRequest::default()), &[good.clone(), bad]));
        assert!(text.starts_with(&format!("not a JSON file: {reason}\n  file: /b.json")), "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn ranges_cover_every_row_once(
        cuts in prop::collection::vec(any::<u64>(), 0..6),
        is_array in any::<bool>(),
    ) {
        let files = Files::new();
        let objects: Vec<_> =
            (0..40).map(|id| format!("{{\"id\": {id}, \"s\": \"{}\"}}", "y".repeat(id % 7))).collect();
        let text = if is_array { format!("[{}]", objects.join(",\n")) } else { objects.join("\n") };
        let split = files.put("a.json", text);
        let scan = json(columns(&["id"]));
        let read = files.read(&scan, &ranges(&split, &cuts)).unwrap();
        prop_assert_eq!(rows(&read), (0..40).map(|id| id.to_string()).collect::<Vec<_>>());
    }
}
