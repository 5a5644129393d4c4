//! The `py_*` and `np_*` functions as DataFusion knows them.

use std::fmt;

use arrow::datatypes::{DataType, TimeUnit};
use datafusion_common::Result;
use datafusion_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::builtin::{Element, Math, Numpy};
use super::kernel;
use super::program::{BinaryOp, CompareOp};

/// What a function computes. Arguments have exactly the types named here; the compiler casts.
/// Unless it says otherwise, a null argument is trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Operation {
    /// Python's operator on two int64.
    PyInt(BinaryOp),
    /// Python's operator on two float64.
    PyFloat(BinaryOp),
    /// NumPy's operator on two int64, which wraps.
    NpInt(BinaryOp),
    /// NumPy's operator on two float64; a row that would warn is trouble.
    NpFloat(BinaryOp),
    /// Python's `-` on int64.
    PyNegate,
    /// NumPy's `-` on int64.
    NpNegate,
    /// `-` on float64.
    NegateFloat,
    /// `~` on int64.
    Invert,
    /// `&`, `|` or `^` on two booleans.
    Logic(BinaryOp),
    /// Comparison of two int64. `==` and `!=` take nulls: None equals None alone.
    CompareInt(CompareOp),
    /// Comparison of two float64, as IEEE says; nulls as for int64.
    CompareFloat(CompareOp),
    /// Comparison of two strings by code points; nulls as for int64.
    CompareStr(CompareOp),
    /// int64 to float64 where no bit is lost; any other row is trouble. Null stays null.
    ExactFloat,
    /// `bool(x)` of any scalar; null is false.
    Truth,
    /// `left + right` of two strings.
    Concat,
    /// `right in left` of two strings, or of a string and a list of strings.
    Contains,
    /// Whether the first argument is among the others, which have its type and are constants.
    /// Null is among them when one of them is null.
    IsAmong,
    /// The value itself.
    NotNone,
    /// The first argument, null or not, once the others are evaluated.
    After,
    /// A column that a NumPy array of its type can hold: a null row is trouble.
    NpColumn,
    /// The smaller or greater one of two values of one type, as `min` and `max` choose.
    Extreme {
        /// Whether it is `max`.
        greatest: bool,
    },
    /// A method of strings.
    Text(Text),
    /// A conversion between Python's types.
    Convert(Convert),
    /// A function of `math` on float64; of two int64 for `gcd`.
    Math(Math),
    /// A NumPy function on arrays of one type: float64, int64 or bool.
    Numpy(Numpy),
    /// NumPy's `astype` of bool, ints of up to 64 bits with a sign, or floats.
    Cast(Element),
    /// Something of dates and datetimes.
    Calendar(Calendar),
}

/// Methods of strings. Positions are counted in code points.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Text {
    /// `text.lower()`
    Lower,
    /// `text.upper()`
    Upper,
    /// `text.strip()` and `text.strip(characters)`
    Strip,
    /// `text.lstrip()` and `text.lstrip(characters)`
    LeftStrip,
    /// `text.rstrip()` and `text.rstrip(characters)`
    RightStrip,
    /// `text.replace(old, new)` and `text.replace(old, new, count)`
    Replace,
    /// `text.startswith(prefix)`
    StartsWith,
    /// `text.endswith(suffix)`
    EndsWith,
    /// `text.removeprefix(prefix)`
    RemovePrefix,
    /// `text.removesuffix(suffix)`
    RemoveSuffix,
    /// `text.split()`, `text.split(separator)` and `text.split(separator, count)`
    Split,
    /// `text.find(part)`
    Find,
    /// `text.count(part)`
    Count,
    /// `len(text)`, and of a list of strings
    Length,
    /// `text[index]`, and of a list of strings
    Item,
    /// `text[start:stop:step]`; a null start or stop is None.
    Slice,
}

/// Conversions between Python's types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Convert {
    /// `str(x)` of bool, int64, float64 or string; null is `"None"`.
    Text,
    /// `int(x)` of float64 or string.
    Int,
    /// `float(x)` of string.
    Float,
    /// `round(x)` of float64.
    Round,
    /// `round(x, digits)` of float64 and int64.
    RoundTo,
    /// `format(x, "0{width}.{precision}f")` of float64.
    Fixed {
        /// Whether it is filled with zeros.
        zeros: bool,
        /// Characters at least.
        width: u8,
        /// Digits behind the point.
        precision: u8,
    },
    /// `format(x, "0{width}d")` of int64, and `format(x, "{width}")` of string.
    Padded {
        /// Whether it is filled with zeros.
        zeros: bool,
        /// Characters at least.
        width: u8,
    },
}

/// What is asked of dates and datetimes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Calendar {
    /// A date of days or a datetime of microseconds, from date32 or a timestamp of any unit: what
    /// Python has no date for is trouble. Null stays null.
    Column,
    /// `x.date()`
    Date,
    /// `x.year`
    Year,
    /// `x.month`
    Month,
    /// `x.day`
    Day,
    /// `x.hour`
    Hour,
    /// `x.minute`
    Minute,
    /// `x.second`
    Second,
    /// `x.microsecond`
    Microsecond,
    /// `x.weekday()`
    Weekday,
    /// `x.isoweekday()`
    IsoWeekday,
    /// `x.isoformat()`
    IsoFormat,
    /// `str(x)`; null is `"None"`.
    Text,
}

impl Operation {
    /// The expression that applies it.
    pub(super) fn call(self, arguments: Vec<Expr>) -> Expr {
        ScalarUDF::new_from_impl(Function::new(self)).call(arguments)
    }

