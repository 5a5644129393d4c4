//! What rows cost, for batches that are cut by it.

use std::sync::Arc;

use arrow::array::{AsArray, Float64Array, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, SchemaRef};
use datafusion::logical_expr::Expr;
use datafusion::physical_expr::PhysicalExpr;
use raceline_types::Failure;

use crate::error::{RelationalError, carried};
use crate::resolve::{BySchema, resolve};

/// A number of each row, computed from its columns.
#[derive(Debug)]
pub struct RowCost {
    expr: Expr,
    resolved: BySchema<Arc<dyn PhysicalExpr>>,
}

impl RowCost {
    /// The value of `expr`. Columns are looked up when the first batch shows its schema.
    #[must_use]
    pub fn new(expr: Expr) -> Self {
        Self { expr, resolved: BySchema::new() }
    }

    /// Checks that rows of `schema` have such a cost.
    ///
    /// # Errors
    /// [`RelationalError::ColumnNotFound`], [`RelationalError::NotANumber`], or
    /// [`RelationalError::Expression`] when types do not fit.
    pub fn check(&self, schema: &SchemaRef) -> Result<(), Failure> {
        self.resolve(schema)?;
        Ok(())
    }

    /// The cost of each row of `batch`, null where the value is missing.
    ///
    /// # Errors
    /// As [`RowCost::check`], and [`RelationalError::Evaluate`] when the expression fails on a
    /// value.
    pub fn of(&self, batch: &RecordBatch) -> Result<Float64Array, Failure> {
        let physical = self.resolve(&batch.schema())?;
        let evaluated = physical.evaluate(batch).and_then(|value| {
            let values = value.into_array(batch.num_rows())?;
            Ok(cast(&values, &DataType::Float64)?.as_primitive::<Float64Type>().clone())
        });
        evaluated.map_err(|source| {
            carried(&source).unwrap_or_else(|| {
                let expr = self.expr.to_string();
                RelationalError::Evaluate { expr, source: Box::new(source) }.into()
            })
        })
    }

    fn resolve(&self, schema: &SchemaRef) -> Result<Arc<dyn PhysicalExpr>, RelationalError> {
        let expr = || self.expr.to_string();
        let resolved = self.resolved.get(schema, || {
            let physical = resolve(&self.expr, schema)?;
            match physical.data_type(schema) {
                Ok(data_type) if data_type.is_numeric() || data_type == DataType::Null => {
                    Ok(physical)
                }
                Ok(data_type) => Err(RelationalError::NotANumber { expr: expr(), data_type }),
                Err(source) => {
                    Err(RelationalError::Expression { expr: expr(), source: Box::new(source) })
                }
            }
        })?;
        Ok(Arc::clone(&resolved))
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Decimal128Array, Int64Array, StringArray};
    use datafusion::prelude::{col, lit};

    use super::*;

    fn batch() -> RecordBatch {
        let decimals = Decimal128Array::from(vec![Some(150), None]);
        let decimals = decimals.with_precision_and_scale(5, 2).unwrap();
        let columns: [(&str, ArrayRef); 3] = [
            ("tokens", Arc::new(Int64Array::from(vec![Some(3), None]))),
            ("text", Arc::new(StringArray::from(vec!["a", "b"]))),
            ("price", Arc::new(decimals)),
        ];
        RecordBatch::try_from_iter(columns).unwrap()
    }

    #[test]
    fn any_number_is_a_cost_and_stays_missing() {
        let of = |expr: Expr| RowCost::new(expr).of(&batch()).unwrap();
        assert_eq!(of(col("tokens")), Float64Array::from(vec![Some(3.0), None]));
        assert_eq!(of(col("tokens") * lit(0.5)), Float64Array::from(vec![Some(1.5), None]));
        assert_eq!(of(col("price")), Float64Array::from(vec![Some(1.5), None]));
        assert_eq!(of(lit(2)), Float64Array::from(vec![2.0, 2.0]));
    }

    #[test]
    fn what_is_no_number_is_refused_before_there_are_rows() {
        let error = |expr: Expr| RowCost::new(expr).check(&batch().schema()).unwrap_err().render();
        assert_eq!(
            error(col("text")),
            "cost `text` is of type `Utf8`, not a number\n  hint: cast it, or make a column of the \
             costs first"
        );
        assert_eq!(
            error(col("token")),
            "no column `token`\n  columns: `tokens`, `text`, `price`\n  hint: did you mean `tokens`?"
        );
    }
}
