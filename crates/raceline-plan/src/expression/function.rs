//! The scalar functions behind [`super::binary`] and [`super::unary`].

use arrow::datatypes::DataType;
use datafusion_common::{Result, plan_err};
use datafusion_expr::expr::BinaryExpr;
use datafusion_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion_expr::{
    ColumnarValue, Expr, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use super::kernel;

/// What a function computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Operation {
    Add,
    FloorDivide,
    Modulo,
    Power,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    IsNan,
    Negate,
    Abs,
    Sign,
    Ceil,
    Floor,
    Trunc,
    Round,
    Ln,
    Log10,
    Log2,
    Exp,
    Sin,
    Cos,
    Tan,
    Asin,
    Acos,
    Atan,
}

impl Operation {
    /// All of them.
    pub(super) const ALL: [Self; 28] = [
        Self::Add,
        Self::FloorDivide,
        Self::Modulo,
        Self::Power,
        Self::Equal,
        Self::NotEqual,
        Self::Less,
        Self::LessEqual,
        Self::Greater,
        Self::GreaterEqual,
        Self::IsNan,
        Self::Negate,
        Self::Abs,
        Self::Sign,
        Self::Ceil,
        Self::Floor,
        Self::Trunc,
        Self::Round,
        Self::Ln,
        Self::Log10,
        Self::Log2,
        Self::Exp,
        Self::Sin,
        Self::Cos,
        Self::Tan,
        Self::Asin,
        Self::Acos,
        Self::Atan,
    ];

    /// How a user writes it, and the name of its function.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Add => ("+", "ray_add"),
            Self::FloorDivide => ("//", "ray_floor_div"),
            Self::Modulo => ("%", "ray_modulo"),
            Self::Power => ("**", "ray_power"),
            Self::Equal => ("==", "ray_eq"),
            Self::NotEqual => ("!=", "ray_ne"),
            Self::Less => ("<", "ray_lt"),
            Self::LessEqual => ("<=", "ray_le"),
            Self::Greater => (">", "ray_gt"),
            Self::GreaterEqual => (">=", "ray_ge"),
            Self::IsNan => ("is_nan", "ray_is_nan"),
            Self::Negate => ("negate", "ray_negate"),
            Self::Abs => ("abs", "ray_abs"),
            Self::Sign => ("sign", "ray_sign"),
            Self::Ceil => ("ceil", "ray_ceil"),
            Self::Floor => ("floor", "ray_floor"),
            Self::Trunc => ("trunc", "ray_trunc"),
            Self::Round => ("round", "ray_round"),
            Self::Ln => ("ln", "ray_ln"),
            Self::Log10 => ("log10", "ray_log10"),
            Self::Log2 => ("log2", "ray_log2"),
            Self::Exp => ("exp", "ray_exp"),
            Self::Sin => ("sin", "ray_sin"),
            Self::Cos => ("cos", "ray_cos"),
            Self::Tan => ("tan", "ray_tan"),
            Self::Asin => ("asin", "ray_asin"),
            Self::Acos => ("acos", "ray_acos"),
            Self::Atan => ("atan", "ray_atan"),
        }
    }

    pub(super) fn symbol(self) -> &'static str {
        self.names().0
    }

    pub(super) fn arguments(self) -> usize {
        match self {
            Self::Add | Self::FloorDivide | Self::Modulo | Self::Power => 2,
            _ if self.comparison().is_some() => 2,
            _ => 1,
        }
    }

    /// The SQL comparison of the same name.
    pub(super) fn comparison(self) -> Option<Operator> {
        Some(match self {
            Self::Equal => Operator::Eq,
            Self::NotEqual => Operator::NotEq,
            Self::Less => Operator::Lt,
            Self::LessEqual => Operator::LtEq,
            Self::Greater => Operator::Gt,
            Self::GreaterEqual => Operator::GtEq,
            _ => return None,
        })
    }

    /// The SQL comparison that is true wherever this one is: SQL orders NaN with the numbers, so
    /// that it may call NaN equal to itself, where IEEE calls it unequal.
    pub(super) fn relaxed(self) -> Option<Operator> {
        self.comparison().filter(|op| *op != Operator::NotEq)
    }
}

/// A function with Ray Data's meaning.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct RayFunction {
    operation: Operation,
    signature: Signature,
}

impl RayFunction {
    pub(super) fn udf(operation: Operation) -> ScalarUDF {
        let signature = Signature::any(operation.arguments(), Volatility::Immutable);
        ScalarUDF::new_from_impl(Self { operation, signature })
    }

    /// What `function` computes, when it is one of these.
    pub(super) fn operation_of(function: &ScalarUDF) -> Option<Operation> {
        Operation::ALL.into_iter().find(|operation| operation.names().1 == function.name())
    }
}

impl ScalarUDFImpl for RayFunction {
    fn name(&self) -> &'static str {
        self.operation.names().1
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        match (kernel::output_type(self.operation, arg_types), arg_types) {
            (Some(output), _) => Ok(output),
            (None, [left, right]) => {
                plan_err!("`{}` is not defined for {left} and {right}", self.operation.symbol())
            }
            (None, types) => {
                let types: Vec<_> = types.iter().map(ToString::to_string).collect();
                plan_err!("`{}` is not defined for {}", self.operation.symbol(), types.join(", "))
            }
        }
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let types = args.iter().map(|arg| info.get_data_type(arg)).collect::<Result<Vec<_>>>()?;
        let Some(bare) = kernel::bare_operator(self.operation, &types) else {
            return Ok(ExprSimplifyResult::Original(args));
        };
        let Ok([left, right]) = <[Expr; 2]>::try_from(args) else {
            return plan_err!("`{}` takes two arguments", self.operation.symbol());
        };
        let expr = BinaryExpr::new(Box::new(left), bare, Box::new(right));
        Ok(ExprSimplifyResult::Simplified(Expr::BinaryExpr(expr)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let are_scalars = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let result = kernel::evaluate(self.operation, &arrays)?;
        if are_scalars {
            let value = datafusion_common::ScalarValue::try_from_array(&result, 0)?;
            return Ok(ColumnarValue::Scalar(value));
        }
        Ok(ColumnarValue::Array(result))
    }
}
