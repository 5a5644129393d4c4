//! The session handle.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;

use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use raceline::{Launcher, ProgressMode, SessionOptions, SpillFolder, SqlTable};

use crate::batch::batches_from_py;
use crate::caller::caller_loader;
use crate::dataset::{Dataset, run_profile};
use crate::gil::detached;
use crate::options::{read_scan, schema_of};
use crate::sql::FunctionArguments;

/// Environment variable that turns the lambda compiler off when it is `off`.
const LAMBDA_VARIABLE: &str = "RACELINE_LAMBDA";

/// A session: threads, stores, worker processes and the memory budget.
#[pyclass(frozen, module = "raceline._native")]
pub(crate) struct Session {
    inner: Mutex<Option<raceline::Session>>,
}

impl Session {
    fn get(&self) -> PyResult<raceline::Session> {
        let inner = self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        inner.clone().ok_or_else(|| PyRuntimeError::new_err("the session was shut down"))
    }
}

#[pymethods]
impl Session {
    #[new]
    #[pyo3(signature = (**options))]
    fn new(py: Python<'_>, options: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let missing = || PyTypeError::new_err("Session() needs its keyword arguments");
        let SessionArguments {
            num_cpus,
            num_gpus,
            memory,
            resources,
            spill_dirs,
            worker_command,
            progress,
        } = options.ok_or_else(missing)?.extract()?;
        let folder = |(path, bytes_max)| SpillFolder { path, bytes_max };
        let mut command = worker_command.into_iter();
        let launcher = command.next().map(|program| {
            let mut launcher = Launcher::new(PathBuf::from(program));
            launcher.args = command.map(Into::into).collect();
            launcher
        });
        let progress = progress.unwrap_or(true);
        let options = SessionOptions {
            cpus: num_cpus,
            gpus: num_gpus,
            memory_bytes: memory,
            custom: resources.unwrap_or_default(),
            launcher,
            caller: Some(caller_loader()),
            progress: if progress { ProgressMode::Auto } else { ProgressMode::Off },
            preserve_order: true,
            compile_functions: std::env::var_os(LAMBDA_VARIABLE).is_none_or(|value| value != "off"),
            spill_folders: spill_dirs.into_iter().map(folder).collect(),
        };
        let session = detached(py, || raceline::Session::new(options))?;
        Ok(Self { inner: Mutex::new(Some(session)) })
    }

    fn range(&self, n: u64) -> PyResult<Dataset> {
        Ok(Dataset::new(self.get()?.range(n)))
    }

    #[expect(
        clippy::wrong_self_convention,
        clippy::needless_pass_by_value,
        reason = "the name that Python users know; extracted from Python by value"
    )]
    fn from_batches(
        &self,
        py: Python<'_>,
        name: &str,
        batches: Vec<Bound<'_, PyAny>>,
    ) -> PyResult<Dataset> {
        let session = self.get()?;
        let name = source_name(name);
        let batches = batches_from_py(&batches)?;
        let dataset = detached(py, || raceline::Dataset::from_batches(&session, name, batches))?;
        Ok(Dataset::new(dataset))
    }

    fn read_files(&self, options: &Bound<'_, PyDict>) -> PyResult<Dataset> {
        Ok(Dataset::new(self.get()?.read_files(read_scan(options)?)))
    }

    #[expect(clippy::needless_pass_by_value, reason = "extracted from Python by value")]
    fn sql(
        &self,
        py: Python<'_>,
        query: &str,
        tables: Vec<(String, PyRef<'_, Dataset>)>,
    ) -> PyResult<Dataset> {
        let session = self.get()?;
        let tables: Vec<_> =
            tables.iter().map(|(name, table)| (name.as_str(), table.get())).collect();
        detached(py, || session.sql(query, &tables)).map(Dataset::new)
    }

    #[expect(clippy::needless_pass_by_value, reason = "extracted from Python by value")]
    fn sql_with_functions(
        &self,
        py: Python<'_>,
        query: &str,
        tables: Vec<TableArguments<'_>>,
        functions: Vec<FunctionArguments<'_>>,
    ) -> PyResult<Dataset> {
        let session = self.get()?;
        let columns = tables.iter().map(|(_, _, columns)| columns.as_ref().map(schema_of));
        let columns: Vec<_> = columns.map(Option::transpose).collect::<PyResult<_>>()?;
        let tables: Vec<_> = tables
            .iter()
            .zip(&columns)
            .map(|((name, table, _), columns)| SqlTable {
                name,
                dataset: table.get(),
                columns: columns.as_ref(),
            })
            .collect();
        let functions = functions.iter().map(FunctionArguments::function);
        let functions: Vec<_> = functions.collect::<PyResult<_>>()?;
        let made = detached(py, || session.sql_with_functions(query, &tables, &functions));
        made.map(Dataset::new)
    }

    fn resources(&self, py: Python<'_>) -> PyResult<BTreeMap<String, f64>> {
        let session = self.get()?;
        detached(py, || session.find_gpus())?;
        let total = session.resources();
        let mut all = BTreeMap::from([
            ("CPU".to_owned(), total.cpus()),
            ("GPU".to_owned(), total.gpus()),
            ("memory".to_owned(), as_units(total.memory_bytes)),
        ]);
        all.extend(session.options().custom.clone());
        Ok(all)
    }

    /// Seconds and stages of the runs that were remembered, the latest last.
    fn ended_runs<'py>(&self, py: Python<'py>) -> PyResult<Vec<(f64, Vec<Bound<'py, PyDict>>)>> {
        let session = self.get()?;
        let runs = detached(py, || session.ended_runs())?;
        runs.iter().map(|run| run_profile(py, run)).collect()
    }

    /// Cancels what runs and ends the worker processes; the threads end when no dataset is left.
    fn shutdown(&self, py: Python<'_>) -> PyResult<()> {
        let session = self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        detached(py, move || {
            if let Some(session) = session {
                session.close();
            }
            Ok(())
        })
    }
}

/// A table of a query: its name, the dataset, and a table without rows that has its columns, where the
/// plan does not tell them.
type TableArguments<'py> = (String, PyRef<'py, Dataset>, Option<Bound<'py, PyAny>>);

/// Arguments of a session, as `raceline.init` gathers them.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct SessionArguments {
    num_cpus: Option<f64>,
    num_gpus: Option<f64>,
    memory: Option<u64>,
    resources: Option<BTreeMap<String, f64>>,
    spill_dirs: Vec<(PathBuf, Option<u64>)>,
    worker_command: Vec<String>,
    progress: Option<bool>,
}

/// The name of an in-memory source, as plans show it.
fn source_name(name: &str) -> &'static str {
    match name {
        "FromItems" => "FromItems",
        "FromNumpy" => "FromNumpy",
        "FromPandas" => "FromPandas",
        "FromArrow" => "FromArrow",
        "ReadTasks" => "ReadTasks",
        _ => "FromBatches",
    }
}

#[expect(clippy::cast_precision_loss, reason = "shown to people only")]
fn as_units(bytes: u64) -> f64 {
    bytes as f64
}
