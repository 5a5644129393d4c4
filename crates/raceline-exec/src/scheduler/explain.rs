//! Who waits on what, from whoever reads the output down to the causes.
//!
//! The chain follows the argument of why it cannot stall, see [`super`]: the consumer of a stage
//! waits for the head of that stage, and the head runs, or waits for something that another has,
//! or for input, which is the head of another stage.

use std::sync::Arc;
use std::time::Duration;

use super::edge::{Order, bytes_of};
use super::pool::Life;
use super::stage::{Closing, Phase, Stage, StageKind, Standing, Work};
use super::{Scheduler, WorkId};
use crate::wait::{Wait, WaitOn};

/// A chain that grows.
struct Chain<'a> {
    names: &'a [Arc<str>],
    now: Duration,
    waits: Vec<Wait>,
}

impl Chain<'_> {
    fn push(&mut self, stage: Option<usize>, on: WaitOn, since: Duration) {
        let stage = stage.map(|stage| Arc::clone(&self.names[stage]));
        self.waits.push(Wait { stage, on, time: self.now.saturating_sub(since) });
    }
}

impl<T: Clone> Scheduler<T> {
    /// Who waits on what at `now`, stages by the names of `names`; nothing when all has ended.
    /// The first wait is that of whoever reads the output, the causes are the last of each branch.
    pub(crate) fn explain(&self, now: Duration, names: &[Arc<str>]) -> Vec<Wait> {
        let mut chain = Chain { names, now, waits: Vec::new() };
        let root = &self.stages[self.root];
        if root.edge.wanted {
            chain.push(None, WaitOn::Batch(Arc::clone(&names[self.root])), root.asked);
            self.explain_stage(self.root, &mut chain);
        } else if root.standing == Standing::Live || !root.edge.is_drained() {
            chain.push(None, WaitOn::Demand, root.handed);
        } else if !self.finished {
            self.explain_ends(&mut chain);
        }
        chain.waits
    }

    /// Since when nothing has moved that somebody waits for; `None` while nobody waits.
    pub(crate) fn quiet_since(&self) -> Option<Duration> {
        let root = &self.stages[self.root];
        root.edge.wanted.then(|| self.moved.max(root.asked))
    }

    /// Why `stage` does not put out the next batch.
    fn explain_stage(&self, stage: usize, chain: &mut Chain<'_>) {
        let this = &self.stages[stage];
        if this.opening {
            return chain.push(Some(stage), WaitOn::Opening, Duration::ZERO);
        }
        let next = match this.edge.order() {
            Order::Input => this.works.get_key_value(&this.edge.head()),
            Order::Arrival => longest_active(this).or_else(|| this.works.first_key_value()),
        };
        match next {
            Some((&ordinal, work)) => self.explain_work(WorkId { stage, ordinal }, work, chain),
            None => self.explain_start(stage, chain),
        }
    }

    /// Why a piece of work puts out nothing.
    fn explain_work(&self, id: WorkId, work: &Work<T>, chain: &mut Chain<'_>) {
        let WorkId { stage, ordinal } = id;
        let this = &self.stages[stage];
        match &work.phase {
            Phase::Active => {
                let ports = this.plan.inputs.iter();
                let asked: Vec<usize> =
                    ports.copied().filter(|&input| self.stages[input].edge.wanted).collect();
                if asked.is_empty() {
                    let process = self.process_of(id);
                    let on = WaitOn::Work { rows: work.rows as u64, process };
                    chain.push(Some(stage), on, work.since);
                }
                for input in asked {
                    self.explain_input(stage, input, self.stages[input].asked, chain);
                }
            }
            Phase::Behind => {
                chain.push(Some(stage), WaitOn::Worker, work.since);
                let workers = this.pool.iter().flat_map(|pool| &pool.workers);
                let mut fronts = workers.filter(|one| one.works().any(|other| other == ordinal));
                let front = fronts.next().and_then(super::pool::Worker::front);
                if let Some((&ordinal, work)) =
                    front.and_then(|front| this.works.get_key_value(&front))
                {
                    self.explain_work(WorkId { stage, ordinal }, work, chain);
                }
            }
            Phase::NeedsBytes(outputs) => {
                chain.push(Some(stage), WaitOn::Room(bytes_of(outputs)), work.since);
            }
            Phase::NeedsTokens => self.explain_tokens(stage, work.since, chain),
            Phase::NeedsMemory => chain.push(Some(stage), WaitOn::Memory, work.since),
        }
    }

