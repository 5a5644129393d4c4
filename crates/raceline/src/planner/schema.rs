//! What is known of a plan's output without running it.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use raceline_plan::Node;
use raceline_types::Failure;

use super::lower;
use crate::run_order::RunOrder;
use crate::session::Session;

/// Schema of the output of `plan`, when it is known without running: `None` behind an opaque
/// function.
pub(crate) async fn schema(
    session: &Session,
    plan: &Arc<Node>,
) -> Result<Option<SchemaRef>, Failure> {
    let plan = super::optimize(plan, false);
    Ok(lower(session, &plan, 0, RunOrder::of(0)).await?.schema)
}
