//! Moves limits towards the source, across what keeps the number of rows.

use std::sync::Arc;

use raceline_plan::{Node, OnError, Source, UdfKind};

use super::over_inputs;

/// Moves every limit as far down as it can go. A file scan is told of the limit above it (each
/// split then stops early), and the limit itself stays, since splits do not know of each other.
pub(super) fn push_limits(node: &Arc<Node>) -> Arc<Node> {
    let Node::Limit { input, rows } = node.as_ref() else {
        return over_inputs(node, push_limits);
    };
    push_one(input, *rows)
}

fn push_one(input: &Arc<Node>, rows: u64) -> Arc<Node> {
    match input.as_ref() {
        Node::Limit { input, rows: inner } => push_one(input, rows.min(*inner)),
        Node::Project { input, projection } => {
            Arc::new(Node::Project { input: push_one(input, rows), projection: projection.clone() })
        }
        Node::Download { input, spec } => {
            Arc::new(Node::Download { input: push_one(input, rows), spec: Arc::clone(spec) })
        }
        Node::RowColumn { input, name, values } => Arc::new(Node::RowColumn {
            input: push_one(input, rows),
            name: name.clone(),
            values: *values,
        }),
        // A function that may leave rows out does not keep their number.
        Node::Udf { input, udf }
            if matches!(udf.kind, UdfKind::Map | UdfKind::Key)
                && udf.on_error == OnError::Raise =>
        {
            Arc::new(Node::Udf { input: push_one(input, rows), udf: Arc::clone(udf) })
        }
        Node::Source(Source::Range { rows: all }) => {
            Arc::new(Node::Source(Source::Range { rows: rows.min(*all) }))
        }
        Node::Source(Source::Files(scan)) => {
            let mut scan = scan.clone();
            scan.request.limit = Some(scan.request.limit.map_or(rows, |old| old.min(rows)));
            limited(Arc::new(Node::Source(Source::Files(scan))), rows)
        }
        _ => limited(push_limits(input), rows),
    }
}

fn limited(input: Arc<Node>, rows: u64) -> Arc<Node> {
    Arc::new(Node::Limit { input, rows })
}
