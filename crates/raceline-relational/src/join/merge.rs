//! The inputs of joins of sides with many rows of one key: sorted by their keys, on disk where they
//! must be.

use std::sync::Arc;

use arrow::compute::SortOptions;
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::expressions::Column;
use datafusion::physical_plan::sorts::sort::SortExec;
use raceline_types::{Failure, InternalError};

use super::pair::{PairJoin, Side};
use crate::cut::cut;
use crate::engine::Engine;
use crate::stream::{Batches, table_of};

/// `rows` of one side in the order of its keys.
pub(super) fn sorted(
    engine: &Engine,
    join: &dyn PairJoin,
    side: Side,
    rows: Batches,
) -> Result<Arc<dyn ExecutionPlan>, Failure> {
    let schema = join.schema_of(side);
    let order = join.keys_of(side).iter().map(|&at| {
        let column = Column::new(schema.field(at).name(), at);
        PhysicalSortExpr { expr: Arc::new(column), options: SortOptions::default() }
    });
    let order = LexOrdering::new(order).ok_or_else(|| InternalError::new("a join without keys"))?;
    let rows = table_of(schema, vec![cut(rows, engine.piece_size())])?;
    Ok(Arc::new(SortExec::new(order, rows)))
}
