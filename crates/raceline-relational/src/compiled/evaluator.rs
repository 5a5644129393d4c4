//! A compiled function bound to one schema.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch};
use arrow::compute::{filter_record_batch, interleave};
use arrow::datatypes::SchemaRef;
use datafusion::common::DFSchema;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::execution_props::ExecutionProps;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::physical_expr::{PhysicalExpr, create_physical_expr};
use raceline_plan::lambda::{Compiled, Decline, OutputRow, Program, Trouble, compile};
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
    /// The values are the columns, but for the last one, which says which rows are in the result.
    Selected,
    /// The values are the columns of one row after another.
    Rows {
        /// For each row, whether the values of its columns are followed by one that says whether
        /// it is there.
        has_presence: Vec<bool>,
        /// Whether the rows are plain values, without nulls.
        are_values: bool,
    },
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
            Compiled::Selected { outputs, mask } => {
                let columns = outputs.iter().map(|output| &output.expr);
                (Shape::Selected, columns.chain([mask]).collect())
            }
            Compiled::Rows { rows, are_values } => {
                let has_presence = rows.iter().map(|row| row.present.is_some()).collect();
                let exprs = rows.iter().flat_map(|OutputRow { present, outputs }| {
                    outputs.iter().map(|output| &output.expr).chain(present)
                });
                (Shape::Rows { has_presence, are_values: *are_values }, exprs.collect())
            }
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
                select(batch.clone(), mask)
            }
            Shape::Selected => {
                let mut columns = values;
                let Some(mask) = columns.pop() else {
                    return Err(DataFusionError::Internal("a selection has a mask".into()));
                };
                select(RecordBatch::try_new(schema, columns)?, &mask)
            }
            Shape::Rows { has_presence, are_values } => {
                let columns = interleaved(&schema, has_presence, values, batch.num_rows())?;
                if *are_values {
                    refuse_nulls(&columns)?;
                }
                Ok(RecordBatch::try_new(schema, columns)?)
            }
        }
    }
}

/// The rows for which the mask holds.
fn select(batch: RecordBatch, mask: &ArrayRef) -> Result<RecordBatch, DataFusionError> {
    let mask: &BooleanArray = datafusion::common::cast::as_boolean_array(mask)?;
    if mask.true_count() == mask.len() {
        return Ok(batch);
    }
    Ok(filter_record_batch(&batch, mask)?)
}

/// The columns of all rows that the rows of a batch become, those of one of them side by side.
fn interleaved(
    schema: &SchemaRef,
    has_presence: &[bool],
    values: Vec<ArrayRef>,
    rows: usize,
) -> Result<Vec<ArrayRef>, DataFusionError> {
    let width = schema.fields().len();
    let mut values = values.into_iter();
    let mut columns: Vec<Vec<ArrayRef>> = vec![Vec::new(); width];
    let mut presence = Vec::new();
    for has_presence in has_presence {
        for (column, value) in columns.iter_mut().zip(values.by_ref().take(width)) {
            column.push(value);
        }
        presence.push(if *has_presence { values.next() } else { None });
    }
    let presence = presence.iter().map(|mask| {
        mask.as_ref().map(|mask| datafusion::common::cast::as_boolean_array(mask)).transpose()
    });
    let presence = presence.collect::<Result<Vec<_>, _>>()?;
    let is_present = |index: usize, row: usize| presence[index].is_none_or(|mask| mask.value(row));
    let places: Vec<(usize, usize)> = (0..rows)
        .flat_map(|row| (0..presence.len()).map(move |index| (index, row)))
        .filter(|&(index, row)| is_present(index, row))
        .collect();
    let column = |column: Vec<ArrayRef>| {
        let arrays: Vec<&dyn Array> = column.iter().map(AsRef::as_ref).collect();
        Ok(interleave(&arrays, &places)?)
    };
    columns.into_iter().map(column).collect()
}

/// A function that returns None where a value is expected is for Python to judge.
fn refuse_nulls(values: &[ArrayRef]) -> Result<(), Trouble> {
    if values.iter().all(|value| value.null_count() == 0) { Ok(()) } else { Err(Trouble) }
}
