//! The template process, as `raceline._worker` drives it: Python forks, the rest is
//! [`TemplateLoop`]'s.

use std::io;
use std::sync::Mutex;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use raceline_worker::{ForkRequest, TemplateLoop, TemplateOrder, serve};

use super::runtime::PythonRuntime;

/// The template's end of its connection to the engine.
#[pyclass(frozen, module = "raceline._native")]
pub(crate) struct WorkerTemplate {
    /// `None` in a worker, which leaves the template behind.
    inner: Mutex<Option<TemplateLoop>>,
}

/// What the template is to do: load modules, and then, unless that is all, fork a worker.
#[pyclass(frozen, module = "raceline._native")]
pub(crate) struct WorkerRequest {
    /// The worker to fork.
    inner: Mutex<Option<ForkRequest>>,
    /// Whether there is one.
    #[pyo3(get)]
    forks: bool,
    /// Environment variables for the worker, to be set before user code runs.
    #[pyo3(get)]
    env: Vec<(String, String)>,
    /// Modules to import in the template.
    #[pyo3(get)]
    preloads: Vec<String>,
}

impl WorkerRequest {
    fn take(&self) -> PyResult<ForkRequest> {
        let taken = self.inner.lock().expect("nothing panics while it is held").take();
        taken.ok_or_else(|| PyRuntimeError::new_err("the request was answered already"))
    }
}

impl WorkerTemplate {
    fn with_loop<T>(&self, work: impl FnOnce(&mut TemplateLoop) -> io::Result<T>) -> PyResult<T> {
        let mut inner = self.inner.lock().expect("nothing panics while it is held");
        let inner = inner.as_mut().ok_or_else(left)?;
        Ok(work(inner)?)
    }
}

fn left() -> PyErr {
    PyRuntimeError::new_err("this process is a worker, no template any more")
}

#[pymethods]
impl WorkerTemplate {
    /// Takes the connection that the engine has left in the environment.
    #[new]
    fn new() -> PyResult<Self> {
        let inner = TemplateLoop::from_env()?.ok_or_else(|| {
            PyRuntimeError::new_err("`raceline._worker` is started by the engine, not by hand")
        })?;
        Ok(Self { inner: Mutex::new(Some(inner)) })
    }

    /// Waits for the next thing to do; `None` when the engine has ended.
    fn next_request(&self) -> PyResult<Option<WorkerRequest>> {
        let order = self.with_loop(TemplateLoop::next_order)?;
        Ok(order.map(|order| match order {
            TemplateOrder::Load(preloads) => {
                WorkerRequest { inner: Mutex::new(None), forks: false, env: Vec::new(), preloads }
            }
            TemplateOrder::Fork(request) => {
                let (env, preloads) = (request.env.clone(), request.preloads.clone());
                WorkerRequest { inner: Mutex::new(Some(request)), forks: true, env, preloads }
            }
        }))
    }

    /// In the template: the request was answered by process `pid`.
    fn report(&self, request: &WorkerRequest, pid: u32) -> PyResult<()> {
        let request = request.take()?;
        self.with_loop(|inner| inner.report(request, pid))
    }

    /// In the template: the fork failed with this error number.
    fn report_failure(&self, request: &WorkerRequest, errno: i32) -> PyResult<()> {
        let request = request.take()?;
        let error = io::Error::from_raw_os_error(errno);
        self.with_loop(|inner| inner.report_failure(request, &error))
    }

    /// In the forked process: becomes the worker and runs what the engine sends, until it ends.
    #[expect(clippy::disallowed_methods, reason = "the loop attaches for each call by itself")]
    fn serve(&self, py: Python<'_>, request: &WorkerRequest) -> PyResult<()> {
        let request = request.take()?;
        let inner = self.inner.lock().expect("nothing panics while it is held").take();
        let inner = inner.ok_or_else(left)?;
        py.detach(move || {
            let socket = inner.enter_worker(request)?;
            let mut runtime = PythonRuntime::new(&socket);
            serve(socket, &mut runtime)?;
            runtime.close()
        })
    }
}
