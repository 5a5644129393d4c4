//! Parquet: what is read, what is left out, and folders.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, StringViewArray};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::logical_expr::{Expr, lit};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::file::metadata::ParquetMetaData;
use datafusion::parquet::file::properties::WriterProperties;
use proptest::prelude::*;
use raceline_exec::SplitReader as _;
use raceline_plan::expression::{binary, column};
use raceline_plan::{FileFormat, FileScan, ScanRequest};
use raceline_types::{ErrorKind, Split, SplitId};

use super::{Files, columns, fault, names, ranges, read_with, rows, scan};
use crate::error::FileError;
use crate::fixture::{Collected, block_on, engine};
use crate::scan::count_rows;

/// Rows `0..rows` with columns `id` (int64), `x` (half of it) and `name` (text or null).
pub(super) fn table(rows: Range<i64>) -> RecordBatch {
    let halves = rows.clone().map(|id| i32::try_from(id).map(f64::from).unwrap() / 2.0);
    let names = rows.clone().map(|id| (id % 3 != 0).then(|| format!("name {id}")));
    let columns: [(&str, ArrayRef, bool); 3] = [
        ("id", Arc::new(Int64Array::from_iter_values(rows)), true),
        ("x", Arc::new(Float64Array::from_iter_values(halves)), true),
        ("name", Arc::new(names.collect::<StringArray>()), true),
    ];
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

/// `batch` as a file of row groups of `group_rows` rows.
pub(super) fn file(batch: &RecordBatch, group_rows: usize) -> (Vec<u8>, ParquetMetaData) {
    let properties =
        WriterProperties::builder().set_max_row_group_row_count(Some(group_rows)).build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    let footer = writer.close().unwrap();
    (bytes, footer)
}

/// Fills the data of one column of one row group with garbage.
pub(super) fn spoil(bytes: &mut [u8], footer: &ParquetMetaData, group: usize, column: usize) {
    let (start, length) = footer.row_group(group).column(column).byte_range();
    let start = usize::try_from(start).unwrap();
    bytes[start..start + usize::try_from(length).unwrap()].fill(0xFF);
}

pub(super) fn parquet(request: ScanRequest) -> FileScan {
    scan(FileFormat::Parquet, request)
}

fn keep(predicate: Expr) -> FileScan {
    parquet(ScanRequest { predicate: Some(predicate), ..ScanRequest::default() })
}

fn compare(name: &str, op: &str, value: Expr) -> Expr {
    binary(op, column(name), value).unwrap()
}

/// Most rows of a batch that an engine of `memory_bytes` reads.
fn batch_rows_max(memory_bytes: usize) -> usize {
    let files = Files::with(engine(2, memory_bytes));
    let file = files.put("a.parquet", file(&table(0..60_000), 60_000).0);
    let reader = files.reader(&parquet(ScanRequest::default()), &file).unwrap();
    let split = Split {
        id: SplitId(0),
        label: Arc::clone(&file.uri),
        rows: None,
        estimated_bytes: None,
        payload: Arc::new(vec![file]),
    };
    let mut out = Collected::default();
    block_on(reader.read(&split, &mut out)).unwrap();
    assert_eq!(out.rows().num_rows(), 60_000);
    out.0.iter().map(|batch| batch.data.num_rows()).max().unwrap()
}

#[test]
fn the_smaller_the_engine_the_smaller_are_batches() {
    assert!(batch_rows_max(8 << 20) < 10_000);
    assert!(batch_rows_max(256 << 20) > 30_000);
}

#[test]
fn only_the_columns_asked_for_are_read_in_their_order() {
    let files = Files::new();
    let (mut bytes, footer) = file(&table(0..4), 2);
    for group in 0..2 {
        spoil(&mut bytes, &footer, group, 1);
    }
    let split = [files.put("a.parquet", bytes)];
    let read = files.read(&parquet(columns(&["name", "id"])), &split).unwrap();
    assert_eq!(names(&read), ["name", "id"]);
    assert_eq!(rows(&read), ["null 0", "name 1 1", "name 2 2", "null 3"]);
    let text = fault(files.read(&parquet(columns(&["x"])), &split));
    assert!(text.contains("  file: /a.parquet\n"), "{text}");
}

#[test]
fn columns_that_are_wanted_come_in_the_order_of_the_files_and_may_be_missing() {
    let files = Files::new();
    let (mut bytes, footer) = file(&table(0..4), 2);
    for group in 0..2 {
        spoil(&mut bytes, &footer, group, 1);
    }
    let split = [files.put("a.parquet", bytes)];
    let wanted = |names: &[&str]| Some(names.iter().map(ToString::to_string).collect());
    let request = ScanRequest { wanted: wanted(&["nowhere", "name", "id"]), ..Default::default() };
    assert_eq!(names(&files.read(&parquet(request), &split).unwrap()), ["id", "name"]);
    let request = ScanRequest { wanted: wanted(&["id", "nowhere"]), ..columns(&["name"]) };
    assert_eq!(names(&files.read(&parquet(request), &split).unwrap()), ["id", "name"]);
    let request = ScanRequest { wanted: wanted(&["nowhere"]), ..Default::default() };
    assert_eq!(files.read(&parquet(request), &split).unwrap().num_rows(), 4);
    let request = ScanRequest { wanted: wanted(&["id"]), ..columns(&["nowhere"]) };
    assert!(fault(files.read(&parquet(request), &split)).contains("`nowhere`"));
}

#[test]
fn row_groups_that_the_predicate_rules_out_are_not_read() {
    let files = Files::new();
    let (mut bytes, footer) = file(&table(0..30), 10);
    for group in [0, 2] {
        (0..3).for_each(|column| spoil(&mut bytes, &footer, group, column));
    }
    let split = [files.put("a.parquet", bytes)];
    let ints = binary("&", compare("id", ">=", lit(18)), compare("id", "<", lit(20_i64))).unwrap();
    // A comparison of floats has IEEE's meaning, and still prunes.
    let floats = binary("&", compare("x", ">=", lit(9.0)), compare("x", "<", lit(10))).unwrap();
    for predicate in [ints, floats] {
        let read = files.read(&keep(predicate), &split).unwrap();
        assert_eq!(rows(&read), ["18 9.0 null", "19 9.5 name 19"]);
    }
    assert!(files.read(&keep(compare("id", ">=", lit(5))), &split).is_err());
}

#[test]
fn predicates_are_exact_and_their_columns_need_not_be_in_the_output() {
    let files = Files::new();
    let split = [files.put("a.parquet", file(&table(0..20), 7).0)];
    let predicate = binary(
        "&",
        compare("name", "!=", lit("name 4")),
        binary("==", compare("id", "%", lit(4)), lit(0)).unwrap(),
    );
    let request = ScanRequest { predicate: Some(predicate.unwrap()), ..columns(&["x"]) };
    // 0 and 12 have no name, which is neither equal nor unequal.
    assert_eq!(rows(&files.read(&parquet(request), &split).unwrap()), ["4.0", "8.0"]);
}

#[test]
fn a_limit_counts_the_rows_that_the_predicate_keeps() {
    let files = Files::new();
    let split = [files.put("a.parquet", file(&table(0..20), 3).0)];
    let predicate = Some(compare("id", ">", lit(4)));
    let request = ScanRequest { predicate, limit: Some(2), ..columns(&["id"]) };
    assert_eq!(rows(&files.read(&parquet(request), &split).unwrap()), ["5", "6"]);
    let request = ScanRequest { limit: Some(0), ..columns(&["id"]) };
    let nothing = files.read(&parquet(request), &split).unwrap();
    assert_eq!((nothing.num_rows(), names(&nothing)), (0, vec!["id".to_owned()]));
}

#[test]
fn zeros_of_both_signs_and_nan_survive_pruning() {
    let files = Files::new();
    let zeros: ArrayRef = Arc::new(Float64Array::from(vec![-0.0, -0.0, 0.0, f64::NAN]));
    let batch = RecordBatch::try_from_iter([("x", zeros)]).unwrap();
    let split = [files.put("a.parquet", file(&batch, 2).0)];
    let read = files.read(&keep(compare("x", "==", lit(0.0))), &split).unwrap();
    assert_eq!(rows(&read), ["-0.0", "-0.0", "0.0"]);
    let read = files.read(&keep(compare("x", "!=", lit(0.0))), &split).unwrap();
    assert_eq!(rows(&read), ["NaN"]);
}

#[test]
fn string_views_are_read_as_strings() {
    let files = Files::new();
    let text: ArrayRef = Arc::new(StringViewArray::from(vec![
        Some("a text that does not fit into a view"),
        None,
        Some("b"),
    ]));
    let batch = RecordBatch::try_from_iter([("text", text)]).unwrap();
    let split = [files.put("a.parquet", file(&batch, 10).0)];
    let read = files.read(&keep(compare("text", "==", lit("b"))), &split).unwrap();
    assert_eq!(read.schema().field(0).data_type(), &DataType::Utf8);
    assert_eq!(rows(&read), ["b"]);
}

#[test]
fn folders_become_columns_and_rule_files_out_unopened() {
    let files = Files::new();
    let splits = [
        files.put("t/day=1/city=x/a.parquet", file(&table(0..2), 10).0),
        files.put("t/day=2/city=x/b.parquet", "not to be opened"),
        files.put("t/day=1/city=__HIVE_DEFAULT_PARTITION__/c.parquet", file(&table(2..3), 10).0),
    ];
    let predicate = binary("&", compare("day", "==", lit("1")), compare("id", ">", lit(0)));
    let request =
        ScanRequest { predicate: Some(predicate.unwrap()), ..columns(&["city", "id", "day"]) };
    let scan = parquet(request);
    let reader = files.reader(&scan, &splits[0]).unwrap();
    let pruned: Vec<_> = splits.iter().map(|split| reader.prunes(split).unwrap()).collect();
    assert_eq!(pruned, [false, true, false]);
    assert_eq!(rows(&read_with(&reader, &splits).unwrap()), ["x 1 1", "null 2 1"]);
    let unknown = keep(compare("city", "==", lit("x")));
    let reader = files.reader(&unknown, &splits[0]).unwrap();
    assert!(reader.prunes(&splits[2]).unwrap(), "null is equal to nothing");
}

#[test]
fn a_path_names_the_file_and_missing_columns_are_null() {
    let files = Files::new();
    let fewer = table(1..2).project(&[0]).unwrap();
    let splits = [
        files.put("a.parquet", file(&table(0..1), 10).0),
        files.put("b.parquet", file(&fewer, 10).0),
    ];
    let scan = FileScan { include_paths: true, ..parquet(columns(&["path", "x", "id"])) };
    let read = files.read(&scan, &splits).unwrap();
    assert_eq!(rows(&read), ["/a.parquet 0.0 0", "/b.parquet null 1"]);
}

#[test]
fn a_column_that_is_not_there_is_told_with_the_nearest() {
    let files = Files::new();
    let split = files.put("a.parquet", file(&table(0..1), 10).0);
    for scan in [parquet(columns(&["nam"])), keep(compare("nam", "==", lit("x")))] {
        let failure = files.reader(&scan, &split).unwrap_err();
        assert_eq!(failure.kind(), ErrorKind::ColumnNotFound);
        assert_eq!(
            failure.render(),
            "no column `nam`\n  columns: `id`, `x`, `name`\n  hint: did you mean `name`?"
        );
    }
}

#[test]
fn rows_are_counted_from_footers_alone() {
    let files = Files::new();
    let (mut bytes, footer) = file(&table(0..25), 10);
    for (group, column) in [(0, 0), (1, 1), (2, 2)] {
        spoil(&mut bytes, &footer, group, column);
    }
    let splits = [files.put("a.parquet", bytes), files.put("b.parquet", file(&table(0..5), 10).0)];
    let count = super::block_on(count_rows(&files.engine, &splits)).unwrap();
    assert_eq!(count, 30);
}

#[test]
fn files_that_are_no_parquet_are_told_by_name() {
    let files = Files::new();
    let good = files.put("good.parquet", file(&table(0..3), 10).0);
    let whole = file(&table(0..100), 10).0;
    let truncated = files.put("cut.parquet", &whole[..whole.len() / 2]);
    let mistyped = files.put("text.parquet", "id,x\n1,2\n");
    let empty = files.put("empty.parquet", "");
    let scan = parquet(ScanRequest::default());
    for bad in [&truncated, &mistyped, &empty] {
        let failure = files.read(&scan, &[good.clone(), bad.clone()]).unwrap_err();
        assert_eq!(failure.place().uri.as_deref(), Some(bad.uri.as_ref()));
        assert!(matches!(failure.downcast_ref(), Some(FileError::Malformed { .. })), "{failure:?}");
        assert_eq!(
            failure.to_string(),
            "not a Parquet file: it does not end in a footer; it is truncated or of another format"
        );
        assert_eq!(failure.kind(), ErrorKind::Source);
    }
    let mut gone = good.clone();
    gone.location = "gone.parquet".into();
    gone.uri = "/gone.parquet".into();
    let failure = files.read(&scan, &[good, gone]).unwrap_err();
    assert_eq!(failure.kind(), ErrorKind::NotFound);
    assert_eq!(failure.place().uri.as_deref(), Some("/gone.parquet"));
}

#[test]
fn a_column_of_another_type_is_cast_or_told() {
    let files = Files::new();
    let text: ArrayRef = Arc::new(StringArray::from(vec!["1", "two"]));
    let other = RecordBatch::try_from_iter([("id", text)]).unwrap();
    let splits = [
        files.put("a.parquet", file(&table(0..1), 10).0),
        files.put("b.parquet", file(&other, 10).0),
    ];
    assert_eq!(
        fault(files.read(&parquet(columns(&["id"])), &splits)),
        "column `id` is `Utf8` in this file, not `Int64`\n  file: /b.parquet\n  columns that are \
         read: id: Int64\n  columns of the file: id: Utf8\n  hint: types are found from the \
         first files: declare them by `schema=`, or write the files with the same types"
    );
    let ids = Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, true)]));
    let declared = FileScan { schema: Some(ids), ..parquet(columns(&["id"])) };
    assert_eq!(
        fault(files.read(&declared, &splits)),
        "a value does not fit the type of its column\n  file: /b.parquet\n  caused by: Arrow \
         error: Cast error: Cannot cast string 'two' to value of Int64 type\n  hint: types are found from the start of the first \
         file: write the files with the same types, or put first one that shows them"
    );
    let small: ArrayRef = Arc::new(arrow::array::Int8Array::from(vec![3]));
    let small = RecordBatch::try_from_iter([("x", Arc::clone(&small)), ("id", small)]).unwrap();
    let widened = [splits[0].clone(), files.put("c.parquet", file(&small, 10).0)];
    let read = files.read(&parquet(columns(&["id", "x"])), &widened).unwrap();
    assert_eq!(rows(&read), ["0 0.0", "3 3.0"]);
    let halves: ArrayRef = Arc::new(Float64Array::from(vec![1.5]));
    let halves = RecordBatch::try_from_iter([("id", halves)]).unwrap();
    let narrowed = [splits[0].clone(), files.put("d.parquet", file(&halves, 10).0)];
    let failure = files.read(&parquet(columns(&["id"])), &narrowed).unwrap_err();
    assert_eq!(failure.to_string(), "column `id` is `Float64` in this file, not `Int64`");
    assert_eq!(failure.place().uri.as_deref(), Some("/d.parquet"));
    assert_eq!(failure.kind(), ErrorKind::Source);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn ranges_cover_every_row_once(cuts in prop::collection::vec(any::<u64>(), 0..6)) {
        let files = Files::new();
        let split = files.put("a.parquet", file(&table(0..50), 6).0);
        let scan = parquet(columns(&["id"]));
        for range in ranges(&split, &cuts) {
            let read = files.read(&scan, std::slice::from_ref(&range)).unwrap();
            let counted = super::block_on(count_rows(&files.engine, &[range])).unwrap();
            prop_assert_eq!(counted, read.num_rows() as u64);
        }
        let read = files.read(&scan, &ranges(&split, &cuts)).unwrap();
        let whole = (0..50).map(|id| id.to_string()).collect::<Vec<_>>();
        prop_assert_eq!(rows(&read), whole);
    }
}
