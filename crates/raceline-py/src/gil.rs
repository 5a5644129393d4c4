//! The one door to and from the interpreter: release it, wait, hear signals, map errors.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pyo3::prelude::*;
use raceline::{Failure, Pending, Run, Waited};

use crate::caller::interruption;
use crate::error::to_py_err;

/// How long a wait may be deaf to Ctrl-C.
const SIGNAL_INTERVAL: Duration = Duration::from_millis(50);

/// Runs `work` without the interpreter's lock and maps its failure.
#[expect(clippy::disallowed_methods, reason = "this is the door")]
pub(crate) fn detached<T: Send>(
    py: Python<'_>,
    work: impl FnOnce() -> Result<T, Failure> + Send,
) -> PyResult<T> {
    py.detach(work).map_err(|failure| to_py_err(py, &failure))
}

/// What `pending` comes to. Ctrl-C cancels it and raises `KeyboardInterrupt`.
pub(crate) fn wait<T: Send + 'static>(
    py: Python<'_>,
    pending: Result<Pending<T>, Failure>,
) -> PyResult<T> {
    let mut pending = detached(py, || pending)?;
    loop {
        py.check_signals()?;
        if let Some(value) = detached(py, || pending.within(SIGNAL_INTERVAL))? {
            return Ok(value);
        }
    }
}

/// The next batch of `run`, or `None` at its end. Ctrl-C cancels the run and raises
/// `KeyboardInterrupt`.
pub(crate) fn next_batch(
    py: Python<'_>,
    run: &mut Option<Run>,
) -> PyResult<Option<arrow::record_batch::RecordBatch>> {
    next_batch_unless(py, run, &AtomicBool::new(false))
}

/// The next batch of `run`, as of [`next_batch`]; when another thread sets `cancelled`, the run
/// ends without one.
pub(crate) fn next_batch_unless(
    py: Python<'_>,
    run: &mut Option<Run>,
    cancelled: &AtomicBool,
) -> PyResult<Option<arrow::record_batch::RecordBatch>> {
    loop {
        if cancelled.load(Ordering::Relaxed) {
            end(py, run)?;
            return Ok(None);
        }
        // Here, and not only after a wait in vain: batches may come faster than that.
        if let Err(signal) = py.check_signals() {
            end(py, run)?;
            return Err(signal);
        }
        let Some(running) = run.as_mut() else { return Ok(None) };
        match detached(py, || Ok(running.next_within(SIGNAL_INTERVAL)))? {
            Waited::Batch(batch) => return Ok(Some(batch)),
            Waited::Failed(failure) => {
                end(py, run)?;
                return Err(to_py_err(py, &failure));
            }
            Waited::Ended => {
                end(py, run)?;
                return Ok(None);
            }
            Waited::Errand(errand) => {
                if let Err(interrupted) = running.attend(errand) {
                    end(py, run)?;
                    return Err(interruption(interrupted));
                }
            }
            Waited::Pending => {}
        }
    }
}

/// Ends `run` without the interpreter's lock, since it waits for workers and threads.
pub(crate) fn end(py: Python<'_>, run: &mut Option<Run>) -> PyResult<()> {
    let running = run.take();
    detached(py, move || {
        drop(running);
        Ok(())
    })
}
