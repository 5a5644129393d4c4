//! Rows on their way into a batch, taken apart as they come.

use std::sync::{Mutex, MutexGuard};

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use super::batch::WorkerBatch;
use crate::convert::{self, RowColumns, Values};

/// Gathers rows of one form. The dicts of rows are let go at once, so that a function that makes
/// many of them has its memory again; the type of a column is found from all of its values.
#[pyclass(frozen, module = "raceline._native")]
pub(crate) struct RowCollector {
    gathered: Mutex<Gathered>,
}

enum Gathered {
    Rows(RowColumns),
    Values(Values),
}

impl RowCollector {
    fn gathered(&self) -> MutexGuard<'_, Gathered> {
        self.gathered.lock().expect("nothing panics while it is held")
    }
}

#[pymethods]
impl RowCollector {
    #[new]
    fn new(are_values: bool) -> Self {
        let gathered = if are_values {
            Gathered::Values(Values::default())
        } else {
            Gathered::Rows(RowColumns::default())
        };
        Self { gathered: Mutex::new(gathered) }
    }

    /// Adds rows: mappings or plain values, as was said at the start.
    fn extend(&self, rows: &Bound<'_, PyList>) -> PyResult<()> {
        match &mut *self.gathered() {
            Gathered::Rows(columns) => columns.extend(rows),
            Gathered::Values(values) => values.extend(rows),
        }
    }

    /// Adds mappings that all have the keys `names` and no others: the values of each key.
    fn extend_columns(
        &self,
        names: &Bound<'_, PyTuple>,
        values: Vec<Bound<'_, PyList>>,
    ) -> PyResult<()> {
        match &mut *self.gathered() {
            Gathered::Rows(columns) => columns.extend_columns(names, values),
            Gathered::Values(_) => Err(PyTypeError::new_err("plain values have no columns")),
        }
    }

    /// The batch of all rows so far; the collector starts anew.
    fn take(&self, py: Python<'_>) -> PyResult<WorkerBatch> {
        let inner = match &mut *self.gathered() {
            Gathered::Rows(columns) => std::mem::take(columns).finish(py)?,
            Gathered::Values(values) => convert::values_to_batch(py, std::mem::take(values))?,
        };
        Ok(WorkerBatch { inner })
    }
}
