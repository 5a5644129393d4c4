//! The dataset handle.

use std::collections::BTreeMap;
use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use raceline::{
    Cut, DownloadSpec, ExchangeForm, JoinKind, JoinSpec, KeyedExchange, MixSpec, Projection,
    RowValues, RunOrder, RunTimeouts, Snapshot, SortKey, StageSnapshot, WorkTimes, written_files,
};

use crate::aggregate::{AggregateTuple, read_aggregate};
use crate::expr::Expr;
use crate::gil::{detached, next_batch, wait};
use crate::options::{read_udf, read_write};
use crate::schema::Schema;
use crate::stream::Stream;

/// A lazy dataset. Every transform returns a new one.
#[pyclass(frozen, module = "raceline._native")]
pub(crate) struct Dataset {
    inner: raceline::Dataset,
}

impl Dataset {
    pub(crate) fn new(inner: raceline::Dataset) -> Self {
        Self { inner }
    }

    pub(crate) fn get(&self) -> &raceline::Dataset {
        &self.inner
    }

    /// The dataset as it is run now, by what the program's `DataContext` says.
    fn ready(&self, py: Python<'_>) -> PyResult<raceline::Dataset> {
        let context = py.import("raceline.data.context")?.getattr("DataContext")?;
        let context = context.call_method0("get_current")?;
        let most = context.call_method0("_errored_blocks_most")?;
        let (run, no_progress, report) = context.call_method0("_timeouts")?.extract()?;
        let timeouts = RunTimeouts { run, no_progress, report };
        let is_remembered = context.getattr("enable_stats_summary_collection")?.is_truthy()?;
        let ready = self.inner.tolerating(most.extract()?).timed(timeouts);
        Ok(ready.remembered(is_remembered))
    }
}

#[pymethods]
impl Dataset {
    fn filter_expr(&self, expr: &Expr) -> Self {
        Self::new(self.inner.filter(expr.get().clone()))
    }

    fn select(&self, columns: Vec<String>) -> Self {
        Self::new(self.inner.project(Projection::Select(columns)))
    }

    fn drop(&self, columns: Vec<String>) -> Self {
        Self::new(self.inner.project(Projection::Drop(columns)))
    }

    fn rename(&self, names: Vec<(String, String)>) -> Self {
        Self::new(self.inner.project(Projection::Rename(names)))
    }

    fn with_column(&self, name: &str, expr: &Expr) -> Self {
        Self::new(self.inner.with_column(name, expr.get().clone()))
    }

    /// A column of values that rows have by their places.
    fn row_column(
        &self,
        name: &str,
        kind: &str,
        seed: Option<u64>,
        reseeds: bool,
    ) -> PyResult<Self> {
        let values = match kind {
            "ordinals" => RowValues::Ordinals,
            "random" => RowValues::Random { seed, reseeds },
            "uuids" => RowValues::Uuids,
            other => return Err(PyValueError::new_err(format!("unknown values `{other}`"))),
        };
        Ok(Self::new(self.inner.row_column(name, values)))
    }

    /// A column of the bytes behind the URIs of another one.
    fn download(
        &self,
        uris: String,
        output: String,
        storage_options: BTreeMap<String, String>,
    ) -> Self {
        Self::new(self.inner.download(DownloadSpec { uris, output, storage_options }))
    }

    fn expect_workers(&self, preloads: Vec<String>, has_program: bool) {
        self.inner.expect_workers(preloads, has_program);
    }

    fn udf(&self, options: &Bound<'_, PyDict>) -> PyResult<Self> {
        Ok(Self::new(self.inner.udf(read_udf(options)?)))
    }

    fn limit(&self, n: u64) -> Self {
        Self::new(self.inner.limit(n))
    }

    fn skip(&self, rows: u64) -> Self {
        Self::new(self.inner.skip(rows))
    }

    /// The numbers that random choices of the next run are made of, which counts from now on.
    fn next_order(&self) -> (u64, u64) {
        let RunOrder { execution, new_seed } = self.inner.next_order();
        (execution, new_seed)
    }

    /// The same plan, whose runs make these random choices.
    fn in_order(&self, execution: u64, new_seed: u64) -> Self {
        Self::new(self.inner.in_order(RunOrder { execution, new_seed }))
    }

    /// URI and bytes of each file that the plan reads.
    fn files(&self, py: Python<'_>) -> PyResult<Vec<(String, u64)>> {
        let files = wait(py, self.inner.begin_files())?;
        Ok(files.into_iter().map(|file| (file.uri.to_string(), file.size_bytes)).collect())
    }

    /// The part of the plan for which rows come in another order each time.
    fn unordered(&self) -> Option<String> {
        self.inner.plan().unordered().map(raceline::Node::label)
    }

