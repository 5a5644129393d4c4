//! A layout as a join part by part.

use std::sync::Arc;

use arrow::compute::SortOptions;
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::NullEquality;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::expressions::Column;
use datafusion::physical_plan::joins::{HashJoinExec, JoinOn, PartitionMode, SortMergeJoinExec};
use datafusion::physical_plan::projection::ProjectionExec;
use raceline_types::Failure;

use super::layout::Layout;
use super::pair::{PairJoin, Side};
use crate::error::failure;

impl PairJoin for Layout {
    fn schema(&self) -> SchemaRef {
        let fields =
            self.wanted.iter().map(|&(side, at)| Arc::clone(&self.table(side).schema.fields()[at]));
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }

    fn schema_of(&self, side: Side) -> &SchemaRef {
        &self.table(side).schema
    }

    fn keys_of(&self, side: Side) -> &[usize] {
        &self.table(side).keys
    }

    fn null_equality(&self) -> NullEquality {
        NullEquality::NullEqualsNothing
    }

    fn by_table(
        &self,
        first: Side,
        built: Arc<dyn ExecutionPlan>,
        probed: Arc<dyn ExecutionPlan>,
    ) -> Result<Arc<dyn ExecutionPlan>, Failure> {
        let join_type = match first {
            Side::Left => self.join_type,
            Side::Right => self.join_type.swap(),
        };
        let join = HashJoinExec::try_new(
            built,
            probed,
            on(self, first),
            None,
            &join_type,
            Some(self.projection(first)),
            PartitionMode::CollectLeft,
            self.null_equality(),
            false,
        );
        Ok(Arc::new(join.map_err(failure)?))
    }

    fn by_merge(
        &self,
        left: Arc<dyn ExecutionPlan>,
        right: Arc<dyn ExecutionPlan>,
    ) -> Result<Arc<dyn ExecutionPlan>, Failure> {
        let keys = on(self, Side::Left);
        let orders = vec![SortOptions::default(); keys.len()];
        let join_type = self.join_type;
        let equality = self.null_equality();
        let join = SortMergeJoinExec::try_new(left, right, keys, None, join_type, orders, equality);
        let join: Arc<dyn ExecutionPlan> = Arc::new(join.map_err(failure)?);
        let schema = join.schema();
        let wanted = self.projection(Side::Left).into_iter().map(|at| {
            let name = schema.field(at).name().clone();
            (Arc::new(Column::new(&name, at)) as _, name)
        });
        let plan = ProjectionExec::try_new(wanted.collect::<Vec<_>>(), join).map_err(failure)?;
        Ok(Arc::new(plan))
    }
}

/// The pairs of keys, those of the input `first` first.
fn on(layout: &Layout, first: Side) -> JoinOn {
    let key = |side: Side, at: usize| {
        let name = layout.table(side).schema.field(at).name();
        Arc::new(Column::new(name, at)) as _
    };
    let keys = layout.table(first).keys.iter().zip(&layout.table(first.other()).keys);
    keys.map(|(&left, &right)| (key(first, left), key(first.other(), right))).collect()
}
