//! Finds the columns that a plan needs of each scan.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::logical_expr::Expr;
use raceline_plan::{
    ExchangeForm, FileFormat, JoinSpec, Node, OnError, Passed, Projection, Source, UdfKind, UdfSpec,
};

use super::with_inputs;

/// What the nodes above need of a node's output; `None` is everything.
type Needed = Option<Columns>;

/// Some columns.
#[derive(Clone, Default)]
struct Columns {
    /// Those that nodes name: it is an error if one does not exist.
    named: BTreeSet<String>,
    /// Those that functions look at, if there are functions; one that does not exist is theirs to
    /// find out.
    looked_at: Option<BTreeSet<String>>,
}

impl Columns {
    /// The names, changed by `change`.
    fn map(&self, change: impl Fn(&BTreeSet<String>) -> BTreeSet<String>) -> Self {
        Self { named: change(&self.named), looked_at: self.looked_at.as_ref().map(change) }
    }
}

/// Tells every scan which columns are needed above it.
pub(super) fn prune_columns(node: &Arc<Node>) -> Arc<Node> {
    prune(node, &None)
}

fn prune(node: &Arc<Node>, needed: &Needed) -> Arc<Node> {
    if let Node::Source(Source::Files(scan)) = node.as_ref() {
        return match (needed, &scan.request.projection) {
            (Some(Columns { named, looked_at }), None)
                if takes_columns(&scan.format, looked_at.is_some()) =>
            {
                let mut scan = scan.clone();
                let names_all = looked_at.is_none() || !named.is_empty();
                scan.request.projection = names_all.then(|| named.iter().cloned().collect());
                scan.request.wanted.clone_from(looked_at);
                Arc::new(Node::Source(Source::Files(scan)))
            }
            _ => Arc::clone(node),
        };
    }
    if let Node::Join { left, right, spec } = node.as_ref() {
        let (of_left, of_right) = needed_below_join(spec, needed);
        return with_inputs(node, vec![prune(left, &of_left), prune(right, &of_right)]);
    }
    let below = needed_below(node, needed);
    with_inputs(node, node.inputs().into_iter().map(|input| prune(input, &below)).collect())
}

/// Whether columns that are not needed are left out of a scan of this format; `by_function`: when
/// only functions tell which they are.
fn takes_columns(format: &FileFormat, by_function: bool) -> bool {
    match format {
        FileFormat::Parquet | FileFormat::Csv(_) => true,
        // A key that the first objects lack is an error, and found by reading all known ones.
        FileFormat::Json(_) => !by_function,
        // What is wrong with a file is found by reading it, whoever asks for some columns.
        FileFormat::Text(_) | FileFormat::Binary | FileFormat::Image(_) => by_function,
    }
}

/// What `node` needs of its inputs when `needed` is needed of it.
fn needed_below(node: &Node, needed: &Needed) -> Needed {
    match node {
        // What a query reads is known when it is planned.
        Node::Source(_)
        | Node::Write { .. }
        | Node::Union { .. }
        | Node::Join { .. }
        | Node::Mix { .. }
        | Node::Zip { .. }
        | Node::Relational { .. } => None,
        Node::Udf { udf, .. } => needed_below_function(udf, needed),
        Node::Filter { predicate, .. } => plus_columns_of(needed.clone(), predicate),
        Node::Limit { .. }
        | Node::Skip { .. }
        | Node::Repartition { .. }
        | Node::Shuffle { .. } => needed.clone(),
        Node::Exchange { spec, .. } => match spec.form {
            ExchangeForm::Parts { .. } => plus(needed.clone(), spec.keys.iter().cloned()),
            ExchangeForm::Groups => None,
        },
        Node::Download { spec, .. } => {
            let below = needed.clone().map(|columns| without(&columns, &spec.output));
            plus(below, std::iter::once(spec.uris.clone()))
        }
        Node::RowColumn { name, .. } => needed.clone().map(|columns| without(&columns, name)),
        Node::Sort { keys, .. } => plus(needed.clone(), keys.iter().map(|key| key.column.clone())),
        Node::Aggregate { keys, aggregates, .. } => {
            let columns = aggregates.iter().filter_map(|one| one.column.clone());
            Some(named(keys.iter().cloned().chain(columns)))
        }
        Node::Project { projection, .. } => needed_below_projection(projection, needed),
    }
}

