//! The ordered queue between a stage and its one consumer.
//!
//! Every piece of work of the producer has a lane. Only the lane at the head, the lowest
//! ordinal that has not ended, feeds the consumer; the others wait in theirs. Without order
//! every lane feeds the consumer at once.

use std::collections::VecDeque;

use super::cutter::{Cutter, RowWeight};
use crate::operator::BatchShape;

/// A run of rows of an item that the scheduler never looks into.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Morsel<T> {
    /// What holds the rows.
    pub item: T,
    /// First row of the item that belongs to the morsel.
    pub first_row: usize,
    /// Number of rows.
    pub rows: usize,
    /// What the rows weigh, and `weights`.
    pub bytes: u64,
    /// What each row weighs, on the way to a consumer whose batches have bounds; else empty.
    pub weights: Vec<RowWeight>,
}

impl<T> Morsel<T> {
    /// Bytes of the weights themselves.
    pub(crate) fn weights_bytes(&self) -> u64 {
        size_of_val(&*self.weights) as u64
    }

    /// With what each row weighs.
    pub(crate) fn weighed(mut self, weights: Vec<RowWeight>) -> Self {
        self.weights = weights;
        self.bytes += self.weights_bytes();
        self
    }
}

/// What `morsels` weigh together.
pub(crate) fn bytes_of<T>(morsels: &[Morsel<T>]) -> u64 {
    morsels.iter().map(|morsel| morsel.bytes).sum()
}

impl<T: Clone> Morsel<T> {
    /// The first `rows` rows; the rest stays.
    fn cut_front(&mut self, rows: usize) -> Self {
        assert!(0 < rows && rows < self.rows, "a cut leaves rows on both sides");
        let share = u128::from(self.bytes) * rows as u128 / self.rows as u128;
        let bytes = u64::try_from(share).expect("a share of a u64 is a u64");
        let (item, first_row) = (self.item.clone(), self.first_row);
        let front = Self { item, first_row, rows, bytes, weights: Vec::new() };
        self.first_row += rows;
        self.rows -= rows;
        self.bytes -= bytes;
        front
    }
}

/// How a consumer is at present that wants the batches that are fastest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Rows of a batch.
    pub rows: usize,
    /// Most bytes of a batch of more than one row, about.
    pub bytes_max: u64,
    /// Batches that it can work on at once; at least 1.
    pub workers: usize,
    /// It works on nothing.
    pub is_idle: bool,
}

/// Of the rows of a batch, the part that one has at least at the end.
const LAST_PART: usize = 8;

/// In which order a queue hands on what different pieces of work put out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// As the work was started.
    Input,
    /// As it comes.
    Arrival,
}

/// Output of one piece of work that has not reached the head.
#[derive(Debug)]
struct Lane<T> {
    morsels: Vec<Morsel<T>>,
    ended: bool,
}

/// The queue.
#[derive(Debug)]
pub(crate) struct Edge<T> {
    order: Order,
    /// How the consumer wants its input; `None`: whole batches, one at a time, on demand.
    shape: Option<BatchShape>,
    /// Where its input ends a batch, where that depends on what rows weigh.
    cutter: Option<Cutter>,
    /// How large its batches are, where it wants the fastest.
    pace: Pace,
    /// Lowest ordinal that has not ended.
    head: u64,
    /// Lanes of `head`, `head + 1`, …
    lanes: VecDeque<Lane<T>>,
    ready: VecDeque<Morsel<T>>,
    ready_rows: usize,
    /// Bytes of a row, about.
    row_bytes: u64,
    queued_bytes: u64,
    units_taken: u64,
    /// The producer will start no more work and all of it has ended.
    pub(crate) complete: bool,
    /// The consumer waits for the next batch.
    pub(crate) wanted: bool,
}

impl<T: Clone> Edge<T> {
    pub(crate) fn new(order: Order, shape: Option<BatchShape>) -> Self {
        let cutter = match shape {
            Some(BatchShape::Within(bounds)) => Some(Cutter::new(bounds)),
            _ => None,
        };
        Self {
            order,
            shape,
            cutter,
            pace: Pace { rows: 1, bytes_max: u64::MAX, workers: 1, is_idle: true },
            head: 0,
            lanes: VecDeque::new(),
            ready: VecDeque::new(),
            ready_rows: 0,
            row_bytes: 1,
            queued_bytes: 0,
            units_taken: 0,
            complete: false,
            wanted: false,
        }
    }

