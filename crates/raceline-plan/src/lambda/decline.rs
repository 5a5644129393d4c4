//! Why a function was not compiled.

use thiserror::Error;

/// The reason why a function runs in Python, for `explain()`.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{reason}")]
pub struct Decline {
    /// What stands in the way, in words that follow "not compiled:".
    pub reason: String,
}

impl Decline {
    /// A decline for `reason`.
    #[must_use]
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }
}
