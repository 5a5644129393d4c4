//! Tests of aggregates: against a naive one, and the edges of its contract.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int32Array, Int64Array, LargeBinaryArray, NullArray,
    RecordBatch, StringArray, StringViewArray,
};
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema, SchemaRef};
use futures::{StreamExt, stream};
use proptest::prelude::*;
use raceline_exec::Region;
use raceline_plan::{Aggregate, AggregateKind};
use raceline_types::{Batch, ErrorKind, Failure};

use super::AggregateRegion;
use crate::error::RelationalError;
use crate::fixture::{Collected, block_on, engine, run};

const MEMORY_BYTES: usize = 256 << 20;

fn aggregate(kind: AggregateKind, ignore_nulls: bool) -> Aggregate {
    let name = format!("{kind}_{ignore_nulls}");
    let mut one = Aggregate::new(kind, Some("value".into()), ignore_nulls);
    one.name = name;
    one
}

fn all_kinds() -> Vec<Aggregate> {
    let kinds = [
        AggregateKind::Count,
        AggregateKind::Sum,
        AggregateKind::Min,
        AggregateKind::Max,
        AggregateKind::Mean,
        AggregateKind::Std { ddof: 1 },
    ];
    kinds
        .into_iter()
        .flat_map(|kind| [true, false].map(|nulls| aggregate(kind.clone(), nulls)))
        .collect()
}

fn region(partitions: usize, keys: &[&str], aggregates: Vec<Aggregate>) -> AggregateRegion {
    let keys = keys.iter().map(|key| (*key).to_owned()).collect();
    AggregateRegion::new(engine(partitions, MEMORY_BYTES), keys, aggregates)
}

fn table(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, c)| (name, c, true)))
        .unwrap()
}

/// The aggregates of one group, naively, in the order of [`all_kinds`].
#[expect(clippy::cast_precision_loss, reason = "the groups are small")]
fn naive(values: &[Option<f64>]) -> Vec<Option<f64>> {
    let there: Vec<f64> = values.iter().flatten().copied().filter(|one| !one.is_nan()).collect();
    let is_complete = there.len() == values.len();
    let (n, rows) = (there.len() as f64, values.len() as f64);
    let mean = there.iter().sum::<f64>() / n;
    let squares: f64 = there.iter().map(|one| (one - mean).powi(2)).sum();
    let some = |value: f64| Some(value).filter(|_| !there.is_empty());
    let std = if there.len() == 1 { f64::NAN } else { (squares / (n - 1.0)).sqrt() };
    let kinds = [
        some(there.iter().sum()),
        some(there.iter().copied().fold(f64::INFINITY, f64::min)),
        some(there.iter().copied().fold(f64::NEG_INFINITY, f64::max)),
        some(mean),
        some(std),
    ];
    let values = kinds.into_iter().flat_map(|kind| [kind, kind.filter(|_| is_complete)]);
    [Some(n), Some(rows)].into_iter().chain(values).collect()
}

fn close(a: Option<f64>, b: Option<f64>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => {
            (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-6 * (1.0 + a.abs().max(b.abs()))
        }
        (a, b) => a == b,
    }
}

/// Groups by key bits (None: missing), each with its aggregates.
type Groups = BTreeMap<Option<u64>, Vec<Option<f64>>>;

fn bits(key: Option<f64>) -> Option<u64> {
    key.filter(|key| !key.is_nan()).map(|key| (key + 0.0).to_bits())
}

fn groups_of(batch: &RecordBatch, keys: usize) -> Groups {
    let mut groups = Groups::new();
    for row in 0..batch.num_rows() {
        let value = |column: &ArrayRef| {
            let floats = arrow::compute::cast(column, &DataType::Float64).unwrap();
            let floats = floats.as_primitive::<Float64Type>();
            floats.is_valid(row).then(|| floats.value(row))
        };
        let key = if keys == 0 { None } else { bits(value(batch.column(0))) };
        let values = batch.columns()[keys..].iter().map(value).collect();
        assert!(groups.insert(key, values).is_none(), "a group occurs twice");
    }
    groups
}

fn check_against_naive(rows: &[(Option<f64>, Option<f64>)], partitions: usize, keys: &[&str]) {
    let batches: Vec<RecordBatch> = rows
        .chunks(7)
        .map(|rows| {
            let key: Float64Array = rows.iter().map(|row| row.0).collect();
            let value: Float64Array = rows.iter().map(|row| row.1).collect();
            table(vec![("key", Arc::new(key)), ("value", Arc::new(value))])
        })
        .collect();
    let keys_of = || keys.iter().map(|key| (*key).to_owned()).collect();
    for engine in
        [engine(partitions, MEMORY_BYTES), engine(partitions, MEMORY_BYTES).with_share_bytes(0)]
    {
        let region = AggregateRegion::new(engine, keys_of(), all_kinds());
        let found = groups_of(&run(&region, batches.clone()).unwrap().rows(), keys.len());
        check_groups(&found, rows, keys);
    }
}