    /// Lowest ordinal that has not ended.
    pub(crate) fn head(&self) -> u64 {
        self.head
    }

    /// Which order the consumer gets.
    pub(crate) fn order(&self) -> Order {
        self.order
    }

    /// Bytes in all lanes.
    pub(crate) fn queued_bytes(&self) -> u64 {
        self.queued_bytes
    }

    /// Opens the lane of the next ordinal.
    pub(crate) fn open_lane(&mut self, ordinal: u64) {
        assert_eq!(ordinal, self.head + self.lanes.len() as u64, "lanes open in order");
        self.lanes.push_back(Lane { morsels: Vec::new(), ended: false });
    }

    /// Queues an output of `ordinal`. Returns the bytes that were not worth keeping.
    pub(crate) fn push(&mut self, ordinal: u64, morsel: Morsel<T>) -> u64 {
        self.queued_bytes += morsel.bytes;
        if self.order == Order::Input && ordinal != self.head {
            self.lane(ordinal).morsels.push(morsel);
            return 0;
        }
        self.make_ready(morsel)
    }

    /// Ends `ordinal`: later lanes may become the head. Returns the bytes that were not worth
    /// keeping.
    pub(crate) fn end_lane(&mut self, ordinal: u64) -> u64 {
        self.lane(ordinal).ended = true;
        let mut dropped = 0;
        while self.lanes.front().is_some_and(|lane| lane.ended) {
            self.lanes.pop_front();
            self.head += 1;
            let arrived = self.lanes.front_mut().map(|lane| std::mem::take(&mut lane.morsels));
            for morsel in arrived.into_iter().flatten() {
                dropped += self.make_ready(morsel);
            }
        }
        dropped
    }

    fn lane(&mut self, ordinal: u64) -> &mut Lane<T> {
        let lane = usize::try_from(ordinal - self.head).expect("lanes are in memory");
        &mut self.lanes[lane]
    }

    /// An empty morsel only tells the schema: where batches are joined the first one is enough.
    fn make_ready(&mut self, mut morsel: Morsel<T>) -> u64 {
        let joins = !matches!(self.shape, None | Some(BatchShape::AsIs));
        if joins && morsel.rows == 0 && (self.units_taken > 0 || !self.ready.is_empty()) {
            self.queued_bytes -= morsel.bytes;
            return morsel.bytes;
        }
        let mut used_up = 0;
        if let Some(cutter) = &mut self.cutter {
            assert_eq!(morsel.weights.len(), morsel.rows, "each row is weighed");
            used_up = morsel.weights_bytes();
            cutter.take_in(&std::mem::take(&mut morsel.weights));
            morsel.bytes -= used_up;
            self.queued_bytes -= used_up;
        }
        if morsel.rows > 0 {
            self.row_bytes = (morsel.bytes / morsel.rows as u64).max(1);
        }
        self.ready_rows += morsel.rows;
        self.ready.push_back(morsel);
        used_up
    }

    /// Takes in how the consumer is.
    pub(crate) fn set_pace(&mut self, pace: Pace) {
        self.pace = pace;
    }

    /// How many rows have about so many bytes; at least 1.
    pub(crate) fn rows_of(&self, bytes: u64) -> usize {
        usize::try_from(bytes / self.row_bytes).unwrap_or(usize::MAX).max(1)
    }

    /// Rows of the next batch of the fastest; the last rows, and the few that there are while all
    /// are idle, are shared among the workers.
    fn fastest_rows(&self) -> usize {
        let rows = self.pace.rows.min(self.rows_of(self.pace.bytes_max));
        let share = self.ready_rows.div_ceil(self.pace.workers);
        let are_few = self.pace.is_idle && self.ready_rows < rows;
        if self.complete || are_few { rows.min(share.max(rows.div_ceil(LAST_PART))) } else { rows }
    }

