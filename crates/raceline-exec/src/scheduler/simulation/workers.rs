//! The workers of all pools and what they were given.

use std::collections::{BTreeMap, VecDeque};

use super::super::*;
use crate::operator::Seat;

/// A worker: its stage and number.
type Id = (usize, usize);

/// Workers by how they stand, and their work.
#[derive(Default)]
pub(super) struct Workers {
    pub(super) starting: Vec<Id>,
    /// Their start was given up and has not ended.
    pub(super) unwanted: Vec<Id>,
    pub(super) alive: Vec<Id>,
    pub(super) stopping: Vec<Id>,
    /// Work that was given to each worker and has not ended, in order.
    given: BTreeMap<Id, VecDeque<WorkId>>,
    turns: BTreeMap<Id, u64>,
}

impl Workers {
    pub(super) fn all(&self) -> impl Iterator<Item = &Id> {
        self.coming_and_going().chain(&self.alive)
    }

    fn coming_and_going(&self) -> impl Iterator<Item = &Id> {
        self.starting.iter().chain(&self.unwanted).chain(&self.stopping)
    }

    pub(super) fn stop(&mut self, worker: Id) {
        if let Some(at) = self.starting.iter().position(|one| *one == worker) {
            self.unwanted.push(self.starting.swap_remove(at));
            return;
        }
        let at = self.alive.iter().position(|one| *one == worker).expect("it lives");
        self.stopping.push(self.alive.swap_remove(at));
        assert!(self.given.get(&worker).is_none_or(VecDeque::is_empty), "stopped while it works");
    }

    /// The workers of a stage end with it.
    pub(super) fn close(&mut self, stage: usize) {
        let mut others = self.coming_and_going();
        assert!(!others.any(|(of, _)| *of == stage), "closed while workers come and go");
        drop(others);
        self.alive.retain(|(of, _)| *of != stage);
    }

    pub(super) fn give(&mut self, work: WorkId, seat: Option<Seat>, plan: Option<&PoolPlan>) {
        assert_eq!(seat.is_some(), plan.is_some());
        let (Some(Seat { worker, turn }), Some(plan)) = (seat, plan) else { return };
        let worker = (work.stage, worker);
        assert!(self.alive.contains(&worker), "{work:?} was given to a dead worker");
        let next = self.turns.entry(worker).or_default();
        assert_eq!(turn, *next);
        *next += 1;
        let given = self.given.entry(worker).or_default();
        given.push_back(work);
        assert!(given.len() <= plan.in_flight_max.unwrap_or(2), "{worker:?} has too much work");
    }

    /// What `worker` is at.
    pub(super) fn front(&self, worker: Id) -> Option<WorkId> {
        self.given.get(&worker)?.front().copied()
    }

    /// The worker that was given `work`.
    pub(super) fn of(&self, work: WorkId) -> Option<Id> {
        let given = self.given.iter().find(|(_, works)| works.contains(&work));
        given.map(|(worker, _)| *worker)
    }

    /// A worker works on what it was given in order: it goes on when the work before is done,
    /// though the scheduler may not have heard of that.
    pub(super) fn has_its_turn(&self, work: WorkId, is_done: impl Fn(&WorkId) -> bool) -> bool {
        self.given.values().all(|works| {
            let before = works.iter().take_while(|&&given| given != work);
            before.clone().count() == works.len() || before.clone().all(&is_done)
        })
    }

    pub(super) fn forget(&mut self, work: WorkId) {
        for works in self.given.values_mut() {
            works.retain(|&given| given != work);
        }
    }
}
