//! Tests of the shuffles as regions.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    reason = "the numbers are small"
)]

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, DictionaryArray, FixedSizeListArray,
    Int32Array, Int64Array, ListArray, RecordBatch, RecordBatchOptions, StringArray,
    StringViewArray, StructArray, UInt64Array,
};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::{DataType, Field, Float32Type, Int32Type, Int64Type, Schema};
use async_trait::async_trait;
use futures::{StreamExt, stream};
use proptest::prelude::*;
use raceline_exec::{Emit, Region, SpillOptions, SpillStore};
use raceline_types::{Batch, Failure, batch_sliced_bytes};

use super::{ShuffleRegion, Unit, WindowShuffleRegion, WindowStart};

const AMPLE_BYTES: usize = 1 << 30;

/// Keeps what is emitted.
#[derive(Default)]
struct Collected(Vec<RecordBatch>);

#[async_trait]
impl Emit for Collected {
    async fn emit(&mut self, batch: Batch) -> Result<(), Failure> {
        self.0.push(batch.data);
        Ok(())
    }
}

fn run(region: &dyn Region, batches: Vec<RecordBatch>) -> Result<Vec<RecordBatch>, Failure> {
    let mut out = Collected::default();
    let batches = batches.into_iter().map(|data| Ok(Batch::without_origin(data)));
    let port = stream::iter(batches.collect::<Vec<_>>()).boxed();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(region.run(vec![port], &mut out))?;
    Ok(out.0)
}

fn store() -> Arc<SpillStore> {
    SpillStore::new(SpillOptions::default())
}

fn shuffled(
    unit: Unit,
    seed: u64,
    limit_bytes: usize,
    batches: Vec<RecordBatch>,
) -> Vec<RecordBatch> {
    run(&ShuffleRegion::new(unit, seed, store(), limit_bytes), batches).unwrap()
}

fn whole(batches: &[RecordBatch]) -> RecordBatch {
    concat_batches(batches[0].schema_ref(), batches).unwrap()
}

/// The numbers from `first` on.
fn numbers(first: i64, rows: usize) -> RecordBatch {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values((first..).take(rows)));
    RecordBatch::try_from_iter_with_nullable([("id", ids, true)]).unwrap()
}

/// 0, 1, … in batches of these rows.
fn batches_of(rows: &[usize]) -> Vec<RecordBatch> {
    let mut first = 0;
    rows.iter()
        .map(|&rows| {
            let batch = numbers(first, rows);
            first += rows as i64;
            batch
        })
        .collect()
}

fn ids(batches: &[RecordBatch]) -> Vec<i64> {
    batches
        .iter()
        .flat_map(|batch| batch["id"].as_primitive::<Int64Type>().values().to_vec())
        .collect()
}

/// Rows with columns of many types; each row is told by its number.
fn rows_of_all_types(first: i64, rows: usize) -> RecordBatch {
    let of = |number: i64| (number % 7 != 0).then(|| format!("row {number}, a long text"));
    let numbers: Vec<i64> = (first..).take(rows).collect();
    let ids: ArrayRef = Arc::new(Int64Array::from(numbers.clone()));
    let texts: ArrayRef = Arc::new(numbers.iter().map(|&n| of(n)).collect::<StringArray>());
    let views: ArrayRef = Arc::new(numbers.iter().map(|&n| of(n)).collect::<StringViewArray>());
    let maybe: ArrayRef =
        Arc::new(numbers.iter().map(|&n| (n % 3 != 0).then_some(n as i32)).collect::<Int32Array>());
    let flags: ArrayRef =
        Arc::new(numbers.iter().map(|n| Some(n % 2 == 0)).collect::<BooleanArray>());
    let decimals = Decimal128Array::from_iter_values(numbers.iter().map(|&n| i128::from(n)));
    let decimals: ArrayRef = Arc::new(decimals.with_precision_and_scale(20, 2).unwrap());
    let words = numbers.iter().map(|n| if n % 2 == 0 { "even" } else { "odd" });
    let words: ArrayRef = Arc::new(words.collect::<DictionaryArray<Int32Type>>());
    let lists: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(
        numbers.iter().map(|&n| (n % 5 != 0).then(|| (0..n % 4).map(Some).collect::<Vec<_>>())),
    ));
    let tensors: ArrayRef = Arc::new(FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(
        numbers.iter().map(|&n| Some(vec![Some(n as f32), Some(0.5)])),
        2,
    ));
    let field = Field::new("view", DataType::Utf8View, true);
    let structs: ArrayRef =
        Arc::new(StructArray::new(vec![field].into(), vec![Arc::clone(&views)], None));
    let columns = [
        ("id", ids),
        ("text", texts),
        ("view", views),
        ("word", words),
        ("list", lists),
        ("tensor", tensors),
        ("struct", structs),
        ("maybe", maybe),
        ("flag", flags),
        ("decimal", decimals),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true)))
        .unwrap()
}

