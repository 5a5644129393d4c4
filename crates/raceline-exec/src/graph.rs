//! A graph of sources, operators and regions under construction.

use std::fmt::Write as _;
use std::sync::Arc;

use raceline_types::{Failure, InternalError, NANOS_PER_UNIT, Resources};

use crate::operator::{BatchShape, Operator, PoolShape, WorkerShape};
use crate::pools::{Bounds, bound_workers, groups};
use crate::region::Region;
use crate::scheduler::{Ask, PoolPlan, StageKind, StagePlan};
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

    /// Checks the graph against the machine and tells each operator pool its bounds.
    pub(crate) fn compile(self, root: NodeId, total: &Resources) -> Result<Compiled, Failure> {
        self.check_tree(root)?;
        for node in &self.nodes {
            node.check(total)?;
        }
        let groups = groups(&self.nodes);
        let bounds = bound_workers(&self.nodes, &groups, total)?;
        let plan = |index: usize| {
            let node = &self.nodes[index];
            let pool = node.pool(&bounds[index], total).map(|pool| PoolPlan {
                group: groups[index],
                is_late: !pool.hold.is_nothing() && self.is_behind_a_gathering(index),
                ..pool
            });
            StagePlan { pool, ..node.plan(&bounds[index], total) }
        };
        let plans = (0..self.nodes.len()).map(plan).collect();
        Ok(Compiled { nodes: self.nodes, plans, root: root.0 })
    }

    fn is_behind_a_gathering(&self, index: usize) -> bool {
        let node = &self.nodes[index];
        matches!(&node.body, Body::Region(region) if region.gathers())
            || node.inputs.iter().any(|&input| self.is_behind_a_gathering(input))
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
            if operator.input() != BatchShape::AsIs || operator.pool().workers.is_some() {
                let what = format!("`{}` needs a stage of its own, it was fused", operator.name());
                return Err(InternalError::new(what).into());
            }
        }
        Ok(())
    }

    /// The workers of a stage whose own operator has some.
    fn pool(&self, bounds: &[Bounds], total: &Resources) -> Option<PoolPlan> {
        let Body::Operator(operator) = &self.body else { return None };
        let PoolShape { resources, workers, .. } = operator.pool();
        let memory_bytes = resources.memory_bytes;
        let WorkerShape { start, least, in_flight_max } = workers?;
        let Bounds { share, most } = bounds[0];
        let hold = Ask::of(&resources.kept(), total);
        // Where others could take what a worker holds, the last one is kept.
        let least = least.max(usize::from(!hold.is_nothing())).min(most);
        let start = start.min(most);
        let (group, is_late) = (0, false);
        Some(PoolPlan {
            hold,
            group,
            start,
            least,
            is_late,
            share,
            most,
            memory_bytes,
            in_flight_max,
        })
    }

    /// `bounds` are those of each operator of the chain. A piece of work may keep something of
    /// the stage's own operator while its output waits for room: there are no more pieces of work
    /// than its share, so that the one whose output is wanted next always has it.
    fn plan(&self, bounds: &[Bounds], total: &Resources) -> StagePlan {
        let one_cpu = Resources { cpu_nanos: NANOS_PER_UNIT, ..Resources::default() };
        let (kind, ask) = match &self.body {
            Body::Source(_) => (StageKind::Source, Ask::of(&one_cpu, total)),
            Body::Operator(operator) => (StageKind::Operator(operator.input()), Ask::nothing()),
            Body::Region(_) => (StageKind::Region, Ask::nothing()),
        };
        let pools: Vec<PoolShape> = self.chain.iter().map(|operator| operator.pool()).collect();
        let asks = pools.iter().map(|pool| match pool.workers {
            Some(_) => Ask::of(&pool.resources.taken(), total),
            None => Ask::of(&pool.resources, total),
        });
        let own = matches!(self.body, Body::Operator(_)).then(|| bounds[0].share);
        let asked = pools.iter().filter_map(|pool| pool.concurrency_max);
        let concurrency = asked.chain(own).min();
        StagePlan {
            kind,
            inputs: self.inputs.clone(),
            ask: asks.fold(ask, |ask, other| ask.max(&other)),
            concurrency_max: concurrency.unwrap_or(CONCURRENCY_MAX).clamp(1, CONCURRENCY_MAX),
            pool: None,
            opens: !pools.is_empty(),
        }
    }
}
