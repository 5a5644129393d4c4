//! What is sent, what an answer becomes, and what people are told.

use arrow::array::{Float32Array, Int32Array, Int64Array, StringArray};
use raceline_plan::{UdfBody, UdfColumns};

use super::*;

fn udf(kind: UdfKind, reads: Option<&[&str]>, passes: Passed) -> Arc<UdfSpec> {
    let reads = reads.map(|names| names.iter().map(ToString::to_string).collect());
    let body = UdfBody::Foreign { payload: Arc::from([]), program: Err("".into()) };
    let columns = UdfColumns { reads, passes, ..UdfColumns::default() };
    Arc::new(UdfSpec { columns, ..UdfSpec::new("f", kind, body) })
}

fn input() -> RecordBatch {
    let columns: [(&str, ArrayRef); 4] = [
        ("a", Arc::new(Int64Array::from(vec![1, 2, 3]))),
        ("b", Arc::new(StringArray::from(vec![Some("x"), None, Some("z")]))),
        ("c", Arc::new(Int32Array::from(vec![Some(7), None, Some(9)]))),
        ("d", Arc::new(Float32Array::from(vec![None, None, None]))),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

fn names(batch: &RecordBatch) -> Vec<&str> {
    batch.schema_ref().fields().iter().map(|field| field.name().as_str()).collect()
}

fn pairs(all: &[(&str, &str)]) -> Passed {
    Passed::Named(all.iter().map(|(one, other)| ((*one).into(), (*other).into())).collect())
}

#[test]
fn a_function_of_any_columns_gets_all_and_returns_all() {
    assert!(LiveColumns::of_chain(&[udf(UdfKind::Map, None, Passed::Nothing)]).is_none());
    let goes_on = UdfSpec {
        on_error: OnError::Skip,
        ..udf(UdfKind::Map, Some(&["a"]), Passed::Others).as_ref().clone()
    };
    assert!(LiveColumns::of_chain(&[goes_on.into()]).is_none());
}

#[test]
fn only_columns_that_are_read_are_sent_and_those_that_do_not_exist_are_not() {
    let live = LiveColumns::find(&[udf(UdfKind::Map, Some(&["c", "none"]), Passed::Nothing)]);
    assert_eq!(names(&live.sent(&input()).unwrap()), ["c"]);
    let none = LiveColumns::find(&[udf(UdfKind::FlatMap, Some(&[]), Passed::Nothing)]);
    assert_eq!(none.sent(&input()).unwrap().num_rows(), 3);
}

#[test]
fn a_chain_is_sent_what_decides_its_output() {
    let reads = |functions: &[Arc<UdfSpec>]| LiveColumns::find(functions).reads;
    let set = |names: &[&str]| Some(names.iter().map(ToString::to_string).collect());
    let filter = || udf(UdfKind::Filter, Some(&["a"]), Passed::Nothing);
    let map = |names: &[&str], passes| udf(UdfKind::Map, Some(names), passes);
    assert_eq!(reads(&[filter(), map(&["b"], Passed::Nothing)]), set(&["a", "b"]));
    assert_eq!(
        reads(&[map(&["a"], Passed::Others), map(&["b", "new"], Passed::Nothing)]),
        set(&["a", "b", "new"])
    );
    assert_eq!(reads(&[map(&["a"], Passed::Nothing), filter()]), set(&["a"]));
    assert_eq!(reads(&[filter(), map(&["b"], Passed::Others)]), None);
    assert_eq!(
        reads(&[map(&["a"], pairs(&[("x", "c")])), map(&["x"], Passed::Nothing)]),
        set(&["a", "c"])
    );
    assert_eq!(reads(&[filter(), udf(UdfKind::Key, Some(&["a"]), Passed::Nothing)]), None);
    let any = udf(UdfKind::Map, None, Passed::Nothing);
    assert_eq!(reads(&[any, map(&["a"], Passed::Nothing)]), None);
}

#[test]
fn flags_choose_among_the_rows_of_the_input() {
    let live = LiveColumns::find(&[udf(UdfKind::Filter, Some(&["a"]), Passed::Nothing)]);
    assert_eq!(names(&live.sent(&input()).unwrap()), ["a"]);
    let flags = |flags: Vec<bool>| {
        let flags: ArrayRef = Arc::new(BooleanArray::from(flags));
        RecordBatch::try_from_iter([("stays", flags)]).unwrap()
    };
    let output = live.output(&input(), 1, flags(vec![false, true])).unwrap();
    assert_eq!(output, input().slice(2, 1));
    assert_eq!(live.output(&input(), 0, flags(vec![true; 3])).unwrap(), input());
    let failure = live.output(&input(), 2, flags(vec![true; 2])).unwrap_err();
    assert!(failure.render().contains("the answer of a function's worker has more rows"));
}

#[test]
fn columns_that_stay_come_back_in_their_places_as_python_would_return_them() {
    let live = LiveColumns::find(&[udf(UdfKind::Map, Some(&["b", "new"]), Passed::Others)]);
    // Values that are all missing lose their type in Python, so they are sent.
    assert_eq!(names(&live.sent(&input()).unwrap()), ["b", "d"]);
    let text = |text: &str| Arc::new(StringArray::from(vec![text; 2])) as ArrayRef;
    let nulls = Arc::new(NullArray::new(2)) as ArrayRef;
    let columns = [("b", text("B")), ("d", Arc::clone(&nulls)), ("new", text("n"))];
    let answer = RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, column)| (name, column, true)),
    );
    let output = live.output(&input(), 1, answer.unwrap()).unwrap();
    let expected: [(&str, ArrayRef, bool); 5] = [
        ("a", Arc::new(Int64Array::from(vec![2, 3])), true),
        ("b", text("B"), true),
        ("c", Arc::new(Int64Array::from(vec![None, Some(9)])), true),
        ("d", nulls, true),
        ("new", text("n"), true),
    ];
    assert_eq!(output, RecordBatch::try_from_iter_with_nullable(expected).unwrap());
}

