//! How long a run may take, and the error of one that takes longer: it tells who waits on what.

use std::time::{Duration, Instant};

use raceline_exec::{Execution, Wait};
use raceline_types::{Diagnostic, ErrorKind};
use thiserror::Error;

/// A wait is looked at so many times before it is too long.
const LOOKS: u32 = 20;

/// The shortest time between two looks.
const LOOK_LEAST: Duration = Duration::from_millis(5);

/// How long a run may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunTimeouts {
    /// From the start to the last batch; `None`: as long as it takes.
    pub run: Option<Duration>,
    /// Without that anything moves that somebody waits for; `None`: as long as it takes. The time
    /// in which whoever reads the output does not ask for more does not count. Default: 30 min.
    pub no_progress: Option<Duration>,
    /// Without that anything moves that somebody waits for, until it is told on stderr who waits
    /// on what; `None`: it is not told. Default: 30 s.
    pub report: Option<Duration>,
}

impl Default for RunTimeouts {
    fn default() -> Self {
        Self {
            run: None,
            no_progress: Some(Duration::from_mins(30)),
            report: Some(Duration::from_secs(30)),
        }
    }
}

/// A run that took too long.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum TimeoutError {
    #[error("the run has not ended within `{} s`", .limit.as_secs_f64())]
    Run { limit: Duration, waits: Vec<Wait> },
    #[error("nothing has moved for `{} s`", .limit.as_secs_f64())]
    NoProgress { limit: Duration, waits: Vec<Wait> },
}

impl Diagnostic for TimeoutError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Timeout
    }

    fn detail(&self) -> Option<String> {
        let (Self::Run { waits, .. } | Self::NoProgress { waits, .. }) = self;
        (!waits.is_empty()).then(|| format!("  who waits on what:\n{}", wait_lines(waits)))
    }

    fn hint(&self) -> Option<String> {
        let name = match self {
            Self::Run { .. } => "execution_timeout_s",
            Self::NoProgress { .. } => "execution_no_progress_timeout_s",
        };
        Some(format!("`DataContext.{name}` sets how long it may take; None sets no limit"))
    }
}

/// Who waits on what, a line each, one below the other.
pub(crate) fn wait_lines(waits: &[Wait]) -> String {
    let lines: Vec<String> = waits.iter().map(|wait| format!("    {wait}")).collect();
    lines.join("\n")
}

/// What is left of the time of a run.
#[derive(Debug)]
pub(crate) struct RunClock {
    began: Instant,
    timeouts: RunTimeouts,
}

impl RunClock {
    /// The run begins now.
    pub(crate) fn start(timeouts: RunTimeouts) -> Self {
        Self { began: Instant::now(), timeouts }
    }

    /// Of a wait for a batch as much as may pass until it is looked whether time is over.
    pub(crate) fn slice(&self, wait: Duration) -> Duration {
        let RunTimeouts { run, no_progress, report: _ } = self.timeouts;
        let left = run.map(|limit| limit.saturating_sub(self.began.elapsed()));
        let looks = no_progress.map(|limit| (limit / LOOKS).max(LOOK_LEAST));
        [left, looks].into_iter().flatten().fold(wait, Duration::min)
    }

    /// What is wrong with a run that has batches.
    pub(crate) fn check(&self, execution: &Execution) -> Result<(), TimeoutError> {
        match self.timeouts.run {
            Some(limit) if self.began.elapsed() >= limit => {
                Err(TimeoutError::Run { limit, waits: execution.snapshot().waits })
            }
            _ => Ok(()),
        }
    }

    /// What is wrong with a run that has been waited for.
    pub(crate) fn check_wait(&self, execution: &Execution) -> Result<(), TimeoutError> {
        self.check(execution)?;
        match (self.timeouts.no_progress, execution.handle().quiet()) {
            (Some(limit), Some(quiet)) if quiet >= limit => {
                Err(TimeoutError::NoProgress { limit, waits: execution.snapshot().waits })
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use raceline_exec::WaitOn;
    use raceline_types::Failure;

    use super::*;

    #[test]
    fn errors_tell_who_waits_on_what() {
        let time = Duration::from_secs(35);
        let on = WaitOn::Work { rows: 7, process: Some(123) };
        let waits = vec![
            Wait { stage: None, on: WaitOn::Batch("Map(f)".into()), time },
            Wait { stage: Some("Map(f)".into()), on, time },
        ];
        let limit = Duration::from_millis(1_500);
        let error = TimeoutError::NoProgress { limit, waits };
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert_eq!(
            Failure::from(error).render(),
            "nothing has moved for `1.5 s`\n  who waits on what:\n    the consumer has waited for \
             a batch of `Map(f)` for 35.0 s\n    `Map(f)` has been at a batch of 7 rows for 35.0 s \
             in worker process 123\n  hint: `DataContext.execution_no_progress_timeout_s` sets how \
             long it may take; None sets no limit"
        );
        let error = TimeoutError::Run { limit: Duration::from_mins(1), waits: vec![] };
        assert_eq!(
            Failure::from(error).render(),
            "the run has not ended within `60 s`\n  hint: `DataContext.execution_timeout_s` sets \
             how long it may take; None sets no limit"
        );
    }

    #[test]
    fn waits_are_cut_to_what_is_left() {
        let hour = Duration::from_hours(1);
        let all = RunTimeouts { run: None, no_progress: None, report: None };
        assert_eq!(RunClock::start(all).slice(hour), hour);
        let no_progress = Some(Duration::from_secs(2));
        let one = RunClock::start(RunTimeouts { no_progress, ..all });
        assert_eq!(one.slice(hour), Duration::from_millis(100));
        let run = Some(Duration::ZERO);
        assert_eq!(RunClock::start(RunTimeouts { run, ..all }).slice(hour), Duration::ZERO);
    }
}