#[test]
fn rows_of_any_type_stay_whole_in_memory_and_by_way_of_the_disk() {
    let batches: Vec<_> = (0..40).map(|at| rows_of_all_types(at * 300, 300)).collect();
    let all = whole(&batches);
    let ample = shuffled(Unit::Rows, 5, AMPLE_BYTES, batches.clone());
    let order = ids(&ample);
    assert_ne!(order, ids(&batches));
    let indices: UInt64Array = order.iter().map(|id| id.unsigned_abs()).collect();
    assert_eq!(whole(&ample), take_record_batch(&all, &indices).unwrap());
    // The second is so small that parts are spread again.
    for limit_bytes in [400_000, 4_000] {
        let tight = shuffled(Unit::Rows, 5, limit_bytes, batches.clone());
        assert_eq!(whole(&tight), whole(&ample), "{limit_bytes}");
    }
}

#[test]
fn rows_of_any_type_stay_whole_in_a_window() {
    let all = rows_of_all_types(0, 3000);
    // Slices, of which the first are shorter than the window.
    let batches: Vec<_> = (0..60).map(|at| all.slice(at * 50, 50)).collect();
    let drawn = run(&WindowShuffleRegion::new(120, 5, AMPLE_BYTES), batches).unwrap();
    let indices: UInt64Array = ids(&drawn).iter().map(|id| id.unsigned_abs()).collect();
    assert_ne!(ids(&drawn), (0..3000).collect::<Vec<_>>());
    assert_eq!(whole(&drawn), take_record_batch(&all, &indices).unwrap());
}

#[test]
fn batches_are_put_into_the_same_order_in_memory_and_by_way_of_the_disk() {
    let batches = batches_of(&[100; 50]);
    let ample = shuffled(Unit::Batches, 5, AMPLE_BYTES, batches.clone());
    let order = ids(&ample);
    assert_ne!(order, ids(&batches));
    assert!(order.chunks(100).all(|ids| ids.windows(2).all(|pair| pair[0] + 1 == pair[1])));
    let mut firsts: Vec<i64> = order.chunks(100).map(|ids| ids[0]).collect();
    firsts.sort_unstable();
    assert_eq!(firsts, (0..50).map(|at| at * 100).collect::<Vec<_>>());
    assert_eq!(ids(&shuffled(Unit::Batches, 5, 10_000, batches)), order);
}

#[test]
fn rows_without_columns_are_shuffled_too() {
    let options = RecordBatchOptions::new().with_row_count(Some(5000));
    let schema = Arc::new(Schema::empty());
    let batch = RecordBatch::try_new_with_options(schema, vec![], &options).unwrap();
    for limit_bytes in [AMPLE_BYTES, 1000] {
        let batches = shuffled(Unit::Rows, 1, limit_bytes, vec![batch.clone(); 3]);
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        assert_eq!(rows, 15_000, "{limit_bytes}");
    }
    let window = WindowShuffleRegion::new(10, 1, AMPLE_BYTES);
    let batches = run(&window, vec![batch; 3]).unwrap();
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 15_000);
}

#[test]
fn an_empty_input_keeps_its_columns() {
    for region in [
        &ShuffleRegion::new(Unit::Rows, 1, store(), AMPLE_BYTES) as &dyn Region,
        &ShuffleRegion::new(Unit::Batches, 1, store(), AMPLE_BYTES),
        &WindowShuffleRegion::new(3, 1, AMPLE_BYTES),
    ] {
        let batches = run(region, vec![numbers(0, 0)]).unwrap();
        assert_eq!(batches[0].schema().field(0).name(), "id");
        assert_eq!(ids(&batches), Vec::<i64>::new());
        assert!(run(region, vec![]).unwrap().is_empty());
    }
}

#[test]
fn columns_that_differ_between_batches_are_united() {
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
    let other = RecordBatch::try_from_iter_with_nullable([("text", texts, true)]).unwrap();
    for region in [
        &ShuffleRegion::new(Unit::Rows, 1, store(), AMPLE_BYTES) as &dyn Region,
        &WindowShuffleRegion::new(2, 1, AMPLE_BYTES),
    ] {
        let batches = run(region, vec![numbers(0, 3), other.clone()]).unwrap();
        let batches = raceline_types::unite_batches(batches).unwrap();
        let all = whole(&batches);
        assert_eq!((all.num_rows(), all["id"].null_count(), all["text"].null_count()), (5, 2, 3));
    }
}

