//! The ordered queue between a stage and its one consumer.
//!
//! Every piece of work of the producer has a lane. Only the lane at the head, the lowest
//! ordinal that has not ended, feeds the consumer; the others wait in theirs. Without order
//! every lane feeds the consumer at once.

use std::collections::VecDeque;

use crate::operator::BatchShape;

/// A run of rows of an item that the scheduler never looks into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Morsel<T> {
    /// What holds the rows.
    pub item: T,
    /// First row of the item that belongs to the morsel.
    pub first_row: usize,
    /// Number of rows.
    pub rows: usize,
    /// What the rows weigh.
    pub bytes: u64,
}

impl<T: Clone> Morsel<T> {
    /// The first `rows` rows; the rest stays.
    fn cut_front(&mut self, rows: usize) -> Self {
        assert!(0 < rows && rows < self.rows, "a cut leaves rows on both sides");
        let share = u128::from(self.bytes) * rows as u128 / self.rows as u128;
        let bytes = u64::try_from(share).expect("a share of a u64 is a u64");
        let front = Self { item: self.item.clone(), first_row: self.first_row, rows, bytes };
        self.first_row += rows;
        self.rows -= rows;
        self.bytes -= bytes;
        front
    }
}

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
    /// Lowest ordinal that has not ended.
    head: u64,
    /// Lanes of `head`, `head + 1`, …
    lanes: VecDeque<Lane<T>>,
    ready: VecDeque<Morsel<T>>,
    ready_rows: usize,
    queued_bytes: u64,
    units_taken: u64,
    /// The producer will start no more work and all of it has ended.
    pub(crate) complete: bool,
    /// The consumer waits for the next batch.
    pub(crate) wanted: bool,
}

impl<T: Clone> Edge<T> {
    pub(crate) fn new(order: Order, shape: Option<BatchShape>) -> Self {
        Self {
            order,
            shape,
            head: 0,
            lanes: VecDeque::new(),
            ready: VecDeque::new(),
            ready_rows: 0,
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
    fn make_ready(&mut self, morsel: Morsel<T>) -> u64 {
        let joins = !matches!(self.shape, None | Some(BatchShape::AsIs));
        if joins && morsel.rows == 0 && (self.units_taken > 0 || !self.ready.is_empty()) {
            self.queued_bytes -= morsel.bytes;
            return morsel.bytes;
        }
        self.ready_rows += morsel.rows;
        self.ready.push_back(morsel);
        0
    }

    /// Whether the consumer finds something to work on.
    pub(crate) fn has_unit(&self) -> bool {
        match self.shape {
            _ if self.ready.is_empty() => false,
            None | Some(BatchShape::AsIs) => true,
            Some(BatchShape::Rows(rows) | BatchShape::AtLeastRows(rows)) => {
                let rest = self.complete && (self.ready_rows > 0 || self.units_taken == 0);
                rest || self.ready_rows >= rows.max(1)
            }
        }
    }

    /// How many units the consumer finds, about.
    pub(crate) fn units(&self) -> usize {
        match self.shape {
            None | Some(BatchShape::AsIs) => self.ready.len(),
            Some(BatchShape::Rows(rows) | BatchShape::AtLeastRows(rows)) => {
                (self.ready_rows / rows.max(1)).max(usize::from(self.has_unit()))
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
        for lane in &mut self.lanes {
            lane.morsels.clear();
        }
        std::mem::take(&mut self.queued_bytes)
    }
}
