//! Tests of joins: each kind in each lane against a naive one, and the edges of the contract.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Float32Array, Float64Array, Int32Array, Int64Array, RecordBatch,
    StringArray, StringViewArray,
};
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use futures::{StreamExt, stream};
use proptest::prelude::*;
use raceline_exec::Region;
use raceline_plan::{JoinKind, JoinSpec};
use raceline_types::{Batch, ErrorKind, Failure, TensorType, object_field};

use super::JoinRegion;
use crate::engine::Engine;
use crate::error::RelationalError;
use crate::fixture::{Collected, block_on, engine, port};

const MEMORY_BYTES: usize = 256 << 20;

/// The lanes: one side is held, partitions fit, or not even these.
fn lanes(partitions: usize) -> [(&'static str, Arc<Engine>); 3] {
    [
        ("held", engine(partitions, MEMORY_BYTES)),
        ("parts", engine(partitions, MEMORY_BYTES).with_share_bytes(1_500)),
        ("merge", engine(partitions, MEMORY_BYTES).with_share_bytes(0)),
    ]
}

fn spec(kind: JoinKind, keys: &[(&str, &str)]) -> JoinSpec {
    let keys = keys.iter().map(|(left, right)| ((*left).into(), (*right).into())).collect();
    JoinSpec { kind, keys, left_suffix: None, right_suffix: None }
}

fn join(
    engine: &Arc<Engine>,
    spec: JoinSpec,
    left: Vec<RecordBatch>,
    right: Vec<RecordBatch>,
) -> Result<Collected, Failure> {
    let mut out = Collected::default();
    let region = JoinRegion::new(Arc::clone(engine), Arc::new(spec));
    block_on(region.run(vec![port(left), port(right)], &mut out))?;
    Ok(out)
}

fn table(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, c)| (name, c, true)))
        .unwrap()
}

/// The rows as text, sorted.
fn lines(batch: &RecordBatch) -> Vec<String> {
    let options = FormatOptions::new().with_null("-");
    let columns = batch.columns().iter();
    let cells: Vec<_> =
        columns.map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
    let line = |row| cells.iter().map(|c| c.value(row).to_string()).collect::<Vec<_>>().join("|");
    let mut lines: Vec<String> = (0..batch.num_rows()).map(line).collect();
    lines.sort();
    lines
}

/// A row: two keys and a number.
type Row = (Option<f64>, Option<i64>, i64);

fn left_batches(rows: &[Row]) -> Vec<RecordBatch> {
    let batch = |rows: &[Row]| {
        let a: Float64Array = rows.iter().map(|row| row.0).collect();
        let b: Int64Array = rows.iter().map(|row| row.1).collect();
        let id = Int64Array::from_iter_values(rows.iter().map(|row| row.2));
        table(vec![("a", Arc::new(a)), ("b", Arc::new(b)), ("left", Arc::new(id))])
    };
    if rows.is_empty() {
        return vec![batch(rows)];
    }
    rows.chunks(4).map(batch).collect()
}

#[expect(clippy::cast_possible_truncation, reason = "the keys are small")]
fn right_batches(rows: &[Row]) -> Vec<RecordBatch> {
    let batch = |rows: &[Row]| {
        let a: Float32Array = rows.iter().map(|row| row.0.map(|a| a as f32)).collect();
        let b: Int32Array = rows.iter().map(|row| row.1.map(|b| b as i32)).collect();
        let id = Int64Array::from_iter_values(rows.iter().map(|row| row.2));
        table(vec![("right", Arc::new(id)), ("x", Arc::new(a)), ("y", Arc::new(b))])
    };
    if rows.is_empty() {
        return vec![batch(rows)];
    }
    rows.chunks(3).map(batch).collect()
}

fn cell<T: ToString>(value: Option<T>) -> String {
    value.map_or("-".into(), |value| value.to_string())
}

