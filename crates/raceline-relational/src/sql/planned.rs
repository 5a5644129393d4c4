//! A query over tables whose columns are known, as a plan of `DataFusion`.

use std::any::Any;
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::catalog::default_table_source::source_as_provider;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Column, TableReference};
use datafusion::datasource::{MemTable, ViewTable};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, TableScan};
use raceline_types::Failure;

use super::cut::call_below;
use super::fault::planning_failure;
use super::files::FileTable;
use super::function::scalar_function;
use super::key_function::key_function;
use super::names::{name_by_text, spell_as_columns};
use super::port_table::PortTable;
use super::settings::Settings;
use super::statement::{SqlStatement, plannable};
use crate::engine::Engine;
use crate::error::check_comparable;

/// What a name in a query stands for.
#[derive(Clone, Debug)]
pub enum QueryTable {
    /// Parquet files.
    Files(Arc<FileTable>),
    /// Batches in memory, all of one schema.
    Batches {
        /// Their schema.
        schema: SchemaRef,
        /// The batches.
        batches: Arc<[RecordBatch]>,
    },
    /// The result of another query.
    Query(Arc<PlannedQuery>),
    /// An input port of the region.
    Port(Arc<PortTable>),
}

impl QueryTable {
    fn provider(&self, partitions: usize) -> Result<Arc<dyn TableProvider>, DataFusionError> {
        Ok(match self {
            Self::Files(files) => Arc::clone(files) as _,
            Self::Batches { schema, batches } => {
                let mut shares: Vec<Vec<RecordBatch>> = vec![Vec::new(); partitions];
                for (at, batch) in batches.iter().enumerate() {
                    shares[at % partitions].push(batch.clone());
                }
                Arc::new(MemTable::try_new(Arc::clone(schema), shares)?)
            }
            Self::Query(query) => Arc::new(ViewTable::new(query.plan.clone(), None)),
            Self::Port(port) => Arc::clone(port) as _,
        })
    }
}

/// A query whose plan is made.
pub struct PlannedQuery {
    plan: LogicalPlan,
    schema: SchemaRef,
}

impl PlannedQuery {
    /// Plans `statement` over `tables`, which are named as [`SqlStatement::tables`] names them.
    /// Columns of one name are told apart by numbers, `id` and `id_1`; a computed column without a
    /// name has its text for one.
    ///
    /// # Errors
    /// [`super::SqlError`], and [`crate::RelationalError`] for unknown columns and for columns
    /// that hold Python objects.
    pub async fn new(
        engine: &Engine,
        statement: &SqlStatement,
        tables: &[(String, QueryTable)],
    ) -> Result<Self, Failure> {
        let context = Settings::ample(engine, 0).context(engine);
        let mut columns = HashSet::new();
        for (name, table) in tables {
            let provider = table.provider(engine.partitions()).map_err(planning_failure)?;
            columns.extend(provider.schema().fields().iter().map(|field| field.name().clone()));
            context
                .register_table(TableReference::bare(name.as_str()), provider)
                .map_err(planning_failure)?;
        }
        let mut query = statement.query();
        name_by_text(&mut query);
        spell_as_columns(&mut query, columns.iter().map(String::as_str));
        context.register_udf(key_function());
        for function in statement.functions() {
            context.register_udf(scalar_function(function));
        }
        let state = context.state();
        let plan = state.statement_to_plan(plannable(query)).await.map_err(planning_failure)?;
        let plan = with_distinct_names(plan).map_err(planning_failure)?;
        let plan = state.optimize(&plan).map_err(planning_failure)?;
        let planned = Self::of_plan(plan);
        planned.check_objects()?;
        Ok(planned)
    }

    /// A query that is planned already.
    pub(super) fn of_plan(plan: LogicalPlan) -> Self {
        let fields: Vec<FieldRef> = plan.schema().fields().iter().map(plain_field).collect();
        Self { plan, schema: Arc::new(Schema::new(fields)) }
    }

    /// The same plan, whose result has the columns of `other`, to which they can be cast.
    pub(super) fn with_schema_of(&self, other: &Self) -> Self {
        Self { plan: self.plan.clone(), schema: Arc::clone(&other.schema) }
    }

    /// Whether it calls functions of users.
    #[must_use]
    pub fn has_calls(&self) -> bool {
        call_below(&self.plan).is_some()
    }

    /// The first `rows` rows of the result.
    ///
    /// # Errors
    /// None that a user's text leads to.
    pub fn limited(&self, rows: u64) -> Result<Self, Failure> {
        let rows = usize::try_from(rows).unwrap_or(usize::MAX);
        let plan = LogicalPlanBuilder::from(self.plan.clone())
            .limit(0, Some(rows))
            .and_then(LogicalPlanBuilder::build)
            .map_err(planning_failure)?;
        Ok(Self { plan, schema: Arc::clone(&self.schema) })
    }

    /// Columns of the result: strings and bytes are no views, every field is nullable.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The plan, one node a line, inputs indented below.
    #[must_use]
    pub fn text(&self) -> String {
        self.plan.display_indent().to_string()
    }

