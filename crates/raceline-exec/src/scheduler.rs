//! The scheduler: a pure state machine that decides what starts, what waits, what is handed on
//! and what is cancelled. It knows ordinals, rows and bytes; it has no clock, no runtime and
//! never looks into a batch.
//!
//! # Rules
//!
//! 1. *Tokens.* Work runs only while it holds its stage's tokens. Handing out a batch gives
//!    them back; the work goes on once the batch is admitted and the tokens are there again. So
//!    nobody waits for bytes while holding a token. A worker may have work that waits in it;
//!    tokens go from one piece to the next. While an output of the first waits for bytes, the
//!    worker may be ahead of its tokens by what it has, and no further.
//! 2. *Order.* Work starts in output order. The lowest ordinal of a stage that has not ended is
//!    its head; only the head's output reaches the consumer.
//! 3. *Bytes.* Work starts with a permit, its stage's mean output, and is charged with its
//!    input. Output is charged as soon as it is there; beyond the permit it needs room in the
//!    [`Budget`] to be queued, and what waits for that keeps others from starting.
//!    A queue holds no more than it may be ahead of its consumer, half of that by work other
//!    than the head. The head need not share what room there is.
//! 4. *Overdraft.* The head may always start; its output is always admitted while the consumer
//!    has nothing to work on. Overdraft stops all other starts.
//! 5. *Workers.* What a worker holds while it lives is not needed by anything that its end waits
//!    for: one worker of each pool that lives at the same time fits beside the others.
//! 6. *Memory.* Workers hold no more than there is for them, see `memory`: which may end some of
//!    them, and whose work then waits. The most important work never waits for memory.
//! 7. *Importance.* Stages whose output somebody waits for come first, then those nearest to
//!    the end. What an important stage lacks is not given to a less important one.
//!
//! # Why it cannot stall
//!
//! Follow the root's consumer upstream. It waits, so its queue is empty, so by rule 4 the head
//! of that stage may start and its output is admitted. Either the head runs (progress), or it
//! waits for tokens, all holders of which run and will end or hand out (rule 1), or for a worker,
//! which will come (rule 5): the work of a worker is in order, so nothing is before the head. Or
//! it lacks input: then the same argument holds one stage further up, until a source.

mod assign;
mod budget;
mod climb;
mod cutter;
mod edge;
mod explain;
mod memory;
mod pace;
mod pool;
mod report;
#[cfg(test)]
mod simulation;
mod sizing;
mod stage;
mod tokens;

use std::time::Duration;

use raceline_types::Resources;

use crate::operator::Seat;
use crate::worker_memory::{Relief, WorkerMemory};

use self::budget::Budget;
pub(crate) use self::cutter::RowWeight;
use self::edge::{Edge, Order};
pub(crate) use self::edge::{Morsel, bytes_of};
use self::memory::Account;
pub(crate) use self::pool::PoolPlan;
use self::stage::{Closing, Phase, Stage, Standing};
pub(crate) use self::stage::{StageKind, StagePlan};
pub(crate) use self::tokens::Ask;
use self::tokens::Tokens;

/// Splits that a listing may be ahead of the work.
pub(crate) const SPLITS_AHEAD_MAX: usize = 64;

/// A piece of work: a split, a unit of input, or a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct WorkId {
    pub stage: usize,
    pub ordinal: u64,
}

/// How something ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    Failed,
    Cancelled,
}

/// What happened.
#[derive(Debug)]
pub(crate) enum Event<T> {
    /// The execution begins.
    Began,
    /// `open` of the stage returned.
    OpenEnded { stage: usize, outcome: Outcome },
    /// The listing found the next split.
    SplitFound { stage: usize },
    /// The listing ended.
    ListingEnded { stage: usize, outcome: Outcome },
    /// Running work has outputs, several only where they are small; `rest_bytes` of the batch that
    /// they were cut from follow.
    Emitted { work: WorkId, outputs: Vec<Morsel<T>>, rest_bytes: u64 },
    /// Work ended; every start is answered by exactly one end.
    WorkEnded { work: WorkId, outcome: Outcome },
    /// The consumer of the stage's output (a region or the root) waits for a batch.
    Pulled { stage: usize },
    /// The consumer of the stage's output needs no more.
    Dropped { stage: usize },
    /// The whole execution is to end.
    Cancelled,
    /// `start_worker` returned; cancelled: it was given up, or found no device.
    WorkerStarted { stage: usize, worker: usize, outcome: Outcome },
    /// `stop_worker` returned.
    WorkerStopped { stage: usize, worker: usize },
    /// What workers hold, each with its stage, and what is held elsewhere in the session.
    Measured { workers: Vec<(usize, WorkerMemory)>, elsewhere_bytes: u64 },
    /// Some time passed.
    Tick,
    /// `close` of the stage returned.
    Closed { stage: usize },
}

