//! The kernels against scalar references.

use arrow::array::{Date32Array, Float64Array, Int64Array};
use proptest::prelude::*;

use super::*;
use crate::lambda::builtin::{Element, Numpy};
use crate::lambda::function::{Calendar, Convert, Text};

/// Computes `operation` and checks that trouble is told as such.
fn computed(operation: Operation, arguments: &[ColumnarValue]) -> Option<ArrayRef> {
    match evaluate(operation, arguments, 1) {
        Ok(value) => Some(value.into_array(1).unwrap()),
        Err(error) => {
            assert!(Trouble::is_cause_of(&error), "{error}");
            None
        }
    }
}

fn int(value: i64) -> ColumnarValue {
    ColumnarValue::Array(Arc::new(Int64Array::from(vec![value])))
}

fn float(value: f64) -> ColumnarValue {
    ColumnarValue::Array(Arc::new(Float64Array::from(vec![value])))
}

fn text(value: &str) -> ColumnarValue {
    ColumnarValue::Array(Arc::new(StringArray::from(vec![value])))
}

fn integer_result(operation: Operation, left: i64, right: i64) -> Option<i64> {
    computed(operation, &[int(left), int(right)])
        .map(|array| array.as_primitive::<Int64Type>().value(0))
}

fn float_result(operation: Operation, left: f64, right: f64) -> Option<f64> {
    computed(operation, &[float(left), float(right)])
        .map(|array| array.as_primitive::<Float64Type>().value(0))
}

/// What Python's unbounded ints give, when it fits 64 bits.
fn unbounded(op: BinaryOp, left: i64, right: i64) -> Option<i64> {
    let (left, right) = (i128::from(left), i128::from(right));
    let floor = || left.div_euclid(right) - i128::from(right < 0 && left.rem_euclid(right) != 0);
    let exact = match op {
        BinaryOp::Add => left + right,
        BinaryOp::Subtract => left - right,
        BinaryOp::Multiply => left * right,
        BinaryOp::FloorDivide if right != 0 => floor(),
        BinaryOp::Modulo if right != 0 => left - right * floor(),
        BinaryOp::Power => left.checked_pow(u32::try_from(right).ok()?)?,
        BinaryOp::And => left & right,
        BinaryOp::Or => left | right,
        BinaryOp::Xor => left ^ right,
        _ => return None,
    };
    i64::try_from(exact).ok()
}

fn any_integer() -> impl Strategy<Value = i64> {
    prop_oneof![
        any::<i64>(),
        -9..9_i64,
        prop::sample::select(vec![i64::MIN, i64::MIN + 1, i64::MAX, 1 << 53, -(1 << 53) - 1]),
    ]
}

fn any_float() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>(),
        -9.0..9.0_f64,
        prop::sample::select(vec![
            0.0,
            -0.0,
            1.0,
            -1.0,
            0.1,
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::MAX,
            f64::MIN_POSITIVE,
            5e-324,
        ]),
    ]
}

fn any_operator() -> impl Strategy<Value = BinaryOp> {
    prop::sample::select(vec![
        BinaryOp::Add,
        BinaryOp::Subtract,
        BinaryOp::Multiply,
        BinaryOp::FloorDivide,
        BinaryOp::Modulo,
        BinaryOp::Power,
        BinaryOp::And,
        BinaryOp::Or,
        BinaryOp::Xor,
    ])
}

