//! Any of the values of a group that are there.

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::ScalarValue;
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Expr, Signature, Volatility,
};

/// The function; null where no value is there. Unlike `DataFusion`'s it takes any type.
#[derive(Debug, PartialEq, Eq, Hash)]
struct First {
    signature: Signature,
}

/// A value of `column`.
pub(super) fn first(column: Expr) -> Expr {
    AggregateUDF::from(First { signature: Signature::any(1, Volatility::Immutable) })
        .call(vec![column])
}

impl AggregateUDFImpl for First {
    fn name(&self) -> &'static str {
        "first_there"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> DataFusionResult<DataType> {
        Ok(arguments[0].clone())
    }

    fn accumulator(&self, args: AccumulatorArgs) -> DataFusionResult<Box<dyn Accumulator>> {
        let field: &FieldRef = &args.expr_fields[0];
        Ok(Box::new(Kept { value: ScalarValue::try_from(field.data_type())? }))
    }
}

#[derive(Debug)]
struct Kept {
    value: ScalarValue,
}

impl Accumulator for Kept {
    fn update_batch(&mut self, values: &[ArrayRef]) -> DataFusionResult<()> {
        if !self.value.is_null() {
            return Ok(());
        }
        let nulls = values[0].logical_nulls();
        let there =
            (0..values[0].len()).find(|&row| nulls.as_ref().is_none_or(|n| n.is_valid(row)));
        if let Some(row) = there {
            self.value = ScalarValue::try_from_array(&values[0], row)?;
            self.value.compact();
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> DataFusionResult<()> {
        self.update_batch(states)
    }

    fn state(&mut self) -> DataFusionResult<Vec<ScalarValue>> {
        Ok(vec![self.value.clone()])
    }

    fn evaluate(&mut self) -> DataFusionResult<ScalarValue> {
        Ok(self.value.clone())
    }

    fn size(&self) -> usize {
        size_of_val(self) - size_of_val(&self.value) + self.value.size()
    }
}
