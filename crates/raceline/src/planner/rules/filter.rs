//! Moves filters on expressions towards the source, and into scans of table files.

use std::sync::Arc;

use datafusion::logical_expr::Expr;
use raceline_plan::{FileFormat, Node, Projection, Source};

use super::over_inputs;

/// Moves every filter as far down as it can go.
pub(super) fn push_filters(node: &Arc<Node>) -> Arc<Node> {
    let Node::Filter { input, predicate } = node.as_ref() else {
        return over_inputs(node, push_filters);
    };
    push_one(&push_filters(input), predicate)
}

fn push_one(input: &Arc<Node>, predicate: &Expr) -> Arc<Node> {
    match input.as_ref() {
        Node::Source(Source::Files(scan))
            if takes_predicates(&scan.format) && scan.request.limit.is_none() =>
        {
            let mut scan = scan.clone();
            let all = match scan.request.predicate.take() {
                Some(old) => old.and(predicate.clone()),
                None => predicate.clone(),
            };
            scan.request.predicate = Some(all);
            Arc::new(Node::Source(Source::Files(scan)))
        }
        Node::Project { input, projection } if keeps_columns(projection, predicate) => {
            Arc::new(Node::Project {
                input: push_one(input, predicate),
                projection: projection.clone(),
            })
        }
        Node::Sort { input, keys } => {
            Arc::new(Node::Sort { input: push_one(input, predicate), keys: keys.clone() })
        }
        // Not into a union: an input may lack a column, which is null behind it.
        _ => Arc::new(Node::Filter { input: Arc::clone(input), predicate: predicate.clone() }),
    }
}

/// Whether a scan of this format filters exactly.
fn takes_predicates(format: &FileFormat) -> bool {
    match format {
        FileFormat::Parquet | FileFormat::Csv(_) | FileFormat::Json(_) => true,
        FileFormat::Text(_) | FileFormat::Binary | FileFormat::Image(_) => false,
    }
}

/// Whether every column that `predicate` reads is the same column below the projection.
fn keeps_columns(projection: &Projection, predicate: &Expr) -> bool {
    let reads = |name: &str| predicate.column_refs().iter().any(|column| column.name() == name);
    match projection {
        // A column that the selection leaves out must stay unknown to the filter.
        Projection::Select(kept) => predicate
            .column_refs()
            .iter()
            .all(|column| kept.iter().any(|name| name == column.name())),
        Projection::Drop(dropped) => !dropped.iter().any(|name| reads(name)),
        Projection::Rename(names) => !names.iter().any(|(old, new)| reads(old) || reads(new)),
        Projection::With { name, .. } => !reads(name),
    }
}
