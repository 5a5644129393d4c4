//! What a batch function gets for a column that it hands on and does not look at.

use pyo3::prelude::*;

/// A column that stayed in the engine. Its rows are counted, as those of a column that is there.
#[pyclass(frozen, module = "raceline._native")]
pub(crate) struct StandIn {
    pub(crate) rows: usize,
}