    /// Type of the result for arguments of these types.
    fn return_type(self, arguments: &[DataType]) -> DataType {
        let first = || arguments.first().cloned().unwrap_or(DataType::Null);
        match self {
            Self::PyInt(_) | Self::NpInt(_) | Self::PyNegate | Self::NpNegate | Self::Invert => {
                DataType::Int64
            }
            Self::PyFloat(_) | Self::NpFloat(_) | Self::NegateFloat | Self::ExactFloat => {
                DataType::Float64
            }
            Self::Logic(_)
            | Self::CompareInt(_)
            | Self::CompareFloat(_)
            | Self::CompareStr(_)
            | Self::Truth
            | Self::Contains
            | Self::IsAmong => DataType::Boolean,
            Self::Concat => DataType::Utf8,
            Self::NotNone | Self::After | Self::NpColumn | Self::Extreme { .. } => first(),
            Self::Text(text) => text.return_type(),
            Self::Convert(convert) => convert.return_type(),
            Self::Math(math) => math_type(math),
            Self::Numpy(function) => numpy_type(function, arguments),
            Self::Cast(element) => element_type(element),
            Self::Calendar(calendar) => calendar.return_type(&first()),
        }
    }
}

impl Text {
    fn return_type(self) -> DataType {
        match self {
            Self::StartsWith | Self::EndsWith => DataType::Boolean,
            Self::Find | Self::Count | Self::Length => DataType::Int64,
            Self::Split => DataType::new_list(DataType::Utf8, true),
            _ => DataType::Utf8,
        }
    }
}

impl Convert {
    fn return_type(self) -> DataType {
        match self {
            Self::Text | Self::Fixed { .. } | Self::Padded { .. } => DataType::Utf8,
            Self::Int | Self::Round => DataType::Int64,
            Self::Float | Self::RoundTo => DataType::Float64,
        }
    }
}

impl Calendar {
    fn return_type(self, argument: &DataType) -> DataType {
        match self {
            Self::Column if *argument != DataType::Date32 => {
                DataType::Timestamp(TimeUnit::Microsecond, None)
            }
            Self::Column | Self::Date => DataType::Date32,
            Self::IsoFormat | Self::Text => DataType::Utf8,
            _ => DataType::Int64,
        }
    }
}

fn math_type(math: Math) -> DataType {
    match math {
        Math::Isfinite | Math::Isinf | Math::Isnan => DataType::Boolean,
        Math::Ceil | Math::Floor | Math::Trunc | Math::Gcd => DataType::Int64,
        _ => DataType::Float64,
    }
}

fn numpy_type(function: Numpy, arguments: &[DataType]) -> DataType {
    match function {
        Numpy::Isfinite | Numpy::Isinf | Numpy::Isnan => DataType::Boolean,
        _ => arguments.last().cloned().unwrap_or(DataType::Null),
    }
}

/// The Arrow type of a NumPy array's elements.
pub(super) fn element_type(element: Element) -> DataType {
    match element {
        Element::Bool => DataType::Boolean,
        Element::Int8 => DataType::Int8,
        Element::Int16 => DataType::Int16,
        Element::Int32 => DataType::Int32,
        Element::Int64 => DataType::Int64,
        Element::Uint8 => DataType::UInt8,
        Element::Uint16 => DataType::UInt16,
        Element::Uint32 => DataType::UInt32,
        Element::Float32 => DataType::Float32,
        Element::Float64 => DataType::Float64,
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (family, operator): (&str, &dyn fmt::Debug) = match self {
            Self::PyInt(op) => ("py_int", op),
            Self::PyFloat(op) => ("py_float", op),
            Self::NpInt(op) => ("np_int", op),
            Self::NpFloat(op) => ("np_float", op),
            Self::Logic(op) => ("py_bool", op),
            Self::CompareInt(op) => ("py_int", op),
            Self::CompareFloat(op) => ("py_float", op),
            Self::CompareStr(op) => ("py_str", op),
            Self::Text(text) => ("py_str", text),
            Self::Math(math) => ("py_math", math),
            Self::Numpy(function) => ("np", function),
            Self::Cast(element) => ("np_as", element),
            Self::Calendar(calendar) => ("py_date", calendar),
            Self::Convert(Convert::Fixed { .. }) => return f.write_str("py_format_fixed"),
            Self::Convert(Convert::Padded { .. }) => return f.write_str("py_format"),
            Self::Convert(convert) => ("py_to", convert),
            Self::Extreme { greatest: true } => return f.write_str("py_max"),
            Self::Extreme { greatest: false } => return f.write_str("py_min"),
            Self::PyNegate => return f.write_str("py_int_negate"),
            Self::NpNegate => return f.write_str("np_int_negate"),
            Self::NegateFloat => return f.write_str("py_float_negate"),
            Self::Invert => return f.write_str("py_int_invert"),
            Self::ExactFloat => return f.write_str("py_exact_float"),
            Self::Truth => return f.write_str("py_truth"),
            Self::Concat => return f.write_str("py_str_add"),
            Self::Contains => return f.write_str("py_str_contains"),
            Self::IsAmong => return f.write_str("py_is_among"),
            Self::NotNone => return f.write_str("py_not_none"),
            Self::After => return f.write_str("py_after"),
            Self::NpColumn => return f.write_str("np_column"),
        };
        write!(f, "{family}_{}", format!("{operator:?}").to_lowercase())
    }
}

/// A scalar function that computes an [`Operation`].
#[derive(Debug, PartialEq, Eq, Hash)]
struct Function {
    operation: Operation,
    name: String,
    signature: Signature,
}

impl Function {
    fn new(operation: Operation) -> Self {
        // The compiler writes every call: nothing has to be checked or coerced.
        let signature = Signature::variadic_any(Volatility::Immutable);
        Self { operation, name: operation.to_string(), signature }
    }
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(self.operation.return_type(arguments))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        kernel::evaluate(self.operation, &args.args, args.number_rows)
    }
}
