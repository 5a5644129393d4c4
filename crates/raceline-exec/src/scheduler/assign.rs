//! The scheduler's decisions: admission of outputs, handing on, ends, and who gets tokens.

use std::time::Duration;

use super::edge::{Order, bytes_of};
use super::stage::{Clock, Closing, Phase, Stage, StageKind, Standing, Work};
use super::{Action, Morsel, Scheduler, WorkId};
use crate::operator::BatchShape;

/// A permit is at most this many target batches, unless a single batch is larger: longer outputs
/// are admitted as they come.
const PERMIT_BATCHES_MAX: u64 = 2;

/// Work that takes longer is not given to a busy worker: next to it, what a worker waits for the
/// engine is nothing.
const AHEAD_BELOW: Duration = Duration::from_secs(1);

/// Batches are worked on, or handed on, together while they have no more bytes than this. What
/// becomes of a single batch costs more than such a batch.
const BUNCH_BYTES: u64 = 64 << 10;

/// At most so many of them.
const BUNCH_MOST: usize = 128;

/// They are worked on together while that takes no longer, by what it took so far.
const BUNCH_TIME: Duration = Duration::from_micros(200);

/// Where a piece of work runs.
enum Place {
    Inline,
    Worker(usize),
}

impl<T: Clone> Scheduler<T> {
    /// Queues the waiting outputs for which there is room.
    pub(super) fn admit(&mut self) {
        for stage in (0..self.stages.len()).rev() {
            if self.stages[stage].standing != Standing::Live {
                continue;
            }
            let waiting: Vec<u64> = waiting_for_bytes(&self.stages[stage]).collect();
            for ordinal in waiting {
                self.admit_one(WorkId { stage, ordinal });
            }
        }
    }

    fn admit_one(&mut self, id: WorkId) {
        let stage = &self.stages[id.stage];
        let work = &stage.works[&id.ordinal];
        let Phase::NeedsBytes(outputs) = &work.phase else { return };
        let bytes = bytes_of(outputs);
        let is_next = self.is_next(id);
        let has_room = work.is_covered
            || self.budget.keeps(stage.charged.bytes)
            || (is_next && self.budget.has_room(0));
        let may_queue = has_room && self.may_be_ahead(stage, is_next, bytes);
        // A hungry consumer's next output is overdraft where there is no room.
        let overdraws = is_next && !stage.edge.has_unit();
        if !may_queue && !overdraws {
            return;
        }
        let stage = &mut self.stages[id.stage];
        let work = stage.works.get_mut(&id.ordinal).expect("it was found above");
        let phase = work.enter(Phase::NeedsTokens, self.now);
        let Phase::NeedsBytes(outputs) = phase else { unreachable!("it was matched above") };
        work.output_bytes -= bytes;
        self.queued_bytes += bytes;
        self.queued_bytes_peak = self.queued_bytes_peak.max(self.queued_bytes);
        let mut dropped = 0;
        for output in outputs {
            stage.counters.output_rows += output.rows as u64;
            stage.counters.output_bytes += output.bytes - output.weights_bytes();
            stage.counters.output_batches += 1;
            dropped += stage.edge.push(id.ordinal, output);
        }
        self.free_queued(id.stage, dropped);
    }

    /// Whether `stage` may queue `bytes` more ahead of its consumer.
    fn may_be_ahead(&self, stage: &Stage<T>, is_next: bool, bytes: u64) -> bool {
        let most = if is_next { self.ahead_bytes } else { self.ahead_bytes / 2 };
        stage.edge.queued_bytes().saturating_add(bytes) <= most
    }

    /// Whether the consumer gets this output before those of the stage's other work.
    fn is_next(&self, id: WorkId) -> bool {
        let stage = &self.stages[id.stage];
        match stage.edge.order() {
            Order::Input => stage.edge.head() == id.ordinal,
            Order::Arrival => waiting_for_bytes(stage).next() == Some(id.ordinal),
        }
    }

