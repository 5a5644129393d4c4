//! Casts: those that refuse a value which the type does not have, and those that make one of it.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use arrow::compute::kernels::cmp;
use arrow::compute::{CastOptions, can_cast_types, cast as lenient, cast_with_options};
use arrow::datatypes::{
    DataType, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimeUnit, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use datafusion_common::{Result, ScalarValue, exec_err, plan_err};
use datafusion_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// `value` as `to`. A text that spells no value of the type is an error when the plan runs.
///
/// When `safe`, so are a number beyond the type, and one that is not exact in it (a fraction as an
/// integer, a large integer as a float, a time in a coarser unit). Else integers wrap, fractions
/// are cut off, and floats beyond all integers become the nearest.
#[must_use]
pub fn cast(value: Expr, to: DataType, safe: bool) -> Expr {
    let signature = Signature::any(1, Volatility::Immutable);
    let name = format!("{}[{to}]", if safe { "cast" } else { "cast_wrapping" });
    ScalarUDF::new_from_impl(Cast { name, to, safe, signature }).call(vec![value])
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Cast {
    /// With the type, as people see it.
    name: String,
    to: DataType,
    safe: bool,
    signature: Signature,
}

impl Cast {
    /// Whether a plain cast from a type does the same.
    fn is_plain(&self, from: &DataType) -> bool {
        let to = &self.to;
        if !self.safe {
            return !(to.is_integer() && (from.is_integer() || from.is_floating()));
        }
        let is_fraction = from.is_floating() || from.is_decimal();
        let loses_digits = match to {
            DataType::Float16 => from.is_integer(),
            DataType::Float32 => {
                matches!(
                    from,
                    DataType::Int32 | DataType::UInt32 | DataType::Int64 | DataType::UInt64
                )
            }
            DataType::Float64 => matches!(from, DataType::Int64 | DataType::UInt64),
            _ => false,
        };
        let loses_time = match (from, to) {
            (DataType::Timestamp(..), DataType::Date32 | DataType::Date64) => true,
            (DataType::Timestamp(from, _), DataType::Timestamp(to, _)) => rank(*to) < rank(*from),
            _ => false,
        };
        !(loses_digits || loses_time || (is_fraction && to.is_integer()))
    }

    fn refused(&self, array: &ArrayRef) -> Result<ArrayRef> {
        let strict = CastOptions { safe: false, ..CastOptions::default() };
        let made = cast_with_options(array, &self.to, &strict)?;
        let differs = if array.data_type().is_floating() {
            let floats = lenient(array, &DataType::Float64)?;
            let floats = floats.as_primitive::<Float64Type>();
            // Infinities were refused already.
            floats.iter().position(|one| one.is_some_and(|one| one.fract() != 0.0))
        } else {
            let back = lenient(&made, array.data_type())?;
            cmp::distinct(&back, array)?.iter().position(|differs| differs == Some(true))
        };
        match differs {
            None => Ok(made),
            Some(row) => {
                let value = ScalarValue::try_from_array(array, row)?;
                exec_err!(
                    "{value} is not exact as {}; `safe=False` takes the nearest before it",
                    self.to
                )
            }
        }
    }
}

/// How fine a unit is.
fn rank(unit: TimeUnit) -> u8 {
    match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 1,
        TimeUnit::Microsecond => 2,
        TimeUnit::Nanosecond => 3,
    }
}

/// Numbers as integers of a type, of which they keep the lowest bits.
fn wrapped(array: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    let bits = match array.data_type() {
        DataType::UInt64 => {
            array.as_primitive::<UInt64Type>().unary::<_, Int64Type>(u64::cast_signed)
        }
        from if from.is_floating() => {
            let floats = lenient(array, &DataType::Float64)?;
            #[expect(clippy::cast_possible_truncation, reason = "`as` cuts off and saturates")]
            floats.as_primitive::<Float64Type>().unary::<_, Int64Type>(|one| one as i64)
        }
        _ => lenient(array, &DataType::Int64)?.as_primitive::<Int64Type>().clone(),
    };
    Ok(low_bits(&bits, to))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "integers wrap, as was asked for"
)]
fn low_bits(bits: &Int64Array, to: &DataType) -> ArrayRef {
    match to {
        DataType::Int8 => Arc::new(bits.unary::<_, Int8Type>(|one| one as i8)),
        DataType::Int16 => Arc::new(bits.unary::<_, Int16Type>(|one| one as i16)),
        DataType::Int32 => Arc::new(bits.unary::<_, Int32Type>(|one| one as i32)),
        DataType::UInt8 => Arc::new(bits.unary::<_, UInt8Type>(|one| one as u8)),
        DataType::UInt16 => Arc::new(bits.unary::<_, UInt16Type>(|one| one as u16)),
        DataType::UInt32 => Arc::new(bits.unary::<_, UInt32Type>(|one| one as u32)),
        DataType::UInt64 => Arc::new(bits.unary::<_, UInt64Type>(|one| one as u64)),
        _ => Arc::new(bits.clone()),
    }
}

impl ScalarUDFImpl for Cast {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        match arg_types {
            [from] if can_cast_types(from, &self.to) => Ok(self.to.clone()),
            [from] => plan_err!("{from} cannot be cast to {}", self.to),
            _ => plan_err!("a cast takes one value"),
        }
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let [value] = args.as_slice() else { return Ok(ExprSimplifyResult::Original(args)) };
        if !self.is_plain(&info.get_data_type(value)?) {
            return Ok(ExprSimplifyResult::Original(args));
        }
        let plain = datafusion_expr::cast(value.clone(), self.to.clone());
        Ok(ExprSimplifyResult::Simplified(plain))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_scalar = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [array] = arrays.as_slice() else { return plan_err!("a cast takes one value") };
        let made = match array.data_type() {
            from if self.is_plain(from) => {
                let strict = CastOptions { safe: false, ..CastOptions::default() };
                cast_with_options(array, &self.to, &strict)?
            }
            _ if self.safe => self.refused(array)?,
            _ => wrapped(array, &self.to)?,
        };
        if is_scalar {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&made, 0)?));
        }
        Ok(ColumnarValue::Array(made))
    }
}