/// What a window of `rows` rows makes of 0, 1, … in batches of these rows.
fn windowed(rows: usize, seed: u64, batches: &[usize]) -> Vec<i64> {
    let region = WindowShuffleRegion::new(rows, seed, AMPLE_BYTES);
    ids(&run(&region, batches_of(batches)).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_shuffle_loses_and_doubles_nothing_however_it_is_done(
        batches in prop::collection::vec(0_usize..400, 1..30),
        seed: u64,
        limit_bytes in 1_usize..100_000,
    ) {
        let ample = ids(&shuffled(Unit::Rows, seed, AMPLE_BYTES, batches_of(&batches)));
        prop_assert_eq!(&ids(&shuffled(Unit::Rows, seed, limit_bytes, batches_of(&batches))), &ample);
        let mut sorted = ample;
        sorted.sort_unstable();
        prop_assert_eq!(sorted, ids(&batches_of(&batches)));
    }

    #[test]
    fn a_window_loses_and_doubles_nothing_and_holds_its_rows(
        batches in prop::collection::vec(0_usize..400, 1..30),
        seed: u64,
        rows in 1_usize..500,
    ) {
        let drawn = windowed(rows, seed, &batches);
        // However batches are cut, the order is the same.
        let all: usize = batches.iter().sum();
        prop_assert_eq!(&windowed(rows, seed, &[all]), &drawn);
        for (place, id) in (0_i64..).zip(&drawn) {
            prop_assert!(*id <= place + rows as i64, "row {id} came at {place}");
        }
        let mut sorted = drawn;
        sorted.sort_unstable();
        prop_assert_eq!(sorted, (0..all as i64).collect::<Vec<_>>());
    }
}

#[test]
fn a_window_draws_from_all_of_its_rows_equally() {
    let mut firsts = [0.0; 10];
    let mut thirteenths = [0.0; 20];
    for seed in 0..10_000 {
        let drawn = windowed(9, seed, &[20]);
        firsts[usize::try_from(drawn[0]).unwrap()] += 1.0;
        thirteenths[usize::try_from(drawn[13]).unwrap()] += 1.0;
    }
    let chi_square: f64 = firsts.iter().map(|count: &f64| (count - 1000.0).powi(2) / 1000.0).sum();
    // 9 degrees of freedom: more than 30 comes once in 2,000 times.
    assert!(chi_square < 30.0, "{firsts:?}");
    // At the end, all that is left is equally likely; what came early, less so.
    assert!(thirteenths[19] > 900.0 && thirteenths[0] < 500.0, "{thirteenths:?}");
}

#[test]
fn a_window_lets_go_of_what_it_handed_on() {
    let batch = |at: i64| rows_of_all_types(at * 1000, 1000);
    let one_bytes = batch_sliced_bytes(&batch(0));
    let region = WindowShuffleRegion::new(500, 1, one_bytes * 2);
    let drawn = run(&region, (0..50).map(batch).collect()).unwrap();
    assert_eq!(drawn.iter().map(RecordBatch::num_rows).sum::<usize>(), 50_000);
    for batch in drawn {
        // Of texts outside their views, as of all else.
        let held: usize = batch.get_array_memory_size();
        assert!(held < 3 * batch_sliced_bytes(&batch), "{held}");
    }
}

#[test]
fn a_window_that_does_not_fit_says_so() {
    let region = WindowShuffleRegion::new(1000, 1, 5000);
    let failure = run(&region, batches_of(&[500; 4])).unwrap_err();
    let text = "a shuffle in a window of 1000 rows passed its share of 5000 bytes";
    assert_eq!(failure.to_string(), text);
    let hint = "make the window smaller, give the session more memory \
                (`raceline.init(memory=…)`), or shuffle all rows with `random_shuffle()`, which \
                does not hold them";
    assert_eq!(failure.error().hint().as_deref(), Some(hint));
}

/// What comes behind the first `skipped` rows of a window that begins near them, and how many rows
/// of the input it reads.
fn resumed(window: usize, seed: u64, skipped: u64, batches: &[usize]) -> (Vec<i64>, usize) {
    let before = skipped.saturating_sub(window as u64);
    let start = WindowStart::after(window, seed, before);
    let first = start.first_row();
    let mut input = Vec::new();
    let mut position = 0;
    for batch in batches_of(batches) {
        let rows = batch.num_rows();
        let gone = (first as usize).saturating_sub(position).min(rows);
        position += rows;
        input.push(batch.slice(gone, rows - gone));
    }
    let read = input.iter().map(RecordBatch::num_rows).sum();
    let region = WindowShuffleRegion::new(window, seed, AMPLE_BYTES).starting(start);
    let rest = ids(&run(&region, input).unwrap());
    (rest[((skipped - before) as usize).min(rest.len())..].to_vec(), read)
}

proptest! {
    #[test]
    fn a_window_begins_in_the_middle_of_its_output(
        window in 1_usize..40,
        seed: u64,
        batches in prop::collection::vec(0_usize..50, 1..12),
        at in 0_usize..=1000,
    ) {
        let region = WindowShuffleRegion::new(window, seed, AMPLE_BYTES);
        let all = ids(&run(&region, batches_of(&batches)).unwrap());
        let skipped = all.len() * at / 1000;
        prop_assert_eq!(&resumed(window, seed, skipped as u64, &batches).0, &all[skipped..]);
    }
}

#[test]
fn a_window_that_begins_late_needs_few_of_the_rows_before() {
    let (rest, read) = resumed(100, 7, 90_000, &[1000; 100]);
    assert_eq!(rest.len(), 10_000);
    assert!(read < 12_000, "{read}");
}

#[test]
fn a_window_that_begins_behind_its_input_hands_on_nothing() {
    assert_eq!(resumed(10, 7, 1000, &[50, 50]).0, Vec::<i64>::new());
}
