//! One decision at a time; `simulation` tells that all of them together come to an end.

use super::super::pool::PoolPlan;
use super::super::stage::{StageKind, StagePlan};
use super::super::{Ask, Event, Limits, Morsel, Outcome, WorkId};
use super::*;
use crate::operator::BatchShape;

/// The session's memory in these tests.
const TOTAL: u64 = 1_000;

/// A source, and a pool whose work begins at once and ends when a test says so.
struct Bench {
    scheduler: Scheduler<u64>,
    now: Duration,
    /// What workers are at, by number.
    at: Vec<Option<WorkId>>,
    living: usize,
    stopped: Vec<usize>,
    relieved: Vec<(usize, Then)>,
    readmitted: Vec<usize>,
}

impl Bench {
    /// Workers up to `most`, each promised `memory_bytes`, and as much work as they ask for.
    fn new(most: usize, memory_bytes: u64) -> Self {
        Self::ahead(most, memory_bytes, 1)
    }

    /// The same, each with up to `in_flight` batches at once.
    fn ahead(most: usize, memory_bytes: u64, in_flight: usize) -> Self {
        let resources = Resources::new(8.0, 0.0, TOTAL).unwrap();
        let ask = Ask::of(&Resources::new(1.0, 0.0, 0).unwrap(), &resources);
        let plan = |kind, inputs, pool| StagePlan {
            kind,
            inputs,
            ask: if kind == StageKind::Source { Ask::nothing() } else { ask.clone() },
            concurrency_max: 64,
            pool,
            opens: false,
        };
        let pool = PoolPlan {
            hold: Ask::nothing(),
            group: 0,
            start: 0,
            least: 0,
            is_late: false,
            share: most,
            most,
            memory_bytes,
            in_flight_max: Some(in_flight),
        };
        let kind = StageKind::Operator(BatchShape::AsIs);
        let plans = vec![plan(StageKind::Source, vec![], None), plan(kind, vec![0], Some(pool))];
        let limits = Limits {
            resources,
            queue_bytes: TOTAL,
            ahead_bytes: u64::MAX,
            target_batch_bytes: 1,
            preserve_order: true,
        };
        let mut bench = Self {
            scheduler: Scheduler::new(plans, 1, &limits),
            now: Duration::ZERO,
            at: vec![None; most],
            living: 0,
            stopped: vec![],
            relieved: vec![],
            readmitted: vec![],
        };
        bench.on(Event::Began);
        bench.on(Event::Pulled { stage: 1 });
        (0..4 * most).for_each(|_| bench.on(Event::SplitFound { stage: 0 }));
        bench
    }

    fn on(&mut self, event: Event<u64>) {
        self.now += Duration::from_millis(1);
        for action in self.scheduler.on(event, self.now) {
            match action {
                Action::StartWorker { stage, worker } => {
                    self.living += 1;
                    self.on(Event::WorkerStarted { stage, worker, outcome: Outcome::Done });
                }
                Action::StopWorker { stage, worker } => {
                    self.living -= 1;
                    self.stopped.push(worker);
                    self.on(Event::WorkerStopped { stage, worker });
                }
                Action::Start { work, seat: Some(seat), .. } => self.at[seat.worker] = Some(work),
                Action::Start { work, seat: None, .. } => {
                    // Nothing weighs nothing: queues take no memory here.
                    let output =
                        Morsel { item: 0, first_row: 0, rows: 1, bytes: 0, weights: Vec::new() };
                    self.on(Event::Emitted { work, outputs: vec![output], rest_bytes: 0 });
                    self.on(Event::WorkEnded { work, outcome: Outcome::Done });
                }
                Action::Relieve { worker, relief, .. } => {
                    // All of it but the permits of work.
                    assert!((TOTAL - 8..=TOTAL).contains(&relief.limit_bytes), "{relief:?}");
                    self.relieved.push((worker, relief.then));
                }
                Action::Readmit { worker, .. } => self.readmitted.push(worker),
                _ => {}
            }
        }
    }

    /// Worker `worker` is done with its work.
    fn end(&mut self, worker: usize) {
        let work = self.at[worker].take().unwrap();
        self.on(Event::WorkEnded { work, outcome: Outcome::Done });
    }