fn check_groups(found: &Groups, rows: &[(Option<f64>, Option<f64>)], keys: &[&str]) {
    let mut expected: BTreeMap<Option<u64>, Vec<Option<f64>>> = BTreeMap::new();
    for (key, value) in rows {
        let key = if keys.is_empty() { None } else { bits(*key) };
        expected.entry(key).or_default().push(*value);
    }
    assert_eq!(found.len(), expected.len());
    for (key, values) in expected {
        let (found, expected) = (&found[&key], naive(&values));
        let same = found.iter().zip(&expected).all(|(a, b)| close(*a, *b));
        assert!(same, "group {key:?} of {values:?}: {found:?} is not {expected:?}");
    }
}

fn number() -> impl Strategy<Value = Option<f64>> {
    let few = prop::sample::select(vec![0.0, -0.0, 1.0, -2.5, f64::NAN, -f64::NAN]);
    prop_oneof![3 => few.prop_map(Some), 1 => Just(None), 2 => (-100.0..100.0).prop_map(Some)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn groups_are_those_of_a_naive_aggregate_at_any_width(
        rows in prop::collection::vec((number(), number()), 1..60),
        partitions in 1_usize..4,
    ) {
        check_against_naive(&rows, partitions, &["key"]);
        check_against_naive(&rows, partitions, &[]);
    }
}

#[test]
fn an_empty_table_gives_no_groups_and_one_row_without_keys() {
    let key: ArrayRef = Arc::new(StringArray::from(Vec::<Option<&str>>::new()));
    let value: ArrayRef = Arc::new(Int64Array::from(Vec::<i64>::new()));
    let empty = table(vec![("key", key), ("value", value)]);
    let grouped = run(&region(2, &["key"], all_kinds()), vec![empty.clone()]).unwrap().rows();
    assert_eq!(grouped.num_rows(), 0);
    assert_eq!(grouped.schema().field(0).data_type(), &DataType::Utf8);
    assert_eq!(grouped.schema().field(3).name(), "sum_true");
    let whole = run(&region(2, &[], all_kinds()), vec![empty]).unwrap().rows();
    check_empty_row(&whole);
}

#[test]
fn a_port_without_a_batch_gives_nothing_and_one_row_without_keys() {
    assert!(run(&region(2, &["key"], all_kinds()), vec![]).unwrap().0.is_empty());
    check_empty_row(&run(&region(2, &[], all_kinds()), vec![]).unwrap().rows());
}

fn check_empty_row(row: &RecordBatch) {
    assert_eq!(row.num_rows(), 1);
    assert_eq!(row.column(0).as_primitive::<Int64Type>().value(0), 0);
    assert_eq!(row.column(1).as_primitive::<Int64Type>().value(0), 0);
    assert!(row.columns()[2..].iter().all(|column| column.is_null(0)));
}

#[test]
fn rows_without_columns_are_counted() {
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(5));
    let bare =
        RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &options).unwrap();
    let count = Aggregate::new(AggregateKind::Count, None, false);
    let rows = run(&region(2, &[], vec![count]), vec![bare.clone(), bare]).unwrap().rows();
    assert_eq!(rows.schema().field(0).name(), "count()");
    assert_eq!(rows.column(0).as_primitive::<Int64Type>().values(), &[10]);
}

fn sum_of(value: ArrayRef) -> Result<RecordBatch, Failure> {
    let sum = Aggregate::new(AggregateKind::Sum, Some("value".into()), true);
    Ok(run(&region(2, &[], vec![sum]), vec![table(vec![("value", value)])])?.rows())
}

#[test]
fn an_integer_sum_is_int64_and_never_wraps() {
    let small = sum_of(Arc::new(Int32Array::from(vec![i32::MAX, i32::MAX]))).unwrap();
    assert_eq!(small.column(0).as_primitive::<Int64Type>().value(0), 2 * i64::from(i32::MAX));
    let edge = sum_of(Arc::new(Int64Array::from(vec![i64::MAX, -1, 1]))).unwrap();
    assert_eq!(edge.column(0).as_primitive::<Int64Type>().value(0), i64::MAX);
    let beyond = sum_of(Arc::new(Int64Array::from(vec![i64::MAX, 1]))).unwrap_err();
    assert_eq!(
        beyond.render(),
        "`sum(value)` exceeds 64 bits\n  hint: cast the column to float64 first"
    );
}

