//! The workers of one stage: which of them live and what each of them has to do.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use super::memory::Held;
use super::tokens::Ask;
use crate::operator::Seat;

/// The pool of a stage as it is planned.
#[derive(Clone, Debug)]
pub(crate) struct PoolPlan {
    /// What a worker holds for as long as it lives.
    pub hold: Ask,
    /// Stages whose pools live at the same time have the same number.
    pub group: usize,
    /// Workers that are started before the first batch.
    pub start: usize,
    /// Workers that are kept without work.
    pub least: usize,
    /// Whether no worker is started before there is work: what it would hold is another's until
    /// then.
    pub is_late: bool,
    /// Most workers while the rates of the group's pools are unknown.
    pub share: usize,
    /// Most workers ever.
    pub most: usize,
    /// Memory that each worker was promised; 0 where it is found out.
    pub memory_bytes: u64,
    /// Batches that a worker may have; `None` leaves it to the scheduler.
    pub in_flight_max: Option<usize>,
}

/// How a worker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// It does not live.
    None,
    /// Its start was asked for at this time.
    Starting(Duration),
    /// Its start was given up and has not ended.
    Unwanted,
    /// It lives.
    Alive,
    /// Its end was asked for.
    Stopping,
}

/// A worker.
#[derive(Debug)]
pub(crate) struct Worker {
    pub life: Life,
    /// What it has to do, in order: it is at the first, the others wait in it.
    works: VecDeque<u64>,
    turns: u64,
    idle_since: Duration,
    /// It gets no more work and ends when it has none.
    pub retires: bool,
    /// It was ended in the middle of its work, which waits for memory.
    pub is_paused: bool,
    /// What its process holds.
    pub held: Held,
}

/// The pool.
#[derive(Debug)]
pub(crate) struct Pool {
    pub plan: PoolPlan,
    pub workers: Vec<Worker>,
    /// Those that were told to do one of their works after the other.
    pub one_by_one: BTreeSet<usize>,
    /// The workers of the plan's start were asked for.
    pub begun: bool,
    /// Since when there has been work for more workers.
    pub short_since: Option<Duration>,
    /// A worker found no device: none is started before the next tick.
    pub refused: bool,
    /// The most that a worker held lately.
    pub worker_bytes_lately: u64,
    /// Most rows of a piece of work.
    pub piece_rows: usize,
    /// How often in a row smaller pieces were not small enough.
    pub shrunk: u32,
    starts: u32,
    starts_time: Duration,
    /// Time and what all workers had worked by then: at the last tick and the one before.
    marks: [(Duration, Duration); 2],
}

impl Pool {
    pub(crate) fn new(plan: PoolPlan) -> Self {
        let worker = || Worker {
            life: Life::None,
            works: VecDeque::new(),
            turns: 0,
            idle_since: Duration::ZERO,
            retires: false,
            is_paused: false,
            held: Held::default(),
        };
        Self {
            workers: (0..plan.most).map(|_| worker()).collect(),
            one_by_one: BTreeSet::new(),
            plan,
            begun: false,
            short_since: None,
            refused: false,
            starts: 0,
            starts_time: Duration::ZERO,
            worker_bytes_lately: 0,
            piece_rows: usize::MAX,
            shrunk: 0,
            marks: [(Duration::ZERO, Duration::ZERO); 2],
        }
    }

    /// How many workers stand like one of `lives`.
    pub(crate) fn count(&self, is_counted: impl Fn(Life) -> bool) -> usize {
        self.count_workers(|worker| is_counted(worker.life))
    }

    /// How many workers there are for which that is so.
    pub(crate) fn count_workers(&self, is_counted: impl Fn(&Worker) -> bool) -> usize {
        self.workers.iter().filter(|worker| is_counted(worker)).count()
    }

    /// Workers that live or will.
    pub(crate) fn lives(&self) -> usize {
        self.count(|life| matches!(life, Life::Starting(_) | Life::Alive))
    }

    /// Whether no worker is about to live or to end.
    pub(crate) fn is_settled(&self) -> bool {
        self.workers.iter().all(|worker| matches!(worker.life, Life::None | Life::Alive))
    }

    /// The first worker without work: the same few are used as long as they are enough.
    pub(crate) fn idle(&self) -> Option<usize> {
        self.workers.iter().position(|worker| worker.is_idle() && worker.goes_on())
    }

