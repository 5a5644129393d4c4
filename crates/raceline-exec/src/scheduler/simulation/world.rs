//! Random graphs, what their stages compute, and what must come out.

use std::rc::Rc;

use raceline_types::{NANOS_PER_UNIT, Resources};

use super::super::*;
use super::{cutting, region};
use crate::operator::BatchShape;

/// Ids of rows.
pub(super) type Rows = Rc<[u64]>;

/// The generator of Steele, Lea and Flood (2014), known as splitmix64.
pub(in super::super) struct Rng(pub(in super::super) u64);

impl Rng {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(in super::super) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }

    pub(in super::super) fn chance(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }

    pub(super) fn pick<E: Copy>(&mut self, from: &[E]) -> E {
        from[self.below(from.len())]
    }
}

/// What a stage computes.
#[derive(Debug)]
pub(super) enum Job {
    /// Batches of each split.
    Read(Vec<Vec<Rows>>),
    /// Every row becomes 0 to 1,000 rows; output batches have at most so many rows.
    Multiply { salt: u64, cut: usize },
    /// Ports one after the other, in this order; the first `held` of them are kept back until
    /// all were read.
    Chain { order: Vec<usize>, held: bool },
    /// The first rows of port 0.
    Limit(usize),
    /// A row of each port in turn, until one has no more; the ports are read in any order.
    Zip,
    /// The rows of port 1, each as often as the rows of port 0, which is kept, tell; the ports are
    /// read in any order.
    Join,
}

pub(super) fn multiplied(salt: u64, row: u64) -> usize {
    let dice = Rng(salt ^ row.wrapping_mul(0x2545_f491_4f6c_dd1d)).next() % 2_000;
    match dice {
        0 => 1_000,
        1..600 => 0,
        600..700 => 4,
        _ => 1,
    }
}

/// What a worker of a stage holds: once it is loaded, for each row that it is at, and for each
/// batch that it is done with.
#[derive(Clone, Copy, Default)]
pub(super) struct Needs {
    pub(super) loaded: u64,
    pub(super) row: u64,
    pub(super) left: u64,
}

impl Needs {
    /// Of a worker that could do its work row by row with what workers may always hold, of
    /// `total` bytes.
    fn random(rng: &mut Rng, total: u64) -> Self {
        let some = |rng: &mut Rng, most: u64| rng.next() % (most + 1);
        let loaded = some(rng, total / 8);
        let left = if rng.chance(30) { some(rng, total / 20) } else { 0 };
        Self { loaded, row: some(rng, total / 9), left }
    }
}

/// How a piece of work puts out what it has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Outputs {
    /// One by one.
    Single,
    /// One by one, cut from one batch.
    Cut,
    /// Several at once.
    Bundled,
}

pub(super) struct World {
    pub(super) plans: Vec<StagePlan>,
    pub(super) needs: Vec<Needs>,
    pub(super) jobs: Vec<Job>,
    pub(super) root: usize,
    pub(super) row_bytes: u64,
    /// How eager whoever reads the output is.
    pub(super) asks_percent: u64,
    pub(super) outputs: Outputs,
    /// Time from one event to the next.
    pub(super) step: Duration,
    /// Whether others share the bytes of the queues.
    pub(super) shares: bool,
    pub(super) limits: Limits,
}