/// The join of rows, naively, as [`lines`] shows it.
fn naive(kind: JoinKind, left: &[Row], right: &[Row]) -> Vec<String> {
    let equal = |l: &Row, r: &Row| {
        matches!((l.0, r.0), (Some(a), Some(b)) if a.partial_cmp(&b) == Some(Ordering::Equal))
            && l.1.is_some()
            && l.1 == r.1
    };
    let float = |a: Option<f64>| a.map_or("-".into(), |a| format!("{a:?}"));
    let keys = |row: &Row| format!("{}|{}", float(row.0), cell(row.1));
    let of_left = |l: &Row| format!("{}|{}", keys(l), l.2);
    let of_right = |r: &Row| format!("{}|{}", r.2, keys(r));
    let mut found = Vec::new();
    let has_right = |l: &Row| right.iter().any(|r| equal(l, r));
    let has_left = |r: &Row| left.iter().any(|l| equal(l, r));
    match kind {
        JoinKind::LeftSemi => found.extend(left.iter().filter(|l| has_right(l)).map(of_left)),
        JoinKind::LeftAnti => found.extend(left.iter().filter(|l| !has_right(l)).map(of_left)),
        JoinKind::RightSemi => found.extend(right.iter().filter(|r| has_left(r)).map(of_right)),
        JoinKind::RightAnti => found.extend(right.iter().filter(|r| !has_left(r)).map(of_right)),
        JoinKind::Inner | JoinKind::LeftOuter | JoinKind::RightOuter | JoinKind::FullOuter => {
            for l in left {
                for r in right.iter().filter(|r| equal(l, r)) {
                    let shown = if kind == JoinKind::RightOuter { r } else { l };
                    found.push(format!("{}|{}|{}", keys(shown), l.2, r.2));
                }
            }
            if matches!(kind, JoinKind::LeftOuter | JoinKind::FullOuter) {
                let alone = left.iter().filter(|l| !has_right(l));
                found.extend(alone.map(|l| format!("{}|-", of_left(l))));
            }
            if matches!(kind, JoinKind::RightOuter | JoinKind::FullOuter) {
                let alone = right.iter().filter(|r| !has_left(r));
                found.extend(alone.map(|r| format!("{}|-|{}", keys(r), r.2)));
            }
        }
    }
    found.sort();
    found
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let few = prop::sample::select(vec![0.0, -0.0, 1.5, f64::NAN, f64::INFINITY]);
    let keys = (prop::option::of(few), prop::option::of(0_i64..3));
    prop::collection::vec(keys, 0..24).prop_map(|keys| {
        let numbered = (0_i64..).zip(keys);
        numbered.map(|(at, (a, b))| (a, b, at)).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn each_kind_is_the_naive_one_in_each_lane(
        left in rows(),
        right in rows(),
        partitions in 1_usize..4,
    ) {
        for kind in JoinKind::ALL {
            let expected = naive(kind, &left, &right);
            for (lane, engine) in lanes(partitions) {
                let spec = spec(kind, &[("a", "x"), ("b", "y")]);
                let found = join(&engine, spec, left_batches(&left), right_batches(&right)).unwrap();
                let found = if found.0.is_empty() { Vec::new() } else { lines(&found.rows()) };
                prop_assert_eq!(&found, &expected, "{} in lane `{}`", kind, lane);
            }
        }
    }
}

fn numbers(name: &str, values: impl IntoIterator<Item = i64>) -> RecordBatch {
    table(vec![(name, Arc::new(Int64Array::from_iter_values(values)))])
}

#[test]
fn the_smaller_side_is_held_and_the_other_one_streams() {
    // A side that is never read to its end could not be waited for.
    for (small, large) in [(0, 1), (1, 0)] {
        let same = || numbers("id", std::iter::repeat_n(7, 1_000));
        let endless = stream::repeat_with(move || Ok(Batch::without_origin(same())));
        let mut ports = vec![port(Vec::new()), port(Vec::new())];
        ports[small] = port(vec![numbers("id", [7])]);
        let (sender, receiver) = std::sync::mpsc::sync_channel(5_000);
        ports[large] = endless.take(5_000).inspect(move |_| sender.send(()).unwrap()).boxed();
        let engine = engine(2, MEMORY_BYTES);
        let region = JoinRegion::new(engine, Arc::new(spec(JoinKind::Inner, &[("id", "id")])));
        let mut out = First;
        let failure = block_on(region.run(ports, &mut out)).unwrap_err();
        assert!(failure.to_string().contains("enough"), "{failure}");
        assert!(receiver.try_iter().count() < 5_000, "all of it was read before the first row");
    }
}

/// Ends the run at the first row.
struct First;

#[async_trait::async_trait]
impl raceline_exec::Emit for First {
    async fn emit(&mut self, batch: Batch) -> Result<(), Failure> {
        if batch.rows() == 0 {
            return Ok(());
        }
        Err(RelationalError::SumOverflow { name: "enough".into() }.into())
    }
}

#[test]
fn a_hot_key_is_joined_in_each_lane() {
    let left = numbers("id", (0..3_000).map(|row| if row % 2 == 0 { 0 } else { row }));
    let right = numbers("id", (0..2_000).map(|row| if row % 5 == 0 { 0 } else { row }));
    for (lane, engine) in lanes(2) {
        let spec = spec(JoinKind::Inner, &[("id", "id")]);
        let found = join(&engine, spec, vec![left.clone()], vec![right.clone()]).unwrap().rows();
        let ones = (1..2_000).filter(|row| row % 2 == 1 && row % 5 != 0).count();
        assert_eq!(found.num_rows(), 1_500 * 400 + ones, "{lane}");
    }
}

#[test]
fn names_are_those_of_the_left_side_and_suffixes_tell_others_apart() {
    let text = |value: &str| Arc::new(StringArray::from(vec![value])) as ArrayRef;
    let id = || Arc::new(Int64Array::from(vec![1])) as ArrayRef;
    let left = table(vec![("x", text("lx")), ("id", id()), ("y", text("ly"))]);
    let right = table(vec![("id", text("rid")), ("y", text("ry")), ("x", text("rx")), ("k", id())]);
    let mut of = spec(JoinKind::FullOuter, &[("id", "k")]);
    let engine = engine(1, MEMORY_BYTES);
    let refused = join(&engine, of.clone(), vec![left.clone()], vec![right.clone()]).err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::Plan);
    assert_eq!(
        refused.render(),
        "both sides of the join have a column `id`\n  hint: set `left_suffix` or `right_suffix`, \
         or drop or rename one of them"
    );
    of.right_suffix = Some("_r".into());
    let found = join(&engine, of.clone(), vec![left.clone()], vec![right.clone()]).unwrap().rows();
    let names = |batch: &RecordBatch| {
        let schema = batch.schema();
        schema.fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&found), ["x", "id", "y", "id_r", "y_r", "x_r"]);
    assert_eq!(lines(&found), ["lx|1|ly|rid|ry|rx"]);
    of.left_suffix = Some("_l".into());
    of.kind = JoinKind::Inner;
    let found = join(&engine, of.clone(), vec![left.clone()], vec![right.clone()]).unwrap().rows();
    assert_eq!(names(&found), ["x_l", "id", "y_l", "id_r", "y_r", "x_r"]);
    of.kind = JoinKind::RightSemi;
    let found = join(&engine, of, vec![left], vec![right]).unwrap().rows();
    assert_eq!(names(&found), ["id", "y", "x", "k"]);
}

