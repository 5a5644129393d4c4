//! The stages of a grouped aggregation: rows to states, states to fewer states, states to values.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::{EmitTo, Expr, GroupsAccumulator};
use datafusion::physical_expr::GroupsAccumulatorAdapter;
use datafusion::physical_expr::aggregate::{AggregateExprBuilder, AggregateFunctionExpr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode, PhysicalGroupBy};
use datafusion::physical_plan::expressions::Column;
use raceline_types::{Failure, InternalError};

use super::layout::Layout;
use crate::error::failure;
use crate::resolve::resolve;

/// An aggregation by keys, of which any stage can be made.
#[derive(Debug)]
pub(super) struct Stages {
    /// Schema of the rows: the keys, then the values.
    pub(super) rows: SchemaRef,
    by: PhysicalGroupBy,
    functions: Vec<Arc<AggregateFunctionExpr>>,
    /// Schema of the groups: the keys, then the slots.
    pub(super) groups: SchemaRef,
}

impl Stages {
    /// The stages of `layout`, which has keys.
    pub(super) fn new(layout: &Layout) -> Result<Self, Failure> {
        let rows = Arc::clone(&layout.input);
        let keys = (0..layout.keys.len()).map(|at| {
            let name = rows.field(at).name().clone();
            (Arc::new(Column::new(&name, at)) as _, name)
        });
        let by = PhysicalGroupBy::new_single(keys.collect());
        let functions = layout.slot_exprs();
        let functions = functions.iter().map(|slot| function(slot, &rows));
        let functions: Vec<_> = functions.collect::<Result<_, Failure>>()?;
        let mut fields = rows.fields()[..layout.keys.len()].to_vec();
        fields.extend(functions.iter().map(|function| function.field()));
        let groups = Arc::new(Schema::new(fields));
        Ok(Self { rows, by, functions, groups })
    }

    /// The stage `mode` over `input`.
    pub(super) fn stage(
        &self,
        mode: AggregateMode,
        input: Arc<dyn ExecutionPlan>,
    ) -> Result<Arc<dyn ExecutionPlan>, Failure> {
        let by = match mode {
            AggregateMode::Partial => self.by.clone(),
            _ => self.by.as_final(),
        };
        let filters = vec![None; self.functions.len()];
        let rows = Arc::clone(&self.rows);
        let stage = AggregateExec::try_new(mode, by, self.functions.clone(), filters, input, rows);
        Ok(Arc::new(stage.map_err(failure)?))
    }

    /// Positions of the keys in rows, states and groups.
    pub(super) fn keys(&self) -> Arc<[usize]> {
        (0..self.by.expr().len()).collect()
    }

    /// The groups of states of which no two belong to one group. It costs no table of groups.
    pub(super) fn evaluate(&self, states: &RecordBatch) -> DataFusionResult<RecordBatch> {
        let keys = self.by.expr().len();
        let groups: Vec<usize> = (0..states.num_rows()).collect();
        let mut columns: Vec<ArrayRef> = states.columns()[..keys].to_vec();
        let mut next = keys;
        for function in &self.functions {
            let of_it = function.state_fields()?.len();
            let mut accumulator = accumulator(function)?;
            let state = &states.columns()[next..next + of_it];
            accumulator.merge_batch(state, &groups, groups.len())?;
            columns.push(accumulator.evaluate(EmitTo::All)?);
            next += of_it;
        }
        Ok(RecordBatch::try_new(Arc::clone(&self.groups), columns)?)
    }
}

fn accumulator(
    function: &Arc<AggregateFunctionExpr>,
) -> DataFusionResult<Box<dyn GroupsAccumulator>> {
    if function.groups_accumulator_supported() {
        return function.create_groups_accumulator();
    }
    let one = Arc::clone(function);
    Ok(Box::new(GroupsAccumulatorAdapter::new(move || one.create_accumulator())))
}

/// The function that a slot of a layout asks for.
fn function(slot: &Expr, rows: &SchemaRef) -> Result<Arc<AggregateFunctionExpr>, Failure> {
    let Expr::Alias(alias) = slot else { return Err(no_function(slot)) };
    let Expr::AggregateFunction(call) = alias.expr.as_ref() else { return Err(no_function(slot)) };
    let arguments = call.params.args.iter().map(|argument| resolve(argument, rows));
    let arguments = arguments.collect::<Result<Vec<_>, _>>()?;
    let built = AggregateExprBuilder::new(Arc::clone(&call.func), arguments)
        .schema(Arc::clone(rows))
        .alias(&alias.name)
        .build()
        .map_err(failure)?;
    Ok(Arc::new(built))
}

fn no_function(slot: &Expr) -> Failure {
    InternalError::new(format!("`{slot}` is no aggregate")).into()
}