#[test]
fn string_views_are_keys_and_have_extremes() {
    let key: ArrayRef = Arc::new(StringViewArray::from(vec![
        Some("a string beyond twelve bytes"),
        None,
        Some("b"),
    ]));
    let value: ArrayRef = Arc::new(StringViewArray::from(vec!["another string beyond", "y", "x"]));
    let extremes = [AggregateKind::Min, AggregateKind::Max].map(|kind| aggregate(kind, true));
    let batch = table(vec![("key", key), ("value", value)]);
    let rows = run(&region(3, &["key"], extremes.to_vec()), vec![batch.clone(), batch]).unwrap();
    let mut lines: Vec<String> = Vec::new();
    let rows = rows.rows();
    let text: Vec<_> = rows
        .columns()
        .iter()
        .map(|column| arrow::compute::cast(column, &DataType::Utf8).unwrap())
        .collect();
    for row in 0..rows.num_rows() {
        let cell = |column: &ArrayRef| {
            column.as_string::<i32>().iter().nth(row).flatten().map(str::to_owned)
        };
        lines
            .push(text.iter().map(|c| cell(c).unwrap_or("-".into())).collect::<Vec<_>>().join("|"));
    }
    lines.sort();
    let long = "a string beyond twelve bytes|another string beyond|another string beyond";
    assert_eq!(lines, ["-|y|y", long, "b|x|x"]);
}

#[test]
fn wrong_columns_and_types_are_named() {
    let value: ArrayRef = Arc::new(StringArray::from(vec!["x"]));
    let batch = table(vec![("value", value)]);
    let sum = run(&region(1, &[], vec![aggregate(AggregateKind::Sum, true)]), vec![batch.clone()]);
    assert_eq!(
        sum.err().unwrap().to_string(),
        "cannot compute `sum` of column `value` of type `Utf8`"
    );
    let keyed = run(&region(1, &["valeu"], all_kinds()), vec![batch]).err().unwrap();
    assert_eq!(keyed.kind(), ErrorKind::ColumnNotFound);
    assert_eq!(
        keyed.render(),
        "no column `valeu`\n  columns: `value`\n  hint: did you mean `value`?"
    );
}

#[test]
fn a_failure_of_the_port_comes_out_unchanged() {
    let value: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let first = Ok(Batch::without_origin(table(vec![("value", value)])));
    let planted = RelationalError::SumOverflow { name: "planted".into() };
    let port = stream::iter([first, Err(Failure::from(planted).at_uri("a.parquet"))]).boxed();
    let region = region(2, &["value"], all_kinds());
    let failure = block_on(region.run(vec![port], &mut Collected::default())).unwrap_err();
    assert_eq!(failure.place().uri.as_deref(), Some("a.parquet"));
    let found = failure.downcast_ref::<RelationalError>();
    assert!(matches!(found, Some(RelationalError::SumOverflow { name }) if name == "planted"));
}

#[test]
fn types_widen_and_others_must_not_change() {
    let typed: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    let unknown: ArrayRef = Arc::new(NullArray::new(3));
    let batches = [unknown, Arc::clone(&typed)].map(|value| table(vec![("value", value)]));
    let count = vec![aggregate(AggregateKind::Count, true), aggregate(AggregateKind::Sum, true)];
    let [first, second] = batches.clone();
    for order in [vec![first.clone(), second.clone()], vec![second, first]] {
        let rows = run(&region(2, &[], count.clone()), order).unwrap().rows();
        assert_eq!(rows.column(0).as_primitive::<Int64Type>().value(0), 2);
        assert_eq!(rows.column(1).as_primitive::<Int64Type>().value(0), 3);
    }
    let floats: ArrayRef = Arc::new(Float64Array::from(vec![0.5]));
    let mixed = vec![table(vec![("value", typed)]), table(vec![("value", floats)])];
    let rows = run(&region(2, &[], count.clone()), mixed.clone()).unwrap().rows();
    assert_eq!(rows.column(1).as_ref(), &Float64Array::from(vec![3.5]) as &dyn Array);
    let no_lookahead = AggregateRegion::new(engine(1, 1_000), Vec::new(), count);
    assert_eq!(
        run(&no_lookahead, mixed).err().unwrap().to_string(),
        "column `value` is `Int64` in some batches and `Float64` in later ones"
    );
}

