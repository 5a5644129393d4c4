//! What the scheduler knows of one stage.

use std::collections::BTreeMap;
use std::time::Duration;

use super::climb::Climb;
use super::edge::{Edge, Morsel};
use super::pool::{Pool, PoolPlan};
use super::tokens::Ask;
use crate::account::Level;
use crate::operator::BatchShape;

/// What kind of work a stage does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum StageKind {
    /// Splits, found over time.
    Source,
    /// Units cut from one input.
    Operator(BatchShape),
    /// One piece of work over all inputs; takes no tokens.
    Region,
}

/// A stage as it is planned.
#[derive(Clone, Debug)]
pub(crate) struct StagePlan {
    pub kind: StageKind,
    /// Stages that feed its ports, each with a lower index.
    pub inputs: Vec<usize>,
    /// What each running piece of work takes.
    pub ask: Ask,
    /// Most pieces of work at once; at least 1. A pool's workers bound its work instead.
    pub concurrency_max: usize,
    /// The workers that its work needs, of an operator that has some.
    pub pool: Option<PoolPlan>,
    /// Whether it must be opened before its first work.
    pub opens: bool,
}

/// How a piece of work stands.
#[derive(Debug)]
pub(crate) enum Phase<T> {
    /// It runs and holds its stage's tokens.
    Active,
    /// It waits in a worker that is at other work; it holds no tokens.
    Behind,
    /// Its output waits for bytes; it holds no tokens.
    NeedsBytes(Vec<Morsel<T>>),
    /// Its output was admitted; it waits for tokens to go on.
    NeedsTokens,
    /// Its worker was ended and it waits for memory to be run again; it holds no tokens.
    NeedsMemory,
}

/// A piece of work that was started and has not ended.
#[derive(Debug)]
pub(crate) struct Work<T> {
    pub phase: Phase<T>,
    /// Since when it stands so.
    pub since: Duration,
    /// Bytes of its input, charged until it ends.
    pub input_bytes: u64,
    /// Bytes granted for outputs to come.
    pub permit_bytes: u64,
    /// Bytes that it holds of its output: what waits for room, and what is left of the batch that
    /// this was cut from. They are charged.
    pub output_bytes: u64,
    /// Whether its permit covered all of the batch that it puts out.
    pub is_covered: bool,
    /// Rows of its input.
    pub rows: usize,
    /// Batches that it works on one after the other.
    pub batches: u32,
    pub clock: Clock,
}

impl<T> Work<T> {
    /// It stands like `phase` from `now` on. Returns how it stood before.
    pub(crate) fn enter(&mut self, phase: Phase<T>, now: Duration) -> Phase<T> {
        self.since = now;
        std::mem::replace(&mut self.phase, phase)
    }

    /// Puts out `bytes`, of which only a part may be admitted at first. Returns the bytes to
    /// charge, and those to free.
    pub(crate) fn put_out(&mut self, bytes: u64) -> (u64, u64) {
        let more = bytes.saturating_sub(self.output_bytes);
        let permitted = more.min(self.permit_bytes);
        self.permit_bytes -= permitted;
        let is_begun = self.output_bytes > 0;
        self.is_covered = more == permitted && (self.is_covered || !is_begun);
        let less = self.output_bytes.saturating_sub(bytes);
        self.output_bytes = bytes;
        (more - permitted, less)
    }

    /// All bytes that are charged for it.
    pub(crate) fn charged_bytes(&self) -> u64 {
        self.input_bytes + self.permit_bytes + self.output_bytes
    }
}

/// How long a piece of work ran, without the time in which it waited.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    since: Option<Duration>,
    ran: Duration,
    /// Some of the time is not known.
    misses: bool,
}

impl Clock {
    /// It runs from `now` on.
    pub(crate) fn go(&mut self, now: Duration) {
        self.since.get_or_insert(now);
    }

    /// It stopped running at `now`.
    pub(crate) fn stop(&mut self, now: Duration) {
        match self.since.take() {
            Some(since) => self.ran += now.saturating_sub(since),
            None => self.misses = true,
        }
    }

    /// How long it ran in all, where that is known.
    pub(crate) fn time(&self) -> Option<Duration> {
        (!self.misses).then_some(self.ran)
    }
}

/// Whether a stage still counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It works, or will.
    Live,
    /// Nobody needs it: what runs is being cancelled.
    Unneeded,
    /// All its output was handed to the queue.
    Done,
}

