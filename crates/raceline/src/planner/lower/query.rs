//! Queries: tables that the plan scans itself, and tables that come through ports.

use std::sync::Arc;

use arrow::datatypes::{DataType, Schema, SchemaRef};
use futures::FutureExt;
use futures::future::BoxFuture;
use raceline_plan::{Node, Projection, Query, Source};
use raceline_relational::{
    PlannedQuery, PortTable, QueryRegion, QuerySource, QueryTable, SqlError, SqlStatement,
};
use raceline_types::Failure;

use super::{Flow, Lowering};
use crate::planner::files::file_table;
use crate::planner::{optimize, schema};

/// A table that comes through a port, and what it is computed from.
pub(super) struct Port {
    pub(super) table: Arc<PortTable>,
    /// Its columns, when known.
    pub(super) schema: Option<SchemaRef>,
    pub(super) input: Arc<Node>,
}

/// What a query is about.
struct Tables {
    named: Vec<(String, QueryTable)>,
    ports: Vec<Port>,
}

impl Tables {
    /// Whether the columns of all of them are known, so that the query can be planned.
    fn are_known(&self) -> bool {
        self.ports.iter().all(|port| port.table.is_known())
    }
}

impl Lowering<'_> {
    /// A query over `inputs`, of which the first `limit` rows are wanted.
    pub(super) async fn query(
        &mut self,
        inputs: &[Arc<Node>],
        query: &Query,
        limit: Option<u64>,
    ) -> Result<Flow, Failure> {
        let tables = self.tables(inputs, query).await?;
        let statement = SqlStatement::parse(&query.text)?.with_functions(&query.functions);
        let is_known = tables.are_known();
        let Tables { named, ports } = tables;
        let source = if is_known {
            let planned = PlannedQuery::new(self.session.engine(), &statement, &named).await?;
            if planned.has_calls() {
                return self.query_in_parts(query, &planned, &ports, limit).await;
            }
            QuerySource::Planned(Arc::new(planned))
        } else {
            QuerySource::Text { statement, tables: named }
        };
        let mut nodes = Vec::with_capacity(ports.len());
        for port in &ports {
            let input = match (&source, &port.schema) {
                (QuerySource::Planned(planned), Some(schema)) => {
                    self.narrowed(port, planned.columns_read(&port.table), schema)
                }
                _ => Arc::clone(&port.input),
            };
            let flow = self.node(&input).await?;
            nodes.push(self.seal(flow.open));
        }
        let (text, schema) = match &source {
            QuerySource::Planned(planned) => (planned.text(), Some(Arc::clone(planned.schema()))),
            QuerySource::Text { .. } => {
                ("planned when the first rows tell the columns of its inputs".to_owned(), None)
            }
        };
        let name = query.to_string();
        self.queries.push(format!("{name}\n{text}"));
        let tables = ports.into_iter().map(|port| port.table).collect();
        let engine = Arc::clone(self.session.engine());
        let region = QueryRegion::new(engine, name.into(), source, limit, tables);
        Ok(self.seal_region(nodes, Arc::new(region), schema))
    }

    fn tables<'a>(
        &'a self,
        inputs: &'a [Arc<Node>],
        query: &'a Query,
    ) -> BoxFuture<'a, Result<Tables, Failure>> {
        async move {
            let mut tables = Tables { named: Vec::with_capacity(inputs.len()), ports: Vec::new() };
            for (table, input) in query.tables.iter().zip(inputs) {
                let known = table.columns.as_ref();
                let found = self.table(input, known, &mut tables.ports).await?;
                if let QueryTable::Port(port) = &found
                    && !query.functions.is_empty()
                    && !port.is_known()
                {
                    return Err(SqlError::UnknownColumns { table: table.name.clone() }.into());
                }
                tables.named.push((table.name.clone(), found));
            }
            Ok(tables)
        }
        .boxed()
    }

    /// What the rows of `input`, which have the columns `known` where the plan does not tell any,
    /// are to a query.
    async fn table(
        &self,
        input: &Arc<Node>,
        known: Option<&SchemaRef>,
        ports: &mut Vec<Port>,
    ) -> Result<QueryTable, Failure> {
        match input.as_ref() {
            Node::Source(Source::Memory { schema, batches, .. }) => {
                let (schema, batches) = (Arc::clone(schema), Arc::clone(batches));
                return Ok(QueryTable::Batches { schema, batches });
            }
            // What a run may lose is counted where our own readers read.
            Node::Source(Source::Files(scan)) if self.tolerance.is_nothing() => {
                if let Some(table) = file_table(self.session, scan).await? {
                    return Ok(QueryTable::Files(Arc::new(table)));
                }
            }
            // One that calls functions is not one plan.
            Node::Relational { inputs, query } if query.functions.is_empty() => {
                let tables = self.tables(inputs, query).await?;
                if tables.are_known() {
                    let statement = SqlStatement::parse(&query.text)?;
                    let engine = self.session.engine();
                    let planned = PlannedQuery::new(engine, &statement, &tables.named).await?;
                    ports.extend(tables.ports);
                    return Ok(QueryTable::Query(Arc::new(planned)));
                }
            }
            _ => {}
        }
        let schema = schema(self.session, input).await?.or_else(|| known.cloned());
        let table = Arc::new(PortTable::new(schema.clone()));
        ports.push(Port { table: Arc::clone(&table), schema, input: Arc::clone(input) });
        Ok(QueryTable::Port(table))
    }

    /// The input of `port` with only the columns at `read`, so that others are not computed.
    pub(super) fn narrowed(&self, port: &Port, mut read: Vec<usize>, schema: &Schema) -> Arc<Node> {
        if read.is_empty() {
            // The rows must be counted; a column of any kind tells how many there are.
            read.extend(narrowest(schema));
        }
        if read.len() == schema.fields().len() {
            return Arc::clone(&port.input);
        }
        let names = read.iter().map(|&at| schema.field(at).name().clone()).collect();
        port.table.expect_columns(read);
        let input = Arc::clone(&port.input);
        let narrowed = Node::Project { input, projection: Projection::Select(names) };
        optimize(&Arc::new(narrowed), !self.tolerance.is_nothing())
    }
}

/// A column whose values are small.
fn narrowest(schema: &Schema) -> Option<usize> {
    let width = |data_type: &DataType| data_type.primitive_width().unwrap_or(usize::MAX);
    (0..schema.fields().len()).min_by_key(|&at| width(schema.field(at).data_type()))
}
