//! Nodes that see whole inputs, each as a region of the graph.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use raceline_connect::FileSink;
use raceline_exec::{NodeId, Region};
use raceline_plan::{
    Aggregate, Cut, FileShuffle, JoinSpec, KeyedExchange, MixSpec, Node, RowValues, ShuffleScope,
    SortKey, WriteSpec,
};
use raceline_relational::{AggregateRegion, ExchangeRegion, JoinRegion, SortRegion};
use raceline_types::{Failure, unite_schemas};

use super::{Flow, Lowering, Open};
use crate::region::{
    MixRegion, PartsRegion, RowColumnRegion, RowsRegion, ShuffleRegion, UnionRegion, Unit,
    WindowShuffleRegion, ZipRegion, zipped_schema,
};
use crate::unite::UniteOperator;

impl Lowering<'_> {
    pub(super) async fn sort(
        &mut self,
        input: &Arc<Node>,
        keys: &[SortKey],
        limit: Option<u64>,
    ) -> Result<Flow, Failure> {
        let region = SortRegion::new(Arc::clone(self.session.engine()), keys.to_vec(), limit);
        let flow = self.region(input, Arc::new(region)).await?;
        if let Some(schema) = &flow.schema {
            SortRegion::check_keys(keys, schema)?;
        }
        Ok(flow)
    }

    pub(super) async fn aggregate(
        &mut self,
        input: &Arc<Node>,
        keys: &[String],
        aggregates: &[Aggregate],
    ) -> Result<Flow, Failure> {
        let region = AggregateRegion::new(
            Arc::clone(self.session.engine()),
            keys.to_vec(),
            aggregates.to_vec(),
        );
        let mut flow = self.region(input, Arc::new(region)).await?;
        flow.schema = match &flow.schema {
            Some(input) => Some(AggregateRegion::output_schema(input, keys, aggregates)?),
            None => None,
        };
        Ok(flow)
    }

    /// The seed of a shuffle in this run.
    pub(super) fn seed_of_run(&self, seed: u64, reseeds: bool) -> u64 {
        let shuffle = FileShuffle { seed: Some(seed), reseeds };
        shuffle.seed_of(self.order.execution).unwrap_or(seed)
    }

    pub(super) async fn exchange(
        &mut self,
        input: &Arc<Node>,
        spec: &Arc<KeyedExchange>,
    ) -> Result<Flow, Failure> {
        let region = ExchangeRegion::new(Arc::clone(self.session.engine()), Arc::clone(spec));
        let mut flow = self.region(input, Arc::new(region)).await?;
        flow.schema = match &flow.schema {
            Some(input) => Some(ExchangeRegion::output_schema(input, spec)?),
            None => None,
        };
        Ok(flow)
    }

    pub(super) async fn shuffle(
        &mut self,
        input: &Arc<Node>,
        (seed, reseeds): (u64, bool),
        scope: ShuffleScope,
    ) -> Result<Flow, Failure> {
        let seed = self.seed_of_run(seed, reseeds);
        let limit_bytes = self.session.shuffle_bytes_max();
        let of_all = |unit| {
            let store = Arc::clone(self.session.spill());
            Arc::new(ShuffleRegion::new(unit, seed, store, limit_bytes))
        };
        let region: Arc<dyn Region> = match scope {
            ShuffleScope::Rows => of_all(Unit::Rows),
            ShuffleScope::Batches => of_all(Unit::Batches),
            ShuffleScope::Window { rows } => {
                Arc::new(WindowShuffleRegion::new(rows, seed, limit_bytes))
            }
        };
        self.region(input, region).await
    }

    pub(super) async fn row_column(
        &mut self,
        input: &Arc<Node>,
        name: &str,
        values: RowValues,
    ) -> Result<Flow, Failure> {
        // Two columns of one run that name no seed are not the same.
        let number = self.row_columns;
        self.row_columns += 1;
        let new_seed = self.order.new_seed.wrapping_add(number);
        let seed = values.seed_of(self.order.execution).unwrap_or(new_seed);
        let region = Arc::new(RowColumnRegion::new(name, values, seed));
        let mut flow = self.region(input, region).await?;
        flow.schema =
            flow.schema.map(|schema| RowColumnRegion::output_schema(&schema, name, values));
        Ok(flow)
    }

    pub(super) async fn join(
        &mut self,
        left: &Arc<Node>,
        right: &Arc<Node>,
        spec: &Arc<JoinSpec>,
    ) -> Result<Flow, Failure> {
        let (left, right) = (self.node(left).await?, self.node(right).await?);
        let schema = match (&left.schema, &right.schema) {
            (Some(left), Some(right)) => Some(JoinRegion::output_schema(left, right, spec)?),
            _ => None,
        };
        let inputs = vec![self.seal(left.open), self.seal(right.open)];
        let region = JoinRegion::new(Arc::clone(self.session.engine()), Arc::clone(spec));
        Ok(self.seal_region(inputs, Arc::new(region), schema))
    }

    pub(super) async fn write(
        &mut self,
        input: &Arc<Node>,
        spec: &Arc<WriteSpec>,
    ) -> Result<Flow, Failure> {
        let stores = Arc::clone(self.session.stores());
        let sink = FileSink::new(stores, Arc::clone(spec))?;
        let sink = sink.within(self.session.gathered_bytes_max());
        let mut flow = self.region(input, Arc::new(sink)).await?;
        flow.schema = None;
        Ok(flow)
    }

    /// One input after the other, brought to one schema where all of theirs are known. Where they
    /// are not, or have no schema in common, each row has the columns of its own input.
    pub(super) async fn union(&mut self, inputs: &[Arc<Node>]) -> Result<Flow, Failure> {
        let (nodes, schema) = self.united(inputs).await?;
        Ok(self.seal_region(nodes, Arc::new(UnionRegion), schema))
    }

    /// Inputs interleaved, brought to one schema as those of a union are.
    pub(super) async fn mix(
        &mut self,
        inputs: &[Arc<Node>],
        spec: &Arc<MixSpec>,
    ) -> Result<Flow, Failure> {
        let (nodes, schema) = self.united(inputs).await?;
        let region = Arc::new(MixRegion::new(Arc::clone(spec)));
        Ok(self.seal_region(nodes, region, schema))
    }

    /// Inputs, brought to one schema where they have one in common.
    async fn united(
        &mut self,
        inputs: &[Arc<Node>],
    ) -> Result<(Vec<NodeId>, Option<SchemaRef>), Failure> {
        let mut flows = Vec::with_capacity(inputs.len());
        for input in inputs {
            flows.push(self.node(input).await?);
        }
        let schemas: Option<Vec<SchemaRef>> =
            flows.iter().map(|flow| flow.schema.clone()).collect();
        let schema = schemas.and_then(|schemas| unite_schemas(&schemas).ok());
        let mut nodes = Vec::with_capacity(flows.len());
        for mut flow in flows {
            if let Some(schema) = &schema
                && flow.schema.as_ref() != Some(schema)
            {
                let operator = Arc::new(UniteOperator::new(Arc::clone(schema)));
                flow = self.inline(flow, operator, None);
            }
            nodes.push(self.seal(flow.open));
        }
        Ok((nodes, schema))
    }

    /// Inputs side by side; their columns are known where those of all of them are.
    pub(super) async fn zip(&mut self, inputs: &[Arc<Node>]) -> Result<Flow, Failure> {
        let mut nodes = Vec::with_capacity(inputs.len());
        let mut schemas = Vec::with_capacity(inputs.len());
        for input in inputs {
            let Flow { open, schema } = self.node(input).await?;
            nodes.push(self.seal(open));
            schemas.push(schema);
        }
        let schemas: Option<Vec<SchemaRef>> = schemas.into_iter().collect();
        let schema = schemas.map(|schemas| zipped_schema(&schemas));
        Ok(self.seal_region(nodes, Arc::new(ZipRegion), schema))
    }

    pub(super) async fn repartition(
        &mut self,
        input: &Arc<Node>,
        cut: Cut,
    ) -> Result<Flow, Failure> {
        let region: Arc<dyn Region> = match cut {
            Cut::Parts(parts) => {
                let memory_bytes = self.session.gathered_bytes_max();
                let spill = Arc::clone(self.session.spill());
                Arc::new(PartsRegion::new(parts, memory_bytes, spill))
            }
            Cut::Rows(rows) => Arc::new(RowsRegion::new(rows, true)),
            Cut::RowsAtMost(rows) => Arc::new(RowsRegion::new(rows, false)),
        };
        self.region(input, region).await
    }

    /// A region over `input`, with its schema.
    pub(super) async fn region(
        &mut self,
        input: &Arc<Node>,
        region: Arc<dyn Region>,
    ) -> Result<Flow, Failure> {
        let Flow { open, schema } = self.node(input).await?;
        let node = self.seal(open);
        Ok(self.seal_region(vec![node], region, schema))
    }

    pub(super) fn seal_region(
        &mut self,
        inputs: Vec<NodeId>,
        region: Arc<dyn Region>,
        schema: Option<SchemaRef>,
    ) -> Flow {
        self.stages.push(region.name().to_string());
        Flow { open: Open::Sealed(self.graph.region(inputs, region)), schema }
    }
}
