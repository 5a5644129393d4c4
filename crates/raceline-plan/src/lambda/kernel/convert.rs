//! Conversions between Python's types: `str`, `int`, `float`, `round`, `format`.

use std::fmt::Write;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use datafusion_common::{DataFusionError, Result};

use super::mathematics::to_integer;
use super::text::Texts;
use super::{Input, Trouble, array_of, map};
use crate::lambda::function::Convert;

/// Converts each row.
pub(super) fn evaluate(convert: Convert, inputs: &[Input]) -> Result<ArrayRef> {
    match (convert, inputs) {
        (Convert::Text, [value]) => written(value, true, |text, value| match value {
            Scalar::Null => text.write_str("None"),
            Scalar::Bool(value) => text.write_str(if value { "True" } else { "False" }),
            Scalar::Int(value) => write!(text, "{value}"),
            Scalar::Float(value) => write_float(text, value),
            Scalar::Str(value) => text.write_str(value),
        }),
        (Convert::Fixed { zeros, width, precision }, [value]) => {
            let (width, precision) = (usize::from(width), usize::from(precision));
            written(value, false, |text, value| match value {
                Scalar::Float(value) if value.is_finite() && zeros => {
                    write!(text, "{value:0width$.precision$}")
                }
                Scalar::Float(value) if value.is_finite() => {
                    write!(text, "{value:width$.precision$}")
                }
                _ => Err(std::fmt::Error),
            })
        }
        (Convert::Padded { zeros, width }, [value]) => {
            let width = usize::from(width);
            written(value, false, |text, value| match value {
                Scalar::Int(value) if zeros => write!(text, "{value:0width$}"),
                Scalar::Int(value) => write!(text, "{value:width$}"),
                Scalar::Str(value) => write!(text, "{value:width$}"),
                _ => Err(std::fmt::Error),
            })
        }
        (Convert::Int, [value]) if *value.array.data_type() == DataType::Utf8 => {
            let texts = value.without_nulls()?.as_string::<i32>();
            let parsed = texts.iter().flatten().map(parse_int).collect::<Result<Vec<_>, _>>()?;
            Ok(array_of::<Int64Type>(parsed))
        }
        (Convert::Int, [value]) => {
            let floats = value.primitive::<Float64Type>()?;
            Ok(array_of::<Int64Type>(map(&floats, to_integer)?))
        }
        (Convert::Round, [value]) => {
            let floats = value.primitive::<Float64Type>()?;
            let round = |value: f64| to_integer(value.round_ties_even());
            Ok(array_of::<Int64Type>(map(&floats, round)?))
        }
        (Convert::RoundTo, [value, digits]) => {
            let digits = usize::try_from(digits.primitive::<Int64Type>()?.values[0]).unwrap_or(0);
            let floats = value.primitive::<Float64Type>()?;
            Ok(array_of::<Float64Type>(map(&floats, |value| round_to(value, digits))?))
        }
        (Convert::Float, [value]) => {
            let texts = value.without_nulls()?;
            let texts = texts.as_string_opt::<i32>().ok_or_else(|| value.misfit())?;
            let parsed = texts.iter().flatten().map(parse_float).collect::<Result<Vec<_>, _>>()?;
            Ok(array_of::<Float64Type>(parsed))
        }
        _ => Err(DataFusionError::Internal(format!("`{convert:?}` of these arguments"))),
    }
}

/// A Python value.
enum Scalar<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(&'a str),
}

/// Writes each row; what `write` cannot is trouble.
fn written(
    value: &Input,
    takes_nulls: bool,
    write: impl Fn(&mut String, Scalar<'_>) -> std::fmt::Result,
) -> Result<ArrayRef> {
    if !takes_nulls {
        value.without_nulls()?;
    }
    let array = &value.array;
    let mut texts = Texts::with_capacity(array.len());
    let mut text = String::new();
    for row in 0..array.len() {
        let scalar = match array.data_type() {
            _ if array.is_null(row) => Scalar::Null,
            DataType::Boolean => Scalar::Bool(array.as_boolean().value(row)),
            DataType::Int64 => Scalar::Int(array.as_primitive::<Int64Type>().value(row)),
            DataType::Float64 => Scalar::Float(array.as_primitive::<Float64Type>().value(row)),
            DataType::Utf8 => Scalar::Str(array.as_string::<i32>().value(row)),
            _ => return Err(value.misfit()),
        };
        text.clear();
        write(&mut text, scalar).map_err(|_| Trouble)?;
        texts.push(&[&text])?;
    }
    Ok(texts.finish())
}

/// A float as Python's `repr` writes it: the fewest digits that name it, with an exponent below
/// 1e-4 and from 1e16 on.
fn write_float(text: &mut String, value: f64) -> std::fmt::Result {
    if value.is_nan() {
        return text.write_str("nan");
    }
    if value.is_infinite() {
        return text.write_str(if value < 0.0 { "-inf" } else { "inf" });
    }
    let scientific = shortest(value);
    let (mantissa, exponent) = scientific.split_once('e').ok_or(std::fmt::Error)?;
    let exponent: i32 = exponent.parse().map_err(|_| std::fmt::Error)?;
    if !(-4..16).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return write!(text, "{mantissa}e{sign}{:02}", exponent.unsigned_abs());
    }
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    if mantissa.starts_with('-') {
        text.write_char('-')?;
    }
    match usize::try_from(exponent) {
        Ok(before) if before + 1 >= digits.len() => {
            write!(text, "{digits:0<width$}.0", width = before + 1)
        }
        Ok(before) => write!(text, "{}.{}", &digits[..=before], &digits[before + 1..]),
        Err(_) => {
            let width = digits.len() + exponent.unsigned_abs() as usize - 1;
            write!(text, "0.{digits:0>width$}")
        }
    }
}

/// The fewest digits that name the float, and its exponent. Of two that are as near, Python takes
/// the even one, which matters from 16 digits on: fewer are never as near.
fn shortest(value: f64) -> String {
    let shortest = format!("{value:e}");
    let digits =
        shortest.bytes().take_while(|byte| *byte != b'e').filter(u8::is_ascii_digit).count();
    if digits < 16 {
        return shortest;
    }
    let even = format!("{value:.*e}", digits - 1);
    if even.parse().is_ok_and(|same: f64| same.to_bits() == value.to_bits()) {
        even
    } else {
        shortest
    }
}

/// The float rounded to `digits` behind the point, as its exact decimal expansion says; half to
/// even.
fn round_to(value: f64, digits: usize) -> (f64, bool) {
    if !value.is_finite() {
        return (value, false);
    }
    format!("{value:.digits$}").parse().map_or((0.0, true), |rounded| (rounded, false))
}

/// What `int` and `float` ignore around an ASCII number.
fn trimmed(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\n', '\r', '\u{b}', '\u{c}'])
}

/// `int(text)` of plain digits. What else Python understands, or raises for, is trouble.
fn parse_int(text: &str) -> Result<i64, Trouble> {
    let text = trimmed(text);
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if plain { text.parse().map_err(|_| Trouble) } else { Err(Trouble) }
}

/// `float(text)` of plain digits with a point and an exponent. What else Python understands, or
/// raises for, is trouble.
fn parse_float(text: &str) -> Result<f64, Trouble> {
    let text = trimmed(text);
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (number, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
    let has_digits = !exponent.is_empty() && (!whole.is_empty() || !fraction.is_empty());
    let plain = has_digits && [whole, fraction, exponent].into_iter().all(all_digits);
    if plain { text.parse().map_err(|_| Trouble) } else { Err(Trouble) }
}
