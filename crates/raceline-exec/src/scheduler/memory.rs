//! What workers may hold together, and what becomes of those that hold more.
//!
//! Workers may hold what the session has, less what queues and regions hold at the moment; always
//! a quarter of it, and what the largest was promised.
//!
//! 1. *Reservations.* A worker counts with what it was promised, or else with the most that one
//!    of its pool held lately, and with no less than it holds. A worker is started while all fit;
//!    the first of a pool for which work waits is started whatever there is.
//! 2. *Tight.* When little is left, workers without work end. Then the largest get no more work,
//!    as long as another of their pool goes on. A last one that has gathered memory from batch to
//!    batch gives way to a new one between two batches.
//! 3. *Over.* Beyond the limit a worker is ended at once: the largest, apart from the one with
//!    the most important work. Its work is run again when there is room for it. One that holds
//!    more than the limit by itself has its work run again in smaller pieces, as has its stage
//!    from then on; one that does so with a single row ends the execution.
//!
//! The most important work, of the most important stage the lowest in order, is let run whatever
//! there is: by rule 3 what others hold is freed for it. So every wait for memory ends.

use std::cmp::Reverse;
use std::time::Duration;

use raceline_types::{NANOS_PER_UNIT, Resources};

use super::pool::{Life, Pool, Worker};
use super::stage::{Closing, Phase, StagePlan, Standing};
use super::{Action, Scheduler};
use crate::worker_memory::{Relief, Then, WorkerMemory};

/// Part of the limit beyond which no worker is started and some get no more work.
const TIGHT: (u64, u64) = (7, 8);

/// Part of the session's memory that workers may always hold.
const WORKERS_LEAST: u64 = 4;

/// What a worker at work grows by at most: a processor cannot clear pages faster.
const GROWTH_BYTES_PER_S: u64 = 4 << 30;

/// Times between two measurements.
const MEASURE_IN: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(100));

/// What a worker held lately is forgotten by this part at each tick, by half in 11 seconds.
const FORGOTTEN: u64 = 32;

/// A worker by its stage and number.
type WorkerId = (usize, usize);

/// The memory of the session as far as workers are concerned.
#[derive(Debug)]
pub(super) struct Account {
    /// All of it; 0 where nobody counts.
    total_bytes: u64,
    /// What workers may always hold.
    least_bytes: u64,
    /// What neither queues nor workers hold, as measured last.
    elsewhere_bytes: u64,
    /// What all workers hold, as measured last.
    pub(super) held_bytes: u64,
    /// How many workers can grow at the same time.
    cpus: u64,
}

/// What is known of the process of a worker.
#[derive(Debug, Default)]
pub(super) struct Held {
    pub(super) process: u32,
    pub(super) bytes: u64,
    finished: u64,
    rows: Option<usize>,
    /// What it held before its first batch.
    loaded_bytes: u64,
    /// The most that it held until it was done with its first batch.
    first_bytes: u64,
    /// What it held when it began with its batch.
    begun_bytes: u64,
    /// It was told to end, and is not gone.
    is_ending: bool,
}

impl Account {
    pub(super) fn new(total: &Resources, plans: &[StagePlan]) -> Self {
        let total_bytes = total.memory_bytes;
        let promised = plans.iter().filter_map(|plan| Some(plan.pool.as_ref()?.memory_bytes));
        let promised = promised.max().unwrap_or(0).min(total_bytes);
        Self {
            total_bytes,
            least_bytes: (total_bytes / WORKERS_LEAST).max(promised),
            elsewhere_bytes: 0,
            held_bytes: 0,
            cpus: total.cpu_nanos.div_ceil(NANOS_PER_UNIT).max(1),
        }
    }
}

