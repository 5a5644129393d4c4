//! Tests of projections, and of what expressions mean once they are resolved.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
    UInt64Array,
};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Expr, lit};
use raceline_exec::Operator;
use raceline_plan::Projection;
use raceline_plan::expression::{binary, cast, column, is_in, unary};
use raceline_types::{Batch, ErrorKind, Failure, TensorType};

use super::ProjectOperator;
use crate::fixture::{Collected, block_on};

/// Columns `i` and `j` (int64), `x` (float64), `p` and `q` (boolean), `s` (text).
fn table() -> RecordBatch {
    let columns: [(&str, ArrayRef, bool); 6] = [
        ("i", Arc::new(Int64Array::from(vec![Some(-7), Some(7), None, Some(i64::MAX)])), true),
        ("j", Arc::new(Int64Array::from(vec![2, 3, 1, 1])), true),
        ("x", Arc::new(Float64Array::from(vec![Some(f64::NAN), Some(2.5), None, Some(0.0)])), true),
        ("p", Arc::new(BooleanArray::from(vec![Some(true), Some(false), None, None])), true),
        ("q", Arc::new(BooleanArray::from(vec![None, None, Some(true), Some(false)])), true),
        ("s", Arc::new(StringArray::from(vec![Some("a"), Some("b"), None, Some("")])), true),
    ];
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

fn run(projection: Projection, batch: &RecordBatch) -> Result<RecordBatch, Failure> {
    let mut out = Collected::default();
    let operator = ProjectOperator::new(projection);
    block_on(operator.run(Batch::without_origin(batch.clone()), &mut out))?;
    let projected = out.0.remove(0).data;
    assert_eq!(operator.output_schema(&batch.schema())?, projected.schema());
    Ok(projected)
}

fn with(expr: Expr) -> Result<ArrayRef, Failure> {
    let with = Projection::With { name: "new".into(), expr };
    Ok(Arc::clone(run(with, &table())?.column(6)))
}

fn check(expr: Expr, expected: impl Array) {
    let text = expr.to_string();
    assert_eq!(with(expr).unwrap().as_ref(), &expected as &dyn Array, "{text}");
}

fn of(op: &str, left: &str, right: &str) -> Expr {
    binary(op, column(left), column(right)).unwrap()
}

fn names(batch: &RecordBatch) -> Vec<String> {
    batch.schema().fields().iter().map(|field| field.name().clone()).collect()
}

#[test]
fn division_truncates_and_its_floor_is_whole() {
    check(of("/", "i", "j"), Int64Array::from(vec![Some(-3), Some(2), None, Some(i64::MAX)]));
    let small = || binary("-", cast(column("j"), DataType::Int32, true), lit(4_i32)).unwrap();
    check(binary("/", small(), lit(2)).unwrap(), Int32Array::from(vec![-1, 0, -1, -1]));
    check(binary("//", small(), lit(2)).unwrap(), Int64Array::from(vec![-1, 0, -1, -1]));
    check(binary("%", small(), lit(2)).unwrap(), Int64Array::from(vec![0, -1, -1, -1]));
    let expected = vec![Some(f64::INFINITY), Some(f64::INFINITY), None, Some(f64::INFINITY)];
    let ones = binary("**", column("x"), lit(0.0)).unwrap();
    check(binary("/", ones, lit(0.0)).unwrap(), Float64Array::from(expected));
}

#[test]
fn integers_wrap() {
    let plus = vec![Some(-6), Some(8), None, Some(i64::MIN)];
    check(binary("+", column("i"), lit(1)).unwrap(), Int64Array::from(plus));
    let twice = vec![Some(-14), Some(14), None, Some(-2)];
    check(binary("*", column("i"), lit(2_i64)).unwrap(), Int64Array::from(twice));
    let minus = vec![Some(i64::MIN + 7), Some(i64::MAX - 6), None, Some(1)];
    let least = binary("-", lit(i64::MIN), column("i")).unwrap();
    check(least, Int64Array::from(minus));
}

#[test]
fn nan_is_equal_to_nothing() {
    check(of("==", "x", "x"), BooleanArray::from(vec![Some(false), Some(true), None, Some(true)]));
    check(of("!=", "x", "x"), BooleanArray::from(vec![Some(true), Some(false), None, Some(false)]));
    let less = vec![Some(false), Some(true), None, Some(true)];
    check(binary("<", column("x"), lit(3)).unwrap(), BooleanArray::from(less));
    // Negating a comparison must not turn it into the opposite one.
    let not_less = unary("~", binary("<", column("x"), lit(3)).unwrap()).unwrap();
    check(not_less, BooleanArray::from(vec![Some(true), Some(false), None, Some(false)]));
}

#[test]
fn and_and_or_are_those_of_kleene() {
    check(of("&", "p", "q"), BooleanArray::from(vec![None, Some(false), None, Some(false)]));
    check(of("|", "p", "q"), BooleanArray::from(vec![Some(true), None, Some(true), None]));
}

#[test]
fn null_is_in_a_list_only_when_the_list_has_it() {
    let texts = |texts: &[Option<&str>]| -> Vec<ScalarValue> {
        texts.iter().map(|text| ScalarValue::Utf8(text.map(str::to_owned))).collect()
    };
    let list = || texts(&[Some("a"), Some("z")]);
    check(is_in(column("s"), list(), false), BooleanArray::from(vec![true, false, false, false]));
    check(is_in(column("s"), list(), true), BooleanArray::from(vec![false, true, true, true]));
    let with_null = || texts(&[Some("a"), None]);
    check(
        is_in(column("s"), with_null(), false),
        BooleanArray::from(vec![true, false, true, false]),
    );
    check(
        is_in(column("s"), with_null(), true),
        BooleanArray::from(vec![false, true, false, true]),
    );
    check(is_in(column("s"), vec![], true), BooleanArray::from(vec![true; 4]));
    let numbers = vec![ScalarValue::Int64(Some(0)), ScalarValue::Float64(Some(2.5))];
    check(is_in(column("x"), numbers, false), BooleanArray::from(vec![false, true, false, true]));
}

#[test]
fn plus_joins_text_and_round_goes_to_even() {
    let joined = vec![Some("a!"), Some("b!"), None, Some("!")];
    check(binary("+", column("s"), lit("!")).unwrap(), StringArray::from(joined));
    let rounded = with(unary("round", column("x")).unwrap()).unwrap();
    let expected = Float64Array::from(vec![Some(f64::NAN), Some(2.0), None, Some(0.0)]);
    assert_eq!(format!("{rounded:?}"), format!("{:?}", &expected as &dyn Array));
}

#[test]
fn large_unsigned_integers_are_not_lost() {
    let large = lit(u64::MAX);
    let sum = binary("+", binary("*", lit(0_u64), lit(0_u64)).unwrap(), large).unwrap();
    check(sum, UInt64Array::from(vec![u64::MAX; 4]));
    let failure = with(unary("abs", lit(u64::MAX)).unwrap()).unwrap_err();
    assert_eq!(failure.kind(), ErrorKind::Plan, "{failure:?}");
}

#[test]
fn types_that_do_not_fit_are_told() {
    for expr in [of("%", "s", "i"), of("&", "i", "p"), unary("round", column("s")).unwrap()] {
        let failure = with(expr).unwrap_err();
        assert_eq!(failure.kind(), ErrorKind::Plan, "{failure:?}");
        assert!(failure.to_string().ends_with("does not fit its columns"), "{failure:?}");
    }
    let failure = with(cast(column("s"), DataType::Int64, true)).unwrap_err();
    assert_eq!(failure.kind(), ErrorKind::Plan);
    assert!(failure.render().contains("'a'"), "{failure:?}");
}

#[test]
fn columns_that_stay_are_not_copied_and_keep_their_metadata() {
    let tensor = TensorType::Fixed { value_type: DataType::Int64, shape: vec![1] };
    let field = tensor.field("image").unwrap();
    let values: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    let DataType::FixedSizeList(item, size) = field.data_type() else { panic!("a list") };
    let images: ArrayRef = Arc::new(arrow::array::FixedSizeListArray::new(
        Arc::clone(item),
        *size,
        Arc::clone(&values),
        None,
    ));
    let fields = vec![field.clone(), Field::new("id", DataType::Int64, true)];
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), vec![images, values]).unwrap();
    let renames = vec![("image".to_owned(), "picture".to_owned())];
    for projection in [
        Projection::Select(vec!["image".into()]),
        Projection::Drop(vec!["id".into()]),
        Projection::Rename(renames),
        Projection::With { name: "id".into(), expr: lit(1) },
        Projection::With { name: "copy".into(), expr: column("id") },
    ] {
        let projected = run(projection, &batch).unwrap();
        assert!(Arc::ptr_eq(projected.column(0), batch.column(0)));
        assert_eq!(TensorType::of(projected.schema().field(0)).unwrap(), Some(tensor.clone()));
    }
    let copied = Projection::With { name: "copy".into(), expr: column("image") };
    let copied = run(copied, &batch).unwrap();
    assert_eq!(TensorType::of(copied.schema().field(2)).unwrap(), Some(tensor));
}