#[test]
fn columns_that_are_not_looked_at_may_change() {
    let text: ArrayRef = Arc::new(StringArray::from(vec!["a"]));
    let typed: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let batches = [text, Arc::clone(&typed)]
        .map(|other| table(vec![("other", other), ("value", Arc::clone(&typed))]));
    let sum = region(1, &[], vec![aggregate(AggregateKind::Sum, true)]);
    let rows = run(&sum, batches.to_vec()).unwrap().rows();
    assert_eq!(rows.column(0).as_primitive::<Int64Type>().value(0), 2);
    let count = Aggregate::new(AggregateKind::Count, Some("other".into()), false);
    let rows = run(&region(1, &[], vec![count]), batches.to_vec()).unwrap().rows();
    assert_eq!(rows.column(0).as_primitive::<Int64Type>().value(0), 2);
}

#[test]
fn python_objects_are_counted_and_not_compared() {
    let field = raceline_types::object_field("value");
    let pickled: ArrayRef = Arc::new(LargeBinaryArray::from(vec![b"\x80".as_slice()]));
    let batch = RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![pickled]).unwrap();
    let run_one = |keys: &[&str], kind| {
        run(&region(1, keys, vec![aggregate(kind, true)]), vec![batch.clone()])
    };
    let count = run_one(&[], AggregateKind::Count).unwrap().rows();
    assert_eq!(count.column(0).as_primitive::<Int64Type>().value(0), 1);
    assert_eq!(
        run_one(&[], AggregateKind::Max).err().unwrap().to_string(),
        "cannot compute `max` of column `value`: it holds Python objects"
    );
    assert_eq!(
        run_one(&["value"], AggregateKind::Count).err().unwrap().to_string(),
        "cannot group by column `value`: it holds Python objects"
    );
}

#[test]
fn the_schema_is_known_before_the_run() {
    let schema: SchemaRef = Arc::new(Schema::new(vec![
        Field::new("key", DataType::Utf8, false),
        Field::new("value", DataType::Int32, false),
    ]));
    let output = AggregateRegion::output_schema(&schema, &["key".into()], &all_kinds()).unwrap();
    let key: ArrayRef = Arc::new(StringArray::from(vec!["a"]));
    let value: ArrayRef = Arc::new(Int32Array::from(vec![1]));
    let batch = RecordBatch::try_new(schema, vec![key, value]).unwrap();
    assert_eq!(
        run(&region(1, &["key"], all_kinds()), vec![batch]).unwrap().rows().schema(),
        output
    );
}

#[test]
fn groups_without_aggregates_are_distinct_rows() {
    for engine in [engine(2, MEMORY_BYTES), engine(2, MEMORY_BYTES).with_share_bytes(0)] {
        let region = AggregateRegion::new(engine, vec!["a".into(), "b".into()], Vec::new());
        let batch = |from: i64| {
            let a = Int64Array::from_iter_values((from..from + 1_000).map(|row| row % 7));
            let b = StringArray::from_iter_values((0..1_000).map(|row| (row % 3).to_string()));
            table(vec![("a", Arc::new(a) as ArrayRef), ("b", Arc::new(b) as ArrayRef)])
        };
        let found = run(&region, (0..5).map(batch).collect()).unwrap().rows();
        assert_eq!((found.num_rows(), found.num_columns()), (21, 2));
    }
}

#[test]
fn all_states_of_a_group_come_together_in_the_tight_lane() {
    let keys = |batch: i64| (0..20_000).map(move |row| (row * 31 + batch) % 30_000);
    let batches: Vec<RecordBatch> = (0..20)
        .map(|batch| {
            let text = StringArray::from_iter_values(keys(batch).map(|key| format!("key {key}")));
            let value = Int64Array::from_iter_values(keys(batch));
            table(vec![("key", Arc::new(text) as ArrayRef), ("value", Arc::new(value) as ArrayRef)])
        })
        .collect();
    let aggregates = || {
        [AggregateKind::Count, AggregateKind::Sum, AggregateKind::Max]
            .map(|kind| aggregate(kind, true))
            .to_vec()
    };
    let of = |engine| {
        let region = AggregateRegion::new(engine, vec!["key".into()], aggregates());
        let rows = run(&region, batches.clone()).unwrap().rows();
        let key = arrow::compute::cast(rows.column(0), &DataType::Utf8).unwrap();
        let numbers: Vec<_> = rows.columns()[1..]
            .iter()
            .map(|column| column.as_primitive::<Int64Type>().clone())
            .collect();
        let row = |at: usize| {
            let key = key.as_string::<i32>().value(at).to_owned();
            (key, numbers.iter().map(|column| column.value(at)).collect::<Vec<_>>())
        };
        let mut found: Vec<_> = (0..rows.num_rows()).map(row).collect();
        found.sort();
        found
    };
    let ample = of(engine(2, MEMORY_BYTES));
    assert_eq!(ample.len(), 30_000);
    assert!(ample == of(engine(2, MEMORY_BYTES).with_share_bytes(0)), "without memory");
    assert!(ample == of(engine(2, MEMORY_BYTES).with_share_bytes(1 << 20)), "with some");
}

