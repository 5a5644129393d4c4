//! The region that runs a query.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::cast;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::physical_plan::execute_stream;
use futures::StreamExt;
use futures::future::try_join_all;
use raceline_exec::{Emit, PortStream, Region};
use raceline_types::{Batch, Failure, InternalError};

use super::planned::{PlannedQuery, QueryTable};
use super::port_table::PortTable;
use super::settings::{Joins, Settings};
use super::spilling_join::with_spilling_joins;
use super::statement::SqlStatement;
use crate::engine::Engine;
use crate::error::{RelationalError, failure};

/// Share of the engine's memory in which inputs are kept that are read more than once.
const KEPT_SHARE: usize = 8;

/// A query, planned or to be planned.
#[derive(Clone, Debug)]
pub enum QuerySource {
    /// Planned, since the columns of all tables are known.
    Planned(Arc<PlannedQuery>),
    /// To be planned when the first batches of its ports tell their columns.
    Text {
        /// The query.
        statement: SqlStatement,
        /// Its tables.
        tables: Vec<(String, QueryTable)>,
    },
}

/// Runs a query.
///
/// Order is that of the query's `order by`, and any without one. The output has no origin. Memory
/// is the engine's: sorts and aggregates spill; when the sides of joins do not fit, the query
/// begins anew with joins that spill, as long as no row is out: with tables of parts first, and
/// where these do not fit with sorted sides.
#[derive(Debug)]
pub struct QueryRegion {
    engine: Arc<Engine>,
    name: Arc<str>,
    source: QuerySource,
    limit: Option<u64>,
    ports: Vec<Arc<PortTable>>,
}

/// How an attempt ended that did not succeed.
struct Stopped {
    failure: Failure,
    /// Whether rows were put out.
    has_output: bool,
}

impl QueryRegion {
    /// A query that is shown as `name`; with `limit` only its first rows. `ports` are the tables of
    /// the region's inputs, in their order.
    #[must_use]
    pub fn new(
        engine: Arc<Engine>,
        name: Arc<str>,
        source: QuerySource,
        limit: Option<u64>,
        ports: Vec<Arc<PortTable>>,
    ) -> Self {
        Self { engine, name, source, limit, ports }
    }

    /// The plan. `None` when an input ended without telling its columns and the query names some:
    /// then there are no rows.
    async fn query(
        &self,
        engine: &Engine,
        is_nothing_known: bool,
    ) -> Result<Option<Arc<PlannedQuery>>, Failure> {
        let query = match &self.source {
            QuerySource::Planned(query) => Arc::clone(query),
            QuerySource::Text { statement, tables } => {
                match PlannedQuery::new(engine, statement, tables).await {
                    Ok(query) => Arc::new(query),
                    Err(failure) if is_nothing_known && is_missing_column(&failure) => {
                        return Ok(None);
                    }
                    Err(failure) => return Err(failure),
                }
            }
        };
        match self.limit {
            Some(rows) => Ok(Some(Arc::new(query.limited(rows)?))),
            None => Ok(Some(query)),
        }
    }

    /// Makes the ports ready for `query`; whether it may begin anew.
    async fn settle_ports(&self, engine: &Engine, query: &PlannedQuery) -> Result<bool, Failure> {
        let bytes_max = engine.limit_bytes() / KEPT_SHARE / self.ports.len().max(1);
        let has_join = query.has_join();
        let mut is_repeatable = true;
        let mut kept = Vec::new();
        for port in &self.ports {
            match query.times_read(port) {
                0 => port.close(),
                1 if !has_join => is_repeatable = false,
                _ => kept.push(port.keep(engine, bytes_max)),
            }
        }
        try_join_all(kept).await?;
        Ok(is_repeatable)
    }

    async fn attempt(
        &self,
        engine: &Engine,
        query: &PlannedQuery,
        settings: Settings,
        out: &mut dyn Emit,
    ) -> Result<(), Stopped> {
        let before = |failure| Stopped { failure, has_output: false };
        let engine = settings.engine(engine).map_err(before)?;
        let context = settings.context(&engine);
        let plan = context.state().create_physical_plan(query.plan()).await;
        let mut plan = plan.map_err(|error| before(failure(error)))?;
        if settings.joins() == Joins::Partitioned {
            plan = with_spilling_joins(plan, &engine, &self.name).map_err(before)?;
        }
        let rows = execute_stream(plan, context.task_ctx());
        let mut rows = rows.map_err(|error| before(failure(error)))?;
        let mut has_output = false;
        while let Some(batch) = rows.next().await {
            let batch = batch.map_err(failure).and_then(|batch| finished(&batch, query.schema()));
            let batch = batch.map_err(|failure| Stopped { failure, has_output })?;
            has_output |= batch.num_rows() > 0;
            let emitted = out.emit(Batch::without_origin(batch)).await;
            emitted.map_err(|failure| Stopped { failure, has_output })?;
        }
        Ok(())
    }
}

#[async_trait]
impl Region for QueryRegion {
    fn name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    async fn run(&self, ports: Vec<PortStream>, out: &mut dyn Emit) -> Result<(), Failure> {
        let engine = &*self.engine.for_stage(&out.accounts())?;
        let unknown: Vec<_> = self.ports.iter().filter(|port| !port.is_known()).cloned().collect();
        let opened = self.ports.iter().zip(ports);
        let row_bytes = try_join_all(opened.map(|(table, port)| table.open(port, engine))).await?;
        let is_nothing_known = unknown.iter().any(|port| port.has_no_columns());
        let Some(query) = self.query(engine, is_nothing_known).await? else { return Ok(()) };
        let row_bytes = row_bytes.into_iter().max().unwrap_or(0).max(query.file_row_bytes()?);
        let is_repeatable = self.settle_ports(engine, &query).await?;
        // The schema goes on even when no row does.
        let empty = RecordBatch::new_empty(Arc::clone(query.schema()));
        out.emit(Batch::without_origin(empty)).await?;
        let mut settings = Settings::ample(engine, row_bytes);
        loop {
            let Err(stopped) = Box::pin(self.attempt(engine, &query, settings, out)).await else {
                return Ok(());
            };
            let Stopped { failure, has_output } = stopped;
            match settings.tighter(engine) {
                Some(tighter) if is_repeatable && !has_output && is_out_of_memory(&failure) => {
                    settings = tighter;
                }
                _ => return Err(failure),
            }
        }
    }
}

fn is_out_of_memory(failure: &Failure) -> bool {
    matches!(
        failure.downcast_ref(),
        Some(RelationalError::OutOfMemory { .. } | RelationalError::JoinTooLarge)
    )
}

fn is_missing_column(failure: &Failure) -> bool {
    matches!(failure.downcast_ref(), Some(RelationalError::ColumnNotFound { .. }))
}

/// `batch` with the columns of `schema`, which are those of the plan without views.
fn finished(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, Failure> {
    let internal = |error| InternalError::caused_by("a query gave other columns", error);
    let columns = batch.columns().iter().zip(schema.fields()).map(|(column, field)| {
        if column.data_type() == field.data_type() {
            Ok(Arc::clone(column))
        } else {
            cast(column, field.data_type())
        }
    });
    let columns: Vec<ArrayRef> = columns.collect::<Result<_, _>>().map_err(internal)?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
        .map_err(|error| internal(error).into())
}
