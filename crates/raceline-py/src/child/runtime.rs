//! [`Runtime`] for chains of Python functions.

use std::time::Duration;

use arrow::array::RecordBatch;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyIterator, PyList};
use raceline_worker::{Answer, Runtime, Stopped, UserError};

use super::batch::WorkerBatch;

/// A chain of Python functions, once it is loaded. The interpreter's lock is taken for Python
/// code alone: threads of the user's functions run while a batch is sent.
#[derive(Default)]
pub(super) struct PythonRuntime {
    chain: Option<Py<PyAny>>,
    stopwatch: Stopwatch,
}

impl Runtime for PythonRuntime {
    fn load(&mut self, chain: &[Vec<u8>]) -> Result<(), UserError> {
        attached(|py| {
            let payloads = PyList::new(py, chain.iter().map(|bytes| PyBytes::new(py, bytes)))?;
            let chain = py.import("raceline._chain")?.getattr("Chain")?.call1((payloads,))?;
            self.chain = Some(chain.unbind());
            Ok(())
        })
    }

    fn call(
        &mut self,
        input: RecordBatch,
        emit: &mut dyn FnMut(Answer) -> Result<(), Stopped>,
    ) -> Result<(), UserError> {
        let outputs = attached(|py| {
            let chain = self.chain.as_ref().expect("the engine loads before it calls").bind(py);
            let outputs = chain.call_method1("run", (WorkerBatch { inner: input },))?.try_iter()?;
            Ok(outputs.unbind())
        })?;
        while let Some(answer) = attached(|py| next_answer(py, &outputs))? {
            if emit(answer) == Err(Stopped) {
                return attached(|py| outputs.bind(py).call_method0("close").map(drop));
            }
        }
        Ok(())
    }

    fn function_time(&mut self) -> Duration {
        let Some(chain) = &self.chain else { return Duration::ZERO };
        attached(|py| Ok(self.stopwatch.lap(chain.bind(py)))).unwrap_or_default()
    }
}

/// Reads how long the functions of a chain ran.
#[derive(Default)]
pub(crate) struct Stopwatch {
    /// What it told last, in nanoseconds.
    told_ns: u64,
}

impl Stopwatch {
    /// How long functions of `chain` ran since this was last asked. No Python code runs, so that
    /// no signal is heard here.
    pub(crate) fn lap(&mut self, chain: &Bound<'_, PyAny>) -> Duration {
        let read = || chain.getattr("stopwatch")?.getattr("ns")?.extract::<u64>();
        let now_ns = read().expect("a chain has a stopwatch");
        let lap = Duration::from_nanos(now_ns.saturating_sub(self.told_ns));
        self.told_ns = now_ns;
        lap
    }
}

/// What the chain yields next: a batch, or the error of a row that its function failed for.
fn next_answer(py: Python<'_>, outputs: &Py<PyIterator>) -> PyResult<Option<Answer>> {
    let Some(answer) = outputs.bind(py).clone().next() else { return Ok(None) };
    let answer = answer?;
    Ok(Some(match answer.cast::<WorkerBatch>() {
        Ok(batch) => Answer::Rows(batch.get().inner.clone()),
        Err(_) => Answer::Errored(described(py, &PyErr::from_value(answer))),
    }))
}

#[expect(clippy::result_large_err, reason = "errors are rare and of the trait's type")]
#[expect(clippy::disallowed_methods, reason = "the worker's loop runs detached")]
fn attached<T>(work: impl FnOnce(Python<'_>) -> PyResult<T>) -> Result<T, UserError> {
    Python::attach(|py| work(py).map_err(|error| described(py, &error)))
}

/// What the engine tells the user, by `raceline._chain.describe`.
fn described(py: Python<'_>, error: &PyErr) -> UserError {
    let describe = || -> PyResult<UserError> {
        let described =
            py.import("raceline._chain")?.getattr("describe")?.call1((error.value(py),))?;
        let (type_name, message, traceback, exception, row, function) = described.extract()?;
        let original = None;
        Ok(UserError { type_name, message, traceback, exception, row, function, original })
    };
    describe().unwrap_or_else(|failed| UserError {
        type_name: error.get_type(py).to_string(),
        message: format!("{error} (and it could not be described: {failed})"),
        ..UserError::default()
    })
}