impl Held {
    fn note(&mut self, now: &WorkerMemory) {
        let WorkerMemory { worker: _, process, bytes, finished, rows } = *now;
        if self.process != process {
            *self = Self { process, ..Self::default() };
        }
        if finished == 0 && rows.is_none() {
            self.loaded_bytes = bytes;
        }
        if self.finished != finished || self.rows.is_none() {
            self.begun_bytes = self.bytes.min(bytes);
        }
        if finished == 0 || self.first_bytes == 0 {
            self.first_bytes = self.first_bytes.max(bytes);
        }
        (self.bytes, self.finished, self.rows) = (bytes, finished, rows);
    }

    /// Nothing of it was found: no process has its number now.
    fn note_none(&mut self) {
        *self = Self::default();
    }

    /// Whether batches that are done have left most of what it took since it was loaded, and more
    /// than one of them takes: what allocators keep for the next batch is no more than that.
    fn gathers(&self) -> bool {
        let beside_loaded = |bytes: u64| bytes.saturating_sub(self.loaded_bytes);
        let left = beside_loaded(self.begun_bytes);
        self.finished > 0
            && left >= 2 * beside_loaded(self.first_bytes)
            && left >= beside_loaded(self.bytes) / 2
    }
}

impl<T: Clone> Scheduler<T> {
    /// Takes in what workers hold, of all stages, and what is held elsewhere in the session.
    pub(super) fn take_measurement(
        &mut self,
        measured: &[(usize, WorkerMemory)],
        elsewhere_bytes: u64,
        actions: &mut Vec<Action<T>>,
    ) {
        self.count_memory(measured);
        self.account.elsewhere_bytes = elsewhere_bytes;
        self.account.held_bytes = measured.iter().map(|(_, memory)| memory.bytes).sum();
        for (index, stage) in self.stages.iter_mut().enumerate() {
            if let Some(pool) = &mut stage.pool {
                pool.take_measurement(measured, index);
            }
        }
        if self.account.total_bytes > 0 {
            self.relieve(actions);
        }
    }

    /// Counts what workers hold, and decides nothing.
    pub(crate) fn count_memory(&mut self, measured: &[(usize, WorkerMemory)]) {
        for (index, stage) in self.stages.iter_mut().enumerate() {
            let bytes = || of_stage(measured, index).map(|memory| memory.bytes);
            let counters = &mut stage.counters;
            counters.workers.set(bytes().sum());
            let largest = bytes().max().unwrap_or(0);
            counters.worker_bytes_peak = counters.worker_bytes_peak.max(largest);
        }
    }

    /// How soon workers should be measured again: before they can have grown far beyond what
    /// they may hold.
    pub(crate) fn measure_in(&self) -> Duration {
        let (soonest, latest) = MEASURE_IN;
        if self.account.total_bytes == 0 {
            return latest;
        }
        let pools = self.stages.iter().filter_map(|stage| stage.pool.as_ref());
        let working: usize = pools.map(|pool| pool.count_workers(Worker::may_grow)).sum();
        let rate = GROWTH_BYTES_PER_S * (working as u64).min(self.account.cpus);
        let left = self.workers_limit().saturating_sub(self.account.held_bytes);
        let until_full = (left.saturating_mul(1_000)).checked_div(rate).map(Duration::from_millis);
        until_full.unwrap_or(latest).clamp(soonest, latest)
    }

    /// What workers may hold now, all of them together.
    fn workers_limit(&self) -> u64 {
        let Account { total_bytes, least_bytes, elsewhere_bytes, .. } = self.account;
        let left = total_bytes.saturating_sub(self.budget.used_bytes() + elsewhere_bytes);
        left.max(least_bytes)
    }

    /// Whether there is memory for another worker of `stage`.
    pub(super) fn has_memory_for_worker(&self, stage: usize) -> bool {
        let Some(pool) = &self.stages[stage].pool else { return true };
        let is_first = pool.lives() == 0 && self.units_waiting(stage) > 0;
        is_first || self.has_memory_beside(self.reserved_bytes(|_| true), pool)
    }

