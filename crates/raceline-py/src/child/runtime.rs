//! [`Runtime`] for chains of Python functions.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::Duration;

use arrow::array::RecordBatch;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyIterator, PyList};
use raceline_worker::{Answer, Caller, Runtime, Stopped, UserError};

use super::batch::WorkerBatch;

/// A chain of Python functions, once it is loaded. The interpreter's lock is taken for Python
/// code alone: threads of the user's functions run while a batch is sent.
pub(super) struct PythonRuntime {
    chain: Option<Py<PyAny>>,
    stopwatch: Stopwatch,
    gate: Option<RateGate>,
    /// The connection to the engine, for Python to wait for it.
    socket: RawFd,
}

impl PythonRuntime {
    pub(super) fn new(socket: &OwnedFd) -> Self {
        let (chain, stopwatch, gate) = (None, Stopwatch::default(), None);
        Self { chain, stopwatch, gate, socket: socket.as_raw_fd() }
    }

    /// Ends what the functions left running.
    #[expect(clippy::disallowed_methods, reason = "the worker's loop ran detached")]
    pub(super) fn close(self) -> PyResult<()> {
        let Some(chain) = self.chain else { return Ok(()) };
        Python::attach(|py| chain.bind(py).call_method0("close").map(drop))
    }
}

/// The pace that the functions of a stage keep to, in all of its workers together.
#[pyclass(frozen, module = "raceline._native")]
pub(crate) struct RateGate {
    inner: raceline_worker::RateGate,
}

#[pymethods]
impl RateGate {
    /// Takes the next turn of `lane`, 0 or 1, at `now_ns` or later, which costs `cost_ns`; returns
    /// when it is, on the clock of `now_ns`.
    fn reserve(&self, lane: usize, now_ns: u64, cost_ns: u64) -> PyResult<u64> {
        if lane > 1 {
            return Err(PyValueError::new_err("a gate has lanes 0 and 1"));
        }
        Ok(self.inner.reserve(lane, now_ns, cost_ns))
    }
}

impl Runtime for PythonRuntime {
    fn load(&mut self, chain: &[Vec<u8>]) -> Result<(), UserError> {
        attached(|py| {
            let payloads = PyList::new(py, chain.iter().map(|bytes| PyBytes::new(py, bytes)))?;
            let gate = self.gate.take().map(|gate| Py::new(py, gate)).transpose()?;
            let arguments = (payloads, self.socket, gate);
            let chain = py.import("raceline._chain")?.getattr("Chain")?.call1(arguments)?;
            self.chain = Some(chain.unbind());
            Ok(())
        })
    }

    fn limit(&mut self, gate: raceline_worker::RateGate) {
        self.gate = Some(RateGate { inner: gate });
    }

    fn call(&mut self, input: RecordBatch, caller: &mut dyn Caller) -> Result<(), UserError> {
        let outputs = attached(|py| {
            let chain = self.chain.as_ref().expect("the engine loads before it calls").bind(py);
            let outputs = chain.call_method1("run", (WorkerBatch { inner: input },))?.try_iter()?;
            Ok(outputs.unbind())
        })?;
        while let Some(step) = attached(|py| next_step(py, &outputs))? {
            let done = match step {
                Step::Answer(answer) => caller.emit(answer),
                Step::LookAhead => match caller.upcoming() {
                    Ok(inputs) => self.begin(inputs).map(Ok)?,
                    Err(Stopped) => Err(Stopped),
                },
            };
            if done == Err(Stopped) {
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

impl PythonRuntime {
    /// Has the chain begin with the inputs of later calls.
    #[expect(clippy::result_large_err, reason = "errors are rare and of the trait's type")]
    fn begin(&self, inputs: Vec<RecordBatch>) -> Result<(), UserError> {
        let chain = self.chain.as_ref().expect("it was called");
        attached(|py| {
            inputs.into_iter().try_for_each(|inner| {
                chain.bind(py).call_method1("begin", (WorkerBatch { inner },)).map(drop)
            })
        })
    }
}

/// What the chain wants next.
enum Step {
    Answer(Answer),
    /// To hear of the calls that come after this one.
    LookAhead,
}

/// What the chain yields next: a batch, the error of a row that its function failed for, or
/// `None` when it could begin with later calls.
fn next_step(py: Python<'_>, outputs: &Py<PyIterator>) -> PyResult<Option<Step>> {
    let Some(answer) = outputs.bind(py).clone().next() else { return Ok(None) };
    let answer = answer?;
    Ok(Some(if answer.is_none() {
        Step::LookAhead
    } else {
        Step::Answer(match answer.cast::<WorkerBatch>() {
            Ok(batch) => Answer::Rows(batch.get().inner.clone()),
            Err(_) => Answer::Errored(described(py, &PyErr::from_value(answer))),
        })
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
