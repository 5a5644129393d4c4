//! What a running execution tells about itself.

use std::sync::atomic::Ordering;
use std::time::Duration;

use raceline_types::{ErrorKind, Failure};

use super::{Shell, State};
use crate::account::{StageAccounts, StageMemory};
use crate::graph::Body;
use crate::snapshot::Snapshot;

impl Shell {
    /// `failure` of `stage` with what that held, where something ran out.
    pub(super) fn with_memory(&self, held: &State, stage: usize, failure: Failure) -> Failure {
        if failure.kind() != ErrorKind::Resource {
            return failure;
        }
        let mut memory = held.scheduler.memory(stage);
        self.add_accounts(stage, &mut memory);
        let peaks = memory.levels().into_iter().filter(|(_, level)| level.bytes_peak > 0);
        let peaks: Vec<String> =
            peaks.map(|(name, level)| format!("{} {name}", mebibytes(level.bytes_peak))).collect();
        if peaks.is_empty() {
            return failure;
        }
        failure.with_memory(&format!("at most {}", peaks.join(", ")))
    }

    fn add_accounts(&self, stage: usize, memory: &mut StageMemory) {
        let StageAccounts { held, reserved } = &self.accounts[stage];
        (memory.held, memory.reserved) = (held.level(), reserved.level());
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let held = self.lock();
        let now = held.ended_at.unwrap_or_else(|| self.began.elapsed());
        let mut stages = held.scheduler.report(now, &self.names);
        let (queued_bytes, queued_bytes_peak) = held.scheduler.queued_bytes();
        let finished = held.ended_at.is_some();
        let (mut quiet, mut waits) = (None, Vec::new());
        if !finished {
            quiet = held.scheduler.quiet_since().map(|since| now.saturating_sub(since));
            waits = held.scheduler.explain(now, &self.names);
        }
        drop(held);
        for (index, (stage, node)) in stages.iter_mut().zip(&self.nodes).enumerate() {
            stage.workers = node.chain.iter().map(|operator| operator.workers() as u64).sum();
            let times = node.chain.iter().filter_map(|operator| operator.times());
            stage.times = times.reduce(|sum, more| sum + more);
            let moved = node.chain.iter().filter_map(|operator| operator.moved_bytes());
            stage.moved = moved.reduce(|sum, more| sum + more);
            self.add_accounts(index, &mut stage.memory);
            stage.errored_rows = node.chain.iter().map(|operator| operator.errored_rows()).sum();
            if matches!(node.body, Body::Source(_)) {
                stage.input_rows = self.rows_read[index].load(Ordering::Relaxed);
            }
        }
        Snapshot { stages, elapsed: now, queued_bytes, queued_bytes_peak, finished, quiet, waits }
    }

    /// For how long nothing has moved that somebody waits for; `None` while nobody waits.
    pub(crate) fn quiet(&self) -> Option<Duration> {
        let held = self.lock();
        let since = held.scheduler.quiet_since().filter(|_| held.ended_at.is_none())?;
        Some(self.began.elapsed().saturating_sub(since))
    }
}

/// Bytes as people read them.
#[expect(clippy::cast_precision_loss, reason = "shown to people only")]
fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
