//! The function by which queries that the engine writes itself compare keys as its groups do.

use arrow::datatypes::DataType;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::statement::unexpected;
use crate::missing::canonical_key;

/// `__raceline_key(x)`: `x`, in which NaN is null and -0.0 is 0.0.
pub(super) fn key_function() -> ScalarUDF {
    ScalarUDF::new_from_impl(KeyFunction { signature: Signature::any(1, Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct KeyFunction {
    signature: Signature,
}

impl ScalarUDFImpl for KeyFunction {
    fn name(&self) -> &'static str {
        "__raceline_key"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType, DataFusionError> {
        arg_types.first().cloned().ok_or_else(|| unexpected("a key function without a key"))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue, DataFusionError> {
        let [key] = &args.args[..] else { return Err(unexpected("a key function of no one key")) };
        let array = key.to_array(args.number_rows)?;
        Ok(ColumnarValue::Array(canonical_key(&array)))
    }
}
