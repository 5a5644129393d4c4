//! How the input of functions is cut into batches.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::SchemaRef;
use raceline_exec::{BatchBounds, BatchShape};
use raceline_plan::{UdfBody, UdfKind, UdfSpec};
use raceline_relational::RowCost;
use raceline_types::Failure;

/// Rows of a batch with which the search for the fastest begins.
const FIRST_ROWS: usize = 256;

/// How batches are cut, and by what.
#[derive(Clone, Debug)]
pub(crate) struct Batching {
    /// How.
    pub(crate) shape: BatchShape,
    /// What rows cost, where that counts.
    pub(crate) cost: Option<Arc<RowCost>>,
}

impl Batching {
    /// What `udf` asks for.
    pub(crate) fn of(udf: &UdfSpec) -> Self {
        let limits = &udf.batch_limits;
        let shape = match udf.batch_rows {
            _ if limits.is_weighed() => BatchShape::Within(BatchBounds {
                rows_max: udf.batch_rows,
                bytes_max: limits.bytes_max,
                cost_max: limits.cost.as_ref().map(|limit| limit.most),
            }),
            // A group may be the work of a minute, or of a microsecond.
            _ if udf.kind == UdfKind::MapGroups => BatchShape::Fastest(1),
            _ if limits.fastest => BatchShape::Fastest(FIRST_ROWS),
            Some(rows) => BatchShape::Rows(rows),
            None => BatchShape::AsIs,
        };
        let cost = limits.cost.as_ref().map(|limit| Arc::new(RowCost::new(limit.cost.clone())));
        Self { shape, cost }
    }

    /// Checks that input of `schema` can be cut so.
    ///
    /// # Errors
    /// As of [`RowCost::check`].
    pub(crate) fn check(&self, schema: &SchemaRef) -> Result<(), Failure> {
        self.cost.as_ref().map_or(Ok(()), |cost| cost.check(schema))
    }
}

/// The batch sizes that turned out to be fastest, of the functions of a session.
#[derive(Debug, Default)]
pub(crate) struct BatchSizes(Arc<Mutex<HashMap<u64, usize>>>);

impl BatchSizes {
    /// The size of the batches of `udf`: of the same code with the same arguments.
    pub(crate) fn of(&self, udf: &UdfSpec) -> LearnedSize {
        let mut hasher = DefaultHasher::new();
        udf.label().hash(&mut hasher);
        if let UdfBody::Foreign { payload, .. } = &udf.body {
            payload.hash(&mut hasher);
        }
        LearnedSize { sizes: Arc::clone(&self.0), key: hasher.finish() }
    }
}

/// What is known of the best batch size of one function.
#[derive(Clone, Debug)]
pub(crate) struct LearnedSize {
    sizes: Arc<Mutex<HashMap<u64, usize>>>,
    key: u64,
}

impl LearnedSize {
    /// Rows of a batch, where a run has found out.
    pub(crate) fn rows(&self) -> Option<usize> {
        self.sizes.lock().unwrap_or_else(PoisonError::into_inner).get(&self.key).copied()
    }

    /// A run has found out.
    pub(crate) fn note(&self, rows: usize) {
        self.sizes.lock().unwrap_or_else(PoisonError::into_inner).insert(self.key, rows);
    }
}
