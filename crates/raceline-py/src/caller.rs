//! [`CallerRuntime`] for chains of Python functions that are debugged: they run in the thread that
//! waits for the run, which holds the interpreter's lock then.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyIterator, PyList};
use raceline::{CallerLoader, Interruption};
use raceline_worker::{Answer, CallerFailure, CallerRuntime, Original, UserError};

use crate::child::{Stopwatch, WorkerBatch};

/// A function as the plan holds it: a `raceline._udf.Given`.
pub(crate) struct Given(pub(crate) Py<PyAny>);

/// Loads such functions.
pub(crate) fn caller_loader() -> CallerLoader {
    Arc::new(|chain| {
        attached(|py| {
            let given = chain.iter().filter_map(|function| function.downcast_ref::<Given>());
            let given = PyList::new(py, given.map(|given| given.0.bind(py)))?;
            let chain = py.import("raceline._chain")?.getattr("Chain")?.call1((given,))?;
            let caller = PythonCaller {
                chain: chain.unbind(),
                outputs: None,
                stopwatch: Stopwatch::default(),
            };
            Ok(Box::new(caller) as Box<dyn CallerRuntime>)
        })
    })
}

/// What ended the wait, as an exception.
pub(crate) fn interruption(Interruption(what): Interruption) -> PyErr {
    match what.downcast::<PyErr>() {
        Ok(error) => *error,
        Err(_) => PyRuntimeError::new_err("the wait for the run was ended by something unknown"),
    }
}

struct PythonCaller {
    chain: Py<PyAny>,
    outputs: Option<Py<PyIterator>>,
    stopwatch: Stopwatch,
}

impl CallerRuntime for PythonCaller {
    fn begin(&mut self, input: RecordBatch) -> Result<(), CallerFailure> {
        self.outputs = None;
        attached(|py| {
            let input = WorkerBatch { inner: input };
            let outputs = self.chain.bind(py).call_method1("run", (input,))?.try_iter()?;
            self.outputs = Some(outputs.unbind());
            Ok(())
        })
    }

    fn next(&mut self) -> Result<Option<Answer>, CallerFailure> {
        let Some(outputs) = &self.outputs else { return Ok(None) };
        attached(|py| {
            let Some(answer) = outputs.bind(py).clone().next() else { return Ok(None) };
            let answer = answer?;
            Ok(Some(match answer.cast::<WorkerBatch>() {
                Ok(batch) => Answer::Rows(batch.get().own()?.inner),
                Err(_) => match described(py, &PyErr::from_value(answer)) {
                    CallerFailure::Raised(error) => Answer::Errored(*error),
                    CallerFailure::Interrupted(_) => {
                        return Err(PyRuntimeError::new_err(
                            "a chain went on after an interruption",
                        ));
                    }
                },
            }))
        })
    }

    fn function_time(&mut self) -> Duration {
        attached(|py| Ok(self.stopwatch.lap(self.chain.bind(py)))).unwrap_or_default()
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the engine calls back in the thread that came through the door, attached"
)]
fn attached<T>(work: impl FnOnce(Python<'_>) -> PyResult<T>) -> Result<T, CallerFailure> {
    Python::attach(|py| work(py).map_err(|error| described(py, &error)))
}

/// What became of a function, by `raceline._chain.describe_here`.
fn described(py: Python<'_>, error: &PyErr) -> CallerFailure {
    let describe = || -> PyResult<CallerFailure> {
        let describe = py.import("raceline._chain")?.getattr("describe_here")?;
        let (original, description) = describe.call1((error.value(py),))?.extract()?;
        let original: Bound<'_, PyAny> = original;
        let Some((type_name, message, traceback, row, function)) = description else {
            let exception = PyErr::from_value(original);
            return Ok(CallerFailure::Interrupted(Interruption(Box::new(exception))));
        };
        let original: Arc<dyn Any + Send + Sync> = Arc::new(original.unbind());
        Ok(CallerFailure::Raised(Box::new(UserError {
            type_name,
            message,
            traceback,
            exception: None,
            row,
            function,
            original: Some(Original(original)),
        })))
    };
    describe().unwrap_or_else(|failed| CallerFailure::Interrupted(Interruption(Box::new(failed))))
}
