//! How many workers each pool has.
//!
//! A pool is at full width at once: while nothing is known, every unit of input that waits is
//! reason for a worker. Later a worker is started when units have waited for as long as a start
//! takes, and ended when it had no work for as long, and for [`KEEP_IDLE`]: waiting and starting
//! then never cost more than twice of what knowing the future would have (the "ski rental").
//! As the first worker without work is used first, the last ones are idle exactly where fewer
//! would be enough.
//!
//! A pool that lacks a GPU, or another thing that workers hold while they live, gets it from one
//! that could do its work with fewer.

use std::time::Duration;

use super::pool::{Life, Pool, PoolPlan};
use super::stage::{Closing, Stage, Standing};
use super::{Action, Outcome, Scheduler};

/// Workers of a pool that lately were at work for no more than this part of their time, one of
/// them left out, would do without that one.
const AT_WORK_MOST: f64 = 0.9;

/// A worker without work is kept for at least this long.
const KEEP_IDLE: Duration = Duration::from_secs(2);

impl<T: Clone> Scheduler<T> {
    /// Starts workers where work waits for them. Returns whether anything was decided.
    pub(super) fn size_pools(&mut self, actions: &mut Vec<Action<T>>) -> bool {
        let before = actions.len();
        let importance = std::mem::take(&mut self.importance);
        for &stage in &importance {
            let missing = self.workers_missing(stage);
            for _ in 0..missing {
                if !self.has_memory_for_worker(stage) {
                    break;
                }
                if !self.start_worker(stage, actions) {
                    self.press(stage);
                    break;
                }
            }
        }
        self.importance = importance;
        self.end_retired(actions);
        actions.len() > before
    }

    /// Workers that `stage` should have beside those that it has.
    fn workers_missing(&mut self, stage: usize) -> usize {
        if self.stages[stage].standing != Standing::Live || self.is_exhausted(stage) {
            return 0;
        }
        let Some(pool) = &self.stages[stage].pool else { return 0 };
        if pool.refused {
            return 0;
        }
        let PoolPlan { start, least, is_late, group, share, most, .. } = pool.plan;
        let (begun, has_input) = (pool.begun, self.units_waiting(stage) > 0);
        if is_late && !begun && !has_input {
            return 0;
        }
        let floor = if begun { least } else { start };
        let cap = if self.is_measured(group) { most } else { share };
        let waiting = if self.is_startable(stage) { self.units_waiting(stage) } else { 0 };
        let (now, finished) = (self.now, self.stages[stage].counters.tasks_finished);
        let Some(pool) = &mut self.stages[stage].pool else { return 0 };
        pool.begun = true;
        let lives = pool.lives();
        let coming = pool.count(|life| matches!(life, Life::Starting(_)));
        // While one is idle it lacks tokens, not workers.
        let short = if pool.idle().is_some() { 0 } else { waiting.saturating_sub(coming) };
        if short == 0 {
            pool.short_since = None;
            return floor.min(cap).saturating_sub(lives);
        }
        let since = *pool.short_since.get_or_insert(now);
        let pays = lives == 0 || finished == 0 || now.saturating_sub(since) >= pool.start_time();
        let wanted = if pays { floor.max(lives + short) } else { floor };
        wanted.min(cap).saturating_sub(lives)
    }

    pub(super) fn units_waiting(&self, stage: usize) -> usize {
        self.stages[self.stages[stage].plan.inputs[0]].edge.units()
    }

    /// Whether all pools of `group` have shown how fast they are.
    fn is_measured(&self, group: usize) -> bool {
        self.stages.iter().all(|stage| {
            let is_other = stage.pool.as_ref().is_none_or(|pool| pool.plan.group != group);
            is_other || stage.counters.tasks_finished > 0 || stage.standing != Standing::Live
        })
    }

    /// Starts one worker of `stage`, if what it holds is free.
    fn start_worker(&mut self, stage: usize, actions: &mut Vec<Action<T>>) -> bool {
        let Some(pool) = &mut self.stages[stage].pool else { return false };
        let free = pool.workers.iter().position(|worker| worker.life == Life::None);
        let Some(worker) = free else { return false };
        if !self.tokens.take(&pool.plan.hold) {
            return false;
        }
        pool.workers[worker].life = Life::Starting(self.now);
        actions.push(Action::StartWorker { stage, worker });
        true
    }

