//! Moves skips towards the source, across what keeps the number of rows.

use std::sync::Arc;

use raceline_plan::{Node, OnError, Projection, UdfKind};

use super::over_inputs;

/// Moves every skip as far down as it can go.
pub(super) fn push_skips(node: &Arc<Node>) -> Arc<Node> {
    match node.as_ref() {
        Node::Skip { input, rows } => without_first(input, *rows),
        _ => over_inputs(node, push_skips),
    }
}

/// `input` without its first `rows` rows.
pub(crate) fn without_first(input: &Arc<Node>, rows: u64) -> Arc<Node> {
    match input.as_ref() {
        _ if rows == 0 => push_skips(input),
        Node::Skip { input, rows: inner } => without_first(input, rows.saturating_add(*inner)),
        Node::Project { input, projection } if looks_at_one_row(projection) => {
            let input = without_first(input, rows);
            Arc::new(Node::Project { input, projection: projection.clone() })
        }
        // A function that may leave rows out does not keep their number.
        Node::Udf { input, udf }
            if matches!(udf.kind, UdfKind::Map | UdfKind::Key)
                && udf.on_error == OnError::Raise =>
        {
            Arc::new(Node::Udf { input: without_first(input, rows), udf: Arc::clone(udf) })
        }
        Node::Download { input, spec } => {
            let input = without_first(input, rows);
            Arc::new(Node::Download { input, spec: Arc::clone(spec) })
        }
        Node::Limit { input, rows: all } => {
            let input = without_first(input, rows);
            Arc::new(Node::Limit { input, rows: all.saturating_sub(rows) })
        }
        Node::Zip { inputs } => {
            let inputs = inputs.iter().map(|input| without_first(input, rows)).collect();
            Arc::new(Node::Zip { inputs })
        }
        _ => Arc::new(Node::Skip { input: push_skips(input), rows }),
    }
}

/// Whether what a row becomes does not depend on how many rows come before it.
fn looks_at_one_row(projection: &Projection) -> bool {
    match projection {
        Projection::Select(_) | Projection::Drop(_) | Projection::Rename(_) => true,
        Projection::With { name: _, expr } => !expr.is_volatile(),
    }
}