impl<T> Event<T> {
    /// Whether it says that the execution gets on.
    fn is_move(&self) -> bool {
        match self {
            Self::Began
            | Self::OpenEnded { .. }
            | Self::SplitFound { .. }
            | Self::ListingEnded { .. }
            | Self::Emitted { .. }
            | Self::WorkEnded { .. }
            | Self::Closed { .. } => true,
            Self::Pulled { .. }
            | Self::Dropped { .. }
            | Self::Cancelled
            | Self::WorkerStarted { .. }
            | Self::WorkerStopped { .. }
            | Self::Measured { .. }
            | Self::Tick => false,
        }
    }
}

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Action<T> {
    /// Call `open`; answer with [`Event::OpenEnded`].
    Open { stage: usize },
    /// Let the listing find this many more splits.
    List { stage: usize, splits: usize },
    /// Call `start_worker`; answer with [`Event::WorkerStarted`].
    StartWorker { stage: usize, worker: usize },
    /// Give up the worker's start, or, when it lives, call `stop_worker` and answer with
    /// [`Event::WorkerStopped`].
    StopWorker { stage: usize, worker: usize },
    /// Call `relieve_worker`.
    Relieve { stage: usize, worker: usize, process: u32, relief: Relief },
    /// Call `readmit_worker`.
    Readmit { stage: usize, worker: usize },
    /// Start work on `input` (empty for a split or a region), with the worker of `seat` where the
    /// stage has workers.
    Start { work: WorkId, input: Vec<Morsel<T>>, seat: Option<Seat> },
    /// Let work that handed out a batch go on.
    Resume { work: WorkId },
    /// Give the consumer the batch that it waits for, and further ones only where they are small.
    Hand { stage: usize, outputs: Vec<T> },
    /// Tell the consumer that there is no more.
    End { stage: usize },
    /// Cancel the stage's work, listing and opening.
    Cancel { stage: usize },
    /// Call `close`; answer with [`Event::Closed`].
    Close { stage: usize },
    /// Everything has ended.
    Finish,
}

/// Sizes that the scheduler works with.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// All logical resources.
    pub resources: Resources,
    /// Shared budget of queues, permits and running inputs.
    pub queue_bytes: u64,
    /// What one queue may hold ahead of its consumer: more would not make it faster.
    pub ahead_bytes: u64,
    /// Size to which outputs are cut, and the guess for work without history.
    pub target_batch_bytes: u64,
    /// Whether outputs keep input order.
    pub preserve_order: bool,
}

/// The state machine; see the module's rules.
#[derive(Debug)]
pub(crate) struct Scheduler<T> {
    stages: Vec<Stage<T>>,
    root: usize,
    budget: Budget,
    tokens: Tokens,
    account: Account,
    ahead_bytes: u64,
    target_batch_bytes: u64,
    queued_bytes: u64,
    queued_bytes_peak: u64,
    now: Duration,
    /// When something last moved, apart from workers and memory.
    moved: Duration,
    finished: bool,
    /// Stages in the order in which tokens are offered; kept to save allocations.
    importance: Vec<usize>,
}

