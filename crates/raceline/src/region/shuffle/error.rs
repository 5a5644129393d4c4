//! What a shuffle fails with.

use arrow::error::ArrowError;
use raceline_types::{Diagnostic, ErrorKind};
use thiserror::Error;

/// A shuffle that cannot go on.
#[derive(Debug, Error)]
pub(crate) enum ShuffleError {
    #[error("shuffled rows do not fit into one batch, which Arrow cannot hold")]
    Gather { source: ArrowError },
    #[error("a shuffle in a window of {rows} rows passed its share of {limit_bytes} bytes")]
    WindowTooLarge { rows: usize, limit_bytes: usize },
}

impl Diagnostic for ShuffleError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Resource
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Gather { .. } => "rows of more than a GiB cannot be shuffled".into(),
            Self::WindowTooLarge { .. } => "make the window smaller, give the session more memory \
                                            (`raceline.init(memory=…)`), or shuffle all rows with \
                                            `random_shuffle()`, which does not hold them"
                .into(),
        })
    }
}
