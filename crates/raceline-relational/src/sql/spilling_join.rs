//! Hash joins of a query whose tables may not fit.
//!
//! `DataFusion`'s hash join fails when its table does not fit (55.2,
//! <https://github.com/apache/datafusion/issues/24768>). Here a partition of a join holds its left
//! side as long as that fits, and joins by a table of it as `DataFusion` does. One that does not
//! goes to disk in parts, with the right side, and is joined a part at a time.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::common::tree_node::{Transformed, TreeNode as _, TreeNodeRecursion};
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryPool};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties as _, PlanProperties,
};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use raceline_types::{Failure, batch_sliced_bytes};

use super::hash_pair::HashPair;
use crate::engine::Engine;
use crate::error::{carry, failure};
use crate::join::{PairJoin as _, Side, Tight, lookup_bytes};
use crate::lease::Lease;
use crate::stream::{Batches, table_of};

/// Part of the memory that the tables of all joins of a query take at most.
const TABLES_SHARE: usize = 2;

/// Part of the memory that the tables of one join take at most.
const TABLE_SHARE: usize = 4;

/// Part of the memory that a join takes whose table does not fit.
const TIGHT_SHARE: usize = 6;

/// Memory and disk of the joins of one query.
#[derive(Debug)]
struct Joins {
    engine: Arc<Engine>,
    /// Name of the query, for errors.
    name: Arc<str>,
    /// What tables may take of the memory.
    tables: Arc<dyn MemoryPool>,
}

/// `plan` with joins that go to disk where they do not fit into the memory of `engine`.
pub(super) fn with_spilling_joins(
    plan: Arc<dyn ExecutionPlan>,
    engine: &Arc<Engine>,
    name: &Arc<str>,
) -> Result<Arc<dyn ExecutionPlan>, Failure> {
    let tables = Arc::new(GreedyMemoryPool::new(engine.limit_bytes() / TABLES_SHARE));
    let joins = Arc::new(Joins { engine: Arc::clone(engine), name: Arc::clone(name), tables });
    let spilling = plan.transform_up(|plan| {
        let pair = plan.downcast_ref::<HashJoinExec>().and_then(HashPair::of);
        Ok(match pair {
            None => Transformed::no(plan),
            Some(pair) => {
                let (joins, pair) = (Arc::clone(&joins), Arc::new(pair));
                Transformed::yes(Arc::new(SpillingJoinExec { joins, pair, join: plan }))
            }
        })
    });
    Ok(spilling.map_err(failure)?.data)
}

/// A hash join of partitioned inputs that goes to disk where it does not fit. Its rows come in any
/// order.
#[derive(Debug)]
struct SpillingJoinExec {
    joins: Arc<Joins>,
    pair: Arc<HashPair>,
    /// The join as `DataFusion` has it.
    join: Arc<dyn ExecutionPlan>,
}

impl DisplayAs for SpillingJoinExec {
    fn fmt_as(&self, form: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SpillingJoinExec: ")?;
        self.join.fmt_as(form, f)
    }
}

impl ExecutionPlan for SpillingJoinExec {
    fn name(&self) -> &'static str {
        "SpillingJoinExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.join.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.join.children()
    }

    fn apply_expressions(
        &self,
        each: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DataFusionResult<TreeNodeRecursion>,
    ) -> DataFusionResult<TreeNodeRecursion> {
        self.join.apply_expressions(each)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        options: ReplaceChildrenOptions,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let join = Arc::clone(&self.join).replace_children(children, options)?;
        let (joins, pair) = (Arc::clone(&self.joins), Arc::clone(&self.pair));
        Ok(Arc::new(Self { joins, pair, join }))
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        self.replace_children(
            children,
            ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute),
        )
    }

    /// Starts nothing before the first row is asked for, so that the tables of joins that follow one
    /// another are not made at the same time.
    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> DataFusionResult<SendableRecordBatchStream> {
        let children = self.join.children();
        let open = |at: usize| -> DataFusionResult<Batches> {
            Ok(children[at].execute(partition, Arc::clone(&context))?.map_err(failure).boxed())
        };
        let (left, right) = (open(0)?, open(1)?);
        let joining = Joining {
            joins: Arc::clone(&self.joins),
            pair: Arc::clone(&self.pair),
            partitions: self.join.output_partitioning().partition_count(),
            batch_rows: context.session_config().batch_size(),
        };
        let joined = async move { joining.join(left, right).await.map_err(carry) };
        let joined = stream::once(joined).try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), joined)))
    }
}

/// One partition of a join.
struct Joining {
    joins: Arc<Joins>,
    pair: Arc<HashPair>,
    partitions: usize,
    batch_rows: usize,
}

