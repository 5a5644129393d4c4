//! The figures of a run, as text for a person.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{BinaryBytes, HumanCount};
use raceline_exec::{Level, Snapshot, StageMemory, StageSnapshot, StageState};

use crate::timeouts::wait_lines;

/// What each stage did, a paragraph a stage, what was lost of it, and what the run took as a whole.
#[must_use]
pub(crate) fn stats_text(snapshot: &Snapshot, losses: &[(Arc<str>, u64)]) -> String {
    let mut text = String::new();
    for (at, stage) in snapshot.stages.iter().enumerate() {
        stage_text(&mut text, at + 1, stage).expect("a string takes all text");
    }
    for (stage, count) in losses {
        writeln!(text, "left out by `max_errored_blocks`: {} of {stage}", HumanCount(*count))
            .expect("a string takes all text");
    }
    let state = if snapshot.finished { "run" } else { "run so far" };
    let whole = format!(
        "{state}: {}, at most {} queued\n",
        clock(snapshot.elapsed),
        BinaryBytes(snapshot.queued_bytes_peak)
    );
    text += &whole;
    if !snapshot.waits.is_empty() {
        writeln!(text, "who waits on what:\n{}", wait_lines(&snapshot.waits))
            .expect("a string takes all text");
    }
    text
}

/// The paragraph of one stage.
fn stage_text(text: &mut String, number: usize, stage: &StageSnapshot) -> std::fmt::Result {
    let how = match stage.state {
        StageState::Waiting => "waiting",
        StageState::Running => "running",
        StageState::Finished => "finished",
        StageState::Failed => "failed",
    };
    let StageSnapshot { name, output_rows, elapsed, busy, .. } = stage;
    writeln!(text, "stage {number} {name}: {how}")?;
    let tasks = HumanCount(stage.tasks_finished);
    match stage.tasks_total {
        Some(total) => writeln!(text, "  tasks: {tasks} of {}", HumanCount(total))?,
        None => writeln!(text, "  tasks: {tasks}")?,
    }
    writeln!(
        text,
        "  rows: {} in, {} out in {} batches of {}",
        HumanCount(stage.input_rows),
        HumanCount(*output_rows),
        HumanCount(stage.output_batches),
        BinaryBytes(stage.output_bytes)
    )?;
    if stage.errored_rows > 0 {
        writeln!(
            text,
            "  rows left out as the function failed for them: {}",
            HumanCount(stage.errored_rows)
        )?;
    }
    if let Some(rows) = stage.batch_rows {
        writeln!(text, "  fastest batches so far: {} rows", HumanCount(rows))?;
    }
    let workers = stage.memory.workers;
    if workers.bytes_peak > 0 {
        writeln!(
            text,
            "  memory: at most {} of one worker, {} of all",
            BinaryBytes(stage.worker_bytes_peak),
            BinaryBytes(workers.bytes_peak)
        )?;
    }
    let ours = StageMemory { workers: Level::default(), ..stage.memory }.levels();
    let ours = ours.into_iter().filter(|(_, level)| level.bytes_peak > 0);
    let ours: Vec<String> =
        ours.map(|(name, level)| format!("{} {name}", BinaryBytes(level.bytes_peak))).collect();
    if !ours.is_empty() {
        writeln!(text, "  buffers: at most {}", ours.join(", "))?;
    }
    writeln!(
        text,
        "  time: {} elapsed, {} busy, {} rows/s",
        clock(*elapsed),
        clock(*busy),
        HumanCount(rows_per_second(stage.input_rows.max(*output_rows), *elapsed))
    )
}

/// Seconds with a digit after the point; milliseconds below one second.
pub(crate) fn clock(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        format!("{}ms", time.as_millis())
    } else {
        format!("{:.1}s", time.as_secs_f64())
    }
}

/// Mean rate, rounded down; 0 before any time has passed.
pub(crate) fn rows_per_second(rows: u64, time: Duration) -> u64 {
    let rate = u128::from(rows) * 1_000_000_000 / time.as_nanos().max(1);
    if time.is_zero() { 0 } else { u64::try_from(rate).unwrap_or(u64::MAX) }
}

/// Snapshots to test with.
#[cfg(test)]
pub(crate) mod sample {
    use super::*;

    pub(crate) fn stage(name: &str, state: StageState) -> StageSnapshot {
        StageSnapshot {
            name: name.into(),
            state,
            input_rows: 2_000_000,
            output_rows: 1_500_000,
            output_bytes: 12 << 20,
            output_batches: 46,
            tasks_finished: 3,
            tasks_total: None,
            tasks_running: 1,
            queued_bytes: 0,
            workers: 0,
            memory: StageMemory::default(),
            worker_bytes_peak: 0,
            errored_rows: 0,
            batch_rows: None,
            busy: Duration::from_millis(3_500),
            elapsed: Duration::from_secs(2),
            times: None,
            moved: None,
        }
    }

    pub(crate) fn snapshot(stages: Vec<StageSnapshot>) -> Snapshot {
        Snapshot {
            stages,
            elapsed: Duration::from_secs(2),
            queued_bytes: 0,
            queued_bytes_peak: 5 << 20,
            finished: false,
            quiet: None,
            waits: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use raceline_exec::{Wait, WaitOn};

    use super::*;

    #[test]
    fn stats_tell_tasks_rows_bytes_and_time() {
        let mut read = sample::stage("Range", StageState::Finished);
        read.tasks_total = Some(3);
        let mut map = sample::stage("Map", StageState::Running);
        (map.worker_bytes_peak, map.memory.workers.bytes_peak) = (64 << 20, 100 << 20);
        (map.memory.queues.bytes_peak, map.memory.reserved.bytes_peak) = (8 << 20, 3 << 20);
        let mut snapshot = sample::snapshot(vec![read, map]);
        let (on, time) = (WaitOn::Demand, Duration::from_secs(31));
        snapshot.waits = vec![Wait { stage: None, on, time }];
        assert_eq!(
            stats_text(&snapshot, &[("Map".into(), 1_000)]),
            "stage 1 Range: finished\n  tasks: 3 of 3\n  rows: 2,000,000 in, 1,500,000 out in 46 \
             batches of 12.00 MiB\n  time: 2.0s elapsed, 3.5s busy, 1,000,000 rows/s\n\
             stage 2 Map: running\n  tasks: 3\n  rows: 2,000,000 in, 1,500,000 out in 46 batches \
             of 12.00 MiB\n  memory: at most 64.00 MiB of one worker, 100.00 MiB of all\n  \
             buffers: at most 8.00 MiB in queues, 3.00 MiB reserved\n  \
             time: 2.0s elapsed, 3.5s busy, 1,000,000 rows/s\n\
             left out by `max_errored_blocks`: 1,000 of Map\n\
             run so far: 2.0s, at most 5.00 MiB queued\n\
             who waits on what:\n    the consumer has not asked for a batch for 31.0 s\n"
        );
    }

    #[test]
    fn stats_tell_which_batches_were_fastest() {
        let mut stage = sample::stage("MapBatches(embed)", StageState::Running);
        stage.batch_rows = Some(2048);
        let text = stats_text(&sample::snapshot(vec![stage]), &[]);
        assert_eq!(text.lines().nth(3), Some("  fastest batches so far: 2,048 rows"));
    }

    #[test]
    fn rates_and_clocks_at_their_ends() {
        assert_eq!(rows_per_second(5, Duration::ZERO), 0);
        assert_eq!(rows_per_second(u64::MAX, Duration::from_nanos(1)), u64::MAX);
        assert_eq!(clock(Duration::from_millis(999)), "999ms");
    }
}
