//! Pipelines of pools over simulated time: who gets what the machine has, and for how long.
//!
//! Each unit of input takes a stage its own time; workers take time to start, and a message
//! between them and the engine takes time too.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use raceline_types::Resources;

use super::super::*;
use super::world::Rng;
use crate::operator::{BatchShape, Seat};

const MS: Duration = Duration::from_millis(1);

/// A stage: how long a unit takes, how long a worker takes to start, what it may have.
#[derive(Clone)]
struct Timed {
    unit: Duration,
    start: Duration,
    plan: PoolPlan,
}

fn total(cpus: f64, gpus: f64) -> Resources {
    Resources::new(cpus, gpus, 0).unwrap()
}

fn pool(unit_ms: u32, start_ms: u32, gpus: f64, most: usize, total: &Resources) -> Timed {
    let hold = Ask::of(&Resources::new(0.0, gpus, 0).unwrap(), total);
    let least = usize::from(gpus > 0.0);
    let plan = PoolPlan {
        hold,
        group: 0,
        start: least,
        least,
        is_late: false,
        share: if gpus > 0.0 { most / 2 } else { most },
        most,
        memory_bytes: 0,
        in_flight_max: None,
    };
    Timed { unit: unit_ms * MS, start: start_ms * MS, plan }
}

/// What happens at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Split,
    Listed,
    Computed(WorkId),
    Ended(WorkId),
    Started(usize, usize),
    Stopped(usize, usize),
    Closed(usize),
    Tick,
}

struct Line {
    scheduler: Scheduler<u64>,
    /// What the scheduler has not heard of.
    events: VecDeque<Event<u64>>,
    stages: Vec<Timed>,
    /// How long a message takes.
    latency: Duration,
    now: Duration,
    due: BTreeSet<(Duration, u64, Due)>,
    sequence: u64,
    /// Work that each worker has and that has not ended, in order.
    given: BTreeMap<(usize, usize), VecDeque<WorkId>>,
    computing: BTreeMap<WorkId, (usize, usize)>,
    /// Computed, and told of when the work before it in its worker has ended.
    computed: BTreeSet<WorkId>,
    busy: Vec<Duration>,
    first: Vec<Option<Duration>>,
    last: Vec<Duration>,
    alive: Vec<usize>,
    /// (time, stage, workers) whenever that number changed.
    history: Vec<(Duration, usize, usize)>,
    handed: usize,
    finished: bool,
}

impl Line {
    /// A source of units that come at `arrivals`, and pools behind it.
    fn new(stages: Vec<Timed>, arrivals: &[Duration], total: &Resources, cpus_each: f64) -> Self {
        let ask = |cpus: f64| Ask::of(&Resources::new(cpus, 0.0, 0).unwrap(), total);
        let source = StagePlan {
            kind: StageKind::Source,
            inputs: vec![],
            ask: ask(0.0),
            concurrency_max: 64,
            pool: None,
            opens: false,
        };
        let pools = stages.iter().enumerate().map(|(index, stage)| StagePlan {
            kind: StageKind::Operator(BatchShape::AsIs),
            inputs: vec![index],
            ask: ask(cpus_each),
            concurrency_max: 1,
            pool: Some(stage.plan.clone()),
            opens: false,
        });
        let plans: Vec<StagePlan> = std::iter::once(source).chain(pools).collect();
        let limits = Limits {
            resources: total.clone(),
            queue_bytes: 1_000,
            ahead_bytes: 64,
            target_batch_bytes: 1,
            preserve_order: true,
        };
        let count = plans.len();
        let mut line = Self {
            scheduler: Scheduler::new(plans, count - 1, &limits),
            events: VecDeque::new(),
            stages,
            latency: Duration::ZERO,
            now: Duration::ZERO,
            due: BTreeSet::new(),
            sequence: 0,
            given: BTreeMap::new(),
            computing: BTreeMap::new(),
            computed: BTreeSet::new(),
            busy: vec![Duration::ZERO; count],
            first: vec![None; count],
            last: vec![Duration::ZERO; count],
            alive: vec![0; count],
            history: vec![],
            handed: 0,
            finished: false,
        };
        for &at in arrivals {
            line.at(at, Due::Split);
        }
        line.at(arrivals.last().copied().unwrap_or_default(), Due::Listed);
        line.at(500 * MS, Due::Tick);
        line
    }

    fn at(&mut self, at: Duration, due: Due) {
        self.sequence += 1;
        self.due.insert((at, self.sequence, due));
    }

    /// Runs to the end.
    fn run(mut self) -> Self {
        let root = self.stages.len();
        self.on(Event::Began);
        self.on(Event::Pulled { stage: root });
        while !self.finished {
            let (at, _, due) = self.due.pop_first().expect("it does not stall");
            self.now = at;
            self.happen(due);
        }
        assert!(self.scheduler.tokens.all_free());
        self
    }

