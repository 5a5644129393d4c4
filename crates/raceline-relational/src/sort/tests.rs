//! Tests of sorts.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray, StringViewArray,
};
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use proptest::prelude::*;
use raceline_exec::{SpillFolder, SpillOptions, SpillStore};
use raceline_plan::SortKey;
use raceline_types::TensorType;

use super::SortRegion;
use crate::fixture::{engine, engine_with, run};

const MEMORY_BYTES: usize = 256 << 20;

type Row = (Option<f64>, Option<i64>);

fn key(column: &str, descending: bool) -> SortKey {
    SortKey { column: column.into(), descending }
}

fn batches(rows: &[Row]) -> Vec<RecordBatch> {
    let batch = |rows: &[Row]| {
        let a: Float64Array = rows.iter().map(|row| row.0).collect();
        let b: Int64Array = rows.iter().map(|row| row.1).collect();
        let columns: [(&str, ArrayRef, bool); 2] =
            [("a", Arc::new(a), true), ("b", Arc::new(b), true)];
        RecordBatch::try_from_iter_with_nullable(columns).unwrap()
    };
    rows.chunks(5).map(batch).collect()
}

fn rows_of(batch: &RecordBatch) -> Vec<Row> {
    let a = batch.column(0).as_primitive::<Float64Type>().iter();
    a.zip(batch.column(1).as_primitive::<Int64Type>().iter()).collect()
}

/// Missing values last, whatever the direction.
fn missing_last<T>(
    a: Option<T>,
    b: Option<T>,
    descending: bool,
    order: impl Fn(&T, &T) -> Ordering,
) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) if descending => order(&b, &a),
        (Some(a), Some(b)) => order(&a, &b),
        (a, b) => b.is_some().cmp(&a.is_some()),
    }
}

fn naive(rows: &[Row], descending: (bool, bool)) -> Vec<Row> {
    let mut rows = rows.to_vec();
    let number = |a: Option<f64>| a.filter(|a| !a.is_nan());
    rows.sort_by(|x, y| {
        missing_last(number(x.0), number(y.0), descending.0, f64::total_cmp).then(missing_last(
            x.1,
            y.1,
            descending.1,
            i64::cmp,
        ))
    });
    rows
}

/// Rows as the order sees them: NaN and null alike.
fn seen(rows: &[Row]) -> Vec<(Option<u64>, Option<i64>)> {
    rows.iter().map(|(a, b)| (a.filter(|a| !a.is_nan()).map(f64::to_bits), *b)).collect()
}

fn row() -> impl Strategy<Value = Row> {
    let few = prop::sample::select(vec![1.0, 2.0, f64::NAN, -f64::NAN, f64::INFINITY]);
    (prop::option::of(few), prop::option::of(-3_i64..3))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn order_is_the_naive_one_at_any_width_and_limits_cut_it(
        rows in prop::collection::vec(row(), 1..60),
        descending in any::<(bool, bool)>(),
        partitions in 1_usize..4,
        limit in 0_u64..70,
    ) {
        let keys = vec![key("a", descending.0), key("b", descending.1)];
        let engine = engine(partitions, MEMORY_BYTES);
        let sort = SortRegion::new(Arc::clone(&engine), keys.clone(), None);
        let sorted = rows_of(&run(&sort, batches(&rows)).unwrap().rows());
        let expected = seen(&naive(&rows, descending));
        prop_assert_eq!(seen(&sorted), expected.clone());
        let top = SortRegion::new(engine, keys, Some(limit));
        let first = rows_of(&run(&top, batches(&rows)).unwrap().rows());
        let limit = usize::try_from(limit).unwrap().min(rows.len());
        prop_assert_eq!(seen(&first), &expected[..limit]);
    }
}

