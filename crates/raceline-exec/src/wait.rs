//! Who waits on what while an execution runs, in words.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A wait, as one link of the chain from whoever reads the output down to the cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// The stage that waits; `None` for whoever reads the output of the execution.
    pub stage: Option<Arc<str>>,
    /// What it waits for.
    pub on: WaitOn,
    /// For how long, so far.
    pub time: Duration,
}

/// What is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WaitOn {
    /// Nothing but that a batch is asked for: this is no stall.
    Demand,
    /// A batch of this stage.
    Batch(Arc<str>),
    /// The end of `open`.
    Opening,
    /// Further splits, which are being looked for.
    Listing,
    /// The end of a piece of work, or its next output.
    Work {
        /// Rows of its input; 0 for what reads splits or whole inputs.
        rows: u64,
        /// The process of its worker, where that is known.
        process: Option<u32>,
    },
    /// The start of its worker.
    WorkerStart,
    /// A worker that is free.
    Worker,
    /// CPUs, GPUs or other resources that others have.
    Resources,
    /// Room for so many bytes in the queue behind it.
    Room(u64),
    /// Memory for its worker.
    Memory,
    /// The end of `close`.
    Closing,
}

impl Wait {
    /// Whether this is the end of a chain that is no stall: nobody asks for more.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.on == WaitOn::Demand
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = format!("{:.1} s", self.time.as_secs_f64());
        match &self.stage {
            None => f.write_str("the consumer")?,
            Some(stage) => write!(f, "`{stage}`")?,
        }
        match &self.on {
            WaitOn::Demand => write!(f, " has not asked for a batch for {time}"),
            WaitOn::Batch(of) => write!(f, " has waited for a batch of `{of}` for {time}"),
            WaitOn::Opening => write!(f, " has been getting ready for {time}"),
            WaitOn::Listing => write!(f, " has found nothing more to read for {time}"),
            WaitOn::Work { rows, process } => {
                match rows {
                    0 => write!(f, " has been at work for {time}")?,
                    _ => write!(f, " has been at a batch of {rows} rows for {time}")?,
                }
                match process {
                    Some(process) => write!(f, " in worker process {process}"),
                    None => Ok(()),
                }
            }
            WaitOn::WorkerStart => write!(f, " has waited for its worker to start for {time}"),
            WaitOn::Worker => write!(f, " has waited for a free worker for {time}"),
            WaitOn::Resources => {
                write!(f, " has waited for CPUs, GPUs or resources that others have for {time}")
            }
            WaitOn::Room(bytes) => {
                write!(f, " has waited for room for {bytes} bytes in its queue for {time}")
            }
            WaitOn::Memory => write!(f, " has waited for memory for its worker for {time}"),
            WaitOn::Closing => write!(f, " has been closing for {time}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_told_in_words() {
        let told = |stage: Option<&str>, on| {
            let time = Duration::from_millis(31_240);
            Wait { stage: stage.map(Into::into), on, time }.to_string()
        };
        let map = Some("Map(f)");
        let work = |rows, process| WaitOn::Work { rows, process };
        let texts = [
            told(None, WaitOn::Demand),
            told(None, WaitOn::Batch("Sort(a)".into())),
            told(map, WaitOn::Opening),
            told(map, WaitOn::Listing),
            told(map, work(1_000, Some(123))),
            told(map, work(0, None)),
            told(map, WaitOn::WorkerStart),
            told(map, WaitOn::Worker),
            told(map, WaitOn::Resources),
            told(map, WaitOn::Room(70_000)),
            told(map, WaitOn::Memory),
            told(map, WaitOn::Closing),
        ];
        assert_eq!(
            texts,
            [
                "the consumer has not asked for a batch for 31.2 s",
                "the consumer has waited for a batch of `Sort(a)` for 31.2 s",
                "`Map(f)` has been getting ready for 31.2 s",
                "`Map(f)` has found nothing more to read for 31.2 s",
                "`Map(f)` has been at a batch of 1000 rows for 31.2 s in worker process 123",
                "`Map(f)` has been at work for 31.2 s",
                "`Map(f)` has waited for its worker to start for 31.2 s",
                "`Map(f)` has waited for a free worker for 31.2 s",
                "`Map(f)` has waited for CPUs, GPUs or resources that others have for 31.2 s",
                "`Map(f)` has waited for room for 70000 bytes in its queue for 31.2 s",
                "`Map(f)` has waited for memory for its worker for 31.2 s",
                "`Map(f)` has been closing for 31.2 s",
            ]
        );
    }
}