    /// Whether a function of the plan runs in the thread that waits for its batches.
    fn is_debugged(&self) -> bool {
        is_debugged(self.inner.plan())
    }

    fn sort(&self, columns: Vec<String>, descending: Vec<bool>) -> PyResult<Self> {
        if columns.len() != descending.len() {
            return Err(PyValueError::new_err("`columns` and `descending` differ in length"));
        }
        let keys = columns
            .into_iter()
            .zip(descending)
            .map(|(column, descending)| SortKey { column, descending });
        Ok(Self::new(self.inner.sort(keys.collect())))
    }

    #[expect(clippy::needless_pass_by_value, reason = "extracted from Python by value")]
    fn union(&self, others: Vec<PyRef<'_, Self>>) -> Self {
        let others: Vec<_> = others.iter().map(|other| other.inner.clone()).collect();
        Self::new(self.inner.union(&others))
    }

    fn join(
        &self,
        right: &Self,
        kind: &str,
        keys: Vec<(String, String)>,
        suffixes: (Option<String>, Option<String>),
    ) -> PyResult<Self> {
        let kind = JoinKind::named(kind)
            .ok_or_else(|| PyValueError::new_err(format!("unknown join `{kind}`")))?;
        let (left_suffix, right_suffix) = suffixes;
        let spec = JoinSpec { kind, keys, left_suffix, right_suffix };
        Ok(Self::new(self.inner.join(&right.inner, spec)))
    }

    #[expect(clippy::needless_pass_by_value, reason = "extracted from Python by value")]
    fn zip(&self, others: Vec<PyRef<'_, Self>>) -> Self {
        let others: Vec<_> = others.iter().map(|other| other.inner.clone()).collect();
        Self::new(self.inner.zip(&others))
    }

    #[expect(clippy::needless_pass_by_value, reason = "extracted from Python by value")]
    fn mix(&self, others: Vec<PyRef<'_, Self>>, weights: Vec<f64>, stops_early: bool) -> Self {
        let others: Vec<_> = others.iter().map(|other| other.inner.clone()).collect();
        Self::new(self.inner.mix(&others, MixSpec { weights, stops_early }))
    }

    fn repartition(&self, parts: usize) -> Self {
        Self::new(self.inner.repartition(Cut::Parts(parts)))
    }

    fn repartition_rows(&self, rows: usize, exact: bool) -> Self {
        let cut = if exact { Cut::Rows(rows) } else { Cut::RowsAtMost(rows) };
        Self::new(self.inner.repartition(cut))
    }

    fn repartition_by(&self, keys: Vec<String>, parts: usize, sorted: bool) -> Self {
        let form = ExchangeForm::Parts { parts, sorted };
        Self::new(self.inner.exchange(KeyedExchange { keys, form }))
    }

    /// The groups of rows with equal keys, each as one row.
    fn groups(&self, keys: Vec<String>) -> Self {
        let form = ExchangeForm::Groups;
        Self::new(self.inner.exchange(KeyedExchange { keys, form }))
    }

    fn random_shuffle(&self, seed: u64) -> Self {
        Self::new(self.inner.random_shuffle(seed))
    }

    fn window_shuffle(&self, rows: usize, seed: u64) -> Self {
        Self::new(self.inner.window_shuffle(rows, seed))
    }

    fn randomize_block_order(&self, seed: u64) -> Self {
        Self::new(self.inner.randomize_batch_order(seed))
    }

    /// The same plan, whose last step is a shuffle, with an order of its own in each run.
    fn reseeding(&self) -> Self {
        Self::new(self.inner.reseeding())
    }

    fn aggregate(&self, keys: Vec<String>, aggs: Vec<AggregateTuple<'_>>) -> PyResult<Self> {
        let aggregates = aggs.into_iter().map(read_aggregate).collect::<PyResult<_>>()?;
        Ok(Self::new(self.inner.aggregate(keys, aggregates)))
    }

    /// Writes files; returns (path, rows, bytes) of each.
    fn write(
        &self,
        py: Python<'_>,
        options: &Bound<'_, PyDict>,
    ) -> PyResult<Vec<(String, i64, i64)>> {
        let spec = read_write(options)?;
        let mut run = Some(wait(py, self.ready(py)?.begin_write(spec))?);
        let mut files = Vec::new();
        while let Some(batch) = next_batch(py, &mut run)? {
            files.extend(detached(py, || written_files(&batch))?);
        }
        Ok(files.into_iter().map(|file| (file.path, file.rows, file.bytes)).collect())
    }

    fn execute(&self, py: Python<'_>) -> PyResult<Stream> {
        Ok(Stream::new(wait(py, self.ready(py)?.begin_run())?))
    }

