//! What the scheduler tells about itself.

use std::time::Duration;

use super::Scheduler;
use super::stage::{Stage, StageKind, Standing};
use crate::account::StageMemory;
use crate::snapshot::{StageSnapshot, StageState};

impl<T: Clone> Scheduler<T> {
    /// Stages at `now`, in order, with the names that `name` gives them and without workers.
    pub(crate) fn report(
        &self,
        now: Duration,
        names: &[std::sync::Arc<str>],
    ) -> Vec<StageSnapshot> {
        let one = |(index, name): (usize, &std::sync::Arc<str>)| {
            let stage = &self.stages[index];
            let counters = &stage.counters;
            let begin = counters.first_start;
            let end = counters.end.unwrap_or(now);
            StageSnapshot {
                times: None,
                moved: None,
                name: std::sync::Arc::clone(name),
                state: state(stage),
                input_rows: counters.input_rows,
                output_rows: counters.output_rows,
                output_bytes: counters.output_bytes,
                output_batches: counters.output_batches,
                tasks_finished: counters.tasks_finished,
                tasks_total: self.tasks_total(stage),
                tasks_running: stage.works.len() as u64,
                queued_bytes: stage.edge.queued_bytes(),
                workers: 0,
                memory: self.memory(index),
                worker_bytes_peak: counters.worker_bytes_peak,
                errored_rows: 0,
                batch_rows: self.batch_rows(index).map(|rows| rows as u64),
                busy: counters.busy,
                elapsed: begin.map_or(Duration::ZERO, |begin| end.saturating_sub(begin)),
            }
        };
        names.iter().enumerate().map(one).collect()
    }

    /// What `stage` holds, as far as the scheduler knows.
    pub(crate) fn memory(&self, stage: usize) -> StageMemory {
        let Stage { charged, counters, .. } = &self.stages[stage];
        StageMemory { queues: *charged, workers: counters.workers, ..StageMemory::default() }
    }

    /// Bytes that queues, permits and running work use now, and workers as measured last.
    pub(crate) fn held_bytes(&self) -> u64 {
        self.budget.used_bytes() + self.account.held_bytes
    }

    /// Bytes held in queues now, and the most ever.
    pub(crate) fn queued_bytes(&self) -> (u64, u64) {
        (self.queued_bytes, self.queued_bytes_peak)
    }

    fn tasks_total(&self, stage: &Stage<T>) -> Option<u64> {
        let known = match stage.plan.kind {
            StageKind::Region => return Some(1),
            StageKind::Source => !stage.listing,
            StageKind::Operator(_) => self.stages[stage.plan.inputs[0]].edge.is_drained(),
        };
        known.then_some(stage.next_ordinal + stage.splits_waiting as u64)
    }
}

fn state<T>(stage: &Stage<T>) -> StageState {
    match stage.standing {
        _ if stage.counters.failed => StageState::Failed,
        Standing::Done | Standing::Unneeded => StageState::Finished,
        Standing::Live if stage.counters.first_start.is_some() => StageState::Running,
        Standing::Live => StageState::Waiting,
    }
}