/// The rows of the left side that are in memory.
#[derive(Default)]
struct Held {
    batches: Vec<RecordBatch>,
    bytes: usize,
    rows: usize,
}

impl Joining {
    async fn join(
        self,
        mut left: Batches,
        right: Batches,
    ) -> Result<SendableRecordBatchStream, Failure> {
        let Joins { engine, tables, .. } = self.joins.as_ref();
        let most_bytes = engine.limit_bytes() / (TABLE_SHARE * self.partitions);
        let mut lease = engine.lease("HashJoinTable");
        let mut of_tables = Lease::new("HashJoinTable", tables, most_bytes);
        let mut held = Held::default();
        while let Some(batch) = left.next().await {
            held.push(batch?);
            let needed_bytes = held.table_bytes();
            let fits = needed_bytes <= of_tables.share_bytes()
                && of_tables.try_resize(needed_bytes)
                && lease.try_resize(needed_bytes);
            if !fits {
                drop(of_tables);
                let left = stream::iter(held.batches.into_iter().map(Ok)).chain(left).boxed();
                return self.on_disk([left, right], lease).await;
            }
        }
        self.in_memory(held, right, (lease, of_tables))
    }

    /// The left side fits.
    fn in_memory(
        &self,
        held: Held,
        right: Batches,
        leases: (Lease, Lease),
    ) -> Result<SendableRecordBatchStream, Failure> {
        let table_bytes = held.table_bytes() - held.bytes;
        let left = stream::iter(held.batches.into_iter().map(Ok)).boxed();
        let left = table_of(self.pair.schema_of(Side::Left), vec![left])?;
        let right = table_of(self.pair.schema_of(Side::Right), vec![right])?;
        let plan = self.pair.by_table(Side::Left, left, right)?;
        let context = self.joins.engine.leased_context(self.batch_rows);
        let joined = plan.execute(0, context).map_err(failure)?;
        let (mut lease, mut of_tables) = leases;
        let joined = joined.inspect(move |_| {
            // What the table was made of is gone.
            if lease.size() > table_bytes {
                lease.resize(table_bytes);
                of_tables.resize(table_bytes);
            }
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.pair.schema(), joined)))
    }

    async fn on_disk(
        self,
        inputs: [Batches; 2],
        mut lease: Lease,
    ) -> Result<SendableRecordBatchStream, Failure> {
        let Joins { engine, name, .. } = self.joins.as_ref();
        lease.resize(engine.limit_bytes() / (TIGHT_SHARE * self.partitions));
        let tight = Tight {
            engine: Arc::clone(engine),
            join: Arc::clone(&self.pair) as _,
            name: Arc::clone(name),
            batch_rows: self.batch_rows,
        };
        Arc::new(tight).join(inputs, 1, lease).await
    }
}

impl Held {
    fn push(&mut self, batch: RecordBatch) {
        self.bytes += batch_sliced_bytes(&batch);
        self.rows += batch.num_rows();
        self.batches.push(batch);
    }

    fn table_bytes(&self) -> usize {
        lookup_bytes(self.bytes, self.rows)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array, StringArray};
    use arrow::util::display::{ArrayFormatter, FormatOptions};
    use datafusion::physical_plan::{collect, displayable};
    use raceline_exec::{SpillFolder, SpillOptions, SpillStore};

    use super::*;
    use crate::fixture::{block_on, engine, engine_with};
    use crate::sql::settings::Settings;
    use crate::sql::{PlannedQuery, QueryTable, SqlStatement};

    const AMPLE_BYTES: usize = 256 << 20;

    /// 4 MiB, of which a table may take an eighth.
    const TIGHT_BYTES: usize = 4 << 20;

    /// `rows` rows of which every tenth has no key, and `hot` more have one key; each other key is in
    /// two rows.
    fn table(rows: i64, hot: i64) -> QueryTable {
        let key = |row: i64| (row % 10 != 0).then_some(row * 7919 % (rows / 2));
        let keys = (0..rows).map(key).chain((0..hot).map(|_| Some(-1)));
        let numbers = (0..rows + hot).map(|row| row * 31 % 1009);
        let texts = (0..rows + hot).map(|row| format!("{row:0>30}"));
        let columns: [(&str, ArrayRef); 3] = [
            ("k", Arc::new(keys.collect::<Int64Array>())),
            ("v", Arc::new(Int64Array::from_iter_values(numbers))),
            ("text", Arc::new(StringArray::from_iter_values(texts))),
        ];
        let all = columns.map(|(name, column)| (name, column, true));
        let all = RecordBatch::try_from_iter_with_nullable(all).unwrap();
        let batches = (0..all.num_rows()).step_by(1000);
        let batches = batches.map(|at| all.slice(at, 1000.min(all.num_rows() - at)));
        QueryTable::Batches { schema: all.schema(), batches: batches.collect() }
    }

