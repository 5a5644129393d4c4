//! The parts of a query between which functions of users run.

use std::sync::Arc;

use datafusion::catalog::default_table_source::{provider_as_source, source_as_provider};
use datafusion::common::tree_node::Transformed;
use datafusion::error::DataFusionError;
use datafusion::execution::SessionState;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder, TableScan};
use raceline_types::Failure;

use super::cut::{CallTable, FunctionCall, cut};
use super::fault::planning_failure;
use super::planned::{PlannedQuery, is_port};
use super::port_table::PortTable;
use super::settings::Settings;
use crate::engine::Engine;

/// A query, or a part of one, that calls no functions of users: it reads tables of their results.
#[derive(Debug)]
pub struct QueryPart {
    /// The plan.
    pub query: Arc<PlannedQuery>,
    /// The ports of the whole query that it reads, by their positions, each as a table of its own.
    pub ports: Vec<(usize, Arc<PortTable>)>,
    /// The tables of results.
    pub results: Vec<FunctionResults>,
}

/// A table with the results of functions.
#[derive(Debug)]
pub struct FunctionResults {
    /// What makes the arguments, and the columns that go with them.
    pub arguments: QueryPart,
    /// The calls.
    pub calls: Vec<FunctionCall>,
    /// The table.
    pub table: Arc<PortTable>,
}

impl QueryPart {
    /// The last part of `query`, and with it those before. `ports` are the tables of the query that
    /// come through ports, all of known columns.
    ///
    /// # Errors
    /// [`super::SqlError::MisplacedCall`] of a call that cannot be made before the rest.
    pub fn last(
        engine: &Engine,
        query: &PlannedQuery,
        ports: &[Arc<PortTable>],
    ) -> Result<Self, Failure> {
        let state = Settings::ample(engine, 0).context(engine).state();
        let mut part = Self::of(&state, query.plan().clone(), ports).map_err(planning_failure)?;
        part.query = Arc::new(part.query.with_schema_of(query));
        Ok(part)
    }

    fn of(
        state: &SessionState,
        plan: LogicalPlan,
        ports: &[Arc<PortTable>],
    ) -> Result<Self, DataFusionError> {
        let (plan, tables) = cut(plan)?;
        let plan = state.optimize(&plan)?;
        let mut own = Vec::new();
        let plan = with_own_ports(plan, ports, &mut own)?;
        let query = PlannedQuery::of_plan(plan);
        let read = tables.into_iter().filter(|table| query.times_read(&table.table) > 0);
        let results = read.map(|table| FunctionResults::of(state, table, &query, ports));
        let results = results.collect::<Result<_, _>>()?;
        Ok(Self { query: Arc::new(query), ports: own, results })
    }
}

impl FunctionResults {
    /// `table`, of which `reader` reads some columns.
    fn of(
        state: &SessionState,
        table: CallTable,
        reader: &PlannedQuery,
        ports: &[Arc<PortTable>],
    ) -> Result<Self, DataFusionError> {
        let CallTable { input, columns, arguments, calls, table } = table;
        let own = columns.len();
        let mut read = reader.columns_read(&table);
        read.retain(|&at| at < own);
        let made = read.iter().map(|&at| columns[at].clone()).chain(arguments);
        let plan = LogicalPlanBuilder::from(input).project(made)?.build()?;
        table.expect_columns(read.into_iter().chain(own..own + calls.len()).collect());
        Ok(Self { arguments: QueryPart::of(state, plan, ports)?, calls, table })
    }
}

/// `plan` with tables of its own in place of those of `ports` that it reads, which are added to `own`:
/// other parts may read them too.
fn with_own_ports(
    plan: LogicalPlan,
    ports: &[Arc<PortTable>],
    own: &mut Vec<(usize, Arc<PortTable>)>,
) -> Result<LogicalPlan, DataFusionError> {
    let replaced = plan.transform_up_with_subqueries(|node| {
        let LogicalPlan::TableScan(scan) = node else { return Ok(Transformed::no(node)) };
        let provider = source_as_provider(&scan.source)?;
        let Some(at) = ports.iter().position(|port| is_port(&provider, port)) else {
            return Ok(Transformed::no(LogicalPlan::TableScan(scan)));
        };
        let known = own.iter().find(|(known, _)| *known == at);
        let table =
            known.map_or_else(|| Arc::new(ports[at].anew()), |(_, table)| Arc::clone(table));
        if known.is_none() {
            own.push((at, Arc::clone(&table)));
        }
        let source = provider_as_source(table as _);
        Ok(Transformed::yes(LogicalPlan::TableScan(TableScan { source, ..scan })))
    });
    Ok(replaced?.data)
}
