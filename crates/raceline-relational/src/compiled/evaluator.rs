//! A compiled function bound to one schema.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use datafusion::common::DFSchema;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::execution_props::ExecutionProps;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::physical_expr::{PhysicalExpr, create_physical_expr};
use raceline_plan::lambda::{Compiled, Decline, Program, Trouble, compile};
use raceline_plan::{BatchFormat, UdfKind};
use raceline_types::{Failure, InternalError};

/// Expressions over the columns of one schema, and how their values become the result.
#[derive(Debug)]
pub(super) struct Evaluator {
    exprs: Vec<Arc<dyn PhysicalExpr>>,
    shape: Shape,
    /// Schema of the result.
    schema: SchemaRef,
}

#[derive(Debug)]
enum Shape {
    /// The values are the columns.
    Columns,
    /// The value is the one column, without nulls.
    Value,
    /// The value says which rows stay.
    Predicate,
    /// The value, without nulls, is the last column, behind those of the input.
    Key,
}

impl Evaluator {
    /// Compiles `program` for `schema`.
    ///
    /// # Errors
    /// Why it has to run in Python.
    pub(super) fn new(
        program: &Program,
        kind: UdfKind,
        format: BatchFormat,
        schema: &SchemaRef,
    ) -> Result<Self, Decline> {
        let compiled = compile(program, kind, format, schema)?;
        Self::bind(&compiled, schema)
            .map_err(|error| Decline::new(format!("its expressions do not fit: {error}")))
    }

    fn bind(compiled: &Compiled, schema: &SchemaRef) -> Result<Self, DataFusionError> {
        let (shape, exprs): (Shape, Vec<&Expr>) = match compiled {
            Compiled::Columns(outputs) => {
                (Shape::Columns, outputs.iter().map(|output| &output.expr).collect())
            }
            Compiled::PlainValue(output) => (Shape::Value, vec![&output.expr]),
            Compiled::Predicate(expr) => (Shape::Predicate, vec![expr]),
            Compiled::Key(output) => (Shape::Key, vec![&output.expr]),
        };
        // The expressions mean exactly what they say: no simplifier, no coercion.
        let columns = DFSchema::try_from(Arc::clone(schema))?;
        let props = ExecutionProps::new();
        let planning = PhysicalPlanningContext::default();
        let exprs = exprs
            .into_iter()
            .map(|expr| create_physical_expr(expr, &columns, &props, &planning))
            .collect::<Result<_, _>>()?;
        Ok(Self { exprs, shape, schema: compiled.output_schema(schema) })
    }

    /// The function's result for `batch`; `None` when a row needs Python.
    ///
    /// # Errors
    /// An internal error when an expression fails other than by trouble.
    pub(super) fn evaluate(&self, batch: &RecordBatch) -> Result<Option<RecordBatch>, Failure> {
        match self.values(batch).and_then(|values| self.shape(batch, values)) {
            Ok(result) => Ok(Some(result)),
            Err(error) if Trouble::is_cause_of(&error) => Ok(None),
            Err(error) => Err(InternalError::caused_by("a compiled function failed", error).into()),
        }
    }

    fn values(&self, batch: &RecordBatch) -> Result<Vec<ArrayRef>, DataFusionError> {
        let value =
            |expr: &Arc<dyn PhysicalExpr>| expr.evaluate(batch)?.into_array(batch.num_rows());
        self.exprs.iter().map(value).collect()
    }

    fn shape(
        &self,
        batch: &RecordBatch,
        values: Vec<ArrayRef>,
    ) -> Result<RecordBatch, DataFusionError> {
        let schema = Arc::clone(&self.schema);
        match &self.shape {
            Shape::Columns => Ok(RecordBatch::try_new(schema, values)?),
            Shape::Value => {
                refuse_nulls(&values)?;
                Ok(RecordBatch::try_new(schema, values)?)
            }
            Shape::Key => {
                refuse_nulls(&values)?;
                let columns = batch.columns().iter().cloned().chain(values).collect();
                Ok(RecordBatch::try_new(schema, columns)?)
            }
            Shape::Predicate => {
                let [mask] = values.as_slice() else {
                    return Err(DataFusionError::Internal("a filter has one value".into()));
                };
                let mask: &BooleanArray = datafusion::common::cast::as_boolean_array(mask)?;
                if mask.true_count() == mask.len() {
                    return Ok(batch.clone());
                }
                Ok(filter_record_batch(batch, mask)?)
            }
        }
    }
}

/// A function that returns None where a value is expected is for Python to judge.
fn refuse_nulls(values: &[ArrayRef]) -> Result<(), Trouble> {
    if values.iter().all(|value| value.null_count() == 0) { Ok(()) } else { Err(Trouble) }
}