impl<T: Clone> Scheduler<T> {
    /// Stages, each after its inputs; `root` is the one that the caller consumes. Every other
    /// stage is the input of exactly one stage.
    pub(crate) fn new(plans: Vec<StagePlan>, root: usize, limits: &Limits) -> Self {
        let mut consumers = vec![(None, None); plans.len()];
        for (consumer, plan) in plans.iter().enumerate() {
            let shape = match plan.kind {
                StageKind::Operator(shape) => Some(shape),
                StageKind::Source | StageKind::Region => None,
            };
            for &input in &plan.inputs {
                consumers[input] = (Some(consumer), shape);
            }
        }
        let order = if limits.preserve_order { Order::Input } else { Order::Arrival };
        let account = Account::new(&limits.resources, &plans);
        let stage = |(plan, (consumer, shape))| Stage::new(plan, consumer, Edge::new(order, shape));
        let mut scheduler = Self {
            stages: plans.into_iter().zip(consumers).map(stage).collect(),
            root,
            budget: Budget::new(limits.queue_bytes),
            tokens: Tokens::new(&limits.resources),
            account,
            ahead_bytes: limits.ahead_bytes,
            target_batch_bytes: limits.target_batch_bytes.max(1),
            queued_bytes: 0,
            queued_bytes_peak: 0,
            now: Duration::ZERO,
            moved: Duration::ZERO,
            finished: false,
            importance: Vec::new(),
        };
        for stage in 0..scheduler.stages.len() {
            scheduler.keep_pace(stage, None);
        }
        scheduler
    }

    /// Sets what queues, permits and running inputs may use from now on.
    pub(crate) fn limit_queues(&mut self, queue_bytes: u64) {
        self.budget.limit(queue_bytes);
    }

    /// Whether a failure of the stage would be the execution's: nobody needs a stage that was
    /// cancelled.
    pub(crate) fn is_live(&self, stage: usize) -> bool {
        self.stages[stage].standing == Standing::Live
    }

    /// Takes in what happened at `now` (time since the execution began, never less than
    /// before) and tells what to do.
    pub(crate) fn on(&mut self, event: Event<T>, now: Duration) -> Vec<Action<T>> {
        self.pass_time(now);
        if event.is_move() {
            self.moved = self.now;
        }
        let mut actions = Vec::new();
        self.take_in(event, &mut actions);
        loop {
            self.admit();
            self.hand(&mut actions);
            let settled = self.settle(&mut actions);
            let started = self.assign(&mut actions);
            let sized = self.size_pools(&mut actions);
            if !settled && !started && !sized {
                break;
            }
        }
        if !self.finished && self.stages.iter().all(|stage| stage.closing == Closing::Closed) {
            self.finished = true;
            actions.push(Action::Finish);
        }
        actions
    }

