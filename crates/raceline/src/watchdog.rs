//! Tells who waits on what when nothing has moved for a while. It looks and decides nothing.

use std::time::Duration;

use raceline_exec::{ExecutionHandle, Snapshot, Wait};
use raceline_worker::LineSink;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// The shortest time between two looks.
const LOOK_LEAST: Duration = Duration::from_millis(20);

/// Looks at one run, until it is dropped.
#[derive(Debug)]
pub(crate) struct Watchdog {
    task: Option<JoinHandle<()>>,
}

impl Watchdog {
    /// Watches what `handle` runs from `io`. Where nothing has moved for `quiet` that somebody
    /// waits for, `lines` are told why; then again when it has been twice as long, and so on, so
    /// that functions which take long are not told of all the time.
    pub(crate) fn start(
        io: &Handle,
        quiet: Option<Duration>,
        handle: ExecutionHandle,
        lines: LineSink,
    ) -> Self {
        let watch = |quiet: Duration| io.spawn(watch(quiet, handle, lines));
        Self { task: quiet.map(watch) }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

async fn watch(mut limit: Duration, handle: ExecutionHandle, lines: LineSink) {
    loop {
        let quiet = handle.quiet();
        if let Some(quiet) = quiet.filter(|quiet| *quiet >= limit) {
            for line in &report(&handle.snapshot(), quiet) {
                lines(line);
            }
            limit = quiet * 2;
        }
        let left = limit.saturating_sub(quiet.unwrap_or_default());
        tokio::time::sleep(left.max(LOOK_LEAST)).await;
    }
}

/// What is told of a run in which nothing has moved for `quiet`.
fn report(snapshot: &Snapshot, quiet: Duration) -> Vec<String> {
    let head = format!("raceline: nothing has moved for {:.0} s:", quiet.as_secs_f64());
    let indented = |wait: &Wait| format!("raceline:   {wait}");
    std::iter::once(head).chain(snapshot.waits.iter().map(indented)).collect()
}

#[cfg(test)]
mod tests {
    use raceline_exec::WaitOn;

    use super::*;
    use crate::stats::sample;

    #[test]
    fn a_report_is_the_chain() {
        let time = Duration::from_secs(31);
        let mut snapshot = sample::snapshot(vec![]);
        snapshot.waits = vec![
            Wait { stage: None, on: WaitOn::Batch("Range".into()), time },
            Wait { stage: Some("Range".into()), on: WaitOn::Listing, time },
        ];
        assert_eq!(
            report(&snapshot, time),
            [
                "raceline: nothing has moved for 31 s:",
                "raceline:   the consumer has waited for a batch of `Range` for 31.0 s",
                "raceline:   `Range` has found nothing more to read for 31.0 s",
            ]
        );
    }
}
