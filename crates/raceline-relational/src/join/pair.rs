//! What it takes to join two inputs part by part.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::common::NullEquality;
use datafusion::physical_plan::ExecutionPlan;
use raceline_types::Failure;

/// One of the two inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Side {
    Left,
    Right,
}

impl Side {
    /// The other one.
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Left => Self::Right,
            Self::Right => Self::Left,
        }
    }
}

/// A join by equal keys: all rows of some keys, on both sides, can be joined without the others.
pub(crate) trait PairJoin: fmt::Debug + Send + Sync {
    /// Schema of the joined rows.
    fn schema(&self) -> SchemaRef;

    /// Schema of the rows of a side.
    fn schema_of(&self, side: Side) -> &SchemaRef;

    /// Positions of the keys in the rows of a side.
    fn keys_of(&self, side: Side) -> &[usize];

    /// Whether missing keys equal each other.
    fn null_equality(&self) -> NullEquality;

    /// The join by a table of all rows of `built`, which is the side `first`. It has one partition
    /// for each of `probed`.
    fn by_table(
        &self,
        first: Side,
        built: Arc<dyn ExecutionPlan>,
        probed: Arc<dyn ExecutionPlan>,
    ) -> Result<Arc<dyn ExecutionPlan>, Failure>;

    /// The join of sides that are in the order of their keys.
    fn by_merge(
        &self,
        left: Arc<dyn ExecutionPlan>,
        right: Arc<dyn ExecutionPlan>,
    ) -> Result<Arc<dyn ExecutionPlan>, Failure>;
}
