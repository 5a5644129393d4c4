//! Filters.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::array::{Array, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, SchemaRef};
use async_trait::async_trait;
use datafusion::common::ScalarValue;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{ColumnarValue, Expr};
use datafusion::physical_expr::PhysicalExpr;
use raceline_exec::{BatchShape, Emit, Operator, PoolShape};
use raceline_types::{Batch, Failure};

use crate::error::{RelationalError, carried};
use crate::resolve::{BySchema, resolve_predicate};

/// Keeps the rows for which a condition is true; null drops the row.
///
/// Order is kept; a batch of which every row is kept is handed on without a copy. Each output
/// has the origin of its whole input.
#[derive(Debug)]
pub struct FilterOperator {
    filter: RowFilter,
}

impl FilterOperator {
    /// A filter. Columns are looked up when the first batch shows its schema.
    #[must_use]
    pub fn new(predicate: Expr) -> Self {
        Self { filter: RowFilter::new(predicate) }
    }

    /// Checks the condition over the columns of `schema`.
    ///
    /// # Errors
    /// [`RelationalError::ColumnNotFound`], [`RelationalError::Expression`] when types do not fit,
    /// or [`RelationalError::NotBoolean`].
    pub fn check(&self, schema: &SchemaRef) -> Result<(), Failure> {
        resolve_predicate(&self.filter.predicate, schema)?;
        Ok(())
    }
}

#[async_trait]
impl Operator for FilterOperator {
    fn name(&self) -> Arc<str> {
        format!("Filter({})", self.filter.predicate).into()
    }

    fn pool(&self) -> PoolShape {
        PoolShape::inline()
    }

    fn input(&self) -> BatchShape {
        BatchShape::AsIs
    }

    async fn run(&self, input: Batch, out: &mut dyn Emit) -> Result<(), Failure> {
        let Batch { data, origin } = input;
        let kept = self.filter.apply(&data)?;
        drop(data);
        out.emit(Batch::new(kept, origin)).await
    }
}

/// A condition that is applied to batches of any schema.
///
/// Of conditions joined by `AND`, one that fails is asked again without the rows that those before
/// it drop: filters that follow one another come to a scan as one.
#[derive(Debug)]
pub(crate) struct RowFilter {
    predicate: Expr,
    resolved: BySchema<Resolved>,
}

/// A condition over the columns of a schema.
#[derive(Debug)]
struct Resolved {
    whole: Arc<dyn PhysicalExpr>,
    /// What `AND` joins, in order.
    parts: Vec<Arc<dyn PhysicalExpr>>,
}

impl RowFilter {
    pub(crate) fn new(predicate: Expr) -> Self {
        Self { predicate, resolved: BySchema::new() }
    }

    /// The rows of `batch` for which the condition is true.
    pub(crate) fn apply(&self, batch: &RecordBatch) -> Result<RecordBatch, Failure> {
        let schema = batch.schema();
        let Resolved { whole, parts } = &*self.resolved.get(&schema, || self.resolve(&schema))?;
        let kept = match Self::keep(batch, whole.as_ref()) {
            Err(_) if parts.len() > 1 => {
                parts.iter().try_fold(batch.clone(), |kept, part| Self::keep(&kept, part.as_ref()))
            }
            kept => kept,
        };
        kept.map_err(|source| {
            carried(&source).unwrap_or_else(|| {
                let expr = self.predicate.to_string();
                RelationalError::Evaluate { expr, source: Box::new(source) }.into()
            })
        })
    }

    fn resolve(&self, schema: &SchemaRef) -> Result<Resolved, RelationalError> {
        let whole = resolve_predicate(&self.predicate, schema)?;
        let parts = split_conjunction(&self.predicate).into_iter();
        let parts = parts.map(|part| resolve_predicate(part, schema));
        Ok(Resolved { whole, parts: parts.collect::<Result<_, _>>()? })
    }

    fn keep(
        batch: &RecordBatch,
        predicate: &dyn PhysicalExpr,
    ) -> Result<RecordBatch, DataFusionError> {
        let mask = match predicate.evaluate(batch)? {
            ColumnarValue::Scalar(ScalarValue::Boolean(Some(true))) => return Ok(batch.clone()),
            ColumnarValue::Scalar(_) => return Ok(batch.slice(0, 0)),
            ColumnarValue::Array(array) if array.data_type() == &DataType::Null => {
                return Ok(batch.slice(0, 0));
            }
            ColumnarValue::Array(array) => array,
        };
        let mask: &BooleanArray = datafusion::common::cast::as_boolean_array(&mask)?;
        if mask.null_count() == 0 && mask.true_count() == mask.len() {
            return Ok(batch.clone());
        }
        Ok(filter_record_batch(batch, mask)?)
    }
}
