//! A hash join of a query as a join part by part.

use std::sync::Arc;

use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::NullEquality;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::expressions::Column;
use datafusion::physical_plan::joins::{
    HashJoinExec, HashJoinExecBuilder, PartitionMode, SortMergeJoinExec,
};
use datafusion::physical_plan::projection::ProjectionExec;
use raceline_types::Failure;

use crate::error::failure;
use crate::join::{PairJoin, Side};

/// A join of which both inputs are partitioned by their keys.
#[derive(Debug)]
pub(super) struct HashPair {
    join: HashJoinExec,
    left: SideOfJoin,
    right: SideOfJoin,
}

#[derive(Debug)]
struct SideOfJoin {
    schema: SchemaRef,
    keys: Vec<usize>,
}

impl HashPair {
    /// `join`, unless one part of it needs to know of the others, somebody counts on the order of
    /// its rows, or a key cannot be sorted by.
    pub(super) fn of(join: &HashJoinExec) -> Option<Self> {
        let is_in_parts = join.mode == PartitionMode::Partitioned
            && !join.null_aware
            && join.fetch().is_none()
            && join.properties().output_ordering().is_none();
        if !is_in_parts {
            return None;
        }
        let side = |input: &Arc<dyn ExecutionPlan>, side: Side| {
            let schema = input.schema();
            let keys = join.on.iter().map(|(left, right)| {
                let key = if side == Side::Left { left } else { right };
                let at = key.downcast_ref::<Column>()?.index();
                is_merged_by(schema.field(at).data_type()).then_some(at)
            });
            Some(SideOfJoin { keys: keys.collect::<Option<_>>()?, schema })
        };
        let (left, right) = (side(&join.left, Side::Left)?, side(&join.right, Side::Right)?);
        Some(Self { join: join.builder().reset_state().build().ok()?, left, right })
    }

    fn side(&self, side: Side) -> &SideOfJoin {
        match side {
            Side::Left => &self.left,
            Side::Right => &self.right,
        }
    }
}

/// Whether `SortMergeJoinExec` compares keys of a type.
fn is_merged_by(key: &DataType) -> bool {
    key.is_integer()
        || key.is_string()
        || matches!(
            key,
            DataType::Boolean
                | DataType::Date32
                | DataType::Date64
                | DataType::Decimal128(..)
                | DataType::Timestamp(_, None)
        )
}

impl PairJoin for HashPair {
    fn schema(&self) -> SchemaRef {
        self.join.schema()
    }

    fn schema_of(&self, side: Side) -> &SchemaRef {
        &self.side(side).schema
    }

    fn keys_of(&self, side: Side) -> &[usize] {
        &self.side(side).keys
    }

    fn null_equality(&self) -> NullEquality {
        self.join.null_equality
    }

    fn by_table(
        &self,
        first: Side,
        built: Arc<dyn ExecutionPlan>,
        probed: Arc<dyn ExecutionPlan>,
    ) -> Result<Arc<dyn ExecutionPlan>, Failure> {
        let (left, right) = if first == Side::Left { (built, probed) } else { (probed, built) };
        let join = self
            .join
            .builder()
            .reset_state()
            .with_partition_mode(PartitionMode::CollectLeft)
            .with_new_children(vec![left, right])
            .and_then(HashJoinExecBuilder::build)
            .map_err(failure)?;
        match first {
            Side::Left => Ok(Arc::new(join)),
            Side::Right => join.swap_inputs(PartitionMode::CollectLeft).map_err(failure),
        }
    }

    fn by_merge(
        &self,
        left: Arc<dyn ExecutionPlan>,
        right: Arc<dyn ExecutionPlan>,
    ) -> Result<Arc<dyn ExecutionPlan>, Failure> {
        let HashJoinExec { on, filter, join_type, projection, .. } = &self.join;
        let orders = vec![SortOptions::default(); on.len()];
        let (on, filter, equality) = (on.clone(), filter.clone(), self.join.null_equality);
        let join =
            SortMergeJoinExec::try_new(left, right, on, filter, *join_type, orders, equality);
        let join: Arc<dyn ExecutionPlan> = Arc::new(join.map_err(failure)?);
        let Some(wanted) = projection else { return Ok(join) };
        let schema = join.schema();
        let wanted = wanted.iter().map(|&at| {
            let name = schema.field(at).name().clone();
            (Arc::new(Column::new(&name, at)) as _, name)
        });
        let plan = ProjectionExec::try_new(wanted.collect::<Vec<_>>(), join).map_err(failure)?;
        Ok(Arc::new(plan))
    }
}
