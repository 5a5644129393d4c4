//! Tests of expressions: what the functions compute, and what a scan may prune by.
//!
//! The expected values are those of Ray Data over Arrow blocks.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int8Array, Int64Array, NullArray,
    StringArray, StringViewArray, UInt64Array,
};
use arrow::datatypes::{DataType, Field, Float64Type, Schema};
use datafusion_expr::{Expr, Operator, lit};
use proptest::prelude::*;
use raceline_types::Diagnostic;

use super::function::Operation;
use super::{ScalarValue, binary, column, is_in, kernel, literal, relaxed, unary};

const NAN: f64 = f64::NAN;

fn operation(symbol: &str, arguments: usize) -> Operation {
    let mut all = Operation::ALL.into_iter();
    all.find(|one| one.symbol() == symbol && one.arguments() == arguments).unwrap()
}

fn evaluate(symbol: &str, arrays: &[ArrayRef]) -> Result<ArrayRef, String> {
    let operation = operation(symbol, arrays.len());
    let types: Vec<_> = arrays.iter().map(|array| array.data_type().clone()).collect();
    let result = kernel::evaluate(operation, arrays).map_err(|error| error.to_string())?;
    assert_eq!(kernel::output_type(operation, &types), Some(result.data_type().clone()));
    Ok(result)
}

fn check(symbol: &str, arrays: &[ArrayRef], expected: impl Array) {
    assert_eq!(evaluate(symbol, arrays).unwrap().as_ref(), &expected as &dyn Array, "`{symbol}`");
}

fn ints(values: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

fn floats(values: &[f64]) -> ArrayRef {
    Arc::new(Float64Array::from(values.to_vec()))
}

#[test]
fn floor_division_and_modulo_of_integers_follow_the_truncated_quotient() {
    let (a, b) = (ints(&[-7, 7, -7, 7]), ints(&[2, 2, 3, -3]));
    check("//", &[Arc::clone(&a), Arc::clone(&b)], Int64Array::from(vec![-3, 3, -2, -2]));
    check("%", &[a, b], Int64Array::from(vec![-1, 1, -1, 1]));
    // Exact where float64 is not.
    let (a, b) = (ints(&[(1 << 60) + 1, i64::MAX]), ints(&[2, 10]));
    check("//", &[Arc::clone(&a), Arc::clone(&b)], Int64Array::from(vec![1 << 59, i64::MAX / 10]));
    check("%", &[a, b], Int64Array::from(vec![1, 7]));
}

#[test]
fn an_integer_divided_by_zero_is_an_error_and_a_float_is_not() {
    for symbol in ["//", "%"] {
        let error = evaluate(symbol, &[ints(&[1]), ints(&[0])]).unwrap_err();
        assert!(error.contains("Divide by zero"), "{error}");
    }
    let quotient = evaluate("//", &[floats(&[1.0, -1.0, 0.0]), floats(&[0.0; 3])]).unwrap();
    let quotient = quotient.as_primitive::<Float64Type>();
    assert_eq!(&quotient.values()[..2], &[f64::INFINITY, f64::NEG_INFINITY]);
    assert!(quotient.value(2).is_nan());
}

#[test]
fn floats_floor() {
    let (a, b) = (floats(&[-7.0, 7.5]), ints(&[2, 2]));
    check("//", &[Arc::clone(&a), Arc::clone(&b)], Float64Array::from(vec![-4.0, 3.0]));
    check("%", &[a, b], Float64Array::from(vec![1.0, 1.5]));
}

#[test]
fn floats_compare_as_ieee_has_it() {
    let (a, b) = (floats(&[NAN, NAN, 1.0, -0.0]), floats(&[NAN, 1.0, NAN, 0.0]));
    for (symbol, expected) in [
        ("==", [false, false, false, true]),
        ("!=", [true, true, true, false]),
        ("<", [false; 4]),
        ("<=", [false, false, false, true]),
        (">", [false; 4]),
        (">=", [false, false, false, true]),
    ] {
        check(symbol, &[Arc::clone(&a), Arc::clone(&b)], BooleanArray::from(expected.to_vec()));
    }
}

#[test]
fn a_null_compares_to_null() {
    let a: ArrayRef = Arc::new(Float64Array::from(vec![None, Some(1.0)]));
    let expected = BooleanArray::from(vec![None, Some(true)]);
    check("==", &[Arc::clone(&a), floats(&[1.0, 1.0])], expected);
    check("!=", &[a, Arc::new(NullArray::new(2))], BooleanArray::new_null(2));
}

#[test]
fn plus_joins_strings_of_any_layout() {
    let a: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None, Some("")]));
    let b: ArrayRef = Arc::new(StringViewArray::from(vec![
        Some("a text that does not fit inline"),
        Some("b"),
        Some(""),
    ]));
    let joined = vec![Some("aa text that does not fit inline"), None, Some("")];
    check("+", &[Arc::clone(&a), b], StringArray::from(joined));
    check("+", &[a, Arc::new(NullArray::new(3))], StringArray::new_null(3));
}