impl World {
    pub(super) fn random(rng: &mut Rng) -> Self {
        let cpus = rng.pick(&[1.0, 2.0, 4.0]);
        let limits = Limits {
            resources: Resources {
                custom_nanos: [("device".to_owned(), NANOS_PER_UNIT * rng.pick(&[1, 2, 4]))].into(),
                ..Resources::new(cpus, 1.0, rng.pick(&[0, 1_000, 1_000_000])).unwrap()
            },
            queue_bytes: rng.pick(&[1, 100, 1_000, 10_000, 1_000_000]),
            ahead_bytes: rng.pick(&[1, 200, 5_000, u64::MAX]),
            target_batch_bytes: rng.pick(&[10, 100, 1_000]),
            preserve_order: !rng.chance(20),
        };
        let row_bytes = rng.pick(&[0, 1, 10]);
        let (plans, needs, jobs) = (vec![], vec![], vec![]);
        let asks_percent = rng.pick(&[0, 3, 30, 90]);
        let outputs = rng.pick(&[Outputs::Single, Outputs::Cut, Outputs::Bundled]);
        let shares = rng.chance(20);
        let step = rng.pick(&[Duration::from_millis(1), Duration::from_micros(1)]);
        let mut world = Self {
            plans,
            needs,
            jobs,
            root: 0,
            row_bytes,
            asks_percent,
            outputs,
            step,
            shares,
            limits,
        };
        let mut open: Vec<usize> = (0..=rng.below(3)).map(|_| world.add_source(rng)).collect();
        for _ in 0..rng.below(4) {
            let at = rng.below(open.len());
            open[at] = world.add_operator(rng, open[at]);
        }
        if open.len() > 1 && rng.chance(50) {
            let inputs = open.split_off(open.len() - 2);
            let job = if rng.chance(50) { Job::Zip } else { Job::Join };
            open.push(world.add(rng, StageKind::Region, inputs, job));
        }
        if open.len() > 1 || rng.chance(30) {
            open = vec![world.add_chain(rng, open)];
        }
        for _ in 0..rng.below(3) {
            open[0] = match rng.below(4) {
                0 => world.add(rng, StageKind::Region, vec![open[0]], Job::Limit(40)),
                1 => world.add_chain(rng, open.clone()),
                _ => world.add_operator(rng, open[0]),
            };
        }
        world.root = open[0];
        world
    }

    pub(super) fn add(
        &mut self,
        rng: &mut Rng,
        kind: StageKind,
        inputs: Vec<usize>,
        job: Job,
    ) -> usize {
        let total = &self.limits.resources;
        let cpus = rng.pick(&[0.0, 0.5, 1.0, total.cpus()]);
        let gpus = if rng.chance(20) { 1.0 } else { 0.0 };
        let ask = Ask::of(&Resources::new(cpus, gpus, 0).unwrap(), total);
        let ask = if kind == StageKind::Region { Ask::nothing() } else { ask };
        let (concurrency_max, opens) = (1 + rng.below(8), rng.chance(50));
        let pool = matches!(kind, StageKind::Operator(_)) && rng.chance(60);
        let pool = pool.then(|| self.random_pool(rng));
        self.plans.push(StagePlan { kind, inputs, ask, concurrency_max, pool, opens });
        self.needs.push(Needs::random(rng, self.limits.resources.memory_bytes));
        self.jobs.push(job);
        self.plans.len() - 1
    }

    /// A pool whose first worker fits beside those of the others.
    fn random_pool(&self, rng: &mut Rng) -> PoolPlan {
        let total = &self.limits.resources;
        let held: u64 = self.held_least();
        let devices = total.custom_nanos["device"] / NANOS_PER_UNIT;
        let holds = held < devices && rng.chance(60);
        let kept = if holds { NANOS_PER_UNIT } else { 0 };
        let custom_nanos = [("device".to_owned(), kept)].into();
        let device = Ask::of(&Resources { custom_nanos, ..Resources::default() }, total);
        let most = 1 + rng.below(5);
        let least = rng.below(most + 1).min(if holds { 1 } else { most });
        PoolPlan {
            hold: device,
            group: 0,
            start: least + rng.below(most - least + 1),
            least: least.max(usize::from(holds)),
            is_late: rng.chance(20),
            share: if holds { 1 } else { most },
            most,
            memory_bytes: if rng.chance(10) { total.memory_bytes / 3 } else { 0 },
            in_flight_max: rng.pick(&[None, Some(1), Some(2), Some(5)]),
        }
    }

    /// Devices that the pools so far hold with one worker each.
    fn held_least(&self) -> u64 {
        let holds =
            |plan: &&StagePlan| plan.pool.as_ref().is_some_and(|pool| !pool.hold.is_nothing());
        self.plans.iter().filter(holds).count() as u64
    }

