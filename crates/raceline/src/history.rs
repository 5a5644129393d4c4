//! Runs of a session that are over, as far as they are to be remembered.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use raceline_exec::Snapshot;

/// So many are remembered; of more, the latest.
const RUNS_MAX: usize = 1_000;

/// What ended runs did, in the order in which they ended.
#[derive(Debug, Default)]
pub(crate) struct History {
    ended: Mutex<VecDeque<Snapshot>>,
}

impl History {
    /// Adds a run that is over.
    pub(crate) fn add(&self, run: Snapshot) {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.push_back(run);
        if ended.len() > RUNS_MAX {
            ended.pop_front();
        }
    }

    /// All, the latest last.
    pub(crate) fn runs(&self) -> Vec<Snapshot> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::sample;

    #[test]
    fn the_latest_are_remembered() {
        let history = History::default();
        for number in 0..RUNS_MAX + 5 {
            let mut run = sample::snapshot(Vec::new());
            run.queued_bytes = number as u64;
            history.add(run);
        }
        let runs = history.runs();
        assert_eq!(runs.len(), RUNS_MAX);
        assert_eq!((runs[0].queued_bytes, runs[RUNS_MAX - 1].queued_bytes), (5, 1_004));
    }
}