    /// Whether one more worker of `pool` fits beside what others have `reserved`.
    fn has_memory_beside(&self, reserved: u64, pool: &Pool) -> bool {
        let Account { total_bytes, held_bytes, .. } = self.account;
        let tight = part(self.workers_limit(), TIGHT);
        if total_bytes == 0 {
            return true;
        }
        let most = if pool.plan.memory_bytes > 0 { total_bytes } else { tight };
        held_bytes <= tight && reserved.saturating_add(pool.reservation()) <= most
    }

    /// What the workers for which that is so have reserved.
    fn reserved_bytes(&self, is_counted: impl Fn(&Worker) -> bool) -> u64 {
        let pools = self.stages.iter().filter_map(|stage| stage.pool.as_ref());
        let of_pool = |pool: &Pool| {
            let lives = |worker: &&Worker| worker.life != Life::None && is_counted(worker);
            let bytes = |worker: &Worker| worker.held.bytes.max(pool.reservation());
            pool.workers.iter().filter(lives).map(bytes).sum::<u64>()
        };
        pools.map(of_pool).sum()
    }

    /// Workers whose work waits for memory and may go on.
    pub(super) fn readmitted(&self) -> Vec<WorkerId> {
        let waits = |pool: &Pool| pool.workers.iter().any(Worker::waits_for_memory);
        if !self.stages.iter().filter_map(|stage| stage.pool.as_ref()).any(waits) {
            return Vec::new();
        }
        let first = self.most_important();
        let mut reserved = self.reserved_bytes(|worker| !worker.is_paused);
        let mut readmitted = Vec::new();
        for &stage in &self.importance {
            let Some(pool) = &self.stages[stage].pool else { continue };
            let waiting = pool.workers.iter().enumerate().filter(|(_, one)| one.waits_for_memory());
            for (number, _) in waiting {
                let id = (stage, number);
                if first == Some(id) || self.has_memory_beside(reserved, pool) {
                    reserved += pool.reservation();
                    readmitted.push(id);
                }
            }
        }
        readmitted
    }

    /// The worker with the most important work: everything can wait for it. A pool's first worker
    /// that starts counts with the work that waits for it.
    fn most_important(&self) -> Option<WorkerId> {
        let rank = |stage: usize| {
            let at = self.importance.iter().position(|&other| other == stage);
            at.expect("every stage has a rank")
        };
        let mut first = None;
        for (stage, state) in self.stages.iter().enumerate() {
            let Some(pool) = &state.pool else { continue };
            if state.standing != Standing::Live {
                continue;
            }
            let has_units = self.units_waiting(stage) > 0;
            for (number, worker) in pool.workers.iter().enumerate() {
                let is_first = has_units && pool.lives() == 1;
                let ordinal = match worker.life {
                    Life::Alive => worker.front(),
                    Life::Starting(_) if is_first => Some(state.next_ordinal),
                    _ => None,
                };
                let Some(ordinal) = ordinal else { continue };
                let key = (rank(stage), ordinal, (stage, number));
                first = Some(first.map_or(key, |other| key.min(other)));
            }
        }
        first.map(|(_, _, worker)| worker)
    }

    /// Frees memory as far as the measurement asks for it.
    fn relieve(&mut self, actions: &mut Vec<Action<T>>) {
        self.rank_stages();
        let limit = self.workers_limit();
        let going = self.bytes_of(Worker::is_going);
        let held = self.account.held_bytes.saturating_sub(going);
        let tight = part(limit, TIGHT);
        if held > limit {
            let freed = self.stop_idle(held - limit, 0, actions);
            if held - freed > limit {
                self.end_one(limit, actions);
            }
        } else if held > tight {
            let retiring = self.bytes_of(|worker| worker.retires && !worker.is_going());
            let excess = (held - tight).saturating_sub(retiring);
            let freed = self.stop_idle(excess, 1, actions);
            self.retire_largest(excess.saturating_sub(freed));
        }
    }

