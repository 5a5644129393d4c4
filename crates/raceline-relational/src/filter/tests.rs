//! Tests of filters.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringViewArray};
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Expr, lit};
use raceline_exec::Operator;
use raceline_plan::expression::{binary, cast, column, literal, unary};
use raceline_types::{Batch, ErrorKind, Failure, Span, SplitId};

use super::FilterOperator;
use crate::fixture::{Collected, block_on};

/// Columns `a` (5, null, 7) and `b.B` ("x", "y", null).
fn table() -> RecordBatch {
    let a: ArrayRef = Arc::new(Int64Array::from(vec![Some(5), None, Some(7)]));
    let b: ArrayRef = Arc::new(StringViewArray::from(vec![Some("x"), Some("y"), None]));
    RecordBatch::try_from_iter_with_nullable([("a", a, true), ("b.B", b, true)]).unwrap()
}

fn run(filter: &FilterOperator, batch: &RecordBatch) -> Result<Batch, Failure> {
    let origin = vec![Span { split: SplitId(3), first_row: 10, rows: batch.num_rows() as u64 }];
    let mut out = Collected::default();
    block_on(filter.run(Batch::new(batch.clone(), origin), &mut out))?;
    Ok(out.0.remove(0))
}

fn kept(predicate: Expr) -> Result<Vec<Option<i64>>, Failure> {
    let batch = run(&FilterOperator::new(predicate), &table())?;
    Ok(batch.data.column(0).as_primitive::<Int64Type>().iter().collect())
}

fn greater(name: &str, value: i64) -> Expr {
    binary(">", column(name), lit(value)).unwrap()
}

#[test]
fn null_drops_the_row_and_origins_stay() {
    let batch = run(&FilterOperator::new(greater("a", 5)), &table()).unwrap();
    assert_eq!(batch.data.num_rows(), 1);
    assert_eq!(batch.origin, [Span { split: SplitId(3), first_row: 10, rows: 3 }]);
    assert_eq!(kept(unary("~", greater("a", 5)).unwrap()).unwrap(), [Some(5)]);
    assert_eq!(kept(literal(ScalarValue::Null)).unwrap(), []);
    assert_eq!(kept(literal(ScalarValue::Boolean(None))).unwrap(), []);
    assert_eq!(kept(lit(false)).unwrap(), []);
}

#[test]
fn a_batch_that_is_kept_whole_is_not_copied() {
    let table = table();
    let batch = run(&FilterOperator::new(unary("is_null", lit(1)).unwrap().or(lit(true))), &table);
    assert!(Arc::ptr_eq(batch.unwrap().data.column(0), table.column(0)));
    let all = unary("~", unary("is_null", cast(lit(1), DataType::Int8, true)).unwrap()).unwrap();
    assert!(Arc::ptr_eq(
        run(&FilterOperator::new(all), &table).unwrap().data.column(0),
        table.column(0)
    ));
}

#[test]
fn string_views_compare_with_text_and_names_are_taken_letter_for_letter() {
    let equal = binary("==", column("b.B"), lit("y")).unwrap();
    assert_eq!(kept(equal).unwrap(), [None]);
}

#[test]
fn one_filter_serves_batches_of_several_schemas() {
    let filter = FilterOperator::new(greater("a", 5));
    let other = table().project(&[1, 0]).unwrap();
    for (batch, position) in [(&table(), 0), (&other, 1), (&table(), 0)] {
        let kept = run(&filter, batch).unwrap().data;
        assert_eq!(kept.column(position).as_primitive::<Int64Type>().value(0), 7);
    }
    let empty = run(&filter, &table().slice(0, 0)).unwrap();
    assert_eq!((empty.data.num_rows(), empty.data.num_columns()), (0, 2));
}

#[test]
fn a_condition_does_not_see_what_those_before_it_drop() {
    let below_seven = greater("a", 5).and(unary("is_not_null", column("a")).unwrap());
    let by_zero = binary("//", lit(1), binary("-", column("a"), lit(7)).unwrap()).unwrap();
    let fails = || binary("<", by_zero.clone(), lit(0)).unwrap();
    let not_seven = || binary("!=", column("a"), lit(7)).unwrap();
    assert_eq!(kept(not_seven().and(fails())).unwrap(), []);
    let half = binary("//", lit(1), binary("-", column("a"), lit(4)).unwrap()).unwrap();
    let kept_half = not_seven().and(binary("!=", by_zero.clone(), lit(9)).unwrap());
    assert_eq!(kept(kept_half.and(binary("==", half, lit(1)).unwrap())).unwrap(), [Some(5)]);
    assert_eq!(kept(fails().and(not_seven())).unwrap_err().kind(), ErrorKind::Plan);
    assert_eq!(kept(below_seven.and(fails())).unwrap_err().kind(), ErrorKind::Plan);
}

#[test]
fn wrong_predicates_are_told() {
    let failure = kept(greater("aa", 5)).unwrap_err();
    assert_eq!(failure.kind(), ErrorKind::ColumnNotFound);
    assert_eq!(
        failure.render(),
        "no column `aa`\n  columns: `a`, `b.B`\n  hint: did you mean `a`?"
    );
    let failure = kept(binary("+", column("a"), lit(1)).unwrap()).unwrap_err();
    assert!(failure.to_string().ends_with("is of type `Int64`, not boolean"), "{failure}");
    let mixed = kept(binary("&", column("b.B"), lit(true)).unwrap()).unwrap_err();
    assert_eq!(mixed.kind(), ErrorKind::Plan, "{mixed:?}");
    let by_zero = binary("/", column("a"), binary("-", column("a"), column("a")).unwrap());
    let failure = kept(binary(">", by_zero.unwrap(), lit(0)).unwrap()).unwrap_err();
    assert_eq!(failure.kind(), ErrorKind::Plan);
    assert!(failure.render().contains("Divide by zero"), "{failure:?}");
}