#[test]
fn the_schema_is_known_before_the_run() {
    for kind in JoinKind::ALL {
        let left = left_batches(&[(Some(1.0), Some(1), 0)]);
        let right = right_batches(&[(Some(2.0), Some(1), 0)]);
        let spec = spec(kind, &[("a", "x"), ("b", "y")]);
        let known =
            JoinRegion::output_schema(&left[0].schema(), &right[0].schema(), &spec).unwrap();
        for (lane, engine) in lanes(2) {
            let found = join(&engine, spec.clone(), left.clone(), right.clone()).unwrap();
            assert_eq!(found.0[0].data.schema(), known, "{kind} in lane `{lane}`");
        }
    }
}

#[test]
fn a_side_without_a_batch_has_the_keys_only() {
    let left = || vec![table(vec![("id", Arc::new(StringViewArray::from(vec!["a"])) as ArrayRef)])];
    for (lane, engine) in lanes(2) {
        let of = |kind, left, right| join(&engine, spec(kind, &[("id", "k")]), left, right);
        let outer = of(JoinKind::LeftOuter, left(), Vec::new()).unwrap().rows();
        assert_eq!(lines(&outer), ["a"], "{lane}");
        let full = of(JoinKind::FullOuter, Vec::new(), vec![numbers("k", [3])]).unwrap().rows();
        assert_eq!(lines(&full), ["3"], "{lane}");
        let inner = of(JoinKind::Inner, left(), Vec::new()).unwrap();
        assert_eq!(inner.rows().num_rows(), 0, "{lane}");
        assert!(of(JoinKind::FullOuter, Vec::new(), Vec::new()).unwrap().0.is_empty(), "{lane}");
    }
}

#[test]
fn tensors_and_lists_are_carried_along() {
    let tensor = TensorType::Fixed { value_type: DataType::Int64, shape: vec![2] };
    let field = tensor.field("image").unwrap();
    let DataType::FixedSizeList(item, size) = field.data_type() else { panic!("a list") };
    let pixels = Int64Array::from_iter_values(0..6);
    let images =
        arrow::array::FixedSizeListArray::new(Arc::clone(item), *size, Arc::new(pixels), None);
    let id = Field::new("id", DataType::Int64, true);
    let columns: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(vec![1, 2, 3])), Arc::new(images)];
    let left = RecordBatch::try_new(Arc::new(Schema::new(vec![id, field])), columns).unwrap();
    for (lane, engine) in lanes(2) {
        let spec = spec(JoinKind::Inner, &[("id", "id")]);
        let found = join(&engine, spec, vec![left.clone()], vec![numbers("id", [3])]).unwrap();
        let found = found.rows();
        assert_eq!(
            TensorType::of(found.schema().field(1)).unwrap(),
            Some(tensor.clone()),
            "{lane}"
        );
        let image = found.column(1).as_fixed_size_list().value(0);
        assert_eq!(image.as_primitive::<Int64Type>().values(), &[4, 5]);
    }
}