    /// Gives waiting consumers (regions and the root) what there is.
    pub(super) fn hand(&mut self, actions: &mut Vec<Action<T>>) {
        for stage in 0..self.stages.len() {
            let Stage { edge, consumer, .. } = &mut self.stages[stage];
            if !edge.wanted {
                continue;
            }
            let consumer = *consumer;
            let has_unit = edge.has_unit();
            let unit = if has_unit { edge.take_bunch(BUNCH_MOST, BUNCH_BYTES) } else { vec![] };
            edge.wanted = unit.is_empty() && !edge.is_drained();
            if let Some(consumer) = consumer {
                let region = &mut self.stages[consumer];
                region.counters.input_rows += unit.iter().map(|m| m.rows as u64).sum::<u64>();
            }
            if unit.is_empty() && !self.stages[stage].edge.wanted {
                actions.push(Action::End { stage });
            }
            if !unit.is_empty() {
                self.stages[stage].handed = self.now;
                self.free_queued(stage, bytes_of(&unit));
                let outputs = unit.into_iter().map(|morsel| morsel.item).collect();
                actions.push(Action::Hand { stage, outputs });
            }
        }
    }

    /// Notes which stages are done, closes those, and drops what a done region left. Returns
    /// whether anything changed.
    pub(super) fn settle(&mut self, actions: &mut Vec<Action<T>>) -> bool {
        let mut changed = false;
        for stage in 0..self.stages.len() {
            let this = &self.stages[stage];
            if this.closing != Closing::No || !this.is_quiet() {
                continue;
            }
            if this.standing == Standing::Live && !self.is_exhausted(stage) {
                continue;
            }
            if this.pool.as_ref().is_some_and(|pool| !pool.is_settled()) {
                self.give_up_starts(stage, actions);
                continue;
            }
            changed = true;
            self.finish_stage(stage, actions);
        }
        changed
    }

    fn finish_stage(&mut self, stage: usize, actions: &mut Vec<Action<T>>) {
        let this = &mut self.stages[stage];
        this.closing = Closing::Asked;
        this.edge.complete = true;
        this.counters.end = Some(self.now);
        actions.push(Action::Close { stage });
        if this.standing == Standing::Live {
            this.standing = Standing::Done;
            for input in this.plan.inputs.clone() {
                self.unneed(input, actions);
            }
        }
    }

    /// Whether no work of `stage` will start any more, once its listing has ended.
    pub(super) fn is_exhausted(&self, stage: usize) -> bool {
        let this = &self.stages[stage];
        match this.plan.kind {
            StageKind::Source => this.splits_waiting == 0,
            StageKind::Operator(_) => self.stages[this.plan.inputs[0]].edge.is_drained(),
            StageKind::Region => this.next_ordinal > 0,
        }
    }

    /// Resumes and starts work as far as tokens and bytes go. Returns whether any was.
    pub(super) fn assign(&mut self, actions: &mut Vec<Action<T>>) -> bool {
        let before = actions.len();
        self.rank_stages();
        self.tokens.begin_round();
        let readmitted = self.readmitted();
        let importance = std::mem::take(&mut self.importance);
        for &stage in &importance {
            let this = &self.stages[stage];
            if this.standing == Standing::Live && !this.opening {
                self.resume_works(stage, &readmitted, actions);
                self.start_works(stage, actions);
            }
        }
        self.importance = importance;
        actions.len() > before
    }

    /// Stages whose output somebody waits for, then the others; each from the end upstream.
    pub(super) fn rank_stages(&mut self) {
        let mut demanded = vec![false; self.stages.len()];
        demanded[self.root] = self.stages[self.root].edge.wanted;
        for stage in (0..self.stages.len()).rev() {
            for &input in &self.stages[stage].plan.inputs {
                let edge = &self.stages[input].edge;
                demanded[input] = match self.stages[stage].plan.kind {
                    StageKind::Operator(_) => demanded[stage] && !edge.has_unit(),
                    StageKind::Source | StageKind::Region => edge.wanted,
                };
            }
        }
        self.importance.clear();
        let from_the_end = (0..demanded.len()).rev();
        self.importance.extend(from_the_end.clone().filter(|&stage| demanded[stage]));
        self.importance.extend(from_the_end.filter(|&stage| !demanded[stage]));
    }

