//! The `py_*` and `np_*` functions as DataFusion knows them.

use std::fmt;

use arrow::datatypes::DataType;
use datafusion_common::Result;
use datafusion_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::kernel;
use super::program::{BinaryOp, CompareOp};

/// What a function computes. Arguments have exactly the types named here; the compiler casts.
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
    /// Comparison of two int64.
    CompareInt(CompareOp),
    /// Comparison of two float64, as IEEE says.
    CompareFloat(CompareOp),
    /// Comparison of two strings by code points.
    CompareStr(CompareOp),
    /// int64 to float64 where no bit is lost; any other row is trouble.
    ExactFloat,
    /// `bool(x)` of any scalar; null is false.
    Truth,
    /// `left + right` of two strings.
    Concat,
    /// `right in left` of two strings.
    Contains,
    /// A column that a NumPy array of its type can hold: a null row is trouble.
    NpColumn,
}

impl Operation {
    /// The expression that applies it.
    pub(super) fn call(self, arguments: Vec<Expr>) -> Expr {
        ScalarUDF::new_from_impl(Function::new(self)).call(arguments)
    }

    /// Type of the result for arguments of these types.
    fn return_type(self, arguments: &[DataType]) -> DataType {
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
            | Self::Contains => DataType::Boolean,
            Self::Concat => DataType::Utf8,
            Self::NpColumn => arguments.first().cloned().unwrap_or(DataType::Null),
        }
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
            Self::PyNegate => return f.write_str("py_int_negate"),
            Self::NpNegate => return f.write_str("np_int_negate"),
            Self::NegateFloat => return f.write_str("py_float_negate"),
            Self::Invert => return f.write_str("py_int_invert"),
            Self::ExactFloat => return f.write_str("py_exact_float"),
            Self::Truth => return f.write_str("py_truth"),
            Self::Concat => return f.write_str("py_str_add"),
            Self::Contains => return f.write_str("py_str_contains"),
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
        let arity = match operation {
            Operation::PyNegate
            | Operation::NpNegate
            | Operation::NegateFloat
            | Operation::Invert
            | Operation::ExactFloat
            | Operation::Truth
            | Operation::NpColumn => 1,
            _ => 2,
        };
        Self {
            operation,
            name: operation.to_string(),
            signature: Signature::any(arity, Volatility::Immutable),
        }
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