#[test]
fn keys_that_cannot_be_compared_are_named() {
    let engine = engine(1, MEMORY_BYTES);
    let of = |left: RecordBatch, right: RecordBatch, keys: (&str, &str)| {
        let failure = join(&engine, spec(JoinKind::Inner, &[keys]), vec![left], vec![right]);
        failure.err().unwrap().render()
    };
    let text = || table(vec![("t", Arc::new(StringArray::from(vec!["a"])) as ArrayRef)]);
    assert_eq!(
        of(numbers("id", [1]), text(), ("id", "t")),
        "cannot join `id` of type `Int64` with `t` of type `Utf8`\n  hint: cast one of them to \
         the type of the other"
    );
    let lists = Int64Array::from(vec![1]);
    let lists = arrow::array::FixedSizeListArray::new(
        Arc::new(Field::new("item", DataType::Int64, true)),
        1,
        Arc::new(lists),
        None,
    );
    let lists = || table(vec![("l", Arc::new(lists.clone()) as ArrayRef)]);
    let refused = of(lists(), lists(), ("l", "l"));
    assert!(refused.ends_with(
        "hint: join on columns of plain values: lists, structs, maps and tensors are no keys"
    ));
    assert_eq!(
        of(numbers("id", [1]), numbers("key", [1]), ("id", "id")),
        "no column `id`\n  columns: `key`"
    );
    let pickled: ArrayRef = Arc::new(arrow::array::LargeBinaryArray::from(vec![b"x".as_slice()]));
    let objects = Arc::new(Schema::new(vec![object_field("id")]));
    let objects = RecordBatch::try_new(objects, vec![pickled]).unwrap();
    let refused = of(objects, numbers("id", [1]), ("id", "id"));
    assert!(
        refused.starts_with("cannot join on column `id`: it holds Python objects"),
        "{refused}"
    );
}

#[test]
fn a_failure_of_either_port_comes_out_unchanged() {
    for failing in 0..2 {
        for (lane, engine) in lanes(2) {
            let batch = || Ok(Batch::without_origin(numbers("id", 0..300_000)));
            let planted = Failure::from(RelationalError::SumOverflow { name: "planted".into() });
            let batches = [batch(), Err(planted.at_uri("a.parquet"))];
            let mut ports =
                vec![port(vec![numbers("id", 0..10)]), port(vec![numbers("id", 0..10)])];
            ports[failing] = stream::iter(batches).boxed();
            let spec = spec(JoinKind::FullOuter, &[("id", "id")]);
            let region = JoinRegion::new(engine, Arc::new(spec));
            let failure = block_on(region.run(ports, &mut Collected::default())).unwrap_err();
            assert_eq!(failure.place().uri.as_deref(), Some("a.parquet"), "{lane}");
        }
    }
}

/// Rows by key, of a column of numbers.
fn counts(batch: &RecordBatch, column: usize) -> BTreeMap<i64, usize> {
    let mut counts = BTreeMap::new();
    for key in batch.column(column).as_primitive::<Int64Type>().values() {
        *counts.entry(*key).or_default() += 1;
    }
    counts
}

#[test]
fn more_than_the_memory_is_joined() {
    let rows = 400_000_i64;
    let batches = |factor: i64| {
        let batch = move |start: i64| {
            let ids = (start..start + 10_000).map(move |row| row * factor % rows);
            let text = (0..10_000).map(|row| format!("some text to carry along {row}"));
            table(vec![
                ("id", Arc::new(Int64Array::from_iter_values(ids)) as ArrayRef),
                ("text", Arc::new(StringArray::from_iter_values(text)) as ArrayRef),
            ])
        };
        (0..rows).step_by(10_000).map(batch).collect::<Vec<_>>()
    };
    let mut spec = spec(JoinKind::FullOuter, &[("id", "id")]);
    spec.right_suffix = Some("_r".into());
    let found = join(&engine(2, 16 << 20), spec, batches(1), batches(7_919)).unwrap().rows();
    assert_eq!(found.num_rows(), 400_000);
    assert_eq!(found.column(2).null_count(), 0);
    assert!(counts(&found, 0).values().all(|&times| times == 1));
}

#[test]
fn a_float_key_of_an_outer_join_is_of_the_wider_type() {
    let left = left_batches(&[(Some(0.5), Some(1), 0)]);
    let right = right_batches(&[(Some(2.5), Some(1), 0)]);
    let spec = spec(JoinKind::FullOuter, &[("a", "x")]);
    let found = join(&engine(1, MEMORY_BYTES), spec, left, right).unwrap().rows();
    let mut keys = found.column(0).as_primitive::<Float64Type>().values().to_vec();
    keys.sort_by(f64::total_cmp);
    assert_eq!(keys, [0.5, 2.5]);
}