    fn happen(&mut self, due: Due) {
        match due {
            Due::Split => self.on(Event::SplitFound { stage: 0 }),
            Due::Listed => self.on(Event::ListingEnded { stage: 0, outcome: Outcome::Done }),
            Due::Computed(work) => self.end_computing(work),
            Due::Ended(work) => self.end(work),
            Due::Started(stage, worker) => {
                self.on(Event::WorkerStarted { stage, worker, outcome: Outcome::Done });
            }
            Due::Stopped(stage, worker) => self.on(Event::WorkerStopped { stage, worker }),
            Due::Closed(stage) => self.on(Event::Closed { stage }),
            Due::Tick => {
                self.at(self.now + 500 * MS, Due::Tick);
                self.on(Event::Tick);
            }
        }
    }

    /// Takes in an event and all that follows from it at once.
    fn on(&mut self, event: Event<u64>) {
        self.events.push_back(event);
        while let Some(event) = self.events.pop_front() {
            for action in self.scheduler.on(event, self.now) {
                self.perform(&action);
            }
        }
    }

    fn perform(&mut self, action: &Action<u64>) {
        match *action {
            Action::StartWorker { stage, worker } => {
                self.count(stage, 1);
                self.at(self.now + self.stages[stage - 1].start, Due::Started(stage, worker));
            }
            Action::StopWorker { stage, worker } => {
                self.count(stage, -1);
                self.at(self.now + MS, Due::Stopped(stage, worker));
            }
            Action::Start { work, seat: None, .. } => {
                self.events.push_back(emitted(work));
            }
            Action::Start { work, seat: Some(Seat { worker, .. }), .. } => {
                let worker = (work.stage, worker);
                self.given.entry(worker).or_default().push_back(work);
                if !self.computing.values().any(|busy| *busy == worker) {
                    self.compute(worker, work, self.latency);
                }
            }
            Action::Resume { work } => self.at(self.now, Due::Ended(work)),
            Action::Hand { stage, ref outputs } => {
                self.handed += outputs.len();
                self.events.push_back(Event::Pulled { stage });
            }
            Action::Close { stage } => self.at(self.now, Due::Closed(stage)),
            Action::Finish => self.finished = true,
            Action::Open { .. } | Action::List { .. } | Action::End { .. } => {}
            Action::Cancel { .. } => unreachable!("nothing fails here"),
            Action::Relieve { .. } | Action::Readmit { .. } => {
                unreachable!("nobody measures memory here")
            }
        }
    }

    fn count(&mut self, stage: usize, change: isize) {
        self.alive[stage] = self.alive[stage].checked_add_signed(change).unwrap();
        self.history.push((self.now, stage, self.alive[stage]));
    }

    fn compute(&mut self, worker: (usize, usize), work: WorkId, wait: Duration) {
        self.computing.insert(work, worker);
        let start = self.now + wait;
        self.first[work.stage].get_or_insert(start);
        self.at(start + self.stages[work.stage - 1].unit, Due::Computed(work));
    }

    /// The worker goes on at once with what it has; the engine hears of it later.
    fn end_computing(&mut self, work: WorkId) {
        let worker = self.computing.remove(&work).unwrap();
        self.busy[work.stage] += self.stages[work.stage - 1].unit;
        self.last[work.stage] = self.now;
        let works = &self.given[&worker];
        let is_first = works.front() == Some(&work);
        if let Some(&next) = works.iter().find(|&&next| next > work) {
            self.compute(worker, next, Duration::ZERO);
        }
        if is_first {
            self.on(emitted(work));
        } else {
            self.computed.insert(work);
        }
    }

    fn end(&mut self, work: WorkId) {
        self.on(Event::WorkEnded { work, outcome: Outcome::Done });
        let works = self.given.values_mut().find(|works| works.front() == Some(&work));
        let next = works.and_then(|works| {
            works.pop_front();
            works.front().copied()
        });
        if let Some(next) = next.filter(|next| self.computed.remove(next)) {
            self.on(emitted(next));
        }
    }

    /// The part of the time from the first unit to the last that the stage's workers computed.
    fn busy_share(&self, stage: usize, workers: u32) -> f64 {
        let time = self.last[stage].saturating_sub(self.first[stage].unwrap());
        self.busy[stage].as_secs_f64() / (time * workers).as_secs_f64()
    }

    /// Workers of `stage` at `at`.
    fn workers_at(&self, stage: usize, at: Duration) -> usize {
        let before = self.history.iter().rfind(|(when, of, _)| *when <= at && *of == stage);
        before.map_or(0, |(_, _, workers)| *workers)
    }
}