    pub(super) fn add_source(&mut self, rng: &mut Rng) -> usize {
        let mut next = self.plans.len() as u64 * 1_000_000;
        let mut batch = |rng: &mut Rng| {
            let first = next;
            next += rng.below(20) as u64;
            (first..next).collect::<Rows>()
        };
        let splits = (0..rng.pick(&[0, 1, 5, 40, 150]))
            .map(|_| (0..rng.below(5)).map(|_| batch(rng)).collect())
            .collect();
        self.add(rng, StageKind::Source, vec![], Job::Read(splits))
    }

    pub(super) fn add_operator(&mut self, rng: &mut Rng, input: usize) -> usize {
        let rows = 1 + rng.below(50);
        let within = BatchShape::Within(cutting::random_bounds(rng, rows));
        let (exact, joined) = (BatchShape::Rows(rows), BatchShape::AtLeastRows(rows));
        let fastest = BatchShape::Fastest(rows);
        let shape = rng.pick(&[BatchShape::AsIs, exact, joined, within, fastest]);
        let job = Job::Multiply { salt: rng.next(), cut: 1 + rng.below(30) };
        self.add(rng, StageKind::Operator(shape), vec![input], job)
    }

    pub(super) fn add_chain(&mut self, rng: &mut Rng, inputs: Vec<usize>) -> usize {
        let mut order: Vec<usize> = (0..inputs.len()).collect();
        if rng.chance(50) {
            order.reverse();
        }
        let job = Job::Chain { order, held: rng.chance(30) };
        self.add(rng, StageKind::Region, inputs, job)
    }

    /// What comes out of `stage`, computed without any scheduling.
    pub(super) fn expected(&self, stage: usize) -> Vec<u64> {
        let inputs = &self.plans[stage].inputs;
        match &self.jobs[stage] {
            Job::Read(splits) => {
                splits.iter().flatten().flat_map(|batch| batch.iter().copied()).collect()
            }
            Job::Multiply { salt, .. } => multiply(*salt, self.expected(inputs[0])),
            Job::Chain { order, .. } => {
                order.iter().flat_map(|&port| self.expected(inputs[port])).collect()
            }
            Job::Limit(rows) => self.expected(inputs[0]).into_iter().take(*rows).collect(),
            Job::Zip => {
                let sides = inputs.iter().map(|&input| self.expected(input));
                let sides: Vec<Vec<u64>> = sides.collect();
                let rows = sides.iter().map(Vec::len).min().unwrap_or(0);
                (0..rows).flat_map(|row| sides.iter().map(move |side| side[row])).collect()
            }
            Job::Join => {
                let times = region::repeats(self.expected(inputs[0]).len());
                region::repeat(&self.expected(inputs[1]), times).to_vec()
            }
        }
    }

    /// What a batch of `rows` weighs.
    pub(super) fn bytes(&self, rows: &Rows) -> u64 {
        rows.len() as u64 * self.row_bytes + 1
    }

    /// Bytes that a queue may hold beyond the budget: a unit of input and a batch.
    pub(super) fn overdraft_max(&self, batch_bytes_max: u64) -> u64 {
        let unit = |plan: &StagePlan| match plan.kind {
            StageKind::Operator(BatchShape::Rows(rows) | BatchShape::AtLeastRows(rows)) => {
                rows as u64 * (self.row_bytes + 1)
            }
            // Of the row that tells that a unit is whole, the weight is gone by then.
            StageKind::Operator(BatchShape::Within(bounds)) => {
                (bounds.rows_max.unwrap() as u64 + 1) * (self.row_bytes + 1)
            }
            StageKind::Operator(BatchShape::Fastest(_)) => {
                3 * self.limits.target_batch_bytes + self.row_bytes + 1
            }
            _ => 0,
        };
        self.plans.iter().map(|plan| unit(plan) + batch_bytes_max).sum()
    }
}

pub(super) fn multiply(salt: u64, rows: impl IntoIterator<Item = u64>) -> Vec<u64> {
    let repeat = |row| std::iter::repeat_n(row, multiplied(salt, row));
    rows.into_iter().flat_map(repeat).collect()
}
