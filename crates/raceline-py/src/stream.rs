//! A running dataset, batch by batch.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use raceline::Run;

use crate::batch::Batch;
use crate::gil::{end, next_batch_unless};

/// The ordered batches of one run. Closing or dropping it cancels what still runs.
#[pyclass(frozen, module = "raceline._native")]
pub(crate) struct Stream {
    state: Mutex<State>,
    cancelled: AtomicBool,
}

#[expect(clippy::large_enum_variant, reason = "one a run; a box would be made for each batch")]
enum State {
    /// Nobody waits for a batch. `None` once the run is over.
    Idle(Option<Run>),
    /// A thread waits for a batch, outside the lock.
    Waiting,
}

impl Stream {
    pub(crate) fn new(run: Run) -> Self {
        let state = Mutex::new(State::Idle(Some(run)));
        Self { state, cancelled: AtomicBool::new(false) }
    }

    /// Takes the run out for one call, so that no lock is held while the interpreter's is
    /// released.
    fn take(&self) -> PyResult<Option<Run>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *state, State::Waiting) {
            State::Idle(run) => Ok(run),
            State::Waiting => {
                Err(PyRuntimeError::new_err("another thread is waiting for this stream"))
            }
        }
    }

    fn put_back(&self, run: Option<Run>) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = State::Idle(run);
    }
}

#[pymethods]
impl Stream {
    fn next_batch(&self, py: Python<'_>) -> PyResult<Option<Batch>> {
        let mut run = self.take()?;
        let batch = next_batch_unless(py, &mut run, &self.cancelled);
        self.put_back(run);
        Ok(batch?.map(Batch::new))
    }

    /// Ends the run from another thread: one that waits for a batch, or comes to, gets none.
    fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let mut run = self.take()?;
        let ended = end(py, &mut run);
        self.put_back(None);
        ended
    }

    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Batch>> {
        self.next_batch(py)
    }
}
