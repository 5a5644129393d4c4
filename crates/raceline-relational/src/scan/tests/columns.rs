//! The columns of several files, and those that were declared.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, NullArray, RecordBatch, StructArray};
use arrow::datatypes::{DataType, Field, Schema};
use raceline_plan::{FileScan, ScanRequest};

use super::json::json;
use super::parquet::{file, parquet};
use super::{FileReader, Files, block_on, fault, infer_schema, read_with, rows};

#[test]
fn columns_are_those_of_the_first_files_wide_enough_for_all() {
    let files = Files::new();
    let firsts = [
        files.put("a.jsonl", r#"{"a": null, "b": 1, "s": {"x": 1}, "n": null}"#),
        files.put("b.jsonl", ""),
        files.put("c.jsonl", r#"{"c": true, "b": 1.5, "a": 7, "s": {"y": "z"}}"#),
        files.put("d.jsonl", "no json"),
    ];
    let scan = json(ScanRequest::default());
    assert_eq!(
        files.columns(&scan, &firsts),
        "a: Int64, b: Float64, s: Struct(\"x\": Int64, \"y\": Utf8), n: Utf8, c: Boolean"
    );
    // Of kinds that do not go together, that of the first file.
    let firsts = [files.put("e.jsonl", r#"{"a": 1}"#), files.put("f.jsonl", r#"{"a": "x"}"#)];
    assert_eq!(files.columns(&scan, &firsts), "a: Int64");
}

#[test]
fn columns_of_parquet_files_are_widened() {
    let files = Files::new();
    let part = |fields: Vec<(&str, ArrayRef)>| -> ArrayRef {
        let fields = fields.into_iter().map(|(name, values)| {
            (Arc::new(Field::new(name, values.data_type().clone(), true)), values)
        });
        Arc::new(StructArray::from(fields.collect::<Vec<_>>()))
    };
    let put = |name: &str, columns: Vec<(&str, ArrayRef)>| {
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        files.put(name, file(&batch, 10).0)
    };
    let int = |value| Arc::new(Int64Array::from(vec![value])) as ArrayRef;
    let float = |value| Arc::new(Float64Array::from(vec![value])) as ArrayRef;
    let splits = [
        put(
            "a.parquet",
            vec![
                ("n", Arc::new(NullArray::new(1))),
                ("f", int(1)),
                ("s", part(vec![("x", int(1))])),
            ],
        ),
        put(
            "b.parquet",
            vec![
                ("n", int(5)),
                ("f", float(2.5)),
                ("s", part(vec![("x", int(2)), ("y", float(0.5))])),
            ],
        ),
    ];
    let scan = parquet(ScanRequest::default());
    let schema = block_on(infer_schema(&files.engine, &scan, &splits)).unwrap();
    let reader = FileReader::new(Arc::clone(&files.engine), &scan, schema).unwrap();
    let read = read_with(&reader, &splits).unwrap();
    assert_eq!(rows(&read), ["null 1.0 {x: 1, y: null}", "5 2.5 {x: 2, y: 0.5}"]);
}

#[test]
fn declared_columns_are_cast_and_strict_ones_are_not() {
    let files = Files::new();
    let fields =
        vec![Field::new("id", DataType::Float64, true), Field::new("more", DataType::Utf8, true)];
    let declared =
        FileScan { schema: Some(Arc::new(Schema::new(fields))), ..parquet(ScanRequest::default()) };
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    let batch = RecordBatch::try_from_iter([("id", Arc::clone(&ids)), ("x", ids)]).unwrap();
    let splits = [files.put("a.parquet", file(&batch, 10).0)];
    assert_eq!(rows(&files.read(&declared, &splits).unwrap()), ["1.0 null", "2.0 null"]);
    let strict = FileScan { is_strict: true, ..declared };
    assert_eq!(
        fault(files.read(&strict, &splits)),
        "column `x` is none of those that were declared\n  file: /a.parquet\n  columns that are \
         read: id: Float64, more: Utf8\n  columns of the file: id: Int64, x: Int64\n  hint: mend \
         the file, or declare the columns as it has them; without `strict_schema` they may be \
         missing, and are cast"
    );
    let few = batch.project(&[0]).unwrap();
    let splits = [files.put("b.parquet", file(&few, 10).0)];
    let text = fault(files.read(&strict, &splits));
    assert!(text.starts_with("column `more` is missing in this file\n"), "{text}");
    let one = Schema::new(vec![Field::new("id", DataType::Float64, true)]);
    let strict = FileScan { schema: Some(Arc::new(one)), ..strict };
    let text = fault(files.read(&strict, &splits));
    assert!(text.starts_with("column `id` is `Int64` in this file, not `Float64`\n"), "{text}");
}