    /// The last worker that has had no work for `least` or longer.
    pub(crate) fn idle_for(&self, least: Duration, now: Duration) -> Option<usize> {
        let is_spare =
            |worker: &Worker| worker.is_idle() && now.saturating_sub(worker.idle_since) >= least;
        self.workers.iter().rposition(is_spare)
    }

    /// The busy worker with the least to do, if that is less than `in_flight_max` batches.
    pub(crate) fn least_busy(&self, in_flight_max: usize) -> Option<usize> {
        let busy = self.workers.iter().enumerate().filter(|(_, worker)| {
            let has_room = (1..in_flight_max).contains(&worker.works.len());
            worker.life == Life::Alive && worker.goes_on() && has_room
        });
        busy.min_by_key(|(_, worker)| (worker.works.len(), worker.works[0])).map(|(index, _)| index)
    }

    /// Gives `worker` more work. Returns its place, and whether the worker begins with it at once.
    pub(crate) fn give(&mut self, worker: usize, ordinal: u64) -> (Seat, bool) {
        let state = &mut self.workers[worker];
        assert_eq!(state.life, Life::Alive, "only a worker that lives has work");
        let turn = state.turns;
        state.turns += 1;
        state.works.push_back(ordinal);
        (Seat { worker, turn }, state.works.len() == 1)
    }

    /// Takes back work that ended. Returns what its worker goes on with.
    pub(crate) fn end(&mut self, ordinal: u64, now: Duration) -> Option<u64> {
        let (worker, at) = self
            .workers
            .iter_mut()
            .find_map(|worker| {
                let at = worker.works.iter().position(|&work| work == ordinal)?;
                Some((worker, at))
            })
            .expect("every work of a pool has a worker");
        worker.works.remove(at);
        worker.idle_since = now;
        worker.works.front().copied().filter(|_| at == 0)
    }

    /// Notes at a tick what all workers have worked so far.
    pub(crate) fn mark(&mut self, now: Duration, busy: Duration) {
        self.marks = [(now, busy), self.marks[0]];
    }

    /// How many workers were at work since the tick before the last, in the mean, when they have
    /// worked `busy` by `now`; `None` where there were no two ticks.
    pub(crate) fn at_work(&self, now: Duration, busy: Duration) -> Option<f64> {
        let (since, before) = self.marks[1];
        let time = now.saturating_sub(since).as_secs_f64();
        let worked = busy.saturating_sub(before).as_secs_f64();
        (!since.is_zero()).then_some(worked / time)
    }

    /// Gives the last worker no more work, unless one ends already. Returns whether one will end.
    pub(crate) fn retire(&mut self) -> bool {
        let alive = |worker: &&mut Worker| worker.life == Life::Alive;
        let is_ending = |worker: &Worker| worker.retires || worker.life == Life::Stopping;
        if self.workers.iter().any(is_ending) {
            return true;
        }
        let last = self.workers.iter_mut().rfind(alive);
        last.map(|worker| worker.retires = true).is_some()
    }

    /// The worker that has `ordinal` to do and was ended in the middle of its work.
    pub(crate) fn paused_with(&self, ordinal: u64) -> Option<usize> {
        self.workers.iter().position(|one| one.is_paused && one.works.contains(&ordinal))
    }

    /// A worker that was to end, or was ended, and has no more work.
    pub(crate) fn retired(&self) -> Option<usize> {
        self.workers.iter().position(|worker| worker.is_idle() && !worker.goes_on())
    }

    /// A worker began to live at `now`.
    pub(crate) fn started(&mut self, worker: usize, asked: Duration, now: Duration) {
        self.starts += 1;
        self.starts_time += now.saturating_sub(asked);
        let worker = &mut self.workers[worker];
        (worker.life, worker.idle_since) = (Life::Alive, now);
        (worker.retires, worker.is_paused) = (false, false);
    }

    /// What it costs to start a worker: the mean so far.
    pub(crate) fn start_time(&self) -> Duration {
        self.starts_time.checked_div(self.starts).unwrap_or_default()
    }
}

impl Worker {
    /// Whether it lives and has nothing to do.
    pub(crate) fn is_idle(&self) -> bool {
        self.life == Life::Alive && self.works.is_empty()
    }

    /// What it has to do, in order.
    pub(crate) fn works(&self) -> impl Iterator<Item = u64> + '_ {
        self.works.iter().copied()
    }

    /// What it is at.
    pub(crate) fn front(&self) -> Option<u64> {
        self.works.front().copied()
    }

    /// Whether it gets more work.
    pub(crate) fn goes_on(&self) -> bool {
        !self.retires && !self.is_paused
    }
}
