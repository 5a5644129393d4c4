//! JSON: lines, arrays, objects, ranges and bad values.

use arrow::datatypes::DataType;
use datafusion::logical_expr::lit;
use proptest::prelude::*;
use raceline_plan::expression::{binary, column};
use raceline_plan::{FileFormat, FileScan, JsonReadOptions, ScanRequest};
use raceline_types::ErrorKind;

use super::{Files, columns, fault, names, ranges, rows, scan};

fn json(request: ScanRequest) -> FileScan {
    scan(FileFormat::Json(JsonReadOptions { infer_rows: 100 }), request)
}

#[test]
fn lines_arrays_and_objects_are_read() {
    let files = Files::new();
    let splits = [
        files.put("a.jsonl", "{\"id\": 1, \"tags\": [\"p\", null]}\n\n{\"tags\": [], \"id\": 2}\n"),
        files.put("b.json", " [{\"id\": 3, \"tags\": null},\n {\"id\": 4, \"other\": 0}]\n"),
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
         Parser error: can't parse the string value one to decimal\n  hint: types are those of \
         the first file: declare a schema, or write the files with the same types"
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
