//! What belongs to the interpreter and the engine reads. Whatever thread drops it gives it back,
//! which takes the interpreter's lock; a thread that waits for that lock while the interpreter ends
//! is taken down in the middle of it. So nothing is given back any more when the end begins.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pyo3::prelude::*;

use crate::gil::detached;

/// How long the end of the interpreter waits for visits.
const WAIT: Duration = Duration::from_secs(5);
/// How often it looks.
const INTERVAL: Duration = Duration::from_millis(1);

/// Threads that use the interpreter.
static VISITS: AtomicUsize = AtomicUsize::new(0);
/// Whether the interpreter ends.
static IS_ENDING: AtomicBool = AtomicBool::new(false);

/// The use of the interpreter by a thread that is not its own. The end waits for it.
pub(crate) struct Visit(());

impl Visit {
    /// Begins one; `None` when the interpreter ends.
    pub(crate) fn begin() -> Option<Self> {
        VISITS.fetch_add(1, Ordering::SeqCst);
        let visit = Self(());
        (!IS_ENDING.load(Ordering::SeqCst)).then_some(visit)
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        VISITS.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Something of the interpreter's. It is dropped in a visit, or never.
pub(crate) struct Lent<T>(Option<T>);

impl<T> Lent<T> {
    pub(crate) fn new(inner: T) -> Self {
        Self(Some(inner))
    }
}

impl<T> Drop for Lent<T> {
    fn drop(&mut self) {
        let inner = self.0.take();
        match Visit::begin() {
            Some(_visit) => drop(inner),
            None => std::mem::forget(inner),
        }
    }
}

/// Says that the interpreter ends: what is lent now stays, and waits for threads that give back.
#[pyfunction]
pub(crate) fn end_lending(py: Python<'_>) -> PyResult<()> {
    detached(py, || {
        IS_ENDING.store(true, Ordering::SeqCst);
        let began = Instant::now();
        while VISITS.load(Ordering::SeqCst) > 0 && began.elapsed() < WAIT {
            std::thread::sleep(INTERVAL);
        }
        Ok(())
    })
}