    /// Positions of the columns of `port` that the plan reads, ascending.
    #[must_use]
    pub fn columns_read(&self, port: &PortTable) -> Vec<usize> {
        let mut read = Vec::new();
        self.for_each_scan(|scan, provider| {
            if is_port(provider, port) {
                match &scan.projection {
                    Some(positions) => read.extend(positions),
                    None => read.extend(0..provider.schema().fields().len()),
                }
            }
        });
        read.sort_unstable();
        read.dedup();
        read
    }

    /// How many times the plan reads `port`.
    pub(super) fn times_read(&self, port: &PortTable) -> usize {
        let mut times = 0;
        self.for_each_scan(|_, provider| times += usize::from(is_port(provider, port)));
        times
    }

    /// Whether it holds a side of a join, so that it may have to begin anew.
    pub(super) fn has_join(&self) -> bool {
        let mut found = false;
        self.for_each_node(|node| found |= matches!(node, LogicalPlan::Join(_)));
        found
    }

    /// The plan.
    pub(super) fn plan(&self) -> &LogicalPlan {
        &self.plan
    }

    /// Most bytes of a row of the files that are read.
    pub(super) fn file_row_bytes(&self) -> Result<usize, Failure> {
        let mut most = Ok(0);
        self.for_each_scan(|scan, provider| {
            let provider: &dyn Any = provider.as_ref();
            if let (Some(files), Ok(so_far)) = (provider.downcast_ref::<FileTable>(), &most) {
                let bytes = files.row_bytes(scan.projection.as_deref());
                most = bytes.map(|bytes| bytes.max(*so_far));
            }
        });
        most
    }

    /// Refuses to look at columns whose values are pickled objects.
    fn check_objects(&self) -> Result<(), Failure> {
        let mut checked = Ok(());
        self.for_each_scan(|scan, provider| {
            let schema = provider.schema();
            let all: Vec<usize> = (0..schema.fields().len()).collect();
            for &at in scan.projection.as_ref().unwrap_or(&all) {
                if checked.is_ok() {
                    checked = check_comparable(schema.field(at), "query");
                }
            }
        });
        Ok(checked?)
    }

    fn for_each_scan(&self, mut see: impl FnMut(&TableScan, &Arc<dyn TableProvider>)) {
        self.for_each_node(|node| {
            if let LogicalPlan::TableScan(scan) = node
                && let Ok(provider) = source_as_provider(&scan.source)
            {
                see(scan, &provider);
            }
        });
    }

    fn for_each_node(&self, mut see: impl FnMut(&LogicalPlan)) {
        let visited = self.plan.apply_with_subqueries(|node| {
            see(node);
            Ok(TreeNodeRecursion::Continue)
        });
        debug_assert!(visited.is_ok(), "looking at a plan does not fail");
    }
}

impl fmt::Debug for PlannedQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { plan, schema } = self;
        f.debug_struct("PlannedQuery")
            .field("plan", &plan.display_indent().to_string())
            .field("schema", schema)
            .finish()
    }
}

pub(super) fn is_port(provider: &Arc<dyn TableProvider>, port: &PortTable) -> bool {
    let provider: &dyn Any = provider.as_ref();
    provider.downcast_ref::<PortTable>().is_some_and(|found| std::ptr::eq(found, port))
}

/// `plan` with numbers behind the names of columns that come again.
fn with_distinct_names(plan: LogicalPlan) -> Result<LogicalPlan, DataFusionError> {
    let schema = Arc::clone(plan.schema());
    let taken: HashSet<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    if taken.len() == schema.fields().len() {
        return Ok(plan);
    }
    let mut given: HashSet<String> = HashSet::new();
    let mut columns: Vec<Expr> = Vec::with_capacity(schema.fields().len());
    for (qualifier, field) in schema.iter() {
        let column = Expr::Column(Column::from((qualifier, field)));
        if given.insert(field.name().clone()) {
            columns.push(column);
            continue;
        }
        let mut numbered = (1..).map(|number: u32| format!("{}_{number}", field.name()));
        let name = numbered.find(|name| !taken.contains(name.as_str()) && !given.contains(name));
        let Some(name) = name else { continue };
        given.insert(name.clone());
        columns.push(column.alias(name));
    }
    LogicalPlanBuilder::from(plan).project(columns)?.build()
}

/// `field`, nullable and without views, as the rest of the engine has it.
fn plain_field(field: &FieldRef) -> FieldRef {
    let data_type = plain_type(field.data_type());
    Arc::new(Field::clone(field).with_data_type(data_type).with_nullable(true))
}

/// `data_type` with plain strings and bytes in place of views, however deep.
pub(super) fn plain_type(data_type: &DataType) -> DataType {
    let inner = |field: &FieldRef| {
        Arc::new(Field::clone(field).with_data_type(plain_type(field.data_type())))
    };
    match data_type {
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        DataType::List(item) | DataType::ListView(item) => DataType::List(inner(item)),
        DataType::LargeList(item) | DataType::LargeListView(item) => {
            DataType::LargeList(inner(item))
        }
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(inner(item), *size),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(inner).collect::<Fields>()),
        DataType::Map(entries, sorted) => DataType::Map(inner(entries), *sorted),
        other => other.clone(),
    }
}