#[test]
fn order_position_and_no_columns_at_all() {
    let table = table();
    let chosen = run(Projection::Select(vec!["s".into(), "i".into()]), &table).unwrap();
    assert_eq!(names(&chosen), ["s", "i"]);
    let nothing = run(Projection::Select(vec![]), &table).unwrap();
    assert_eq!((nothing.num_columns(), nothing.num_rows()), (0, 4));
    let replaced = Projection::With { name: "j".into(), expr: lit("one") };
    let replaced = run(replaced, &table).unwrap();
    assert_eq!(names(&replaced), ["i", "j", "x", "p", "q", "s"]);
    assert_eq!(replaced.schema().field(1).data_type(), &DataType::Utf8);
    let swap = vec![("i".to_owned(), "j".to_owned()), ("j".to_owned(), "i".to_owned())];
    assert_eq!(names(&run(Projection::Rename(swap), &table).unwrap())[..2], ["j", "i"]);
}

#[test]
fn wrong_names_are_told() {
    let missing = [
        Projection::Select(vec!["k".into()]),
        Projection::Drop(vec!["k".into()]),
        Projection::Rename(vec![("k".into(), "i".into())]),
        Projection::With { name: "l".into(), expr: column("k") },
    ];
    for projection in missing {
        let failure = run(projection, &table()).unwrap_err();
        assert_eq!(failure.kind(), ErrorKind::ColumnNotFound);
        assert_eq!(failure.to_string(), "no column `k`");
    }
    let failure = run(Projection::Rename(vec![("i".into(), "j".into())]), &table()).unwrap_err();
    assert_eq!(failure.to_string(), "column `j` would occur twice");
    assert_eq!(failure.kind(), ErrorKind::Plan);
}
