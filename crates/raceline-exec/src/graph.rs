//! A graph of sources, operators and regions under construction.

use std::fmt::Write as _;
use std::sync::Arc;

use raceline_types::{Failure, InternalError, NANOS_PER_UNIT, Resources};

use crate::operator::{BatchShape, Operator, PoolShape};
use crate::pools::share_workers;
use crate::region::Region;
use crate::scheduler::{Ask, StageKind, StagePlan};
use crate::source::Source;

/// Most pieces of work of one stage at once where no resource bounds them.
const CONCURRENCY_MAX: usize = 256;

/// A node of a [`Graph`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NodeId(usize);

/// What a stage runs.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    Source(Arc<dyn Source>),
    Operator(Arc<dyn Operator>),
    Region(Arc<dyn Region>),
}

impl Body {
    /// Name of the source, operator or region itself.
    pub(crate) fn name(&self) -> Arc<str> {
        match self {
            Self::Source(source) => source.name(),
            Self::Operator(operator) => operator.name(),
            Self::Region(region) => region.name(),
        }
    }
}

/// A node: what it runs, and the operators that its batches go through.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub body: Body,
    /// Its operators, in the order of the data.
    pub chain: Vec<Arc<dyn Operator>>,
    pub inputs: Vec<usize>,
}

/// A tree of stages: every node but the root is the input of exactly one other.
///
/// A sub-plan that two consumers need is added twice, or materialised.
#[derive(Debug, Default)]
pub struct Graph {
    nodes: Vec<Node>,
}

impl Graph {
    /// An empty graph.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A source: each split is read and its batches go through `fused` inline, as one piece of
    /// work that takes a CPU, or more where a fused operator asks for more.
    pub fn source(&mut self, source: Arc<dyn Source>, fused: Vec<Arc<dyn Operator>>) -> NodeId {
        self.add(Node { body: Body::Source(source), chain: fused, inputs: Vec::new() })
    }

    /// A stage of its own: batches are cut as [`Operator::input`] wants them and run as
    /// [`Operator::pool`] allows; `fused` follow inline in the same piece of work.
    pub fn operator(
        &mut self,
        input: NodeId,
        operator: Arc<dyn Operator>,
        fused: Vec<Arc<dyn Operator>>,
    ) -> NodeId {
        let chain = std::iter::once(Arc::clone(&operator)).chain(fused).collect();
        self.add(Node { body: Body::Operator(operator), chain, inputs: vec![input.0] })
    }

    /// A region; its ports are `inputs`, in order.
    pub fn region(&mut self, inputs: Vec<NodeId>, region: Arc<dyn Region>) -> NodeId {
        let inputs = inputs.into_iter().map(|input| input.0).collect();
        self.add(Node { body: Body::Region(region), chain: Vec::new(), inputs })
    }

    fn add(&mut self, node: Node) -> NodeId {
        self.nodes.push(node);
        NodeId(self.nodes.len() - 1)
    }

    /// Checks the graph against the machine and tells each operator pool its share.
    pub(crate) fn compile(self, root: NodeId, total: &Resources) -> Result<Compiled, Failure> {
        self.check_tree(root)?;
        for node in &self.nodes {
            node.check(total)?;
        }
        let workers = share_workers(&self.nodes, total);
        let plans = self.nodes.iter().zip(&workers);
        let plans = plans.map(|(node, workers)| node.plan(workers, total)).collect();
        Ok(Compiled { nodes: self.nodes, plans, root: root.0 })
    }

    fn check_tree(&self, root: NodeId) -> Result<(), Failure> {
        let mut uses = vec![0_u32; self.nodes.len().max(root.0 + 1)];
        uses[root.0] += 1;
        for (index, node) in self.nodes.iter().enumerate() {
            for &input in &node.inputs {
                if input >= index {
                    return Err(InternalError::new("a node of another graph is an input").into());
                }
                uses[input] += 1;
            }
        }
        match uses.iter().position(|&count| count != 1) {
            None => Ok(()),
            Some(index) => {
                let count = uses[index];
                let what = format!("node {index} of the graph is consumed {count} times, not once");
                Err(InternalError::new(what).into())
            }
        }
    }
}

/// A checked graph.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub nodes: Vec<Node>,
    pub plans: Vec<StagePlan>,
    pub root: usize,
}

impl Node {
    /// The stage's name: fused operators follow its head.
    pub(crate) fn name(&self) -> Arc<str> {
        let mut name = self.body.name().to_string();
        for operator in self.fused() {
            write!(name, "->{}", operator.name()).expect("a string takes any text");
        }
        name.into()
    }

    /// The operators that follow the source or the stage's own operator inline.
    fn fused(&self) -> &[Arc<dyn Operator>] {
        match &self.body {
            Body::Operator(_) => &self.chain[1..],
            Body::Source(_) | Body::Region(_) => &self.chain,
        }
    }

    fn check(&self, total: &Resources) -> Result<(), Failure> {
        for operator in &self.chain {
            operator.pool().resources.fits_into(total, &operator.name())?;
        }
        for operator in self.fused() {
            if operator.input() != BatchShape::AsIs || operator.pool().workers_min > 0 {
                let what = format!("`{}` needs a stage of its own, it was fused", operator.name());
                return Err(InternalError::new(what).into());
            }
        }
        Ok(())
    }

    /// `workers` are those of each operator of the chain. A piece of work keeps the worker of a
    /// stage's own operator while its output waits for room: there are no more pieces of work
    /// than workers, so that the one whose output is wanted next always has its worker.
    fn plan(&self, workers: &[usize], total: &Resources) -> StagePlan {
        let one_cpu = Resources { cpu_nanos: NANOS_PER_UNIT, ..Resources::default() };
        let (kind, ask) = match &self.body {
            Body::Source(_) => (StageKind::Source, Ask::of(&one_cpu, total)),
            Body::Operator(operator) => (StageKind::Operator(operator.input()), Ask::nothing()),
            Body::Region(_) => (StageKind::Region, Ask::nothing()),
        };
        let pools: Vec<PoolShape> = self.chain.iter().map(|operator| operator.pool()).collect();
        let asks = pools.iter().map(|pool| Ask::of(&pool.resources, total));
        let own = matches!(self.body, Body::Operator(_)).then(|| workers[0]);
        let asked = pools.iter().filter_map(|pool| pool.concurrency_max);
        let concurrency = asked.chain(own).min();
        StagePlan {
            kind,
            inputs: self.inputs.clone(),
            ask: asks.fold(ask, |ask, other| ask.max(&other)),
            concurrency_max: concurrency.unwrap_or(CONCURRENCY_MAX).clamp(1, CONCURRENCY_MAX),
            opens: !pools.is_empty(),
        }
    }
}