    /// What each worker holds: (number, process, bytes, finished, rows).
    fn measure(&mut self, workers: &[(usize, u32, u64, u64, Option<usize>)]) {
        let memory = |&(worker, process, bytes, finished, rows)| {
            let worker = Some(worker);
            (1, WorkerMemory { worker, process, bytes, finished, rows })
        };
        let workers = workers.iter().map(memory).collect();
        self.on(Event::Measured { workers, elsewhere_bytes: 0 });
    }

    /// All workers hold `bytes` in their first batch.
    fn each_holds(&mut self, bytes: u64) {
        let numbers: Vec<usize> = (0..self.at.len()).filter(|&at| self.at[at].is_some()).collect();
        let one = |&number: &usize| (number, u32::try_from(number).unwrap(), bytes, 0, Some(8));
        self.measure(&numbers.iter().map(one).collect::<Vec<_>>());
    }

    fn busy(&self) -> usize {
        self.at.iter().flatten().count()
    }
}

#[test]
fn workers_that_fit_are_left_alone() {
    let mut bench = Bench::new(4, 0);
    assert_eq!(bench.busy(), 4);
    bench.each_holds(210);
    assert_eq!((bench.living, bench.relieved.len()), (4, 0));
    (0..4).for_each(|worker| bench.end(worker));
    assert_eq!((bench.living, bench.busy()), (4, 4));
}

#[test]
fn when_little_is_left_the_largest_gets_no_more_work_and_comes_back_when_there_is_room() {
    let mut bench = Bench::new(4, 0);
    bench.measure(&[
        (0, 0, 220, 0, Some(8)),
        (1, 1, 240, 0, Some(8)),
        (2, 2, 230, 0, Some(8)),
        (3, 3, 220, 0, Some(8)),
    ]);
    assert!(bench.stopped.is_empty() && bench.relieved.is_empty(), "it may end its batch");
    (0..4).for_each(|worker| bench.end(worker));
    assert_eq!(bench.stopped, [1]);
    assert_eq!((bench.living, bench.busy()), (3, 3), "with what one held it would not fit");
    for _ in 0..200 {
        bench.measure(&[(0, 0, 90, 1, Some(8)), (2, 2, 90, 1, Some(8)), (3, 3, 90, 1, Some(8))]);
        bench.on(Event::Tick);
    }
    assert_eq!((bench.living, bench.busy()), (4, 4), "that is forgotten");
}

#[test]
fn beyond_the_limit_the_largest_is_ended_and_its_work_waits_without_tokens() {
    let mut bench = Bench::new(3, 0);
    let (first, second, third) = ((0, 0), (1, 1), (2, 2));
    let held = |(number, process), bytes| (number, process, bytes, 0, Some(8));
    bench.measure(&[held(first, 500), held(second, 300), held(third, 400)]);
    assert_eq!(bench.relieved, [(2, Then::Later)], "not the first, whose output is wanted next");
    let work = bench.at[2].unwrap();
    let phase = &bench.scheduler.stages[1].works[&work.ordinal].phase;
    assert!(matches!(phase, Phase::NeedsMemory));
    assert_eq!(bench.scheduler.stages[1].active, 2);
    // Until it is gone nothing more is done.
    bench.measure(&[held(first, 500), held(second, 300), held(third, 400)]);
    bench.measure(&[held(first, 500), held(second, 300)]);
    assert_eq!((bench.relieved.len(), bench.readmitted.len()), (1, 0));
    for _ in 0..200 {
        bench.measure(&[held(first, 100), held(second, 100)]);
        bench.on(Event::Tick);
    }
    assert_eq!(bench.readmitted, [2], "there is room, and what was held is forgotten");
    assert_eq!(bench.scheduler.stages[1].active, 3);
}

#[test]
fn the_work_that_everything_waits_for_goes_on_whatever_there_is() {
    let mut bench = Bench::new(2, 0);
    bench.measure(&[(0, 0, 400, 0, Some(8)), (1, 1, 700, 0, Some(8))]);
    assert_eq!(bench.relieved, [(1, Then::Later)]);
    bench.measure(&[(0, 0, 600, 0, Some(8))]);
    assert!(bench.readmitted.is_empty());
    bench.end(0);
    bench.measure(&[(0, 0, 600, 1, Some(8))]);
    assert_eq!(bench.readmitted, [1], "it is the first now");
}

