//! What can go wrong in the machine itself, as opposed to in what it runs.

use arrow::error::ArrowError;
use raceline_types::{Diagnostic, ErrorKind};
use thiserror::Error;

/// A failure of the machine.
#[derive(Debug, Error)]
pub enum ExecError {
    /// The execution was cancelled, or nobody needs the output any more.
    #[error("the execution was cancelled")]
    Cancelled,
    /// Arrow cannot hold the joined batch.
    #[error("batches of `{rows}` rows in all cannot be joined into one")]
    Join {
        /// Rows of the batch that was to be.
        rows: usize,
        /// Arrow's reason.
        #[source]
        source: ArrowError,
    },
    /// A row whose cost cannot be added up.
    #[error("a row costs `{cost}`")]
    Cost {
        /// What it costs; `null` where that is missing.
        cost: String,
    },
    /// The threads of a runtime could not be started.
    #[error("the `{name}` threads could not be started")]
    Runtime {
        /// The runtime.
        name: &'static str,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// Work went on after it was told to end.
    #[error("the execution did not end within `{wait_s}` s of being told to")]
    StillRunning {
        /// How long was waited, in seconds.
        wait_s: u64,
    },
}

impl Diagnostic for ExecError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Cancelled => ErrorKind::Cancelled,
            Self::Cost { .. } => ErrorKind::Plan,
            Self::Join { .. } | Self::Runtime { .. } | Self::StillRunning { .. } => {
                ErrorKind::Resource
            }
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Cancelled => None,
            Self::Cost { .. } => Some(
                "batches can be cut by finite numbers of at least 0: leave such rows out before, \
                 or compute another cost"
                    .to_owned(),
            ),
            Self::Join { .. } => Some("ask for a smaller `batch_size`".to_owned()),
            Self::Runtime { .. } => {
                Some("raise the limit on threads, or start with fewer `num_cpus`".to_owned())
            }
            Self::StillRunning { .. } => {
                Some("a function computes without a break; it ends with the process".to_owned())
            }
        }
    }
}