    /// Ends workers without work, the largest first, until `excess` bytes are free; `least` of a
    /// pool are kept. Returns the bytes that they hold.
    fn stop_idle(&mut self, excess: u64, least: usize, actions: &mut Vec<Action<T>>) -> u64 {
        let mut freed = 0;
        for (stage, number) in self.largest(Worker::is_idle) {
            let Some(pool) = &self.stages[stage].pool else { continue };
            if freed < excess && pool.lives() > least {
                freed += pool.workers[number].held.bytes;
                self.stop_worker(stage, number, actions);
            }
        }
        freed
    }

    /// Gives the largest workers no more work, until `excess` bytes will be free.
    fn retire_largest(&mut self, mut excess: u64) {
        let is_at_work =
            |worker: &Worker| worker.life == Life::Alive && worker.may_grow() && worker.goes_on();
        for (stage, number) in self.largest(is_at_work) {
            let Some(pool) = &mut self.stages[stage].pool else { continue };
            let going_on = pool.count_workers(|one| one.life == Life::Alive && one.goes_on());
            let worker = &mut pool.workers[number];
            if excess > 0 && (going_on > 1 || worker.held.gathers()) {
                worker.retires = true;
                excess = excess.saturating_sub(worker.held.bytes);
            }
        }
    }

    /// Ends one worker in the middle of its work, so that the others stay below `limit`.
    fn end_one(&mut self, limit: u64, actions: &mut Vec<Action<T>>) {
        let first = self.most_important();
        let largest = self.largest(Worker::may_grow);
        let too_large = |&&(stage, number): &&WorkerId| self.bytes(stage, number) > limit;
        let other = largest.iter().find(|&&worker| Some(worker) != first);
        let Some(&(stage, number)) = largest.first().filter(too_large).or(other) else { return };
        let is_alone = self.bytes(stage, number) > limit;
        let peak_bytes = self.stages[stage].counters.worker_bytes_peak;
        let Some(pool) = &mut self.stages[stage].pool else { return };
        if matches!(pool.workers[number].life, Life::Starting(_)) && !is_alone {
            // It is asked for again at the next tick.
            pool.refused = true;
            self.stop_worker(stage, number, actions);
            return;
        }
        let then = if is_alone { pool.shrink(number) } else { Then::Later };
        let worker = &mut pool.workers[number];
        let (bytes, process) = (worker.held.bytes, worker.held.process);
        worker.held.is_ending = true;
        if then == Then::Later {
            worker.is_paused = true;
            let works: Vec<u64> = worker.works().collect();
            for ordinal in works {
                self.pause_work(stage, ordinal);
            }
        }
        let relief = Relief { bytes, peak_bytes, limit_bytes: limit, then };
        actions.push(Action::Relieve { stage, worker: number, process, relief });
    }

    /// Work whose worker waits for memory holds no tokens.
    fn pause_work(&mut self, stage: usize, ordinal: u64) {
        let stage = &mut self.stages[stage];
        let work = stage.works.get_mut(&ordinal).expect("a worker's work has not ended");
        if matches!(work.phase, Phase::Active) {
            work.clock.stop(self.now);
            work.enter(Phase::NeedsMemory, self.now);
            stage.active -= 1;
            self.tokens.give_back(&stage.plan.ask);
        }
    }

    fn bytes(&self, stage: usize, number: usize) -> u64 {
        self.stages[stage].pool.as_ref().map_or(0, |pool| pool.workers[number].held.bytes)
    }

    fn bytes_of(&self, is_counted: impl Fn(&Worker) -> bool) -> u64 {
        self.largest(is_counted).into_iter().map(|(stage, number)| self.bytes(stage, number)).sum()
    }

