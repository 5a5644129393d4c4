//! Tests of exchanges: against naive groups, with ample memory and with little.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array, LargeStringArray, RecordBatch};
use arrow::datatypes::{Float64Type, Int64Type};
use proptest::prelude::*;
use raceline_plan::{ExchangeForm, KeyedExchange};
use raceline_types::{Diagnostic, ErrorKind};

use super::ExchangeRegion;
use crate::engine::Engine;
use crate::error::RelationalError;
use crate::fixture::{Collected, engine, run};

const MEMORY_BYTES: usize = 256 << 20;

type Row = (Option<f64>, i64);

fn batch(rows: &[Row]) -> RecordBatch {
    let key: Float64Array = rows.iter().map(|row| row.0).collect();
    let value: Int64Array = rows.iter().map(|row| Some(row.1)).collect();
    let columns: [(&str, ArrayRef, bool); 2] =
        [("k", Arc::new(key), true), ("v", Arc::new(value), true)];
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

fn batches(rows: &[Row]) -> Vec<RecordBatch> {
    rows.chunks(7).map(batch).collect()
}

fn exchange(engine: Arc<Engine>, keys: &[&str], form: ExchangeForm) -> ExchangeRegion {
    let keys = keys.iter().map(|key| (*key).to_owned()).collect();
    ExchangeRegion::new(engine, Arc::new(KeyedExchange { keys, form }))
}

/// An engine whose regions hold nearly nothing, and spill.
fn tight(share_bytes: usize) -> Arc<Engine> {
    engine(2, MEMORY_BYTES).with_share_bytes(share_bytes)
}

fn bits(key: Option<f64>) -> Option<u64> {
    key.filter(|key| !key.is_nan()).map(|key| (key + 0.0).to_bits())
}

/// The values of each key, in the order of the input.
fn naive(rows: &[Row]) -> BTreeMap<Option<u64>, Vec<i64>> {
    let mut groups = BTreeMap::new();
    for (key, value) in rows {
        groups.entry(bits(*key)).or_insert_with(Vec::new).push(*value);
    }
    groups
}

fn rows_of(batch: &RecordBatch) -> Vec<Row> {
    let keys = batch.column(0).as_primitive::<Float64Type>().iter();
    keys.zip(batch.column(1).as_primitive::<Int64Type>().values().iter().copied()).collect()
}

fn groups_of(out: &Collected) -> BTreeMap<Option<u64>, Vec<i64>> {
    let mut found = BTreeMap::new();
    for batch in &out.0 {
        for group in batch.data.column(0).as_list::<i32>().iter().flatten() {
            let rows = rows_of(&RecordBatch::from(group.as_struct()));
            let of_group = naive(&rows);
            assert_eq!(of_group.len(), 1, "a group has one key");
            for (key, values) in of_group {
                assert!(found.insert(key, values).is_none(), "a group occurs twice");
            }
        }
    }
    found
}

fn any_rows() -> impl Strategy<Value = Vec<Row>> {
    let key = prop_oneof![
        3 => (-4_i32..4).prop_map(|key| Some(f64::from(key))),
        1 => Just(Some(f64::NAN)),
        1 => Just(Some(-0.0)),
        1 => Just(None),
    ];
    prop::collection::vec((key, any::<i64>()), 0..200)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn groups_are_those_of_a_naive_grouping(rows in any_rows()) {
        for engine in [engine(2, MEMORY_BYTES), tight(64 << 10)] {
            let region = exchange(engine, &["k"], ExchangeForm::Groups);
            let out = run(&region, batches(&rows)).unwrap();
            prop_assert_eq!(groups_of(&out), naive(&rows));
        }
    }

    #[test]
    fn each_key_is_in_one_partition_and_rows_are_sorted(rows in any_rows(), parts in 1_usize..5) {
        for sorted in [false, true] {
            let form = ExchangeForm::Parts { parts, sorted };
            let out = run(&exchange(engine(2, MEMORY_BYTES), &["k"], form), batches(&rows)).unwrap();
            let parts_found: Vec<_> = out.0.iter().map(|one| rows_of(&one.data)).collect();
            let filled = parts_found.iter().filter(|part| !part.is_empty());
            prop_assert!(filled.clone().count() <= parts);
            let mut found = BTreeMap::new();
            for part in filled {
                let mut groups = naive(part);
                for values in groups.values_mut() {
                    values.sort_unstable();
                }
                if sorted {
                    let number = |row: &Row| row.0.filter(|key| !key.is_nan());
                    let order: Vec<_> =
                        part.iter().map(|row| number(row).map_or((1, 0.0), |key| (0, key))).collect();
                    prop_assert!(order.is_sorted(), "{:?}", order);
                }
                for (key, values) in groups {
                    prop_assert!(found.insert(key, values).is_none(), "a key is in two parts");
                }
            }
            let mut expected = naive(&rows);
            for values in expected.values_mut() {
                values.sort_unstable();
            }
            prop_assert_eq!(found, expected);
        }
    }
}

#[test]
fn without_keys_all_rows_are_one_group_in_order() {
    let rows: Vec<Row> = (0..50).map(|row| (None, row)).collect();
    let region = exchange(engine(2, MEMORY_BYTES), &[], ExchangeForm::Groups);
    let out = run(&region, batches(&rows)).unwrap();
    assert_eq!(groups_of(&out), naive(&rows));
}

#[test]
fn what_does_not_fit_is_partitioned_on_disk() {
    let rows: Vec<Row> = (0..60_000)
        .map(|row| (Some(f64::from(u16::try_from(row % 5_000).unwrap())), row))
        .collect();
    let parts: Vec<_> = rows.chunks(1000).map(batch).collect();
    let out = run(&exchange(tight(8 << 10), &["k"], ExchangeForm::Groups), parts).unwrap();
    assert_eq!(groups_of(&out), naive(&rows));
}

#[test]
fn a_group_that_is_too_large_is_named() {
    let text: ArrayRef = Arc::new(LargeStringArray::from_iter_values(
        (0..4000).map(|row| if row % 50 == 0 { format!("user {row}") } else { "robot".into() }),
    ));
    let value: ArrayRef = Arc::new(Int64Array::from_iter_values(0..4000));
    let rows = RecordBatch::try_from_iter_with_nullable([("user", text, true), ("v", value, true)])
        .unwrap();
    let region = exchange(tight(64 << 10), &["user"], ExchangeForm::Groups);
    let failure = run(&region, vec![rows.clone()]).err().unwrap();
    assert_eq!(failure.kind(), ErrorKind::Resource);
    let message = failure.to_string();
    assert!(message.starts_with("group `user` = robot has 3920 rows of "), "{message}");
    let failure =
        run(&exchange(tight(64 << 10), &[], ExchangeForm::Groups), vec![rows]).err().unwrap();
    assert!(failure.to_string().starts_with("group of all rows has 4000 rows of "), "{failure}");
}

#[test]
fn the_message_of_a_large_group() {
    let error = RelationalError::LargeGroup {
        key: "`user` = 3".into(),
        rows: 1000,
        bytes: 9000,
        bytes_max: 4096,
    };
    let text = "group `user` = 3 has 1000 rows of 9000 bytes together, at most 4096 bytes fit";
    assert_eq!(error.to_string(), text);
    let hint = "give the session more memory, select fewer columns, group by more of them, or \
                aggregate: aggregations hold no groups";
    assert_eq!(error.hint().as_deref(), Some(hint));
}

#[test]
fn a_missing_key_is_told_with_the_nearest() {
    let region = exchange(engine(1, MEMORY_BYTES), &["kk"], ExchangeForm::Groups);
    let failure = run(&region, batches(&[(None, 1)])).err().unwrap();
    assert_eq!(failure.kind(), ErrorKind::ColumnNotFound);
}
