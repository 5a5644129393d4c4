//! Finds the columns that a plan needs of each scan of table files.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::logical_expr::Expr;
use raceline_plan::{FileFormat, Node, Projection, Source};

use super::with_inputs;

/// What the nodes above need of a node's output; `None` is everything.
type Needed = Option<BTreeSet<String>>;

/// Tells every scan of table files which columns are needed above it.
pub(super) fn prune_columns(node: &Arc<Node>) -> Arc<Node> {
    prune(node, &None)
}

fn prune(node: &Arc<Node>, needed: &Needed) -> Arc<Node> {
    if let Node::Source(Source::Files(scan)) = node.as_ref() {
        let table =
            matches!(scan.format, FileFormat::Parquet | FileFormat::Csv(_) | FileFormat::Json(_));
        return match (needed, &scan.request.projection) {
            (Some(columns), None) if table => {
                let mut scan = scan.clone();
                scan.request.projection = Some(columns.iter().cloned().collect());
                Arc::new(Node::Source(Source::Files(scan)))
            }
            _ => Arc::clone(node),
        };
    }
    let below = needed_below(node, needed);
    with_inputs(node, node.inputs().into_iter().map(|input| prune(input, &below)).collect())
}

/// What `node` needs of its inputs when `needed` is needed of it.
fn needed_below(node: &Node, needed: &Needed) -> Needed {
    match node {
        Node::Source(_) | Node::Udf { .. } | Node::Write { .. } | Node::Union { .. } => None,
        Node::Filter { predicate, .. } => plus_columns_of(needed.clone(), predicate),
        Node::Limit { .. } | Node::Repartition { .. } => needed.clone(),
        Node::Sort { keys, .. } => plus(needed.clone(), keys.iter().map(|key| key.column.clone())),
        Node::Aggregate { keys, aggregates, .. } => {
            let columns = aggregates.iter().filter_map(|one| one.column.clone());
            Some(keys.iter().cloned().chain(columns).collect())
        }
        Node::Project { projection, .. } => needed_below_projection(projection, needed),
    }
}

fn needed_below_projection(projection: &Projection, needed: &Needed) -> Needed {
    match projection {
        Projection::Select(columns) => Some(columns.iter().cloned().collect()),
        // Dropping and renaming check that their columns exist, so they need them.
        Projection::Drop(columns) => plus(needed.clone(), columns.iter().cloned()),
        Projection::Rename(names) => {
            let old_of = |name: &String| {
                names.iter().find(|(_, new)| new == name).map_or(name, |(old, _)| old).clone()
            };
            let below = needed.as_ref().map(|columns| columns.iter().map(old_of).collect());
            plus(below, names.iter().map(|(old, _)| old.clone()))
        }
        Projection::With { name, expr } => {
            // The column itself stays needed: whether it is there decides its position.
            let mut below = needed.clone();
            if let Some(columns) = &mut below
                && !expr.column_refs().iter().any(|column| column.name() == name)
            {
                columns.remove(name);
            }
            plus_columns_of(below, expr)
        }
    }
}

fn plus(needed: Needed, columns: impl Iterator<Item = String>) -> Needed {
    needed.map(|mut all| {
        all.extend(columns);
        all
    })
}

fn plus_columns_of(needed: Needed, expr: &Expr) -> Needed {
    plus(needed, expr.column_refs().into_iter().map(|column| column.name().to_owned()))
}
