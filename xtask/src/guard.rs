//! What a guard tells.

use std::path::PathBuf;

use thiserror::Error;

/// The outcome of one guard.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    /// Number of things looked at.
    pub(crate) inspected: usize,
    /// What is wrong, each with its place and what to do.
    pub(crate) faults: Vec<String>,
}

impl Report {
    /// The faults, and a closing line.
    pub(crate) fn render(&self, name: &str) -> String {
        let closing =
            format!("{name}: {} inspected, {} faults\n", self.inspected, self.faults.len());
        self.faults
            .iter()
            .flat_map(|fault| [fault.as_str(), "\n"])
            .chain([closing.as_str()])
            .collect()
    }

    /// This report, unless it looked at nothing.
    pub(crate) fn inspected_some(self) -> Result<Self, GuardError> {
        if self.inspected == 0 { Err(GuardError::NothingInspected) } else { Ok(self) }
    }
}

/// Why a guard could not do its work.
#[derive(Debug, Error)]
pub(crate) enum GuardError {
    /// It found nothing to look at, so it guards nothing.
    #[error("nothing was inspected: the guard looks in the wrong place")]
    NothingInspected,
    /// There is no such guard.
    #[error("no guard `{name}`: there are `tidy` and `layers`")]
    UnknownGuard {
        /// What was asked for.
        name: String,
    },
    /// A file or folder cannot be read.
    #[error("cannot read `{}`: {source}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// `cargo metadata` failed.
    #[error("`cargo metadata` failed: {text}")]
    Metadata {
        /// What it said.
        text: String,
    },
}