/// A unit comes out of `work`.
fn emitted(work: WorkId) -> Event<u64> {
    let output = Morsel { item: work.ordinal, first_row: 0, rows: 1, bytes: 1, weights: vec![] };
    Event::Emitted { work, outputs: vec![output], rest_bytes: 0 }
}

fn at_once(units: usize) -> Vec<Duration> {
    vec![Duration::ZERO; units]
}

#[test]
fn a_pool_is_at_full_width_at_once() {
    let total = total(8.0, 0.0);
    let line = Line::new(vec![pool(100, 50, 0.0, 8, &total)], &at_once(100), &total, 1.0).run();
    assert_eq!(line.workers_at(1, Duration::ZERO), 8);
    assert_eq!(line.handed, 100);
}

#[test]
fn a_slow_stage_gets_the_cpus_that_a_fast_one_leaves() {
    for (first, second) in [(1, 20), (20, 1), (10, 10)] {
        let total = total(4.0, 0.0);
        let stages = vec![pool(first, 10, 0.0, 4, &total), pool(second, 10, 0.0, 4, &total)];
        let line = Line::new(stages, &at_once(1_000), &total, 1.0).run();
        let ideal = (first + second) * 1_000 / 4 * MS;
        assert!(
            line.now < ideal * 11 / 10,
            "{first} and {second} ms: {:?}, not {ideal:?}",
            line.now
        );
    }
}

#[test]
fn the_bottleneck_gets_the_gpus_of_a_stage_that_needs_fewer() {
    let total = total(8.0, 4.0);
    for (first, second) in [(10, 30), (30, 10)] {
        let stages = vec![pool(first, 200, 1.0, 4, &total), pool(second, 200, 1.0, 4, &total)];
        let line = Line::new(stages, &at_once(2_000), &total, 0.0).run();
        // Three GPUs and one; two and two would take half as long again.
        let ideal = 2_000 * 10 * MS;
        assert!(line.now < ideal * 115 / 100, "{:?}, not {ideal:?}", line.now);
    }
}

#[test]
fn an_idle_pool_gives_its_workers_back_and_has_them_again() {
    let total = total(4.0, 0.0);
    let late = Duration::from_secs(20);
    let mut arrivals = at_once(200);
    arrivals.extend(vec![late; 200]);
    let mut stage = pool(10, 50, 0.0, 4, &total);
    stage.plan.least = 1;
    let line = Line::new(vec![stage], &arrivals, &total, 1.0).run();
    assert_eq!(line.workers_at(1, Duration::from_secs(1)), 4);
    assert_eq!(line.workers_at(1, Duration::from_secs(10)), 1);
    assert_eq!(line.workers_at(1, late + 60 * MS), 4, "after the time that a start takes");
}

#[test]
fn a_trickle_needs_one_worker() {
    let total = total(4.0, 0.0);
    let arrivals: Vec<Duration> = (0..1_000).map(|unit| unit * 20 * MS).collect();
    let line = Line::new(vec![pool(15, 100, 0.0, 4, &total)], &arrivals, &total, 1.0).run();
    assert_eq!(line.workers_at(1, Duration::from_secs(10)), 1);
}

#[test]
fn a_worker_does_not_wait_for_the_engine() {
    let total = total(2.0, 0.0);
    let busy = |in_flight_max| {
        let mut stage = pool(5, 10, 0.0, 1, &total);
        stage.plan.in_flight_max = in_flight_max;
        let mut line = Line::new(vec![stage], &at_once(1_000), &total, 1.0);
        line.latency = MS;
        line.run().busy_share(1, 1)
    };
    assert!(busy(Some(1)) < 0.84, "without one ahead it waits for each message");
    assert!(busy(None) > 0.99);
}

#[test]
fn no_seed_leaves_much_idle() {
    for seed in 0..300 {
        let mut rng = Rng(seed);
        let cpus = rng.pick(&[1_u32, 2, 4, 8]);
        let total = total(f64::from(cpus), 0.0);
        let times: Vec<u32> = (0..=rng.below(3)).map(|_| rng.pick(&[1, 2, 5, 20, 60])).collect();
        let most = usize::try_from(cpus).unwrap();
        let stage = |&unit| pool(unit, 10, 0.0, most, &total);
        let stages: Vec<Timed> = times.iter().map(stage).collect();
        let line = Line::new(stages, &at_once(400), &total, 1.0).run();
        let ideal = times.iter().sum::<u32>() * 400 / cpus * MS;
        let slack = (60 * u32::try_from(times.len()).unwrap() + 100) * MS;
        assert!(line.now < ideal * 12 / 10 + slack, "seed {seed}: {:?}, not {ideal:?}", line.now);
    }
}
