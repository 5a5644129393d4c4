//! Progress on stderr while a plan runs: one line a stage. It renders snapshots and decides
//! nothing; stdout is never written to.

use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use indicatif::{BinaryBytes, HumanCount, MultiProgress, ProgressBar, ProgressStyle};
use raceline_exec::{Snapshot, StageSnapshot, StageState};
use raceline_worker::LineSink;

use crate::stats::{clock, rows_per_second};

/// Time between two looks at the snapshot in a terminal. Runs shorter than five show nothing.
const LIVE_INTERVAL: Duration = Duration::from_millis(100);

/// Looks that pass in a terminal before the first line is drawn.
const LIVE_LOOKS_SILENT: u32 = 5;

/// Time between two reports elsewhere. Shorter runs report nothing.
const PLAIN_INTERVAL: Duration = Duration::from_secs(5);

/// Longest name in a line, in characters; a longer one is cut at its front, as the last
/// operator of a fused stage tells most.
const NAME_CHARS_MAX: usize = 40;

/// Whether progress is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProgressMode {
    /// Live lines where stderr is a terminal, a report each five seconds elsewhere.
    #[default]
    Auto,
    /// Nothing.
    Off,
}

/// Where the runs of one session draw their live lines, so that what workers print meanwhile
/// comes above them and not in between.
#[derive(Clone, Debug, Default)]
pub(crate) struct Screen {
    live: Arc<Mutex<Live>>,
}

#[derive(Debug, Default)]
struct Live {
    bars: MultiProgress,
    runs: usize,
}

impl Screen {
    /// A sink for lines, which go to `plain` while no run draws.
    pub(crate) fn lines(&self, plain: LineSink) -> LineSink {
        let screen = self.clone();
        Arc::new(move |line| {
            let live = screen.live();
            if live.runs == 0 {
                plain(line);
            } else {
                // A terminal that is gone leaves nowhere to tell of it.
                drop(live.bars.println(line));
            }
        })
    }

    fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The bars of all runs, for one that begins to draw.
    fn enter(&self) -> MultiProgress {
        let mut live = self.live();
        if live.runs == 0 {
            // What earlier runs left on the terminal is not drawn again.
            live.bars = MultiProgress::new();
        }
        live.runs += 1;
        live.bars.clone()
    }

    fn leave(&self) {
        self.live().runs -= 1;
    }
}

/// Shows the progress of one run from a thread of its own, until it is dropped.
#[derive(Debug)]
pub(crate) struct Progress {
    /// Dropped to end the thread.
    stop: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    /// Starts to show what `snapshot` tells. When the thread cannot be started, the run goes on
    /// without progress.
    pub(crate) fn start(
        mode: ProgressMode,
        screen: Screen,
        snapshot: impl Fn() -> Snapshot + Send + 'static,
    ) -> Self {
        if mode == ProgressMode::Off {
            return Self { stop: None, thread: None };
        }
        let (stop, stopped) = sync_channel(1);
        let show = move || {
            if io::stderr().is_terminal() {
                show_live(&stopped, &screen, snapshot);
            } else {
                show_plain(&stopped, PLAIN_INTERVAL, snapshot, &mut io::stderr());
            }
        };
        let thread = Builder::new().name("raceline-progress".into()).spawn(show).ok();
        Self { stop: Some(stop), thread }
    }
}

