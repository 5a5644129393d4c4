//! Rows on their way into a batch, taken apart as they come.

use std::sync::{Mutex, MutexGuard};

use pyo3::prelude::*;
use pyo3::types::PyList;

use super::batch::WorkerBatch;
use crate::convert::{self, RowColumns};

/// Gathers rows of one form. The dicts of rows are let go at once, so that a function that makes
/// many of them has its memory again; the type of a column is found from all of its values.
#[pyclass(frozen, module = "raceline._native")]
pub(crate) struct RowCollector {
    gathered: Mutex<Gathered>,
}

enum Gathered {
    Rows(RowColumns),
    Values(Vec<Py<PyAny>>),
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
            Gathered::Values(Vec::new())
        } else {
            Gathered::Rows(RowColumns::default())
        };
        Self { gathered: Mutex::new(gathered) }
    }

    /// Adds rows: mappings or plain values, as was said at the start.
    fn extend(&self, rows: &Bound<'_, PyList>) -> PyResult<()> {
        match &mut *self.gathered() {
            Gathered::Rows(columns) => columns.extend(rows)?,
            Gathered::Values(values) => values.extend(rows.iter().map(Bound::unbind)),
        }
        Ok(())
    }

    /// The batch of all rows so far; the collector starts anew.
    fn take(&self, py: Python<'_>) -> PyResult<WorkerBatch> {
        let inner = match &mut *self.gathered() {
            Gathered::Rows(columns) => std::mem::take(columns).finish(py)?,
            Gathered::Values(values) => {
                convert::values_to_batch(&PyList::new(py, std::mem::take(values))?)?
            }
        };
        Ok(WorkerBatch { inner })
    }
}
