//! Where batches within bounds end.

use std::collections::VecDeque;

use crate::operator::BatchBounds;

/// What a row weighs for batches that have bounds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct RowWeight {
    /// Its bytes.
    pub bytes: u64,
    /// Its cost: finite, at least 0.
    pub cost: f64,
}

/// Finds the ends of batches from the weights of rows, which it sees once, in order.
#[derive(Debug)]
pub(crate) struct Cutter {
    bounds: BatchBounds,
    /// Rows of the batches that are whole, in order.
    whole: VecDeque<usize>,
    /// The batch that still grows.
    open: Gathered,
}

/// Rows and what they weigh together.
#[derive(Clone, Copy, Debug, Default)]
struct Gathered {
    rows: usize,
    weight: RowWeight,
}

impl Gathered {
    fn with(self, row: RowWeight) -> Self {
        let weight = RowWeight {
            bytes: self.weight.bytes.saturating_add(row.bytes),
            cost: self.weight.cost + row.cost,
        };
        Self { rows: self.rows + 1, weight }
    }

    fn exceeds(&self, bounds: &BatchBounds) -> bool {
        let Self { rows, weight: RowWeight { bytes, cost } } = *self;
        bounds.rows_max.is_some_and(|most| rows > most)
            || bounds.bytes_max.is_some_and(|most| bytes > most)
            || bounds.cost_max.is_some_and(|most| cost > most)
    }

    fn reaches(&self, bounds: &BatchBounds) -> bool {
        let Self { rows, weight: RowWeight { bytes, cost } } = *self;
        bounds.rows_max.is_some_and(|most| rows >= most)
            || bounds.bytes_max.is_some_and(|most| bytes >= most)
            || bounds.cost_max.is_some_and(|most| cost >= most)
    }
}

impl Cutter {
    pub(crate) fn new(bounds: BatchBounds) -> Self {
        Self { bounds, whole: VecDeque::new(), open: Gathered::default() }
    }

    /// Takes in the weights of the rows that come next.
    pub(crate) fn take_in(&mut self, rows: &[RowWeight]) {
        for &row in rows {
            let mut open = self.open.with(row);
            if self.open.rows > 0 && open.exceeds(&self.bounds) {
                self.whole.push_back(self.open.rows);
                open = Gathered::default().with(row);
            }
            if open.reaches(&self.bounds) {
                self.whole.push_back(open.rows);
                open = Gathered::default();
            }
            self.open = open;
        }
    }

    /// Batches that are whole.
    pub(crate) fn whole(&self) -> usize {
        self.whole.len()
    }

    /// Rows of the next batch; the last one need not be whole.
    pub(crate) fn next(&mut self) -> usize {
        let next = self.whole.pop_front();
        next.unwrap_or_else(|| std::mem::take(&mut self.open).rows)
    }

    /// Forgets all rows.
    pub(crate) fn clear(&mut self) {
        self.whole.clear();
        self.open = Gathered::default();
    }
}