#[test]
fn nan_stays_nan_and_names_may_be_anything() {
    let odd: ArrayRef = Arc::new(Float64Array::from(vec![Some(f64::NAN), None, Some(1.0)]));
    let text: ArrayRef = Arc::new(StringViewArray::from(vec!["x", "y", "a longer one, inline no"]));
    let batch =
        RecordBatch::try_from_iter_with_nullable([("A.b \"c\"", odd, true), ("", text, true)])
            .unwrap();
    let sort = SortRegion::new(engine(2, MEMORY_BYTES), vec![key("A.b \"c\"", true)], None);
    let sorted = run(&sort, vec![batch.clone()]).unwrap().rows();
    assert_eq!(sorted.schema(), batch.schema());
    let first = sorted.column(0).as_primitive::<Float64Type>().value(0);
    assert_eq!(first.to_bits(), 1.0_f64.to_bits());
    let nan =
        sorted.column(0).as_primitive::<Float64Type>().iter().flatten().filter(|x| x.is_nan());
    assert_eq!(nan.count(), 1);
}

#[test]
fn more_than_the_memory_is_spilled_and_sorted() {
    let folder = tempfile::tempdir().unwrap();
    let sorted = run(&tight_sort(&folder, None), large_batches()).unwrap().rows();
    assert_eq!(sorted.num_rows(), 400_000);
    assert!(sorted.column(0).as_primitive::<Int64Type>().values().is_sorted());
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0, "all that was spilled is gone");
}

#[test]
fn a_sort_spills_within_the_quota_of_the_session() {
    let folder = tempfile::tempdir().unwrap();
    let failure = run(&tight_sort(&folder, Some(100_000)), large_batches()).err().unwrap();
    let text = failure.render();
    assert!(text.starts_with("no spill folder takes "), "{text}");
    assert!(text.contains(" of its 100000 bytes are used\n"), "{text}");
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0, "all that was spilled is gone");
}

/// A sort in 8 MiB that spills to `folder`.
fn tight_sort(folder: &tempfile::TempDir, bytes_max: Option<u64>) -> SortRegion {
    let folders = vec![SpillFolder { path: folder.path().to_owned(), bytes_max }];
    let engine = engine_with(8 << 20, 2, SpillStore::new(SpillOptions { folders }));
    SortRegion::new(engine, vec![key("b", false)], None)
}

/// 400,000 rows, 20 MB.
fn large_batches() -> Vec<RecordBatch> {
    (0..40_i64)
        .map(|batch| {
            let ids = (0..10_000).map(|row| (row * 7919 + batch * 104_729) % 1_000_003);
            let text = (0..10_000).map(|row| format!("some text to carry along {row}"));
            let columns: [(&str, ArrayRef, bool); 2] = [
                ("b", Arc::new(Int64Array::from_iter_values(ids)), false),
                ("text", Arc::new(StringArray::from_iter_values(text)), false),
            ];
            RecordBatch::try_from_iter_with_nullable(columns).unwrap()
        })
        .collect()
}

#[test]
fn metadata_of_tensors_survives() {
    let tensor = TensorType::Fixed { value_type: DataType::UInt8, shape: vec![2] };
    let field = tensor.field("image").unwrap();
    let ids = arrow::datatypes::Field::new("id", DataType::Int64, true);
    let schema = Arc::new(arrow::datatypes::Schema::new(vec![field.clone(), ids]));
    let pixels = arrow::array::UInt8Array::from(vec![1, 2, 3, 4]);
    let DataType::FixedSizeList(item, size) = field.data_type() else { panic!("a list") };
    let images =
        arrow::array::FixedSizeListArray::new(Arc::clone(item), *size, Arc::new(pixels), None);
    let columns: Vec<ArrayRef> = vec![Arc::new(images), Arc::new(Int64Array::from(vec![2, 1]))];
    let batch = RecordBatch::try_new(schema, columns).unwrap();
    let sort = SortRegion::new(engine(2, MEMORY_BYTES), vec![key("id", false)], None);
    let sorted = run(&sort, vec![batch]).unwrap().rows();
    assert_eq!(TensorType::of(sorted.schema().field(0)).unwrap(), Some(tensor));
    assert_eq!(
        sorted
            .column(0)
            .as_fixed_size_list()
            .value(0)
            .as_primitive::<arrow::datatypes::UInt8Type>()
            .values(),
        &[3, 4]
    );
}

#[test]
fn a_wrong_key_is_named() {
    let sort = SortRegion::new(engine(1, MEMORY_BYTES), vec![key("c", false)], None);
    let failure = run(&sort, batches(&[(None, None)])).err().unwrap();
    assert_eq!(failure.to_string(), "no column `c`");
}
