//! Our rules, `plan -> plan`: they move limits, filters and projections across functions and
//! into sources. `DataFusion`'s own optimizer works inside what is lowered to it.

mod bounds;
mod filter;
mod limit;
mod projection;
mod skip;

use std::sync::Arc;

use raceline_plan::Node;

pub(super) use skip::without_first;

/// The plan that is run: all rules applied, in order. Where batches `may_fail` and the run goes on,
/// functions do not keep the number of rows, and limits and skips stay where they are.
pub(crate) fn optimize(plan: &Arc<Node>, may_fail: bool) -> Arc<Node> {
    let plan =
        if may_fail { Arc::clone(plan) } else { limit::push_limits(&skip::push_skips(plan)) };
    let plan = filter::push_filters(&plan);
    bounds::ask_for_bounds(&projection::prune_columns(&plan))
}

/// `node` over other inputs, given in the order of [`Node::inputs`].
fn with_inputs(node: &Arc<Node>, inputs: Vec<Arc<Node>>) -> Arc<Node> {
    if node.inputs().into_iter().zip(&inputs).all(|(old, new)| Arc::ptr_eq(old, new)) {
        return Arc::clone(node);
    }
    let mut changed = node.as_ref().clone();
    match &mut changed {
        Node::Source(_) => {}
        Node::Union { inputs: old }
        | Node::Mix { inputs: old, .. }
        | Node::Zip { inputs: old }
        | Node::Relational { inputs: old, .. } => *old = inputs,
        Node::Join { left, right, .. } => {
            if let [new_left, new_right] = inputs.as_slice() {
                (*left, *right) = (Arc::clone(new_left), Arc::clone(new_right));
            }
        }
        Node::Filter { input, .. }
        | Node::Project { input, .. }
        | Node::Udf { input, .. }
        | Node::Limit { input, .. }
        | Node::Skip { input, .. }
        | Node::Sort { input, .. }
        | Node::Aggregate { input, .. }
        | Node::Repartition { input, .. }
        | Node::Exchange { input, .. }
        | Node::RowColumn { input, .. }
        | Node::Download { input, .. }
        | Node::Shuffle { input, .. }
        | Node::Write { input, .. } => {
            if let Some(new) = inputs.into_iter().next() {
                *input = new;
            }
        }
    }
    Arc::new(changed)
}

/// `rule` applied to all inputs of `node`.
fn over_inputs(node: &Arc<Node>, rule: fn(&Arc<Node>) -> Arc<Node>) -> Arc<Node> {
    with_inputs(node, node.inputs().into_iter().map(rule).collect())
}

#[cfg(test)]
mod tests;