    /// Whether the consumer finds something to work on.
    pub(crate) fn has_unit(&self) -> bool {
        let rest = self.complete && (self.ready_rows > 0 || self.units_taken == 0);
        match self.shape {
            _ if self.ready.is_empty() => false,
            None | Some(BatchShape::AsIs) => true,
            Some(BatchShape::Rows(rows) | BatchShape::AtLeastRows(rows)) => {
                rest || self.ready_rows >= rows.max(1)
            }
            Some(BatchShape::Within(_)) => rest || self.whole_units() > 0,
            Some(BatchShape::Fastest(_)) => {
                let hungry = self.pace.is_idle && self.ready_rows > 0;
                rest || hungry || self.ready_rows >= self.fastest_rows()
            }
        }
    }

    /// Units within bounds that no further row belongs to.
    fn whole_units(&self) -> usize {
        self.cutter.as_ref().map_or(0, Cutter::whole)
    }

    /// How many units the consumer finds, about.
    pub(crate) fn units(&self) -> usize {
        match self.shape {
            None | Some(BatchShape::AsIs) => self.ready.len(),
            Some(BatchShape::Rows(rows) | BatchShape::AtLeastRows(rows)) => {
                (self.ready_rows / rows.max(1)).max(usize::from(self.has_unit()))
            }
            Some(BatchShape::Within(_)) => self.whole_units().max(usize::from(self.has_unit())),
            Some(BatchShape::Fastest(_)) => {
                (self.ready_rows / self.fastest_rows()).max(usize::from(self.has_unit()))
            }
        }
    }

    /// Whether everything was handed on.
    pub(crate) fn is_drained(&self) -> bool {
        self.complete && !self.has_unit()
    }

    /// Takes what the consumer works on next; call only when [`Self::has_unit`].
    pub(crate) fn take_unit(&mut self) -> Vec<Morsel<T>> {
        self.units_taken += 1;
        let (rows, cuts) = match self.shape {
            None | Some(BatchShape::AsIs) => (0, false),
            Some(BatchShape::AtLeastRows(rows)) => (rows.max(1), false),
            Some(BatchShape::Rows(rows)) => (rows.max(1), true),
            Some(BatchShape::Within(_)) => (self.cutter.as_mut().map_or(0, Cutter::next), true),
            Some(BatchShape::Fastest(_)) => (self.fastest_rows(), true),
        };
        let mut missing = rows.min(self.ready_rows);
        if missing == 0 {
            return self.pop().into_iter().collect();
        }
        let mut unit = Vec::new();
        while missing > 0 {
            let front = self.ready.front_mut().expect("the rows were counted");
            if front.rows <= missing || !cuts {
                missing = missing.saturating_sub(front.rows);
                unit.extend(self.pop());
            } else {
                let cut = front.cut_front(missing);
                self.ready_rows -= cut.rows;
                self.queued_bytes -= cut.bytes;
                missing = 0;
                unit.push(cut);
            }
        }
        unit
    }

    /// Takes up to `count` units that are whole batches: the first as it is, and others while all of
    /// them have no more than `bytes_max`; call only when [`Self::has_unit`].
    pub(crate) fn take_bunch(&mut self, count: usize, bytes_max: u64) -> Vec<Morsel<T>> {
        let mut bunch = self.take_unit();
        let mut bytes = bytes_of(&bunch);
        while bunch.len() < count
            && let Some(next) = self.ready.front().filter(|next| bytes + next.bytes <= bytes_max)
        {
            bytes += next.bytes;
            bunch.extend(self.pop());
        }
        bunch
    }

    fn pop(&mut self) -> Option<Morsel<T>> {
        let morsel = self.ready.pop_front()?;
        self.ready_rows -= morsel.rows;
        self.queued_bytes -= morsel.bytes;
        Some(morsel)
    }

    /// Drops everything queued and returns its bytes. Lanes stay open for work that still runs.
    pub(crate) fn clear(&mut self) -> u64 {
        self.ready.clear();
        self.ready_rows = 0;
        if let Some(cutter) = &mut self.cutter {
            cutter.clear();
        }
        for lane in &mut self.lanes {
            lane.morsels.clear();
        }
        std::mem::take(&mut self.queued_bytes)
    }
}