#[test]
fn one_that_holds_too_much_by_itself_gets_smaller_batches_and_in_the_end_an_error() {
    let mut bench = Bench::new(1, 0);
    for (process, rows) in [(0, 100), (1, 50), (2, 12), (3, 1)] {
        bench.measure(&[(0, process, 1_100, 0, Some(rows))]);
    }
    let then: Vec<Then> = bench.relieved.iter().map(|(_, then)| *then).collect();
    assert_eq!(then, [Then::Smaller(50), Then::Smaller(12), Then::Smaller(1), Then::Fail]);
}

#[test]
fn one_that_looks_ahead_does_its_batches_one_by_one_before_they_are_made_smaller() {
    let mut bench = Bench::ahead(1, 0, 4);
    for (process, rows) in [(0, 100), (1, 100)] {
        bench.measure(&[(0, process, 1_100, 0, Some(rows))]);
    }
    let then: Vec<Then> = bench.relieved.iter().map(|(_, then)| *then).collect();
    assert_eq!(then, [Then::Alone, Then::Smaller(50)]);
}

#[test]
fn a_size_that_was_small_enough_is_where_the_next_one_begins() {
    let mut bench = Bench::new(1, 0);
    bench.measure(&[(0, 0, 1_100, 0, Some(100))]);
    bench.measure(&[(0, 1, 900, 1, Some(50))]);
    bench.measure(&[(0, 1, 1_100, 1, Some(50))]);
    let then: Vec<Then> = bench.relieved.iter().map(|(_, then)| *then).collect();
    assert_eq!(then[..1], [Then::Smaller(50)]);
    assert!(matches!(then[1], Then::Smaller(25) | Then::Again), "{then:?}");
}

#[test]
fn one_that_gathers_memory_from_batch_to_batch_is_replaced_between_them() {
    let mut bench = Bench::new(1, 0);
    bench.measure(&[(0, 0, 100, 0, None)]);
    for (finished, bytes) in [(0, 150), (4, 700), (5, 850), (6, 900)] {
        bench.measure(&[(0, 0, bytes, finished, Some(8))]);
    }
    assert!(bench.stopped.is_empty() && bench.relieved.is_empty());
    bench.end(0);
    assert_eq!((bench.stopped.as_slice(), bench.living, bench.busy()), (&[0][..], 1, 1));
}

#[test]
fn one_that_gathers_too_fast_for_that_is_run_again_with_batches_as_they_are() {
    let mut bench = Bench::new(1, 0);
    for (finished, bytes) in [(0, 150), (4, 700), (4, 850), (5, 1_020)] {
        bench.measure(&[(0, 0, bytes, finished, Some(8))]);
    }
    assert_eq!(bench.relieved, [(0, Then::Again)]);
}

#[test]
fn functions_that_do_not_fit_before_their_first_batch_end_the_run() {
    let mut bench = Bench::new(1, 0);
    bench.measure(&[(0, 0, 1_001, 0, None)]);
    assert_eq!(bench.relieved, [(0, Then::Fail)]);
}

#[test]
fn what_workers_were_promised_counts_whatever_they_hold() {
    let mut bench = Bench::new(4, 400);
    assert_eq!(bench.living, 2);
    bench.each_holds(10);
    assert_eq!(bench.living, 2);
}

#[test]
fn workers_are_measured_the_more_often_the_less_is_left() {
    let mut bench = Bench::new(4, 0);
    let waits: Vec<Duration> = [0, 990]
        .into_iter()
        .map(|bytes| {
            bench.scheduler.account.total_bytes = bytes << 20;
            bench.scheduler.account.least_bytes = bytes << 20;
            bench.scheduler.measure_in()
        })
        .collect();
    let (soonest, latest) = MEASURE_IN;
    assert_eq!(waits[0], latest, "nobody counts");
    assert!(soonest < waits[1] && waits[1] < latest, "{waits:?}");
    bench.scheduler.account.held_bytes = 990 << 20;
    assert_eq!(bench.scheduler.measure_in(), soonest);
}
