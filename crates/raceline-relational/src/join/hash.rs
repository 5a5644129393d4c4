//! Joins whose one side fits into memory: it is looked up in, the other one streams past.

use std::sync::Arc;

use datafusion::common::NullEquality;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::expressions::Column;
use datafusion::physical_plan::joins::{HashJoinExec, JoinOn, PartitionMode};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::StreamExt;
use raceline_types::Failure;

use super::gather::Input;
use super::layout::{Layout, Side};
use crate::engine::Engine;
use crate::error::failure;
use crate::lease::Lease;
use crate::stream::{merged, shared, table_of};

/// Joins by a table of all rows of `inputs[0]`, which has ended. The rows of `inputs[1]` are
/// looked up by as many threads as the engine is wide. `lease` is what it all takes.
pub(super) fn join(
    engine: &Arc<Engine>,
    layout: &Layout,
    inputs: [Input; 2],
    batch_rows: usize,
    mut lease: Lease,
) -> Result<SendableRecordBatchStream, Failure> {
    let [built, probed] = inputs;
    let first = built.side;
    let table_bytes = built.table_bytes() - built.held_bytes;
    let width = engine.partitions();
    let built = table_of(&Arc::clone(&built.schema), vec![built.batches()])?;
    let probed = table_of(&Arc::clone(&probed.schema), shared(probed.batches(), width))?;
    let plan = plan(layout, first, built, probed)?;
    let context = engine.leased_context(batch_rows);
    let joined = merged(&plan, &context)?;
    let schema = joined.schema();
    let joined = joined.inspect(move |_| {
        // What the table was made of is gone.
        if lease.size() > table_bytes {
            lease.resize(table_bytes);
        }
    });
    Ok(Box::pin(RecordBatchStreamAdapter::new(schema, joined)))
}

/// The join of `built`, which is the input `first`, and `probed`.
pub(super) fn plan(
    layout: &Layout,
    first: Side,
    built: Arc<dyn ExecutionPlan>,
    probed: Arc<dyn ExecutionPlan>,
) -> Result<Arc<dyn ExecutionPlan>, Failure> {
    let join_type = match first {
        Side::Left => layout.join_type,
        Side::Right => layout.join_type.swap(),
    };
    let join = HashJoinExec::try_new(
        built,
        probed,
        on(layout, first),
        None,
        &join_type,
        Some(layout.projection(first)),
        PartitionMode::CollectLeft,
        NullEquality::NullEqualsNothing,
        false,
    );
    Ok(Arc::new(join.map_err(failure)?))
}

/// The pairs of keys, those of the input `first` first.
pub(super) fn on(layout: &Layout, first: Side) -> JoinOn {
    let key = |side: Side, at: usize| {
        let name = layout.table(side).schema.field(at).name();
        Arc::new(Column::new(name, at)) as _
    };
    let keys = layout.table(first).keys.iter().zip(&layout.table(first.other()).keys);
    keys.map(|(&left, &right)| (key(first, left), key(first.other(), right))).collect()
}
