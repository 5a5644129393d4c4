//! Queries that call functions of users: parts of them, with the functions as stages between.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use raceline_plan::{Passed, Query, UdfColumns, UdfSpec};
use raceline_relational::{
    FunctionCall, FunctionResults, PlannedQuery, PortTable, QueryPart, QueryRegion, QuerySource,
};
use raceline_types::Failure;

use super::query::Port;
use super::{Flow, Lowering};

impl Lowering<'_> {
    /// `query`, which is `planned` over tables of which some are `ports`.
    pub(super) async fn query_in_parts(
        &mut self,
        query: &Query,
        planned: &PlannedQuery,
        ports: &[Port],
        limit: Option<u64>,
    ) -> Result<Flow, Failure> {
        let name = query.to_string();
        self.queries.push(format!("{name}\n{}", planned.text()));
        let tables: Vec<_> = ports.iter().map(|port| Arc::clone(&port.table)).collect();
        let last = QueryPart::last(self.session.engine(), planned, &tables)?;
        self.part(name.into(), &last, ports, limit).await
    }

    fn part<'a>(
        &'a mut self,
        name: Arc<str>,
        wanted: &'a QueryPart,
        ports: &'a [Port],
        limit: Option<u64>,
    ) -> BoxFuture<'a, Result<Flow, Failure>> {
        async move {
            let mut nodes = Vec::with_capacity(wanted.ports.len() + wanted.results.len());
            let mut tables: Vec<Arc<PortTable>> = Vec::with_capacity(nodes.capacity());
            for (at, table) in &wanted.ports {
                let Port { table: _, schema, input } = &ports[*at];
                let (table, schema, input) = (Arc::clone(table), schema.clone(), Arc::clone(input));
                let port = Port { table, schema, input };
                let input = match &port.schema {
                    Some(schema) => {
                        self.narrowed(&port, wanted.query.columns_read(&port.table), schema)
                    }
                    None => Arc::clone(&port.input),
                };
                let flow = self.node(&input).await?;
                nodes.push(self.seal(flow.open));
                tables.push(port.table);
            }
            for results in &wanted.results {
                let flow = self.results(results, ports).await?;
                nodes.push(self.seal(flow.open));
                tables.push(Arc::clone(&results.table));
            }
            let engine = Arc::clone(self.session.engine());
            let source = QuerySource::Planned(Arc::clone(&wanted.query));
            let schema = Some(Arc::clone(wanted.query.schema()));
            let region = QueryRegion::new(engine, name, source, limit, tables);
            Ok(self.seal_region(nodes, Arc::new(region), schema))
        }
        .boxed()
    }

    /// The table of `results`: arguments, and behind them a stage for each function.
    async fn results(
        &mut self,
        results: &FunctionResults,
        ports: &[Port],
    ) -> Result<Flow, Failure> {
        let mut functions: Vec<Vec<&FunctionCall>> = Vec::new();
        for call in &results.calls {
            let same = |calls: &&mut Vec<&FunctionCall>| {
                calls.first().is_some_and(|first| first.function.key == call.function.key)
            };
            match functions.iter_mut().find(same) {
                Some(calls) => calls.push(call),
                None => functions.push(vec![call]),
            }
        }
        let names = functions.iter().filter_map(|calls| calls.first());
        let names: Vec<_> = names.map(|call| call.function.name.as_str()).collect();
        let name = format!("SqlArguments({})", names.join(", "));
        let mut flow = self.part(name.into(), &results.arguments, ports, None).await?;
        for calls in &functions {
            let udf = stage_of(calls);
            flow = self.checked_udf(flow, &udf, None).await?;
        }
        Ok(flow)
    }
}

/// The stage that makes `calls`, which are all of one function.
fn stage_of(calls: &[&FunctionCall]) -> Arc<UdfSpec> {
    let results: BTreeSet<String> = calls.iter().map(|call| call.result.clone()).collect();
    let arguments = calls.iter().flat_map(|call| &call.arguments).cloned();
    let mut udf = UdfSpec::clone(&calls[0].function.udf);
    udf.columns = UdfColumns {
        reads: Some(arguments.chain(results.iter().cloned()).collect()),
        only_written: results,
        declared: false,
        passes: Passed::Others,
    };
    Arc::new(udf)
}
