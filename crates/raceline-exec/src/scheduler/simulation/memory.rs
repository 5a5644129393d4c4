//! What the workers of the simulation hold, and what was done to them for it.

use std::collections::{BTreeMap, BTreeSet};

use super::super::*;
use super::Sim;
use super::workers::Workers;
use super::world::{Needs, Rng, Rows};
use crate::worker_memory::Then;

type Id = (usize, usize);

/// The process of a worker.
#[derive(Clone, Copy, Default)]
struct Process {
    number: u32,
    finished: u64,
}

/// All processes, as far as memory goes.
#[derive(Default)]
pub(super) struct Memory {
    processes: BTreeMap<Id, Process>,
    next: u32,
    /// Rows of each piece of work that a worker has.
    units: BTreeMap<WorkId, usize>,
    /// Most rows of a piece, by stage.
    pieces: BTreeMap<usize, usize>,
    /// Workers whose work waits for memory; whether an output of it is still on its way.
    paused: BTreeMap<Id, bool>,
    /// Measurements in a row while nothing else could happen.
    waits: u32,
    pub(super) relieved: u32,
}

impl Memory {
    pub(super) fn start(&mut self, work: WorkId, rows: usize) {
        self.units.insert(work, rows);
    }

    /// The worker of `work` is done with it, if it ever was at it.
    pub(super) fn end(&mut self, work: WorkId, worker: Option<Id>) {
        self.units.remove(&work);
        if let Some(process) = worker.and_then(|worker| self.processes.get_mut(&worker)) {
            process.finished += 1;
        }
    }

    /// Whether `worker` may do something.
    pub(super) fn lets(&self, worker: Option<Id>) -> bool {
        worker.is_none_or(|worker| self.paused.get(&worker).copied().unwrap_or(true))
    }

    pub(super) fn is_paused(&self, worker: Option<Id>) -> bool {
        worker.is_some_and(|worker| self.paused.contains_key(&worker))
    }

    /// What was on its way has come.
    pub(super) fn acted(&mut self, worker: Option<Id>) {
        if let Some(on_its_way) = worker.and_then(|worker| self.paused.get_mut(&worker)) {
            *on_its_way = false;
        }
        self.waits = 0;
    }

    /// How often in a row only a measurement could happen, as now if `is_all`.
    pub(super) fn waits(&mut self, is_all: bool) -> u32 {
        self.waits += u32::from(is_all);
        self.waits
    }

    pub(super) fn relieve(&mut self, worker: Id, process: u32, relief: Relief, rng: &mut Rng) {
        assert!(relief.bytes > 0 && relief.bytes <= relief.peak_bytes);
        assert!(!self.paused.contains_key(&worker), "ended twice");
        assert_eq!(self.processes.remove(&worker).map(|one| one.number), Some(process));
        self.relieved += 1;
        match relief.then {
            Then::Again | Then::Alone => {}
            Then::Later => {
                self.paused.insert(worker, rng.chance(30));
            }
            Then::Smaller(rows) => {
                assert!(relief.bytes > relief.limit_bytes);
                let before = self.pieces.insert(worker.0, rows);
                assert!(rows >= 1 && before.is_none_or(|before| rows <= before));
            }
            Then::Fail => panic!("{worker:?} would fit: {relief:?}"),
        }
    }

    pub(super) fn readmit(&mut self, worker: Id) {
        assert!(self.paused.remove(&worker).is_some(), "{worker:?} was not ended");
        self.waits = 0;
    }

    /// Workers of a stage, or one worker, are gone.
    pub(super) fn forget(&mut self, is_gone: impl Fn(&Id) -> bool) {
        self.processes.retain(|worker, _| !is_gone(worker));
        self.paused.retain(|worker, _| !is_gone(worker));
    }

    /// What a measurement at this moment finds.
    pub(super) fn measure(
        &mut self,
        workers: &Workers,
        needs: &[Needs],
        rng: &mut Rng,
    ) -> Vec<(usize, WorkerMemory)> {
        let alive: BTreeSet<Id> = workers.alive.iter().copied().collect();
        let starting = workers.starting.iter().chain(&workers.stopping);
        let mut found = Vec::new();
        for worker in alive.iter().chain(starting).filter(|one| !self.paused.contains_key(one)) {
            let process = self.processes.entry(*worker).or_insert_with(|| {
                self.next += 1;
                Process { number: self.next, finished: 0 }
            });
            let Process { number, finished } = *process;
            let Needs { loaded, row, left } = needs[worker.0];
            let unit = workers.front(*worker).and_then(|work| self.units.get(&work));
            let piece = self.pieces.get(&worker.0).copied().unwrap_or(usize::MAX);
            let rows = unit.filter(|_| alive.contains(worker)).map(|&rows| rows.min(piece));
            let at_work = row * rows.unwrap_or(0) as u64 * (rng.next() % 101) / 100;
            let bytes = 1 + loaded + left * finished + at_work;
            let memory =
                WorkerMemory { worker: Some(worker.1), process: number, bytes, finished, rows };
            found.push((worker.0, memory));
        }
        found
    }
}

impl Sim<'_> {
    pub(super) fn measure(&mut self) -> Event<Rows> {
        let Self { memory, workers, world, rng, .. } = self;
        let most = world.limits.resources.memory_bytes / 2;
        let elsewhere_bytes = if rng.chance(50) { 0 } else { rng.next() % most };
        Event::Measured { workers: memory.measure(workers, &world.needs, rng), elsewhere_bytes }
    }

    pub(super) fn forget(&mut self, work: WorkId) {
        self.actors.remove(&work);
        self.memory.end(work, self.workers.of(work));
        self.workers.forget(work);
    }
}