    /// `readmitted` are the workers whose work need not wait for memory any more.
    fn resume_works(
        &mut self,
        stage: usize,
        readmitted: &[(usize, usize)],
        actions: &mut Vec<Action<T>>,
    ) {
        let Stage { works, plan, active, pool, .. } = &mut self.stages[stage];
        for (&ordinal, work) in works {
            if !matches!(work.phase, Phase::NeedsTokens | Phase::NeedsMemory) {
                continue;
            }
            let paused = pool.as_ref().and_then(|pool| pool.paused_with(ordinal));
            if paused.is_some_and(|worker| !readmitted.contains(&(stage, worker))) {
                continue;
            }
            if !self.tokens.take(&plan.ask) {
                return;
            }
            if let (Some(pool), Some(worker)) = (pool.as_mut(), paused) {
                pool.workers[worker].is_paused = false;
                actions.push(Action::Readmit { stage, worker });
            }
            let handed_out = work.enter(Phase::Active, self.now);
            work.clock.go(self.now);
            *active += 1;
            if matches!(handed_out, Phase::NeedsTokens) {
                actions.push(Action::Resume { work: WorkId { stage, ordinal } });
            }
        }
    }

    fn start_works(&mut self, stage: usize, actions: &mut Vec<Action<T>>) {
        while self.is_startable(stage)
            && let Some(place) = self.find_place(stage)
        {
            self.start(stage, place, actions);
        }
    }

    /// Where the next piece of work would run, with its tokens; `None` when it must wait. A busy
    /// worker gets more while nobody more important waits for its tokens: those go from each of
    /// its works to the next.
    fn find_place(&mut self, stage: usize) -> Option<Place> {
        let Stage { pool, plan, .. } = &self.stages[stage];
        let Some(pool) = pool else {
            return self.tokens.take(&plan.ask).then_some(Place::Inline);
        };
        let is_contested = self.tokens.is_kept(&plan.ask);
        if let Some(worker) = pool.idle()
            && self.tokens.take(&plan.ask)
        {
            return Some(Place::Worker(worker));
        }
        if is_contested {
            return None;
        }
        pool.least_busy(self.in_flight_max(stage)).map(Place::Worker)
    }

    /// Batches that one worker of `stage` may have. The second one is there so that the worker
    /// need not wait for the engine. After a long batch that gains nothing, and a batch that
    /// waits is bound to a worker that may be the last to be free.
    fn in_flight_max(&self, stage: usize) -> usize {
        let this = &self.stages[stage];
        let asked = this.pool.as_ref().and_then(|pool| pool.plan.in_flight_max);
        let is_short = this.work_time().is_some_and(|time| time < AHEAD_BELOW);
        asked.unwrap_or(if is_short { 2 } else { 1 })
    }

    /// Everything but tokens is there for the next piece of work.
    pub(super) fn is_startable(&self, stage: usize) -> bool {
        let this = &self.stages[stage];
        let has_input = match this.plan.kind {
            StageKind::Source => this.splits_waiting > 0,
            StageKind::Operator(_) => self.stages[this.plan.inputs[0]].edge.has_unit(),
            StageKind::Region => this.next_ordinal == 0,
        };
        let expected = self.expected_bytes(stage);
        has_input
            && (this.pool.is_some() || this.works.len() < this.plan.concurrency_max)
            && (this.next_is_head()
                || (self.budget.admits(this.charged.bytes, expected)
                    && self.may_be_ahead(this, false, expected.min(self.permit_bytes_most()))))
    }

    /// Bytes of a permit, where outputs come in batches of the target size.
    fn permit_bytes_most(&self) -> u64 {
        PERMIT_BATCHES_MAX * self.target_batch_bytes
    }

