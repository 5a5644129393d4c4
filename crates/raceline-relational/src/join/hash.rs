//! Joins whose one side fits into memory: it is looked up in, the other one streams past.

use std::sync::Arc;

use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::StreamExt;
use raceline_types::Failure;

use super::gather::Input;
use super::layout::Layout;
use super::pair::PairJoin as _;
use crate::engine::Engine;
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
    let plan = layout.by_table(first, built, probed)?;
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