    fn pass_time(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.now);
        for index in 0..self.stages.len() {
            let stage = &self.stages[index];
            let at_port = |&input: &usize| self.stages[input].edge.wanted;
            if stage.active > 0 && !stage.plan.inputs.iter().any(at_port) {
                let workers = u32::try_from(stage.active).unwrap_or(u32::MAX);
                self.stages[index].counters.busy += passed * workers;
            }
        }
        self.now = self.now.max(now);
    }

    fn take_in(&mut self, event: Event<T>, actions: &mut Vec<Action<T>>) {
        match event {
            Event::Began => {
                for (stage, state) in self.stages.iter().enumerate() {
                    if state.opening {
                        actions.push(Action::Open { stage });
                    }
                    if state.listing {
                        actions.push(Action::List { stage, splits: SPLITS_AHEAD_MAX });
                    }
                }
            }
            Event::OpenEnded { stage, outcome } => {
                self.stages[stage].opening = false;
                self.note_outcome(stage, outcome, actions);
            }
            Event::SplitFound { stage } => {
                self.stages[stage].splits_waiting += 1;
                self.stages[stage].moved = self.now;
            }
            Event::ListingEnded { stage, outcome } => {
                self.stages[stage].listing = false;
                self.note_outcome(stage, outcome, actions);
            }
            Event::Emitted { work, outputs, rest_bytes } => {
                self.take_outputs(work, outputs, rest_bytes);
            }
            Event::WorkEnded { work, outcome } => {
                self.end_work(work, outcome);
                self.note_outcome(work.stage, outcome, actions);
            }
            Event::Pulled { stage } => {
                self.stages[stage].edge.wanted = true;
                self.stages[stage].asked = self.now;
            }
            Event::Dropped { stage } => self.unneed(stage, actions),
            Event::Cancelled => self.unneed(self.root, actions),
            Event::WorkerStarted { stage, worker, outcome } => {
                self.worker_started((stage, worker), outcome, actions);
                self.note_outcome(stage, outcome, actions);
            }
            Event::WorkerStopped { stage, worker } => self.worker_ended(stage, worker),
            Event::Measured { workers, elsewhere_bytes } => {
                self.take_measurement(&workers, elsewhere_bytes, actions);
            }
            Event::Tick => self.release_idle(actions),
            Event::Closed { stage } => {
                self.stages[stage].closing = Closing::Closed;
                self.workers_closed(stage);
            }
        }
    }

    /// A failure of a stage that somebody needs ends everything.
    fn note_outcome(&mut self, stage: usize, outcome: Outcome, actions: &mut Vec<Action<T>>) {
        if outcome == Outcome::Failed && self.is_live(stage) {
            self.stages[stage].counters.failed = true;
            self.unneed(self.root, actions);
        }
    }

    /// Cancels a stage and all that only feeds it.
    fn unneed(&mut self, stage: usize, actions: &mut Vec<Action<T>>) {
        let queued = self.stages[stage].edge.clear();
        self.free_queued(stage, queued);
        if self.stages[stage].standing == Standing::Live {
            self.stages[stage].standing = Standing::Unneeded;
            self.stages[stage].edge.complete = true;
            actions.push(Action::Cancel { stage });
        }
        for input in self.stages[stage].plan.inputs.clone() {
            self.unneed(input, actions);
        }
    }

    fn take_outputs(&mut self, work: WorkId, outputs: Vec<Morsel<T>>, rest_bytes: u64) {
        let stage = &mut self.stages[work.stage];
        if stage.standing != Standing::Live {
            return;
        }
        let running = stage.works.get_mut(&work.ordinal).expect("only running work has outputs");
        running.clock.stop(self.now);
        let bytes = bytes_of(&outputs) + rest_bytes;
        if running.output_bytes == 0 {
            stage.counters.whole_batches += outputs.len() as u64;
            stage.counters.whole_bytes += bytes;
        }
        let (more, less) = running.put_out(bytes);
        let phase = running.enter(Phase::NeedsBytes(outputs), self.now);
        stage.moved = self.now;
        match phase {
            Phase::Active => {
                stage.active -= 1;
                self.tokens.give_back(&stage.plan.ask);
            }
            // Its worker has gone on to it, and the end of the work before it is about to be told;
            // or its worker was ended, and this was on its way.
            Phase::Behind | Phase::NeedsMemory => {}
            Phase::NeedsBytes(_) | Phase::NeedsTokens => {
                panic!("work waits until its output is admitted")
            }
        }
        self.charge(work.stage, more);
        self.free(work.stage, less);
    }

    fn end_work(&mut self, work: WorkId, outcome: Outcome) {
        let stage = &mut self.stages[work.stage];
        let mut ended = stage.works.remove(&work.ordinal).expect("work ends once");
        let ran = matches!(ended.phase, Phase::Active);
        let now = self.now;
        ended.clock.stop(now);
        let next = stage.pool.as_mut().and_then(|pool| pool.end(work.ordinal, now));
        let next = next.and_then(|next| stage.works.get_mut(&next));
        if let Some(next) = next.filter(|next| matches!(next.phase, Phase::Behind)) {
            // Its worker is at it by now, with the same tokens.
            let phase = match ended.phase {
                Phase::Active => Phase::Active,
                Phase::NeedsMemory => Phase::NeedsMemory,
                _ => Phase::NeedsTokens,
            };
            next.enter(phase, now);
            if !matches!(next.phase, Phase::NeedsMemory) {
                next.clock.go(now);
            }
        } else if ran {
            stage.active -= 1;
            self.tokens.give_back(&stage.plan.ask);
        }
        stage.moved = now;
        stage.counters.tasks_finished += u64::from(outcome == Outcome::Done);
        stage.counters.batches_finished += u64::from(ended.batches);
        let dropped = stage.edge.end_lane(work.ordinal);
        self.free_queued(work.stage, dropped);
        self.free(work.stage, ended.charged_bytes());
        let time = ended.clock.time().filter(|_| outcome == Outcome::Done);
        self.keep_pace(work.stage, time.map(|time| (ended.rows, time)));
    }

    fn charge(&mut self, stage: usize, bytes: u64) {
        self.stages[stage].charged.grow(bytes);
        self.budget.grant(bytes);
    }

    fn free(&mut self, stage: usize, bytes: u64) {
        self.stages[stage].charged.shrink(bytes);
        self.budget.free(bytes);
    }

    /// Frees bytes that left the queue of `stage`.
    fn free_queued(&mut self, stage: usize, bytes: u64) {
        self.queued_bytes -= bytes;
        self.free(stage, bytes);
    }
}