    /// The workers that hold some memory and for which that is so, the largest first.
    fn largest(&self, is_counted: impl Fn(&Worker) -> bool) -> Vec<WorkerId> {
        let mut largest: Vec<WorkerId> = Vec::new();
        for (stage, state) in self.stages.iter().enumerate() {
            let Some(pool) = state.pool.as_ref().filter(|_| state.closing == Closing::No) else {
                continue;
            };
            let workers = pool.workers.iter().enumerate();
            let counted = workers.filter(|(_, one)| one.held.bytes > 0 && is_counted(one));
            largest.extend(counted.map(|(number, _)| (stage, number)));
        }
        largest.sort_by_key(|&(stage, number)| Reverse(self.bytes(stage, number)));
        largest
    }
}

impl Pool {
    /// It is the pool of `stage`.
    fn take_measurement(&mut self, measured: &[(usize, WorkerMemory)], stage: usize) {
        for (number, worker) in self.workers.iter_mut().enumerate() {
            match of_stage(measured, stage).find(|memory| memory.worker == Some(number)) {
                Some(memory) => worker.held.note(memory),
                None => worker.held.note_none(),
            }
            self.worker_bytes_lately = self.worker_bytes_lately.max(worker.held.bytes);
            if worker.held.finished > 0 {
                self.shrunk = 0;
            }
        }
    }

    /// What a worker of it reserves.
    fn reservation(&self) -> u64 {
        if self.plan.memory_bytes > 0 { self.plan.memory_bytes } else { self.worker_bytes_lately }
    }

    /// Time passed: what workers hold now counts for more than what they held.
    pub(super) fn forget_memory(&mut self) {
        let now = self.workers.iter().map(|worker| worker.held.bytes).max().unwrap_or(0);
        let lately = self.worker_bytes_lately;
        self.worker_bytes_lately = now.max(lately - lately.div_ceil(FORGOTTEN));
    }

    /// What becomes of the work of a worker that holds more than there is, by itself.
    fn shrink(&mut self, number: usize) -> Then {
        let has_several = self.workers[number].works().count() > 1;
        let looks_ahead = self.plan.in_flight_max.is_some() && has_several;
        // It may be at all of them.
        if looks_ahead && self.one_by_one.insert(number) {
            self.plan.in_flight_max = Some(1);
            return Then::Alone;
        }
        let held = &self.workers[number].held;
        match held.rows {
            _ if held.gathers() => Then::Again,
            Some(rows) if rows > 1 => {
                // Each time in a row that it does not help, it is tried by a larger step.
                self.shrunk += 1;
                let smaller = (rows >> self.shrunk.min(usize::BITS - 1)).max(1);
                self.piece_rows = self.piece_rows.min(smaller);
                Then::Smaller(self.piece_rows)
            }
            // It may do it after a fresh start.
            _ if held.finished > 0 => Then::Again,
            _ => Then::Fail,
        }
    }
}

impl Worker {
    /// Whether it, or its start, may take more memory by itself.
    fn may_grow(&self) -> bool {
        let works = match self.life {
            Life::Starting(_) => true,
            Life::Alive => self.front().is_some() && !self.waits_for_memory(),
            Life::None | Life::Unwanted | Life::Stopping => false,
        };
        works && !self.held.is_ending
    }

    /// Whether its memory is about to be free.
    fn is_going(&self) -> bool {
        self.held.is_ending || matches!(self.life, Life::Unwanted | Life::Stopping)
    }

    /// Whether its process has ended, and a new one is started when there is room.
    fn waits_for_memory(&self) -> bool {
        self.is_paused && !self.held.is_ending
    }
}

/// The workers of one stage.
fn of_stage(
    measured: &[(usize, WorkerMemory)],
    stage: usize,
) -> impl Iterator<Item = &WorkerMemory> {
    measured.iter().filter(move |(of, _)| *of == stage).map(|(_, memory)| memory)
}

/// The part (numerator, denominator) of `bytes`.
fn part(bytes: u64, (numerator, denominator): (u64, u64)) -> u64 {
    bytes / denominator * numerator
}

#[cfg(test)]
mod tests;