/// How far the end of a stage has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closing {
    /// Work may still come.
    No,
    /// `close` was asked for.
    Asked,
    /// `close` has returned.
    Closed,
}

/// Counters for progress; they only grow.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub input_rows: u64,
    pub output_rows: u64,
    pub output_bytes: u64,
    pub output_batches: u64,
    /// Batches as its work put them out, before they were cut, and their bytes.
    pub whole_batches: u64,
    pub whole_bytes: u64,
    pub tasks_finished: u64,
    pub batches_finished: u64,
    pub busy: Duration,
    /// What its workers hold, all together.
    pub workers: Level,
    /// The most that one of them ever held.
    pub worker_bytes_peak: u64,
    pub first_start: Option<Duration>,
    pub end: Option<Duration>,
    pub failed: bool,
}

/// A stage while it runs.
#[derive(Debug)]
pub(crate) struct Stage<T> {
    pub plan: StagePlan,
    /// The stage that consumes its output; `None` for the root.
    pub consumer: Option<usize>,
    pub standing: Standing,
    /// Its output.
    pub edge: Edge<T>,
    pub works: BTreeMap<u64, Work<T>>,
    pub pool: Option<Pool>,
    /// The search for its batch size, where it wants that.
    pub climb: Option<Climb>,
    pub next_ordinal: u64,
    /// Splits that were found and not started.
    pub splits_waiting: usize,
    /// `open` has not returned.
    pub opening: bool,
    /// The listing has not ended.
    pub listing: bool,
    pub closing: Closing,
    /// Bytes charged: queued, permitted, and inputs and outputs of running work.
    pub charged: Level,
    /// When it last put something out, or a piece of its work ended.
    pub moved: Duration,
    /// When its consumer last asked for a batch, and was last given one.
    pub asked: Duration,
    pub handed: Duration,
    /// Pieces of work that run now, as opposed to wait.
    pub active: u64,
    pub counters: Counters,
}

impl<T: Clone> Stage<T> {
    pub(crate) fn new(plan: StagePlan, consumer: Option<usize>, edge: Edge<T>) -> Self {
        Self {
            consumer,
            standing: Standing::Live,
            edge,
            works: BTreeMap::new(),
            pool: plan.pool.clone().map(Pool::new),
            climb: match plan.kind {
                StageKind::Operator(BatchShape::Fastest(rows)) => Some(Climb::new(rows)),
                _ => None,
            },
            next_ordinal: 0,
            splits_waiting: 0,
            opening: plan.opens,
            listing: plan.kind == StageKind::Source,
            closing: Closing::No,
            charged: Level::default(),
            moved: Duration::ZERO,
            asked: Duration::ZERO,
            handed: Duration::ZERO,
            active: 0,
            counters: Counters::default(),
            plan,
        }
    }

    /// Whether the next piece of work would be the one that the consumer waits for.
    pub(crate) fn next_is_head(&self) -> bool {
        self.next_ordinal == self.edge.head()
    }

    /// Whether nothing of it is under way, apart from its workers.
    pub(crate) fn is_quiet(&self) -> bool {
        !self.opening && !self.listing && self.works.is_empty()
    }

    /// How long a piece of work has run so far, in the mean.
    pub(crate) fn work_time(&self) -> Option<Duration> {
        let finished = u32::try_from(self.counters.tasks_finished).unwrap_or(u32::MAX);
        self.counters.busy.checked_div(finished)
    }

    /// How long it has worked on a batch so far, in the mean.
    pub(crate) fn batch_time(&self) -> Option<Duration> {
        let finished = u32::try_from(self.counters.batches_finished).unwrap_or(u32::MAX);
        self.counters.busy.checked_div(finished)
    }

    /// Expected bytes of output of the next piece of work: the mean so far, or `guess_bytes`.
    /// More than `cap_bytes` only where a single batch has more: that is there at once.
    pub(crate) fn expected_bytes(&self, guess_bytes: u64, cap_bytes: u64) -> u64 {
        let Counters { tasks_finished, output_bytes, whole_batches, whole_bytes, .. } =
            self.counters;
        let mean = output_bytes.checked_div(tasks_finished);
        let batch = whole_bytes.checked_div(whole_batches).unwrap_or(0);
        mean.unwrap_or(guess_bytes).min(cap_bytes.max(batch))
    }
}
