//! What makes a dataset of others: each method adds a node to the plan.

use std::error::Error;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use datafusion::logical_expr::Expr;
use raceline_plan::{
    Aggregate, BatchFormat, Cut, DownloadSpec, JoinSpec, KeyedExchange, MixSpec, Node, Projection,
    RowValues, ShuffleScope, SortKey, UdfBody, UdfKind, UdfSpec,
};
use raceline_types::Resources;

use super::Dataset;
use crate::native::Closure;

impl Dataset {
    /// Keeps the rows for which `predicate` is true; null drops the row.
    #[must_use]
    pub fn filter(&self, predicate: Expr) -> Self {
        self.then(|input| Node::Filter { input, predicate })
    }

    /// Changes columns.
    #[must_use]
    pub fn project(&self, projection: Projection) -> Self {
        self.then(|input| Node::Project { input, projection })
    }

    /// Only these columns, in this order.
    #[must_use]
    pub fn select(&self, columns: &[&str]) -> Self {
        let columns = columns.iter().map(ToString::to_string).collect();
        self.project(Projection::Select(columns))
    }

    /// A new or replaced column.
    #[must_use]
    pub fn with_column(&self, name: &str, expr: Expr) -> Self {
        self.project(Projection::With { name: name.to_owned(), expr })
    }

    /// Applies a user-defined function.
    #[must_use]
    pub fn udf(&self, udf: UdfSpec) -> Self {
        self.then(|input| Node::Udf { input, udf: Arc::new(udf) })
    }

    /// Applies a closure to each batch. Batches come as they are cut, up to a few MiB.
    ///
    /// An error of the closure fails the run with kind [`raceline_types::ErrorKind::Udf`].
    #[must_use]
    pub fn map_batches<F, E>(&self, name: &str, function: F) -> Self
    where
        F: Fn(&RecordBatch) -> Result<RecordBatch, E> + Send + Sync + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let body = UdfBody::Native(Arc::new(Closure { name: name.to_owned(), function }));
        self.udf(UdfSpec {
            batch_format: BatchFormat::Arrow,
            resources: Resources {
                cpu_nanos: raceline_types::NANOS_PER_UNIT,
                ..Resources::default()
            },
            ..UdfSpec::new(name, UdfKind::MapBatches, body)
        })
    }

    /// At most the first `rows` rows.
    #[must_use]
    pub fn limit(&self, rows: u64) -> Self {
        self.then(|input| Node::Limit { input, rows })
    }

    /// All but the first `rows` rows. What comes before them is read only where it must be.
    #[must_use]
    pub fn skip(&self, rows: u64) -> Self {
        self.then(|input| Node::Skip { input, rows })
    }

    /// Sorts; missing values come last in both directions. Not stable.
    #[must_use]
    pub fn sort(&self, keys: Vec<SortKey>) -> Self {
        self.then(|input| Node::Sort { input, keys })
    }

    /// All rows of `self`, then all rows of each of `others`.
    #[must_use]
    pub fn union(&self, others: &[Self]) -> Self {
        let inputs = std::iter::once(self).chain(others);
        let inputs = inputs.map(|one| Arc::clone(&one.plan)).collect();
        self.then(|_| Node::Union { inputs })
    }

    /// The rows of `self` and of each of `others`, interleaved by the weights of `spec`.
    #[must_use]
    pub fn mix(&self, others: &[Self], spec: MixSpec) -> Self {
        let inputs = std::iter::once(self).chain(others);
        let inputs = inputs.map(|one| Arc::clone(&one.plan)).collect();
        self.then(|_| Node::Mix { inputs, spec: Arc::new(spec) })
    }

    /// Rows of `self`, the left side, and `right` with equal keys, in any order.
    #[must_use]
    pub fn join(&self, right: &Self, spec: JoinSpec) -> Self {
        let right = Arc::clone(&right.plan);
        self.then(|left| Node::Join { left, right, spec: Arc::new(spec) })
    }

    /// The columns of `self` and of each of `others`, row by row; a name that was there gets
    /// `_1`, `_2`. All must have as many rows, or the run fails.
    #[must_use]
    pub fn zip(&self, others: &[Self]) -> Self {
        let inputs = std::iter::once(self).chain(others);
        let inputs = inputs.map(|one| Arc::clone(&one.plan)).collect();
        self.then(|_| Node::Zip { inputs })
    }

    /// The same rows, cut anew, in order. A batch of more than 8 MiB, or less where memory is
    /// scarce, comes in several.
    #[must_use]
    pub fn repartition(&self, cut: Cut) -> Self {
        self.then(|input| Node::Repartition { input, cut })
    }

    /// Rows with equal keys in one place: in partitions, or as groups of which each is one row.
    #[must_use]
    pub fn exchange(&self, spec: KeyedExchange) -> Self {
        self.then(|input| Node::Exchange { input, spec: Arc::new(spec) })
    }

    /// A new or replaced column of the bytes behind the URIs of another one; null where they cannot
    /// be fetched.
    #[must_use]
    pub fn download(&self, spec: DownloadSpec) -> Self {
        self.then(|input| Node::Download { input, spec: Arc::new(spec) })
    }

    /// A new or replaced column of values that rows have by their places. The rows pass one place
    /// in order, to be counted.
    #[must_use]
    pub fn row_column(&self, name: &str, values: RowValues) -> Self {
        let name = name.to_owned();
        self.then(|input| Node::RowColumn { input, name, values })
    }

    /// The rows in a random order, of which all are equally likely. It depends on `seed` and on
    /// the rows and their order alone. Rows that do not fit into memory go to disk, once.
    #[must_use]
    pub fn random_shuffle(&self, seed: u64) -> Self {
        self.shuffle(seed, ShuffleScope::Rows)
    }

    /// The rows, each drawn at random from `rows` of them (at least 1) that are held in memory. The
    /// order depends on `seed` and on the order of the rows.
    #[must_use]
    pub fn window_shuffle(&self, rows: usize, seed: u64) -> Self {
        let scope = ShuffleScope::Window { rows: rows.max(1) };
        self.shuffle(seed, scope)
    }

    /// The batches in a random order; the rows of each stay together. It depends on `seed` and on
    /// how batches are cut.
    #[must_use]
    pub fn randomize_batch_order(&self, seed: u64) -> Self {
        self.shuffle(seed, ShuffleScope::Batches)
    }

    fn shuffle(&self, seed: u64, scope: ShuffleScope) -> Self {
        self.then(|input| Node::Shuffle { input, seed, reseeds: false, scope })
    }

    /// The same plan, whose last step is a shuffle, with an order of its own in each run: that of
    /// the first run, of the second and so on depend on the seed.
    #[must_use]
    pub fn reseeding(&self) -> Self {
        match self.plan.as_ref() {
            Node::Shuffle { input, seed, scope, .. } => {
                let (input, seed, scope) = (Arc::clone(input), *seed, *scope);
                self.then(|_| Node::Shuffle { input, seed, reseeds: true, scope })
            }
            _ => self.clone(),
        }
    }

    /// Aggregates by key columns, which come first in the output. Without keys the result is
    /// one row. Output order is unspecified.
    #[must_use]
    pub fn aggregate(&self, keys: Vec<String>, aggregates: Vec<Aggregate>) -> Self {
        self.then(|input| Node::Aggregate { input, keys, aggregates })
    }
}