#[test]
fn what_is_computed_of_nulls_alone_goes_together_with_anything() {
    let nulls = || -> ArrayRef { Arc::new(NullArray::new(2)) };
    for symbol in ["+", "//", "%", "**"] {
        check(symbol, &[nulls(), nulls()], NullArray::new(2));
    }
    for symbol in ["//", "%", "**"] {
        check(symbol, &[nulls(), ints(&[1, 2])], Int64Array::new_null(2));
        check(symbol, &[floats(&[1.0, 2.0]), nulls()], Float64Array::new_null(2));
    }
    for name in ["negate", "abs", "sign", "ceil", "round"] {
        check(name, &[nulls()], NullArray::new(2));
    }
    check("is_nan", &[nulls()], BooleanArray::new_null(2));
}

#[test]
fn plus_wraps_and_refuses_a_number_and_a_string() {
    check("+", &[ints(&[i64::MAX]), ints(&[1])], Int64Array::from(vec![i64::MIN]));
    let types = [DataType::Boolean, DataType::Int64];
    assert_eq!(kernel::output_type(operation("+", 2), &types), None);
}

#[test]
fn powers_of_integers_wrap_and_refuse_negative_exponents() {
    let (a, b) = (ints(&[2, -3, 0, 3]), ints(&[10, 3, 0, 64]));
    let expected = vec![1024, -27, 1, 3_i64.wrapping_pow(64)];
    check("**", &[a, b], Int64Array::from(expected));
    let error = evaluate("**", &[ints(&[2]), ints(&[-1])]).unwrap_err();
    assert!(error.contains("an integer to the power of `-1` is not an integer"), "{error}");
    check("**", &[ints(&[2]), floats(&[-1.0])], Float64Array::from(vec![0.5]));
}

#[test]
fn rounding_goes_to_the_even_neighbour() {
    let halves = floats(&[0.5, 1.5, 2.5, -0.5, -1.5, 2.51]);
    let expected = vec![0.0, 2.0, 2.0, -0.0, -2.0, 3.0];
    check("round", &[halves], Float64Array::from(expected));
    check("round", &[ints(&[i64::MAX])], Int64Array::from(vec![i64::MAX]));
}

#[test]
fn functions_of_one_value_keep_integers_and_nulls() {
    let wrapped = ints(&[i64::MIN, -2, 0, 3]);
    check("abs", &[Arc::clone(&wrapped)], Int64Array::from(vec![i64::MIN, 2, 0, 3]));
    check("negate", &[Arc::clone(&wrapped)], Int64Array::from(vec![i64::MIN, 2, 0, -3]));
    check("sign", &[wrapped], Int8Array::from(vec![-1, -1, 0, 1]));
    let some = Arc::new(Float64Array::from(vec![Some(-1.5), None])) as ArrayRef;
    for (symbol, expected) in
        [("ceil", -1.0), ("floor", -2.0), ("trunc", -1.0), ("sign", -1.0), ("abs", 1.5)]
    {
        check(symbol, &[Arc::clone(&some)], Float64Array::from(vec![Some(expected), None]));
    }
    let nan = Arc::new(Float64Array::from(vec![Some(NAN), None, Some(0.0)])) as ArrayRef;
    check("is_nan", &[nan], BooleanArray::from(vec![Some(true), None, Some(false)]));
    let logarithms = evaluate("ln", &[ints(&[1, 0, -1])]).unwrap();
    let logarithms = logarithms.as_primitive::<Float64Type>();
    assert_eq!(&logarithms.values()[..2], &[0.0, f64::NEG_INFINITY]);
    assert!(logarithms.value(2).is_nan());
}