#[test]
fn groups_beyond_the_memory_are_spilled_and_exact() {
    let count = Aggregate::new(AggregateKind::Count, None, false);
    let tight = AggregateRegion::new(engine(2, 12 << 20), vec!["key".into()], vec![count]);
    let batches = (0..20_i64).map(|batch| {
        let keys = Int64Array::from_iter_values((0..50_000).map(|row| batch % 10 * 50_000 + row));
        table(vec![("key", Arc::new(keys) as ArrayRef)])
    });
    let rows = run(&tight, batches.collect()).unwrap().rows();
    assert_eq!(rows.num_rows(), 500_000);
    assert!(rows.column(1).as_primitive::<Int64Type>().values().iter().all(|&count| count == 2));
}

/// The kinds whose answers are made of the values, whose states are lists.
fn kinds_of_values() -> Vec<Aggregate> {
    let kinds = [
        AggregateKind::AbsMax,
        AggregateKind::Quantile { q: 0.25 },
        AggregateKind::List,
        AggregateKind::Unique { flatten: false },
        AggregateKind::CountDistinct,
        AggregateKind::ValueCounts,
        AggregateKind::MissingPercentage,
        AggregateKind::ZeroPercentage,
        AggregateKind::ApproxQuantiles { quantiles: vec![0.0, 1.0], centroids: 100 },
        AggregateKind::ApproxTop { k: 2, capacity: 100, flatten: false },
        AggregateKind::First,
    ];
    kinds
        .into_iter()
        .flat_map(|kind| [true, false].map(|nulls| aggregate(kind.clone(), nulls)))
        .collect()
}

/// Each group as text, lists sorted.
fn shown_groups(batch: &RecordBatch) -> Vec<Vec<String>> {
    let mut rows: Vec<Vec<String>> = (0..batch.num_rows())
        .map(|row| {
            let columns = batch.columns().iter().zip(batch.schema_ref().fields());
            let columns = columns.filter(|(_, field)| !field.name().starts_with("first"));
            let shown = columns.map(|(column, field)| {
                let text = arrow::util::display::array_value_to_string(column, row).unwrap();
                if !field.name().starts_with("list") {
                    return text;
                }
                let mut items: Vec<_> = text.trim_matches(['[', ']']).split(", ").collect();
                items.sort_unstable();
                items.join(", ")
            });
            shown.collect()
        })
        .collect();
    rows.sort();
    rows
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn states_of_values_merge_and_spill(
        rows in prop::collection::vec((0_i64..6, prop::option::of(-3_i64..3)), 1..120)
    ) {
        let batches: Vec<RecordBatch> = rows
            .chunks(5)
            .map(|rows| {
                let key: Int64Array = rows.iter().map(|row| Some(row.0)).collect();
                let value: Int64Array = rows.iter().map(|row| row.1).collect();
                table(vec![("key", Arc::new(key)), ("value", Arc::new(value))])
            })
            .collect();
        let found = |engine| {
            let region = AggregateRegion::new(engine, vec!["key".into()], kinds_of_values());
            run(&region, batches.clone()).unwrap().rows()
        };
        let ample = found(engine(3, MEMORY_BYTES));
        let one = found(engine(1, MEMORY_BYTES));
        let tight = found(engine(2, MEMORY_BYTES).with_share_bytes(0));
        prop_assert_eq!(shown_groups(&ample), shown_groups(&one));
        prop_assert_eq!(shown_groups(&ample), shown_groups(&tight));
        let first = ample.column_by_name("first_true").unwrap().as_primitive::<Int64Type>();
        let key = ample.column(0).as_primitive::<Int64Type>();
        for (key, first) in key.values().iter().zip(first) {
            let mut there = rows.iter().filter(|row| row.0 == *key && row.1.is_some()).peekable();
            prop_assert_eq!(first.is_some(), there.peek().is_some());
            prop_assert!(first.is_none() || there.any(|row| row.1 == first));
        }
    }
}