    fn count(&self, py: Python<'_>) -> PyResult<u64> {
        if let Some(rows) = wait(py, self.inner.begin_count_from_metadata())? {
            return Ok(rows);
        }
        let mut run = Some(wait(py, self.ready(py)?.begin_count_run())?);
        let mut rows = 0;
        while let Some(batch) = next_batch(py, &mut run)? {
            rows += detached(py, || raceline::counted_rows(&batch))?;
        }
        Ok(rows)
    }

    fn schema(&self, py: Python<'_>, fetch: bool) -> PyResult<Option<Schema>> {
        if let Some(schema) = wait(py, self.inner.begin_schema())? {
            return Ok(Some(Schema::new(schema)));
        }
        if !fetch {
            return Ok(None);
        }
        let mut run = Some(wait(py, self.ready(py)?.limit(1).begin_run())?);
        let first = next_batch(py, &mut run)?;
        crate::gil::end(py, &mut run)?;
        Ok(first.map(|batch| Schema::new(batch.schema())))
    }

    fn executions(&self) -> u64 {
        self.inner.executions()
    }

    /// URIs of the files that are read.
    fn input_files(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        wait(py, self.inner.begin_input_files())
    }

    fn explain(&self, py: Python<'_>) -> PyResult<String> {
        wait(py, self.ready(py)?.begin_explain())
    }

    /// The rows that functions of the last run failed for.
    fn dead_letters(&self, py: Python<'_>) -> PyResult<Self> {
        detached(py, || self.inner.dead_letters()).map(Self::new)
    }

    /// Seconds that the last run took, and its stages; `None` before the first.
    fn profile<'py>(&self, py: Python<'py>) -> PyResult<Option<(f64, Vec<Bound<'py, PyDict>>)>> {
        let Some(run) = self.inner.last_run() else { return Ok(None) };
        run_profile(py, &run).map(Some)
    }

    fn stats(&self) -> String {
        self.inner.stats()
    }

    fn materialize(&self, py: Python<'_>) -> PyResult<Self> {
        let mut run = Some(wait(py, self.ready(py)?.begin_run())?);
        let mut keeping = self.inner.begin_keeping();
        while let Some(batch) = next_batch(py, &mut run)? {
            detached(py, || keeping.push(batch))?;
        }
        detached(py, || keeping.finish()).map(Self::new)
    }

    /// Number of batches and bytes that a materialized dataset keeps.
    fn kept_size(&self) -> Option<(u64, u64)> {
        self.inner.kept_size().map(|size| (size.batches, size.bytes))
    }

    /// The same plan, whose runs count as runs of `other`: its `stats` tell of them.
    fn recorded_in(&self, other: &Self) -> Self {
        Self::new(self.inner.recorded_in(&other.inner))
    }

    fn plan(&self) -> String {
        self.inner.plan().to_string()
    }
}

fn is_debugged(plan: &raceline::Node) -> bool {
    let is_called_here = |udf: &raceline::UdfSpec| matches!(udf.body, raceline::UdfBody::Caller(_));
    let is_here = plan.functions().into_iter().any(is_called_here);
    is_here || plan.inputs().into_iter().any(|input| is_debugged(input))
}

/// Seconds that a run took, and its stages.
pub(crate) fn run_profile<'py>(
    py: Python<'py>,
    run: &Snapshot,
) -> PyResult<(f64, Vec<Bound<'py, PyDict>>)> {
    let stages = run.stages.iter().map(|stage| stage_profile(py, stage));
    Ok((run.elapsed.as_secs_f64(), stages.collect::<PyResult<_>>()?))
}

/// A stage, as the arguments of `raceline.data.profile.StageProfile`.
fn stage_profile<'py>(py: Python<'py>, stage: &StageSnapshot) -> PyResult<Bound<'py, PyDict>> {
    let fields = PyDict::new(py);
    fields.set_item("name", &*stage.name)?;
    fields.set_item("input_rows", stage.input_rows)?;
    fields.set_item("output_rows", stage.output_rows)?;
    fields.set_item("output_bytes", stage.output_bytes)?;
    fields.set_item("output_batches", stage.output_batches)?;
    fields.set_item("tasks", stage.tasks_finished)?;
    fields.set_item("elapsed_s", stage.elapsed.as_secs_f64())?;
    fields.set_item("busy_s", stage.busy.as_secs_f64())?;
    let times = stage.times;
    let seconds = |of: fn(WorkTimes) -> Duration| times.map(|times| of(times).as_secs_f64());
    fields.set_item("queue_s", seconds(|times| times.queue))?;
    fields.set_item("transfer_s", seconds(|times| times.transfer))?;
    fields.set_item("conversion_s", seconds(|times| times.conversion))?;
    fields.set_item("function_s", seconds(|times| times.function))?;
    fields.set_item("copied_bytes", stage.moved.map(|moved| moved.copied))?;
    fields.set_item("passed_bytes", stage.moved.map(|moved| moved.passed))?;
    Ok(fields)
}
