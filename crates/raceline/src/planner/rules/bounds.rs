//! Finds scans of which only the least and the greatest values matter.

use std::sync::Arc;

use raceline_plan::{AggregateKind, FileFormat, Node, Source};

use super::{over_inputs, with_inputs};

/// Tells every scan below a least or greatest value of all rows that only bounds are asked for.
pub(super) fn ask_for_bounds(node: &Arc<Node>) -> Arc<Node> {
    let node = over_inputs(node, ask_for_bounds);
    let Node::Aggregate { input, keys, aggregates } = node.as_ref() else { return node };
    let is_bound = aggregates.iter().all(|aggregate| {
        matches!(aggregate.kind, AggregateKind::Min | AggregateKind::Max) && aggregate.ignore_nulls
    });
    let Node::Source(Source::Files(scan)) = input.as_ref() else { return node };
    let request = &scan.request;
    let is_whole = request.predicate.is_none() && request.limit.is_none();
    if !keys.is_empty() || !is_bound || !is_whole || scan.format != FileFormat::Parquet {
        return node;
    }
    let mut scan = scan.clone();
    scan.request.only_bounds = true;
    with_inputs(&node, vec![Arc::new(Node::Source(Source::Files(scan)))])
}