#[test]
fn stand_ins_are_replaced_by_what_they_stand_for() {
    let passes = pairs(&[("id", "a"), ("c", "c")]);
    let live = LiveColumns::find(&[udf(UdfKind::MapBatches, Some(&["b"]), passes)]);
    let sent = live.sent(&input()).unwrap();
    // NumPy makes floats of integers with missing values, so the function does that.
    assert_eq!(names(&sent), ["a", "b", "c"]);
    assert_eq!(sent.column(0).data_type(), &DataType::Null);
    assert_eq!(sent.column(2).data_type(), &DataType::Int32);
    let answer = RecordBatch::try_from_iter([
        ("id", Arc::clone(sent.column(0))),
        ("a", Arc::clone(sent.column(1))),
    ]);
    let output = live.output(&input(), 0, answer.unwrap()).unwrap();
    assert_eq!(names(&output), ["id", "a"]);
    assert_eq!(output.column(0), input().column(0));
    assert_eq!(output.column(1), input().column(1));
}

#[test]
fn an_answer_without_stand_ins_may_have_any_rows() {
    let others = udf(UdfKind::MapBatches, Some(&["a"]), Passed::Others);
    let live = LiveColumns::find(&[others]);
    let input = input().project(&[0]).unwrap();
    let column: ArrayRef = Arc::new(Int64Array::from(vec![5; 9]));
    let answer = RecordBatch::try_from_iter([("a", column)]).unwrap();
    assert_eq!(live.output(&input, 0, answer.clone()).unwrap(), answer);
}

#[test]
fn people_are_told_what_is_read_and_passed() {
    let text = |kind, reads, passes| columns_text(&udf(kind, reads, passes));
    assert_eq!(text(UdfKind::Map, None, Passed::Others), "");
    assert_eq!(text(UdfKind::Map, Some(&[]), Passed::Nothing), "; reads no column");
    assert_eq!(text(UdfKind::Filter, Some(&["b", "a"]), Passed::Nothing), "; reads a, b");
    assert_eq!(text(UdfKind::Map, Some(&["a"]), Passed::Others), "; reads a; passes all others");
    let mut adds = udf(UdfKind::Map, Some(&["a", "b"]), Passed::Others).as_ref().clone();
    adds.columns.only_written = ["b".to_owned()].into();
    assert_eq!(columns_text(&adds), "; reads a; passes all others");
    assert_eq!(text(UdfKind::Map, Some(&["a"]), pairs(&[("x", "c")])), "; reads a; passes c");
}