#[test]
fn an_unsigned_integer_beyond_64_signed_bits_is_an_error_and_not_null() {
    let large: ArrayRef = Arc::new(UInt64Array::from(vec![u64::MAX]));
    let error = evaluate("abs", &[large]).unwrap_err();
    assert!(error.contains("18446744073709551615"), "{error}");
}

#[test]
fn unknown_operators_name_the_nearest() {
    let error = binary("=", column("a"), column("b")).unwrap_err();
    assert_eq!(error.to_string(), "no operator `=` for 2 argument(s)");
    let error = unary("rund", column("a")).unwrap_err();
    assert_eq!(error.hint().as_deref(), Some("did you mean `round`?"));
    assert!(binary("round", column("a"), column("b")).is_err());
}

#[test]
fn a_literal_is_typed_and_an_empty_list_holds_nothing() {
    assert_eq!(literal(ScalarValue::Int64(Some(1))), lit(1_i64));
    let nothing = is_in(column("a"), vec![], false);
    assert_eq!(nothing, column("a").is_not_null().and(lit(false)));
}

#[test]
fn relaxed_predicates_are_bare_where_that_keeps_more() {
    let schema = Schema::new(vec![
        Field::new("a", DataType::Int64, true),
        Field::new("x", DataType::Float64, true),
    ]);
    for (name, zero, is_bare) in
        [("a", lit(0), true), ("a", lit(-0.0), false), ("x", lit(0), false)]
    {
        let predicate = binary(">=", column(name), zero.clone()).unwrap();
        let bare = column(name).gt_eq(zero);
        let expected = if is_bare { bare } else { predicate.clone() };
        assert_eq!(relaxed(&predicate, &schema), expected);
    }
    let equal = binary("==", column("a"), lit(1.0)).unwrap();
    let unequal = binary("!=", column("a"), lit(1.0)).unwrap();
    assert_eq!(relaxed(&equal, &schema), column("a").eq(lit(1.0)));
    assert_eq!(relaxed(&unequal, &schema), unequal);
    let both = binary("&", equal.clone(), unequal.clone()).unwrap();
    assert_eq!(relaxed(&both, &schema), column("a").eq(lit(1.0)).and(unequal));
    // Under a negation fewer rows would be kept.
    let negated = unary("~", equal).unwrap();
    assert_eq!(relaxed(&negated, &schema), negated);
}

#[test]
fn columns_are_taken_letter_for_letter() {
    assert_eq!(column("A.b").column_refs().iter().next().unwrap().name, "A.b");
    let Expr::BinaryExpr(minus) = binary("-", column("a"), lit(1)).unwrap() else {
        panic!("a bare operator")
    };
    assert_eq!(minus.op, Operator::Minus);
}

fn float() -> impl Strategy<Value = f64> {
    let odd = vec![NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 0.0];
    prop_oneof![prop::sample::select(odd), -100.0_f64..100.0]
}

proptest! {
    #[test]
    fn kernels_agree_with_one_value_at_a_time(
        rows in prop::collection::vec((float(), float(), -50_i64..50, 1_i64..9), 1..40),
    ) {
        let a: Vec<_> = rows.iter().map(|row| row.0).collect();
        let b: Vec<_> = rows.iter().map(|row| row.1).collect();
        let (i, j): (Vec<_>, Vec<_>) = rows.iter().map(|row| (row.2, row.3)).unzip();
        let less = rows.iter().map(|row| Some(row.0 < row.1)).collect::<BooleanArray>();
        check("<", &[floats(&a), floats(&b)], less);
        let quotient = i.iter().zip(&j).map(|(i, j)| i / j);
        let (quotient, rest): (Vec<_>, Vec<_>) =
            quotient.zip(i.iter().zip(&j)).map(|(q, (i, j))| (q, i - j * q)).unzip();
        check("//", &[ints(&i), ints(&j)], Int64Array::from(quotient));
        check("%", &[ints(&i), ints(&j)], Int64Array::from(rest));
    }
}