proptest! {
    #[test]
    fn python_ints_are_unbounded_ints_or_trouble(
        op in any_operator(), left in any_integer(), right in any_integer(),
    ) {
        let expected = unbounded(op, left, right);
        let found = integer_result(Operation::PyInt(op), left, right);
        // Huge exponents of -1, 0 and 1 fit but are left to Python.
        if op == BinaryOp::Power && found.is_none() {
            prop_assert!(expected.is_none() || u32::try_from(right).is_err());
        } else {
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn numpy_ints_wrap(left in any_integer(), right in any_integer()) {
        let sum = integer_result(Operation::NpInt(BinaryOp::Add), left, right);
        prop_assert_eq!(sum, Some(left.wrapping_add(right)));
        let product = integer_result(Operation::NpInt(BinaryOp::Multiply), left, right);
        prop_assert_eq!(product, Some(left.wrapping_mul(right)));
    }

    #[test]
    fn a_constant_operand_is_as_good_as_a_column(
        op in any_operator(), left in any_integer(), right in any_integer(),
    ) {
        let scalar = |value: i64| ColumnarValue::Scalar(ScalarValue::Int64(Some(value)));
        let expected = integer_result(Operation::PyInt(op), left, right);
        for arguments in [
            [int(left), scalar(right)],
            [scalar(left), int(right)],
            [scalar(left), scalar(right)],
        ] {
            let found = computed(Operation::PyInt(op), &arguments)
                .map(|array| array.as_primitive::<Int64Type>().value(0));
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn float_quotient_and_remainder_agree(left in any_float(), right in any_float()) {
        let quotient = float_result(Operation::PyFloat(BinaryOp::FloorDivide), left, right);
        let remainder = float_result(Operation::PyFloat(BinaryOp::Modulo), left, right);
        prop_assert_eq!(quotient.is_none(), right == 0.0);
        prop_assert_eq!(remainder.is_none(), right == 0.0);
        if let Some(remainder) = remainder
            && left.is_finite()
            && right.is_finite()
        {
            prop_assert_eq!(remainder.is_sign_negative(), right.is_sign_negative());
            prop_assert!(remainder.abs() <= right.abs());
        }
    }

    #[test]
    fn numpy_floats_that_would_warn_are_trouble(left in any_float(), right in any_float()) {
        let quotient = float_result(Operation::NpFloat(BinaryOp::Divide), left, right);
        let exact = left / right;
        let operands_nan = left.is_nan() || right.is_nan();
        match quotient {
            Some(found) => prop_assert_eq!(found.to_bits(), exact.to_bits()),
            None => prop_assert!(!exact.is_finite() && !operands_nan),
        }
        prop_assert!(quotient.is_none() || right != 0.0 || operands_nan || left.is_infinite());
    }

    #[test]
    fn slices_count_code_points(
        value in "(\\PC|a){0,6}", start in -8..8_i64, stop in -8..8_i64,
    ) {
        let bound = |bound: Option<i64>| ColumnarValue::Scalar(ScalarValue::Int64(bound));
        let slice = |start: Option<i64>, stop: Option<i64>, step: i64| {
            let bounds = [text(&value), bound(start), bound(stop), bound(Some(step))];
            text_result(Operation::Text(Text::Slice), &bounds).unwrap()
        };
        let characters: Vec<char> = value.chars().collect();
        let length = i64::try_from(characters.len()).unwrap();
        let place = |bound: i64| if bound < 0 { bound + length } else { bound };
        let within = |at: &usize| {
            let at = i64::try_from(*at).unwrap();
            place(start) <= at && at < place(stop)
        };
        let expected: String =
            (0..characters.len()).filter(within).map(|at| characters[at]).collect();
        prop_assert_eq!(slice(Some(start), Some(stop), 1), expected);
        let reversed: String = characters.iter().rev().collect();
        prop_assert_eq!(slice(None, None, -1), reversed);
        let other: String = characters.iter().step_by(2).collect();
        prop_assert_eq!(slice(None, None, 2), other);
        let item = text_result(
            Operation::Text(Text::Item),
            &[text(&value), bound(Some(start))],
        );
        let at = usize::try_from(place(start)).ok();
        let expected = at.and_then(|at| characters.get(at)).map(ToString::to_string);
        prop_assert_eq!(item, expected);
    }

    #[test]
    fn floats_are_read_as_they_are_written(value in any_float()) {
        let written = text_result(Operation::Convert(Convert::Text), &[float(value)]).unwrap();
        prop_assert!(written.contains(['.', 'e', 'n']), "{}", written);
        let read = computed(Operation::Convert(Convert::Float), &[text(&written)]);
        if value.is_finite() {
            let read = read.unwrap().as_primitive::<Float64Type>().value(0);
            prop_assert_eq!(read.to_bits(), value.to_bits());
        } else {
            prop_assert!(read.is_none());
        }
    }

    #[test]
    fn dates_follow_one_another(day in -719_162..2_932_896_i32) {
        let part = |part, day: i32| {
            let days = ColumnarValue::Array(Arc::new(Date32Array::from(vec![day])));
            computed(Operation::Calendar(part), &[days]).unwrap()
                .as_primitive::<Int64Type>().value(0)
        };
        let date = |day| {
            [Calendar::Year, Calendar::Month, Calendar::Day].map(|calendar| part(calendar, day))
        };
        let ([year, month, today], next) = (date(day), date(day + 1));
        prop_assert!((1..=9999).contains(&year) && (1..=12).contains(&month));
        prop_assert!(next > [year, month, today]);
        prop_assert!(next[2] == today + 1 || (next[2] == 1 && (28..=31).contains(&today)));
        prop_assert_eq!((part(Calendar::Weekday, day) + 1) % 7, part(Calendar::Weekday, day + 1));
    }

    #[test]
    fn strings_order_by_code_point(left in "\\PC{0,4}", right in "\\PC{0,4}") {
        let less = computed(Operation::CompareStr(CompareOp::Less), &[text(&left), text(&right)]);
        let by_code_point = left.chars().lt(right.chars());
        prop_assert_eq!(less.unwrap().as_boolean().value(0), by_code_point);
        let joined = computed(Operation::Concat, &[text(&left), text(&right)]).unwrap();
        prop_assert_eq!(joined.as_string::<i32>().value(0), format!("{left}{right}"));
    }
}

#[test]
fn one_row_in_trouble_troubles_all() {
    let left = ColumnarValue::Array(Arc::new(Int64Array::from(vec![1, i64::MAX, 3])));
    let one = ColumnarValue::Scalar(ScalarValue::Int64(Some(1)));
    assert!(computed(Operation::PyInt(BinaryOp::Add), &[left, one]).is_none());
}

#[test]
fn null_operands_are_trouble_and_false_and_equal_themselves_alone() {
    let null = ColumnarValue::Array(Arc::new(Int64Array::from(vec![None])));
    assert!(computed(Operation::PyInt(BinaryOp::Add), &[null.clone(), int(1)]).is_none());
    assert!(computed(Operation::CompareInt(CompareOp::Less), &[int(1), null.clone()]).is_none());
    for (other, equal) in [(int(1), false), (int(0), false), (null.clone(), true)] {
        for (op, expected) in [(CompareOp::Equal, equal), (CompareOp::NotEqual, !equal)] {
            let found = computed(Operation::CompareInt(op), &[null.clone(), other.clone()]);
            assert_eq!(found.unwrap().as_boolean().value(0), expected);
        }
    }
    let among = |choices: &[ColumnarValue]| {
        let arguments: Vec<_> = [null.clone()].into_iter().chain(choices.iter().cloned()).collect();
        computed(Operation::IsAmong, &arguments).unwrap().as_boolean().value(0)
    };
    assert!(!among(&[int(0)]) && among(&[int(0), null.clone()]));
    assert!(computed(Operation::NpColumn, std::slice::from_ref(&null)).is_none());
    let truth = computed(Operation::Truth, &[null]).unwrap();
    assert!(truth.null_count() == 0 && !truth.as_boolean().value(0));
}

#[test]
fn nan_is_true_and_equals_nothing() {
    let nan = float(f64::NAN);
    assert!(computed(Operation::Truth, std::slice::from_ref(&nan)).unwrap().as_boolean().value(0));
    for (op, expected) in [(CompareOp::Equal, false), (CompareOp::NotEqual, true)] {
        let found = computed(Operation::CompareFloat(op), &[nan.clone(), nan.clone()]).unwrap();
        assert_eq!(found.as_boolean().value(0), expected);
    }
}

#[test]
fn ints_beyond_53_bits_are_no_exact_floats() {
    let exact = |value| computed(Operation::ExactFloat, &[int(value)]).is_some();
    assert!(exact(1 << 53) && exact(-(1 << 53)));
    assert!(!exact((1 << 53) + 1) && !exact(i64::MIN));
}

#[test]
fn powers_that_raise_or_leave_the_reals_are_trouble() {
    let power = |base, exponent| float_result(Operation::PyFloat(BinaryOp::Power), base, exponent);
    assert_eq!(power(-2.0, 3.0), Some(-8.0));
    assert_eq!(power(4.0, 0.5), Some(2.0));
    for (base, exponent) in [(-8.0, 0.5), (0.0, -1.0), (1e200, 2.0), (1e-200, 2.0)] {
        assert_eq!(power(base, exponent), None, "{base} ** {exponent}");
    }
}

#[test]
fn empty_batches_have_empty_results() {
    let none = ColumnarValue::Array(Arc::new(Int64Array::from(Vec::<i64>::new())));
    let two = ColumnarValue::Scalar(ScalarValue::Int64(Some(2)));
    let result = evaluate(Operation::PyInt(BinaryOp::FloorDivide), &[none, two], 0).unwrap();
    assert_eq!(result.into_array(0).unwrap().len(), 0);
    let flags = ColumnarValue::Array(Arc::new(BooleanArray::from(Vec::<bool>::new())));
    let result = evaluate(Operation::Logic(BinaryOp::And), &[flags.clone(), flags], 0).unwrap();
    assert_eq!(result.into_array(0).unwrap().len(), 0);
}

fn text_result(operation: Operation, arguments: &[ColumnarValue]) -> Option<String> {
    computed(operation, arguments).map(|array| array.as_string::<i32>().value(0).to_owned())
}

#[test]
fn text_whose_case_may_change_with_unicode_is_trouble() {
    let upper = |value| text_result(Operation::Text(Text::Upper), &[text(value)]);
    let lower = |value| text_result(Operation::Text(Text::Lower), &[text(value)]);
    assert_eq!(upper("straße ſ"), Some("STRASSE S".into()));
    assert_eq!(lower("İÉ"), Some("i\u{307}é".into()));
    for value in ["ΑΣ", "\u{19b}", "\u{264}", "\u{1c89}", "\u{10d50}"] {
        assert_eq!((upper(value), lower(value)), (None, None), "{value}");
    }
}

#[test]
fn floats_are_written_as_python_writes_them() {
    let written = |value| text_result(Operation::Convert(Convert::Text), &[float(value)]).unwrap();
    for (value, expected) in [
        (1.0, "1.0"),
        (-0.0, "-0.0"),
        (1e15, "1000000000000000.0"),
        (1e16, "1e+16"),
        (1.5e-7, "1.5e-07"),
        (0.0001, "0.0001"),
        (5e-324, "5e-324"),
        (f64::from(26.321_f32), "26.320999145507812"),
        (-0.001_234, "-0.001234"),
        (123_456.75, "123456.75"),
        (120.0, "120.0"),
        (1.7e308, "1.7e+308"),
        (f64::NEG_INFINITY, "-inf"),
        (f64::NAN, "nan"),
    ] {
        assert_eq!(written(value), expected);
    }
    let rounded = |value, digits| {
        let operation = Operation::Convert(Convert::RoundTo);
        computed(operation, &[float(value), int(digits)])
            .map(|array| array.as_primitive::<Float64Type>().value(0))
    };
    assert_eq!(rounded(2.675, 2), Some(2.67));
    assert_eq!(rounded(0.125, 2), Some(0.12));
    assert_eq!(rounded(2.5, 0), Some(2.0));
}

#[test]
fn only_plain_numbers_are_parsed() {
    let parsed = |value| computed(Operation::Convert(Convert::Int), &[text(value)]).is_some();
    assert!(parsed(" -12\n") && parsed("+0") && !parsed("1_0") && !parsed("٣") && !parsed(""));
    assert!(!parsed("9223372036854775808") && !parsed("1.0") && !parsed("\u{1c}1"));
    let real = |value| computed(Operation::Convert(Convert::Float), &[text(value)]).is_some();
    assert!(real("1.5e3") && real(".5") && real("1e999") && !real(".") && !real("nan"));
    assert!(!real("1_0.0") && !real("e5") && !real("infinity"));
}

#[test]
fn instants_outside_of_pythons_years_are_trouble() {
    let days = |day: i32| ColumnarValue::Array(Arc::new(Date32Array::from(vec![day])));
    let iso = |day| {
        let column = computed(Operation::Calendar(Calendar::Column), &[days(day)])?;
        text_result(Operation::Calendar(Calendar::IsoFormat), &[ColumnarValue::Array(column)])
    };
    assert_eq!(iso(0), Some("1970-01-01".into()));
    assert_eq!(iso(19_782), Some("2024-02-29".into()));
    assert_eq!((iso(-719_162), iso(-719_163)), (Some("0001-01-01".into()), None));
    assert_eq!((iso(2_932_896), iso(2_932_897)), (Some("9999-12-31".into()), None));
    let seconds = |value| {
        let array = arrow::array::TimestampSecondArray::from(vec![value]);
        computed(Operation::Calendar(Calendar::Column), &[ColumnarValue::Array(Arc::new(array))])
    };
    assert!(seconds(0).is_some() && seconds(i64::MAX).is_none());
}

#[test]
fn rows_that_numpy_warns_of_are_trouble() {
    let root = |value| computed(Operation::Numpy(Numpy::Sqrt), &[float(value)]).is_some();
    assert!(root(2.0) && root(-0.0) && root(f64::NAN) && !root(-1.0));
    let cast = |value| computed(Operation::Cast(Element::Int8), &[float(value)]).is_some();
    assert!(cast(-128.9) && !cast(128.0) && !cast(f64::NAN));
    let narrow = |value| computed(Operation::Cast(Element::Float32), &[float(value)]).is_some();
    assert!(narrow(f64::INFINITY) && narrow(1e38) && !narrow(1e39));
    let greater =
        |left, right| float_result(Operation::Numpy(Numpy::Maximum), left, right).is_some();
    assert!(greater(0.0, 0.0) && !greater(0.0, -0.0));
}