    fn expected_bytes(&self, stage: usize) -> u64 {
        self.stages[stage].expected_bytes(self.target_batch_bytes, self.permit_bytes_most())
    }

    fn start(&mut self, stage: usize, place: Place, actions: &mut Vec<Action<T>>) {
        let input = self.take_input(stage, actions);
        let input_bytes = bytes_of(&input);
        let batches = if self.takes_bunches(stage) { input.len() } else { 1 };
        let expected = self.expected_bytes(stage);
        let charged = self.stages[stage].charged.bytes;
        let is_region = self.stages[stage].plan.kind == StageKind::Region;
        let permitted = !is_region && self.budget.admits(charged, expected);
        let permit_bytes = if permitted { expected } else { 0 };
        self.charge(stage, input_bytes + permit_bytes);
        let this = &mut self.stages[stage];
        let ordinal = this.next_ordinal;
        this.next_ordinal += 1;
        this.edge.open_lane(ordinal);
        let rows = input.iter().map(|morsel| morsel.rows).sum();
        this.counters.input_rows += rows as u64;
        this.counters.first_start.get_or_insert(self.now);
        let (seat, runs) = match (place, &mut this.pool) {
            (Place::Worker(worker), Some(pool)) => {
                let (seat, runs) = pool.give(worker, ordinal);
                (Some(seat), runs)
            }
            _ => (None, true),
        };
        this.active += u64::from(runs);
        let phase = if runs { Phase::Active } else { Phase::Behind };
        let mut clock = Clock::default();
        if runs {
            clock.go(self.now);
        }
        let work = Work {
            phase,
            since: self.now,
            input_bytes,
            permit_bytes,
            output_bytes: 0,
            is_covered: false,
            rows,
            batches: u32::try_from(batches).unwrap_or(u32::MAX),
            clock,
        };
        this.works.insert(ordinal, work);
        self.keep_pace(stage, None);
        actions.push(Action::Start { work: WorkId { stage, ordinal }, input, seat });
    }

    fn take_input(&mut self, stage: usize, actions: &mut Vec<Action<T>>) -> Vec<Morsel<T>> {
        match self.stages[stage].plan.kind {
            StageKind::Region => Vec::new(),
            StageKind::Source => {
                self.stages[stage].splits_waiting -= 1;
                if self.stages[stage].listing {
                    actions.push(Action::List { stage, splits: 1 });
                }
                Vec::new()
            }
            StageKind::Operator(_) => {
                let input = self.stages[stage].plan.inputs[0];
                let most = self.bunch_most(stage);
                let edge = &mut self.stages[input].edge;
                let unit =
                    if most > 1 { edge.take_bunch(most, BUNCH_BYTES) } else { edge.take_unit() };
                self.free_queued(input, bytes_of(&unit));
                unit
            }
        }
    }

    /// Whether a piece of work of `stage` may be several batches, one after the other.
    fn takes_bunches(&self, stage: usize) -> bool {
        let this = &self.stages[stage];
        this.pool.is_none() && this.plan.kind == StageKind::Operator(BatchShape::AsIs)
    }

    /// How many batches the next piece of work of `stage` may be: as many as take no time.
    fn bunch_most(&self, stage: usize) -> usize {
        let time = self.stages[stage].batch_time().filter(|_| self.takes_bunches(stage));
        let fit = time.map_or(1, |time| BUNCH_TIME.as_nanos() / time.as_nanos().max(1));
        usize::try_from(fit).unwrap_or(BUNCH_MOST).clamp(1, BUNCH_MOST)
    }
}

/// Ordinals of the works of `stage` whose output waits for bytes, lowest first.
fn waiting_for_bytes<T>(stage: &Stage<T>) -> impl Iterator<Item = u64> + '_ {
    stage
        .works
        .iter()
        .filter(|(_, work)| matches!(work.phase, Phase::NeedsBytes(_)))
        .map(|(&ordinal, _)| ordinal)
}