impl Drop for Progress {
    /// Ends the thread, which shows the last state first.
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// Waits for `interval`; `false` when the run ended meanwhile.
fn goes_on(stopped: &Receiver<()>, interval: Duration) -> bool {
    stopped.recv_timeout(interval) == Err(RecvTimeoutError::Timeout)
}

/// Redraws the lines in place; the last ones stay.
fn show_live(stopped: &Receiver<()>, screen: &Screen, snapshot: impl Fn() -> Snapshot) {
    for _ in 0..LIVE_LOOKS_SILENT {
        if !goes_on(stopped, LIVE_INTERVAL) {
            return;
        }
    }
    let all_bars = screen.enter();
    let mut bars: Vec<ProgressBar> = Vec::new();
    loop {
        let ended = !goes_on(stopped, LIVE_INTERVAL);
        let lines = lines(&snapshot());
        for gone in bars.drain(lines.len().min(bars.len())..) {
            all_bars.remove(&gone);
        }
        while bars.len() < lines.len() {
            let bar = ProgressBar::no_length().with_style(live_style());
            bars.push(all_bars.add(bar));
        }
        for (bar, line) in bars.iter().zip(lines) {
            bar.set_message(line);
            bar.tick();
        }
        if ended {
            bars.iter().for_each(ProgressBar::abandon);
            screen.leave();
            return;
        }
    }
}

/// One line, cut at the width of the terminal.
fn live_style() -> ProgressStyle {
    ProgressStyle::with_template("{wide_msg}").expect("a template of one known key is valid")
}

/// Writes the lines each `interval`, and once more at the end if it wrote any. Stops for good
/// when nobody can read them.
fn show_plain(
    stopped: &Receiver<()>,
    interval: Duration,
    snapshot: impl Fn() -> Snapshot,
    out: &mut impl Write,
) {
    let mut reported = false;
    loop {
        let ended = !goes_on(stopped, interval);
        if ended && !reported {
            return;
        }
        let snapshot = snapshot();
        let seconds = clock(snapshot.elapsed);
        let lines = lines(&snapshot).into_iter();
        let text: Vec<String> = lines.map(|line| format!("raceline {seconds}  {line}\n")).collect();
        if out.write_all(text.concat().as_bytes()).is_err() || ended {
            return;
        }
        reported = true;
    }
}

/// A line for each stage that runs, or for each stage once the run has ended; names aligned.
fn lines(snapshot: &Snapshot) -> Vec<String> {
    let shown: Vec<&StageSnapshot> = snapshot
        .stages
        .iter()
        .filter(|stage| snapshot.finished || stage.state == StageState::Running)
        .collect();
    let names: Vec<String> = shown.iter().map(|stage| short_name(&stage.name)).collect();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    let line = |(name, stage): (&String, &&StageSnapshot)| {
        format!("{name:width$}  {}", figures(stage).join("  "))
    };
    names.iter().zip(&shown).map(line).collect()
}

/// What is worth telling about a stage: figures that are zero are left out.
fn figures(stage: &StageSnapshot) -> Vec<String> {
    // A stage that gathers its whole input hands nothing out for long.
    let (rows, unit) = match (stage.output_rows, stage.input_rows) {
        (0, taken) if taken > 0 => (taken, "rows in"),
        (given, _) => (given, "rows"),
    };
    let mut figures = vec![
        format!("{} {unit}", HumanCount(rows)),
        format!("{} rows/s", HumanCount(rows_per_second(rows, stage.elapsed))),
    ];
    match stage.state {
        StageState::Finished => figures.push("done".into()),
        StageState::Failed => figures.push("failed".into()),
        StageState::Waiting | StageState::Running => {}
    }
    if let Some(total) = stage.tasks_total {
        figures.push(format!("{}/{total} tasks", stage.tasks_finished));
    }
    if stage.queued_bytes > 0 {
        figures.push(format!("{} queued", BinaryBytes(stage.queued_bytes)));
    }
    match stage.workers {
        0 => {}
        1 => figures.push("1 worker".into()),
        workers => figures.push(format!("{workers} workers")),
    }
    figures
}

/// The end of a long name.
fn short_name(name: &str) -> String {
    let chars = name.chars().count();
    if chars <= NAME_CHARS_MAX {
        return name.into();
    }
    let end: String = name.chars().skip(chars - NAME_CHARS_MAX + 1).collect();
    format!("…{end}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::sample::{snapshot, stage};

    #[test]
    fn only_running_stages_have_a_line_and_names_align() {
        let mut read = stage("ReadParquet->Map", StageState::Running);
        read.tasks_total = Some(8);
        read.queued_bytes = 3 << 20;
        let mut sort = stage("Sort", StageState::Running);
        (sort.output_rows, sort.workers) = (0, 2);
        let done = stage("Range", StageState::Finished);
        let waiting = stage("Write", StageState::Waiting);
        assert_eq!(
            lines(&snapshot(vec![done, read, sort, waiting])),
            [
                "ReadParquet->Map  1,500,000 rows  750,000 rows/s  3/8 tasks  3.00 MiB queued",
                "Sort              2,000,000 rows in  1,000,000 rows/s  2 workers",
            ]
        );
    }

    #[test]
    fn an_ended_run_shows_all_stages() {
        let stages = vec![stage("Range", StageState::Finished), stage("Map", StageState::Failed)];
        let ended = Snapshot { finished: true, ..snapshot(stages) };
        let lines = lines(&ended);
        assert_eq!(lines[0], "Range  1,500,000 rows  750,000 rows/s  done");
        assert_eq!(lines[1], "Map    1,500,000 rows  750,000 rows/s  failed");
    }

    #[test]
    fn a_long_name_keeps_its_end() {
        let name = format!("{}->WriteParquet", "Map->".repeat(20));
        let short = short_name(&name);
        assert_eq!(short.chars().count(), NAME_CHARS_MAX);
        assert!(short.starts_with('…') && short.ends_with("->WriteParquet"));
    }

    #[test]
    fn a_short_run_reports_nothing_and_ends_at_once() {
        let progress = Progress::start(ProgressMode::Auto, Screen::default(), || snapshot(vec![]));
        drop(progress);
        let (stop, stopped) = sync_channel(1);
        drop(stop);
        let mut out = Vec::new();
        show_plain(&stopped, PLAIN_INTERVAL, || snapshot(vec![]), &mut out);
        assert!(out.is_empty());
    }

    #[test]
    fn lines_of_workers_go_to_the_screen_while_a_run_draws() {
        let written = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&written);
        let screen = Screen::default();
        let sink = screen.lines(Arc::new(move |line| kept.lock().unwrap().push(line.to_owned())));
        sink("before");
        screen.enter();
        sink("meanwhile");
        screen.leave();
        sink("after");
        assert_eq!(*written.lock().unwrap(), ["before", "after"]);
    }

    #[test]
    fn plain_reports_come_each_interval_and_once_at_the_end() {
        let (stop, stopped) = sync_channel(1);
        let mut out = Vec::new();
        let looks = std::cell::Cell::new(0);
        let stop = std::cell::RefCell::new(Some(stop));
        let look = || {
            looks.set(looks.get() + 1);
            if looks.get() == 2 {
                stop.borrow_mut().take();
            }
            snapshot(vec![stage("Range", StageState::Running)])
        };
        show_plain(&stopped, Duration::from_millis(1), look, &mut out);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.lines().count(), 3);
        let line = "raceline 2.0s  Range  1,500,000 rows  750,000 rows/s";
        assert!(text.lines().all(|found| found == line), "{text}");
    }
}