/// What a join needs of its sides. Which of them has a column is not known here: both are asked for
/// it, and for the column that it would be without a suffix. A name that both sides have and nobody
/// needs is then no error.
fn needed_below_join(spec: &JoinSpec, needed: &Needed) -> (Needed, Needed) {
    let of_side = |keys: Vec<&String>| {
        let Columns { named, looked_at } = needed.clone()?;
        let mut maybe = looked_at.unwrap_or_default();
        maybe.extend(named);
        for suffix in [&spec.left_suffix, &spec.right_suffix].into_iter().flatten() {
            let plain = maybe.iter().filter_map(|name| name.strip_suffix(suffix.as_str()));
            let plain: Vec<_> = plain.map(str::to_owned).collect();
            maybe.extend(plain);
        }
        Some(Columns { named: keys.into_iter().cloned().collect(), looked_at: Some(maybe) })
    };
    let (left, right) = spec.keys.iter().map(|(left, right)| (left, right)).unzip();
    (of_side(left), of_side(right))
}

fn needed_below_function(udf: &UdfSpec, needed: &Needed) -> Needed {
    // A dead letter holds all of the row.
    if udf.on_error == OnError::DeadLetter {
        return None;
    }
    // How many rows are so many bytes depends on all columns.
    if udf.batch_limits.bytes_max.is_some() && !udf.columns.declared {
        return None;
    }
    let mut below = match (udf.kind, &udf.columns.passes) {
        (UdfKind::Key, _) => return None,
        (UdfKind::Filter, _) => needed.clone()?,
        // The function may make what is named, and nobody knows what it does not make.
        (_, Passed::Others) => needed.clone().filter(|needed| needed.named.is_empty())?,
        (_, Passed::Nothing | Passed::Named(_)) => Columns::default(),
    };
    let reads = udf.reads()?.iter().cloned();
    let looked_at = below.looked_at.get_or_insert_default();
    if udf.columns.declared {
        below.named.extend(reads);
    } else {
        looked_at.extend(reads);
    }
    if let Some(limit) = &udf.batch_limits.cost {
        below.named.extend(limit.cost.column_refs().iter().map(|column| column.name.clone()));
    }
    if let Passed::Named(pairs) = &udf.columns.passes {
        looked_at.extend(pairs.iter().map(|(_, input)| input.clone()));
    }
    Some(below)
}

fn needed_below_projection(projection: &Projection, needed: &Needed) -> Needed {
    match projection {
        Projection::Select(columns) => Some(named(columns.iter().cloned())),
        // Dropping and renaming check that their columns exist, so they need them.
        Projection::Drop(columns) => plus(needed.clone(), columns.iter().cloned()),
        Projection::Rename(names) => {
            let old_of = |name: &String| {
                names.iter().find(|(_, new)| new == name).map_or(name, |(old, _)| old).clone()
            };
            let below = needed
                .as_ref()
                .map(|columns| columns.map(|columns| columns.iter().map(old_of).collect()));
            let mut below = plus(below, names.iter().map(|(old, _)| old.clone()));
            // Whether a new name clashes is seen where the column of that name is there.
            if let Some(Columns { looked_at: Some(looked_at), .. }) = &mut below {
                looked_at.extend(names.iter().map(|(_, new)| new.clone()));
            }
            below
        }
        Projection::With { name, expr } => {
            // The column itself stays needed: whether it is there decides its position.
            let is_read = expr.column_refs().iter().any(|column| column.name() == name);
            let below = needed.clone();
            plus_columns_of(
                if is_read { below } else { below.map(|columns| without(&columns, name)) },
                expr,
            )
        }
    }
}

/// All of `columns` but one that is made.
fn without(columns: &Columns, name: &str) -> Columns {
    columns.map(|columns| columns.iter().filter(|one| *one != name).cloned().collect())
}

fn named(columns: impl Iterator<Item = String>) -> Columns {
    Columns { named: columns.collect(), looked_at: None }
}

fn plus(needed: Needed, columns: impl Iterator<Item = String>) -> Needed {
    needed.map(|mut all| {
        all.named.extend(columns);
        all
    })
}

fn plus_columns_of(needed: Needed, expr: &Expr) -> Needed {
    plus(needed, expr.column_refs().into_iter().map(|column| column.name().to_owned()))
}