    /// The rows of `text` as lines, sorted, and the plan; joins spill unless memory is `ample`.
    fn run(
        engine: &Arc<Engine>,
        text: &str,
        tables: &[(String, QueryTable)],
        ample: bool,
    ) -> Result<(Vec<String>, String), Failure> {
        block_on(async {
            let query = PlannedQuery::new(engine, &SqlStatement::parse(text)?, tables).await?;
            let settings = Settings::ample(engine, 100);
            let settings = if ample { settings } else { settings.tighter(engine).unwrap() };
            let engine = settings.engine(engine)?;
            let context = settings.context(&engine);
            let plan = context.state().create_physical_plan(query.plan()).await.map_err(failure)?;
            let plan =
                if ample { plan } else { with_spilling_joins(plan, &engine, &"Sql".into())? };
            let shown = displayable(plan.as_ref()).indent(false).to_string();
            let batches = collect(plan, context.task_ctx()).await.map_err(failure)?;
            let mut lines: Vec<String> = batches.iter().flat_map(lines).collect();
            lines.sort_unstable();
            Ok((lines, shown))
        })
    }

    fn lines(batch: &RecordBatch) -> Vec<String> {
        let options = FormatOptions::new().with_null("-");
        let cells: Vec<_> = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column, &options).unwrap())
            .collect();
        let line = |row| cells.iter().map(|c| c.value(row).to_string()).collect::<Vec<_>>();
        (0..batch.num_rows()).map(|row| line(row).join("|")).collect()
    }

    #[test]
    fn joins_of_all_kinds_give_on_disk_what_they_give_in_memory() {
        let tables = [("l".to_owned(), table(20_000, 3)), ("r".to_owned(), table(30_000, 2))];
        for text in [
            "select l.text, r.text, r.v from l join r on l.k = r.k",
            "select l.text, r.text from l left join r on l.k = r.k and l.v < r.v",
            "select l.v, r.text from l right join r on l.k = r.k and l.v < r.v",
            "select l.text, r.text from l full join r on l.k = r.k and l.v < r.v",
            "select l.text from l where exists (select 1 from r where l.k = r.k and l.v < r.v)",
            "select r.text from r where not exists (select 1 from l where l.k = r.k)",
            "select text from l where v > 900 or exists (select 1 from r where l.k = r.k)",
            "select l.text, r.v from l join r on l.k is not distinct from r.k where l.v = r.v",
            "select l.k, l.v, count(*), sum(s.v) from l join r on l.k = r.k join r s on r.v = s.v \
             and l.k = s.k group by l.k, l.v",
        ] {
            let (expected, _) = run(&engine(2, AMPLE_BYTES), text, &tables, true).unwrap();
            for partitions in [2, 3] {
                let tight = engine(partitions, TIGHT_BYTES);
                let (rows, plan) = run(&tight, text, &tables, false).unwrap();
                assert!(plan.contains("SpillingJoinExec"), "{text}\n{plan}");
                assert!(rows == expected, "{} of {} rows: {text}", rows.len(), expected.len());
                assert_eq!(tight.reserved_bytes(), 0, "{text}");
            }
        }
    }

    #[test]
    fn a_key_with_many_rows_on_both_sides_is_sorted_and_merged() {
        let tables = [("l".to_owned(), table(20_000, 900)), ("r".to_owned(), table(30_000, 1_100))];
        let text = "select count(*), sum(l.v), sum(r.v) from l join r on l.k = r.k";
        let (expected, _) = run(&engine(2, AMPLE_BYTES), text, &tables, true).unwrap();
        let tight = engine(2, TIGHT_BYTES / 4);
        let (rows, _) = run(&tight, text, &tables, false).unwrap();
        assert_eq!(rows, expected);
        assert_eq!(tight.reserved_bytes(), 0);
    }

    #[test]
    fn a_disk_that_takes_nothing_is_named() {
        let folder = SpillFolder { path: "/proc/none".into(), bytes_max: None };
        let spill = SpillStore::new(SpillOptions { folders: vec![folder] });
        let tables = [("l".to_owned(), table(20_000, 0)), ("r".to_owned(), table(30_000, 0))];
        let text = "select l.text, r.text from l join r on l.k = r.k";
        let failure = run(&engine_with(TIGHT_BYTES, 2, spill), text, &tables, false).err().unwrap();
        assert!(failure.render().contains("/proc/none"), "{}", failure.render());
    }
}
