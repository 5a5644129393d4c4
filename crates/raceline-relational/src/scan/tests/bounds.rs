//! Least and greatest values from footers, and where these do not tell them.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch};
use raceline_plan::{FileScan, ScanRequest};

use super::parquet::{file, parquet, spoil, table};
use super::{Files, columns, ranges, rows};

fn only_bounds(names: &[&str]) -> FileScan {
    parquet(ScanRequest { only_bounds: true, ..columns(names) })
}

#[test]
fn bounds_are_those_of_footers_of_which_nothing_else_is_read() {
    let files = Files::new();
    let (mut bytes, footer) = file(&table(0..25), 10);
    for (group, column) in [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)] {
        spoil(&mut bytes, &footer, group, column);
    }
    let split = files.put("a.parquet", bytes);
    let read = files.read(&only_bounds(&["x", "id"]), std::slice::from_ref(&split)).unwrap();
    let (least, greatest) = (["0.0 0", "5.0 10", "10.0 20"], ["4.5 9", "9.5 19", "12.0 24"]);
    assert_eq!(rows(&read), [least, greatest].concat());
    // Each part of the file has its own row groups.
    let middle = split.size_bytes / 2;
    let parts = files.read(&only_bounds(&["x", "id"]), &ranges(&split, &[middle])).unwrap();
    let (mut parts, mut whole) = (rows(&parts), rows(&read));
    parts.sort_unstable();
    whole.sort_unstable();
    assert_eq!(parts, whole);
}

#[test]
fn a_file_is_read_whose_footer_does_not_tell_them() {
    let files = Files::new();
    let split = [files.put("a.parquet", file(&table(0..25), 10).0)];
    assert_eq!(files.read(&only_bounds(&["id", "name"]), &split).unwrap().num_rows(), 25);
    let numbers = |values: Vec<Option<f64>>| -> ArrayRef { Arc::new(Float64Array::from(values)) };
    let group = |values| {
        let batch = RecordBatch::try_from_iter_with_nullable([("x", numbers(values), true)]);
        [files.put("x.parquet", file(&batch.unwrap(), 2).0)]
    };
    // NaN is in no footer: where there is nothing else, nothing is told.
    let split = group(vec![Some(f64::NAN), Some(2.0), None, None, None, Some(1.0)]);
    assert_eq!(rows(&files.read(&only_bounds(&["x"]), &split).unwrap()).len(), 6);
    let split = group(vec![Some(f64::NAN), Some(f64::NAN), Some(1.0), Some(3.0)]);
    assert_eq!(files.read(&only_bounds(&["x"]), &split).unwrap().num_rows(), 4);
    // A file with another type than the first one.
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![7, 5, 6]));
    let other = RecordBatch::try_from_iter([("x", ids)]).unwrap();
    let splits = [split[0].clone(), files.put("y.parquet", file(&other, 3).0)];
    assert_eq!(files.read(&only_bounds(&["x"]), &splits[..]).unwrap().num_rows(), 7);
}
