//! Joins of sides with many rows of one key: sorted by their keys, on disk where they must be, and
//! merged.

use std::sync::Arc;

use arrow::compute::SortOptions;
use datafusion::common::NullEquality;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::expressions::Column;
use datafusion::physical_plan::joins::SortMergeJoinExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use raceline_types::{Failure, InternalError};

use super::hash::on;
use super::layout::{Layout, Side, Table};
use crate::cut::{PieceSize, cut};
use crate::engine::Engine;
use crate::error::failure;
use crate::stream::{Batches, table_of};

/// Joins the left and the right side by sorting both.
pub(super) fn join(
    engine: &Arc<Engine>,
    layout: &Layout,
    sides: [Batches; 2],
    batch_rows: usize,
) -> Result<SendableRecordBatchStream, Failure> {
    let [left, right] = sides;
    let (left, right) = (
        sorted(left, &layout.left, engine.piece_size())?,
        sorted(right, &layout.right, engine.piece_size())?,
    );
    let keys = on(layout, Side::Left);
    let orders = vec![SortOptions::default(); keys.len()];
    let join = SortMergeJoinExec::try_new(
        left,
        right,
        keys,
        None,
        layout.join_type,
        orders,
        NullEquality::NullEqualsNothing,
    );
    let join: Arc<dyn ExecutionPlan> = Arc::new(join.map_err(failure)?);
    let schema = join.schema();
    let wanted = layout.projection(Side::Left).into_iter().map(|at| {
        let name = schema.field(at).name().clone();
        (Arc::new(Column::new(&name, at)) as _, name)
    });
    let plan = ProjectionExec::try_new(wanted.collect::<Vec<_>>(), join).map_err(failure)?;
    plan.execute(0, engine.task_context(batch_rows)).map_err(failure)
}

/// The rows of one side in the order of its keys.
fn sorted(
    rows: Batches,
    table: &Table,
    size: PieceSize,
) -> Result<Arc<dyn ExecutionPlan>, Failure> {
    let order = table.keys.iter().map(|&at| {
        let column = Column::new(table.schema.field(at).name(), at);
        PhysicalSortExpr { expr: Arc::new(column), options: SortOptions::default() }
    });
    let order = LexOrdering::new(order).ok_or_else(|| InternalError::new("a join without keys"))?;
    let rows = table_of(&table.schema, vec![cut(rows, size)])?;
    Ok(Arc::new(SortExec::new(order, rows)))
}