    /// Why the next piece of work of `stage` has not started.
    fn explain_start(&self, stage: usize, chain: &mut Chain<'_>) {
        let this = &self.stages[stage];
        let since = this.moved;
        match this.plan.kind {
            StageKind::Source if this.splits_waiting == 0 && this.listing => {
                return chain.push(Some(stage), WaitOn::Listing, since);
            }
            StageKind::Operator(_) => {
                let input = this.plan.inputs[0];
                let edge = &self.stages[input].edge;
                if !edge.has_unit() && !edge.is_drained() {
                    return self.explain_input(stage, input, self.stages[input].moved, chain);
                }
            }
            StageKind::Source | StageKind::Region => {}
        }
        let workers = this.pool.iter().flat_map(|pool| &pool.workers);
        let starting = workers.filter_map(|worker| match worker.life {
            Life::Starting(since) => Some(since),
            _ => None,
        });
        let has_idle = this.pool.as_ref().is_none_or(|pool| pool.idle().is_some());
        let is_exhausted = self.is_exhausted(stage);
        match starting.min() {
            // Those of the plan's start are waited for, whether there is work or not.
            Some(since) if is_exhausted || !has_idle => {
                chain.push(Some(stage), WaitOn::WorkerStart, since);
            }
            _ if is_exhausted => chain.push(Some(stage), WaitOn::Closing, since),
            _ if has_idle => self.explain_tokens(stage, since, chain),
            _ if !self.has_memory_for_worker(stage) => {
                chain.push(Some(stage), WaitOn::Memory, since);
            }
            _ => self.explain_tokens(stage, since, chain),
        }
    }

    fn explain_input(&self, stage: usize, input: usize, since: Duration, chain: &mut Chain<'_>) {
        let on = WaitOn::Batch(Arc::clone(&chain.names[input]));
        chain.push(Some(stage), on, since);
        self.explain_stage(input, chain);
    }

    /// `stage` lacks what others have: the work that has had some of it longest.
    fn explain_tokens(&self, stage: usize, since: Duration, chain: &mut Chain<'_>) {
        chain.push(Some(stage), WaitOn::Resources, since);
        let ask = &self.stages[stage].plan.ask;
        let holders = self.stages.iter().enumerate().filter(|(_, other)| {
            let of_workers = other.pool.as_ref().filter(|pool| pool.lives() > 0);
            let hold =
                |wanted: &super::Ask| of_workers.is_some_and(|p| p.plan.hold.overlaps(wanted));
            let wanted = self.stages[stage].pool.as_ref().map(|pool| &pool.plan.hold);
            other.plan.ask.overlaps(ask) || wanted.is_some_and(hold)
        });
        let active = holders.filter_map(|(index, other)| {
            longest_active(other).map(|(&ordinal, work)| (index, ordinal, work))
        });
        if let Some((index, ordinal, work)) = active.min_by_key(|(_, _, work)| work.since) {
            let process = self.process_of(WorkId { stage: index, ordinal });
            let on = WaitOn::Work { rows: work.rows as u64, process };
            chain.push(Some(index), on, work.since);
        }
    }

    /// What has not come to its end, when all output was taken.
    fn explain_ends(&self, chain: &mut Chain<'_>) {
        for (stage, this) in self.stages.iter().enumerate() {
            if this.closing != Closing::Closed {
                chain.push(Some(stage), WaitOn::Closing, this.counters.end.unwrap_or(this.moved));
            }
        }
    }

    /// The process that does a piece of work, as far as it was measured.
    fn process_of(&self, id: WorkId) -> Option<u32> {
        let pool = self.stages[id.stage].pool.as_ref()?;
        let worker = pool.workers.iter().find(|worker| worker.front() == Some(id.ordinal))?;
        Some(worker.held.process).filter(|&process| process > 0)
    }
}

/// The work of a stage that has run for longest.
fn longest_active<T>(stage: &Stage<T>) -> Option<(&u64, &Work<T>)> {
    let active = stage.works.iter().filter(|(_, work)| matches!(work.phase, Phase::Active));
    active.min_by_key(|(_, work)| work.since)
}

#[cfg(test)]
mod tests;
