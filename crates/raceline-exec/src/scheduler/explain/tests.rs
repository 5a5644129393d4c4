//! Chains by hand; `simulation` tells that every stall that is made has one.

use raceline_types::Resources;

use super::super::{Action, Ask, Event, Limits, Morsel, Outcome, PoolPlan, StagePlan};
use super::*;
use crate::operator::BatchShape;
use crate::worker_memory::WorkerMemory;

/// `read`, then `map`, on one CPU, where time passes a second an event.
struct Bench {
    scheduler: Scheduler<u64>,
    now: Duration,
    started: Vec<WorkId>,
}

impl Bench {
    fn new(pool: Option<PoolPlan>, opens: bool) -> Self {
        let resources = Resources::new(1.0, 0.0, 1_000).unwrap();
        let ask = Ask::of(&Resources::new(1.0, 0.0, 0).unwrap(), &resources);
        let plan = |kind, inputs, pool| StagePlan {
            kind,
            inputs,
            ask: ask.clone(),
            concurrency_max: 4,
            pool,
            opens: opens && kind != StageKind::Source,
        };
        let kind = StageKind::Operator(BatchShape::AsIs);
        let plans = vec![plan(StageKind::Source, vec![], None), plan(kind, vec![0], pool)];
        let limits = Limits {
            resources,
            queue_bytes: 1_000,
            ahead_bytes: u64::MAX,
            target_batch_bytes: 10,
            preserve_order: true,
        };
        let scheduler = Scheduler::new(plans, 1, &limits);
        let mut bench = Self { scheduler, now: Duration::ZERO, started: vec![] };
        bench.on(Event::Began);
        bench
    }

    fn on(&mut self, event: Event<u64>) -> Vec<Action<u64>> {
        self.now += Duration::from_secs(1);
        let actions = self.scheduler.on(event, self.now);
        let started = actions.iter().filter_map(|action| match action {
            Action::Start { work, .. } => Some(*work),
            _ => None,
        });
        self.started.extend(started);
        actions
    }

    /// The split is read, to one batch.
    fn read(&mut self, split: usize) {
        let work = self.started[split];
        let output = Morsel { item: 0, first_row: 0, rows: 7, bytes: 10, weights: Vec::new() };
        self.on(Event::Emitted { work, outputs: vec![output], rest_bytes: 0 });
        self.on(Event::WorkEnded { work, outcome: Outcome::Done });
    }

    fn told(&self) -> Vec<String> {
        let names: Vec<Arc<str>> = vec!["read".into(), "map".into()];
        let waits = self.scheduler.explain(self.now, &names);
        waits.iter().map(ToString::to_string).collect()
    }
}

fn pool() -> PoolPlan {
    PoolPlan {
        hold: Ask::nothing(),
        group: 0,
        start: 0,
        least: 0,
        is_late: false,
        share: 1,
        most: 1,
        memory_bytes: 0,
        in_flight_max: Some(1),
    }
}

#[test]
fn an_input_is_followed_to_where_it_is_read() {
    let mut bench = Bench::new(None, false);
    bench.on(Event::Pulled { stage: 1 });
    let chain = [
        "the consumer has waited for a batch of `map` for 0.0 s",
        "`map` has waited for a batch of `read` for 2.0 s",
    ];
    let with = |last| [chain[0], chain[1], last];
    assert_eq!(bench.told(), with("`read` has found nothing more to read for 2.0 s"));
    bench.on(Event::SplitFound { stage: 0 });
    bench.now += Duration::from_secs(30);
    let chain = [
        "the consumer has waited for a batch of `map` for 31.0 s",
        "`map` has waited for a batch of `read` for 30.0 s",
        "`read` has been at work for 30.0 s",
    ];
    assert_eq!(bench.told(), chain);
    assert_eq!(bench.scheduler.quiet_since(), Some(Duration::from_secs(3)));
}

#[test]
fn a_consumer_that_does_not_ask_is_no_stall() {
    let mut bench = Bench::new(None, false);
    assert_eq!(bench.told(), ["the consumer has not asked for a batch for 1.0 s"]);
    assert_eq!(bench.scheduler.quiet_since(), None);
    bench.on(Event::SplitFound { stage: 0 });
    bench.read(0);
    bench.on(Event::Tick);
    assert_eq!(bench.told(), ["the consumer has not asked for a batch for 5.0 s"]);
}

#[test]
fn a_stage_that_is_not_open_says_so() {
    let mut bench = Bench::new(None, true);
    bench.on(Event::Pulled { stage: 1 });
    assert_eq!(bench.told()[1], "`map` has been getting ready for 2.0 s");
}

#[test]
fn who_lacks_a_cpu_is_told_who_has_it() {
    let mut bench = Bench::new(None, true);
    bench.on(Event::SplitFound { stage: 0 });
    bench.on(Event::SplitFound { stage: 0 });
    bench.read(0);
    bench.on(Event::Pulled { stage: 1 });
    bench.on(Event::OpenEnded { stage: 1, outcome: Outcome::Done });
    assert_eq!(
        bench.told(),
        [
            "the consumer has waited for a batch of `map` for 1.0 s",
            "`map` has waited for CPUs, GPUs or resources that others have for 7.0 s",
            "`read` has been at work for 2.0 s"
        ]
    );
}

#[test]
fn a_worker_is_named_by_its_process() {
    let mut bench = Bench::new(Some(pool()), false);
    bench.on(Event::Pulled { stage: 1 });
    bench.on(Event::SplitFound { stage: 0 });
    bench.read(0);
    assert_eq!(bench.told()[1], "`map` has waited for its worker to start for 1.0 s");
    bench.on(Event::WorkerStarted { stage: 1, worker: 0, outcome: Outcome::Done });
    let memory =
        WorkerMemory { worker: Some(0), process: 123, bytes: 9, finished: 0, rows: Some(7) };
    bench.on(Event::Measured { workers: vec![(1, memory)], elsewhere_bytes: 0 });
    bench.now += Duration::from_secs(34);
    assert_eq!(
        bench.told()[1],
        "`map` has been at a batch of 7 rows for 35.0 s in worker process 123"
    );
}

#[test]
fn when_all_was_taken_what_closes_is_told() {
    let mut bench = Bench::new(None, false);
    bench.on(Event::ListingEnded { stage: 0, outcome: Outcome::Done });
    bench.on(Event::Pulled { stage: 1 });
    assert_eq!(
        bench.told(),
        ["`read` has been closing for 1.0 s", "`map` has been closing for 1.0 s"]
    );
    bench.on(Event::Closed { stage: 0 });
    bench.on(Event::Closed { stage: 1 });
    assert!(bench.told().is_empty());
}