    /// `lacking` needs what workers hold: takes it from a pool that would do with a worker less,
    /// or, where it has no worker at all, from any that has one to spare.
    fn press(&mut self, lacking: usize) {
        let Some(pool) = &self.stages[lacking].pool else { return };
        let has_none = pool.count(|life| life != Life::None) == 0;
        let hold = pool.plan.hold.clone();
        let now = self.now;
        for (stage, state) in self.stages.iter_mut().enumerate() {
            let busy = state.counters.busy;
            let is_other = stage != lacking && state.closing == Closing::No;
            let Some(pool) = state.pool.as_mut().filter(|_| is_other) else { continue };
            let alive = pool.count(|life| life == Life::Alive);
            let shares = pool.plan.hold.overlaps(&hold) && alive > pool.plan.least;
            let fewer = u32::try_from(alive.saturating_sub(1)).unwrap_or(u32::MAX);
            let at_work = pool.at_work(now, busy);
            let would_do = at_work.is_some_and(|most| most <= AT_WORK_MOST * f64::from(fewer));
            if shares && (has_none || would_do) && pool.retire() {
                return;
            }
        }
    }

    /// Ends workers that have retired and done their last work.
    fn end_retired(&mut self, actions: &mut Vec<Action<T>>) {
        for stage in 0..self.stages.len() {
            let is_open = self.stages[stage].closing == Closing::No;
            let pool = self.stages[stage].pool.as_ref().filter(|_| is_open);
            if let Some(worker) = pool.and_then(Pool::retired) {
                self.stop_worker(stage, worker, actions);
            }
        }
    }

    /// Time passed: ends workers that had nothing to do for long.
    pub(super) fn release_idle(&mut self, actions: &mut Vec<Action<T>>) {
        for stage in 0..self.stages.len() {
            if self.stages[stage].closing != Closing::No {
                continue;
            }
            let (now, busy) = (self.now, self.stages[stage].counters.busy);
            if let Some(pool) = &mut self.stages[stage].pool {
                pool.refused = false;
                pool.mark(now, busy);
                pool.forget_memory();
            }
            while let Some(pool) = &self.stages[stage].pool {
                let least = KEEP_IDLE.max(pool.start_time());
                let is_more = pool.lives() > pool.plan.least;
                let Some(worker) = pool.idle_for(least, self.now).filter(|_| is_more) else {
                    break;
                };
                self.stop_worker(stage, worker, actions);
            }
        }
    }

    /// Gives up starts that an exhausted stage does not need. Those of the plan's start are
    /// waited for: whether their constructors fail must not depend on how fast the input ends.
    pub(super) fn give_up_starts(&mut self, stage: usize, actions: &mut Vec<Action<T>>) {
        let Some(pool) = &self.stages[stage].pool else { return };
        let starting = |worker: &usize| matches!(pool.workers[*worker].life, Life::Starting(_));
        let needless: Vec<usize> = (pool.plan.start..pool.workers.len()).filter(starting).collect();
        for worker in needless {
            self.stop_worker(stage, worker, actions);
        }
    }

    pub(super) fn stop_worker(
        &mut self,
        stage: usize,
        worker: usize,
        actions: &mut Vec<Action<T>>,
    ) {
        let Some(pool) = &mut self.stages[stage].pool else { return };
        let life = &mut pool.workers[worker].life;
        *life = if *life == Life::Alive { Life::Stopping } else { Life::Unwanted };
        actions.push(Action::StopWorker { stage, worker });
    }

    pub(super) fn worker_started(
        &mut self,
        (stage, worker): (usize, usize),
        outcome: Outcome,
        actions: &mut Vec<Action<T>>,
    ) {
        let Some(pool) = &mut self.stages[stage].pool else { return };
        match (pool.workers[worker].life, outcome) {
            (Life::Starting(asked), Outcome::Done) => pool.started(worker, asked, self.now),
            (Life::Unwanted, Outcome::Done) => {
                pool.workers[worker].life = Life::Alive;
                self.stop_worker(stage, worker, actions);
            }
            (Life::Starting(_), _) => {
                pool.refused = true;
                self.worker_ended(stage, worker);
            }
            (Life::Unwanted, _) => self.worker_ended(stage, worker),
            (life, _) => unreachable!("a worker that is {life:?} was started"),
        }
    }

    /// A worker is gone: what it held is free.
    pub(super) fn worker_ended(&mut self, stage: usize, worker: usize) {
        let Some(pool) = &mut self.stages[stage].pool else { return };
        pool.workers[worker].life = Life::None;
        self.tokens.give_back(&pool.plan.hold);
    }

    /// A stage was closed, and its workers with it.
    pub(super) fn workers_closed(&mut self, stage: usize) {
        let Stage { pool: Some(Pool { workers, .. }), .. } = &self.stages[stage] else { return };
        let alive = |worker: &usize| workers[*worker].life == Life::Alive;
        for worker in (0..workers.len()).filter(alive).collect::<Vec<_>>() {
            self.worker_ended(stage, worker);
        }
    }
}
