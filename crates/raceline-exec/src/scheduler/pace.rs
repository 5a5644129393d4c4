//! Batches of the size that is fastest: what their stages tell the search, and the search the
//! queues.

use std::time::Duration;

use super::Scheduler;
use super::edge::Pace;
use super::pool::Pool;

/// A batch of more than one row has at most so many target batches of bytes.
const BATCH_TARGETS_MAX: u64 = 2;

impl<T: Clone> Scheduler<T> {
    /// Rows of a batch that were fastest so far, where `stage` wants to find that.
    pub(crate) fn batch_rows(&self, stage: usize) -> Option<usize> {
        Some(self.stages[stage].climb.as_ref()?.best())
    }

    /// Tells the queue before `stage` what its next batch should be like; `ended` is how many rows
    /// a batch had that ended, and how long it ran.
    pub(super) fn keep_pace(&mut self, stage: usize, ended: Option<(usize, Duration)>) {
        let bytes_max = BATCH_TARGETS_MAX.saturating_mul(self.target_batch_bytes);
        if self.stages[stage].climb.is_none() {
            return;
        }
        let input = self.stages[stage].plan.inputs[0];
        let rows_max = self.stages[input].edge.rows_of(bytes_max);
        let this = &mut self.stages[stage];
        let Some(climb) = &mut this.climb else { return };
        if let Some((rows, time)) = ended {
            climb.measured(rows, time);
        }
        let piece_rows = this.pool.as_ref().map_or(usize::MAX, |pool| pool.piece_rows);
        climb.limit(rows_max.min(piece_rows));
        let workers = this.pool.as_ref().map_or(this.plan.concurrency_max, Pool::lives);
        let (workers, is_idle) = (workers.max(1), this.works.is_empty());
        let pace = Pace { rows: climb.rows(), bytes_max, workers, is_idle };
        self.stages[input].edge.set_pace(pace);
    }
}
