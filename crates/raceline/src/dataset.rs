//! A lazy dataset: a plan and the session that runs it.

mod transform;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::{Array, Int64Array};
use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use raceline_exec::Snapshot;
use raceline_plan::{
    Aggregate, AggregateKind, FileSplit, Node, Source, UdfBody, UdfSpec, WriteSpec,
};
use raceline_types::{Failure, InternalError, unite_batches};

use crate::explain;
use crate::kept::{Keeping, KeptSize, kept_size};
use crate::letters::{LetterFile, NoLettersError, letter_schema};
use crate::life::SessionError;
use crate::pending::{LastStep, Pending};
use crate::planner;
use crate::run::{Run, RunRecord, Runs};
use crate::run_order::RunOrder;
use crate::session::Session;
use crate::stats::stats_text;
use crate::timeouts::RunTimeouts;

/// A lazy dataset. Every transform returns a new one; nothing runs until rows, a count, a file
/// or a schema that only running can tell is asked for.
///
/// Order: rows keep the order of the source unless a method says otherwise.
#[derive(Clone, Debug)]
pub struct Dataset {
    session: Session,
    plan: Arc<Node>,
    runs: Arc<Mutex<Runs>>,
    errored_batches_max: u64,
    /// Runs so far, of this dataset and those that it was made of or that were made of it.
    executions: Arc<AtomicU64>,
    timeouts: RunTimeouts,
    is_remembered: bool,
    /// That of its runs, where somebody said it.
    order: Option<RunOrder>,
}

/// A file that a write made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenFile {
    /// Its path or URI.
    pub path: String,
    /// Its rows.
    pub rows: i64,
    /// Its size in bytes.
    pub bytes: i64,
}

impl Dataset {
    pub(crate) fn new(session: Session, plan: Node) -> Self {
        Self {
            session,
            plan: Arc::new(plan),
            runs: Arc::default(),
            errored_batches_max: 0,
            timeouts: RunTimeouts::default(),
            is_remembered: false,
            executions: Arc::default(),
            order: None,
        }
    }

    fn then(&self, plan: impl FnOnce(Arc<Node>) -> Node) -> Self {
        let made = Self::new(self.session.clone(), plan(Arc::clone(&self.plan)));
        let Self { errored_batches_max, timeouts, is_remembered, .. } = *self;
        let executions = Arc::clone(&self.executions);
        Self { errored_batches_max, executions, timeouts, is_remembered, ..made }
    }

    /// The plan as it was built.
    #[must_use]
    pub fn plan(&self) -> &Arc<Node> {
        &self.plan
    }

    /// The session that runs it.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Has workers be expected for a function that this dataset is about to be given, unless it
    /// `has_program` and is compiled; see [`Session::expect_workers`]. Workers of functions that it
    /// has already are needed first: then nothing is loaded that would keep them waiting.
    pub fn expect_workers(&self, preloads: Vec<String>, has_program: bool) {
        let compiles = self.session.options().compile_functions;
        if has_program && compiles {
            return;
        }
        let preloads = if calls_workers(&self.plan, compiles) { Vec::new() } else { preloads };
        self.session.expect_workers(preloads);
    }

    /// Starts running; batches come in order.
    ///
    /// # Errors
    /// When the plan cannot run: a path that does not exist, resources that the session does
    /// not have. What fails while running comes from the [`Run`].
    pub fn run(&self) -> Result<Run, Failure> {
        self.begin_run()?.wait()
    }

    /// The same plan, whose runs count as runs of `other`, as [`Dataset::last_run`] tells.
    #[must_use]
    pub fn recorded_in(&self, other: &Self) -> Self {
        Self { runs: Arc::clone(&other.runs), ..self.clone() }
    }

    /// The same plan, whose runs go on without batches that foreign functions fail for and without
    /// what is left of splits that cannot be read, up to `most` of them together; `u64::MAX` sets
    /// no limit. Each is told where workers' lines go, and counted in [`Dataset::stats`].
    #[must_use]
    pub fn tolerating(&self, most: u64) -> Self {
        Self { errored_batches_max: most, ..self.clone() }
    }

    /// The same plan, whose runs may take as long as `timeouts` says.
    ///
    /// A run that takes longer fails with kind [`raceline_types::ErrorKind::Timeout`] and tells who
    /// waits on what, as soon as somebody waits for its next batch.
    #[must_use]
    pub fn timed(&self, timeouts: RunTimeouts) -> Self {
        Self { timeouts, ..self.clone() }
    }

    /// The same plan; whether [`Session::ended_runs`] tells of its runs.
    #[must_use]
    pub fn remembered(&self, is_remembered: bool) -> Self {
        Self { is_remembered, ..self.clone() }
    }

    /// The random order of the next run, which counts as one from now on.
    #[must_use]
    pub fn next_order(&self) -> RunOrder {
        RunOrder::of(self.executions.fetch_add(1, Ordering::Relaxed))
    }

    /// The same plan, whose runs are in the random order `order`. Runs of the dataset count on from
    /// there.
    #[must_use]
    pub fn in_order(&self, order: RunOrder) -> Self {
        self.executions.fetch_max(order.execution.saturating_add(1), Ordering::Relaxed);
        Self { order: Some(order), ..self.clone() }
    }

    /// Begins what comes before running: lists the files that the plan reads first.
    ///
    /// # Errors
    /// As of [`Dataset::run`], then or from the [`Pending`].
    pub fn begin_run(&self) -> Result<Pending<Run>, Failure> {
        let (session, runs) = (self.session.clone(), Arc::clone(&self.runs));
        let (plan, most) = (Arc::clone(&self.plan), self.errored_batches_max);
        let order = self.order.unwrap_or_else(|| self.next_order());
        let (timeouts, is_remembered) = (self.timeouts, self.is_remembered);
        Pending::begin(&self.session, async move {
            let plan = planner::optimize(&plan, most > 0);
            let lowered = planner::lower(&session, &plan, most, order).await?;
            let start: LastStep<Run> =
                Box::new(move || Run::start(session, lowered, runs, timeouts, is_remembered));
            Ok(start)
        })
    }

    /// All rows, in memory.
    ///
    /// # Errors
    /// The first failure of the run.
    pub fn collect(&self) -> Result<Vec<RecordBatch>, Failure> {
        self.run()?.collect()
    }

    /// Number of rows: from metadata when that is exact (ranges, batches in memory, Parquet
    /// footers), else by running the plan.
    ///
    /// # Errors
    /// The first failure of the run or of reading the metadata.
    pub fn count(&self) -> Result<u64, Failure> {
        match self.begin_count_from_metadata()?.wait()? {
            Some(rows) => Ok(rows),
            None => self.begin_count_run()?.wait()?.collect()?.iter().map(counted_rows).sum(),
        }
    }

    /// Begins to look for the number of rows in metadata; `None` when that does not tell it
    /// exactly.
    ///
    /// # Errors
    /// When the metadata cannot be read.
    pub fn begin_count_from_metadata(&self) -> Result<Pending<Option<u64>>, Failure> {
        self.begin(
            |session, plan| async move { planner::count_from_metadata(&session, &plan).await },
        )
    }

    /// Begins to count by running the plan; see [`counted_rows`].
    ///
    /// # Errors
    /// As of [`Dataset::begin_run`].
    pub fn begin_count_run(&self) -> Result<Pending<Run>, Failure> {
        let count = Aggregate::new(AggregateKind::Count, None, false);
        self.aggregate(Vec::new(), vec![count]).recorded_in(self).begin_run()
    }

    /// Begins something that leaves nothing to do for who waits.
    fn begin<T: Send + 'static, W>(
        &self,
        work: impl FnOnce(Session, Arc<Node>) -> W,
    ) -> Result<Pending<T>, Failure>
    where
        W: Future<Output = Result<T, Failure>> + Send + 'static,
    {
        let work = work(self.session.clone(), Arc::clone(&self.plan));
        Pending::begin(&self.session, async move {
            let value = work.await?;
            let done: LastStep<T> = Box::new(move || Ok(value));
            Ok(done)
        })
    }

    /// Begins to list the files that the plan reads, whole, in the order of their paths, those of
    /// the first scan first.
    ///
    /// # Errors
    /// When they cannot be listed, then or from the [`Pending`].
    pub fn begin_files(&self) -> Result<Pending<Vec<FileSplit>>, Failure> {
        self.begin(|session, plan| async move { planner::files_of(&session, &plan).await })
    }

    /// The schema, when it is known without running: `None` behind an opaque function. Files
    /// are listed to learn it.
    ///
    /// # Errors
    /// When the files cannot be listed or read.
    pub fn schema(&self) -> Result<Option<SchemaRef>, Failure> {
        self.begin_schema()?.wait()
    }

    /// Begins to look for the schema; see [`Dataset::schema`].
    ///
    /// # Errors
    /// As of [`Dataset::schema`], then or from the [`Pending`].
    pub fn begin_schema(&self) -> Result<Pending<Option<SchemaRef>>, Failure> {
        self.begin(|session, plan| async move { planner::schema(&session, &plan).await })
    }

    /// Begins to look for the files that are read: their URIs, each once, in the order of the
    /// sources and of their files.
    ///
    /// # Errors
    /// When files cannot be listed, then or from the [`Pending`].
    pub fn begin_input_files(&self) -> Result<Pending<Vec<String>>, Failure> {
        self.begin(|session, plan| async move { planner::input_files(&session, &plan).await })
    }

    /// The rows, computed now and kept: up to an eighth of the session's memory there, the rest on
    /// disk, for as long as the dataset or one made of it is there.
    ///
    /// # Errors
    /// The first failure of the run, or of keeping its rows.
    pub fn materialize(&self) -> Result<Self, Failure> {
        let mut run = self.run()?;
        let mut keeping = self.begin_keeping();
        while let Some(batch) = run.next_batch() {
            keeping.push(batch?)?;
        }
        keeping.finish()
    }

    /// Begins to keep batches of a run; see [`Dataset::materialize`].
    #[must_use]
    pub fn begin_keeping(&self) -> Keeping {
        Keeping::new(&self.session)
    }

    /// How much the dataset keeps; `None` when it was not materialized.
    #[must_use]
    pub fn kept_size(&self) -> Option<KeptSize> {
        kept_size(&self.plan)
    }

    /// A dataset of batches in memory; their columns are united.
    ///
    /// # Errors
    /// When a column has types that cannot be united without loss.
    pub fn from_batches(
        session: &Session,
        name: &'static str,
        batches: Vec<RecordBatch>,
    ) -> Result<Self, Failure> {
        let batches = unite_batches(batches)?;
        let schema = match batches.first() {
            Some(batch) => batch.schema(),
            None => Arc::new(Schema::empty()),
        };
        let source = Source::Memory { name, schema, batches: batches.into() };
        Ok(Self::new(session.clone(), Node::Source(source)))
    }

    /// Writes files, and returns them. Either all of them are there when it returns, or none.
    ///
    /// # Errors
    /// The first failure of the run or of the write.
    pub fn write(&self, spec: WriteSpec) -> Result<Vec<WrittenFile>, Failure> {
        let mut run = self.begin_write(spec)?.wait()?;
        let mut files = Vec::new();
        while let Some(batch) = run.next_batch() {
            files.extend(written_files(&batch?)?);
        }
        Ok(files)
    }

    /// Begins a write; the files' records come from the run, see [`written_files`].
    ///
    /// # Errors
    /// As of [`Dataset::begin_run`].
    pub fn begin_write(&self, spec: WriteSpec) -> Result<Pending<Run>, Failure> {
        let sink = self.then(|input| Node::Write { input, spec: Arc::new(spec) });
        sink.recorded_in(self).begin_run()
    }

    /// The logical plan, the plan after our rules, and the stages that would run, with each
    /// function's lane. Runs nothing, though files are listed to learn their schema.
    ///
    /// # Errors
    /// When the plan cannot run.
    pub fn explain(&self) -> Result<String, Failure> {
        self.begin_explain()?.wait()
    }

    /// Begins to explain; see [`Dataset::explain`].
    ///
    /// # Errors
    /// As of [`Dataset::explain`], then or from the [`Pending`].
    pub fn begin_explain(&self) -> Result<Pending<String>, Failure> {
        let most = self.errored_batches_max;
        self.begin(
            move |session, plan| async move { explain::explain(&session, &plan, most).await },
        )
    }

    /// Runs so far, of this dataset and those that it was made of or that were made of it.
    #[must_use]
    pub fn executions(&self) -> u64 {
        self.executions.load(Ordering::Relaxed)
    }

    /// What the last run did, or does while it runs, stage by stage; `None` before the first, and
    /// in a fork of the process that runs it.
    #[must_use]
    pub fn last_run(&self) -> Option<Snapshot> {
        let runs = self.runs().ok()?;
        match &runs.now {
            Some(now) => Some(now.snapshot()),
            None => runs.last.as_ref().map(|record| record.snapshot.clone()),
        }
    }

    /// The rows that functions of the last run failed for and went on without, as a dataset. Its
    /// columns are `stage`, `error_type`, `error`, `traceback`, `split`, `split_row` (position in
    /// the split, counted from 0) and `input`, the row as a struct. Letters of one function come
    /// together, in the order in which its batches were worked on. They live as long as the
    /// session.
    ///
    /// # Errors
    /// When the dataset has not run, or no function keeps dead letters; in a fork of the process
    /// that ran it.
    pub fn dead_letters(&self) -> Result<Self, Failure> {
        let record = self.runs()?.last.clone().ok_or(NoLettersError::NotRun)?;
        let files = record.letters.ok_or(NoLettersError::NotKept)?;
        let name = "DeadLetters";
        let mut inputs = files.into_iter().map(|LetterFile { path, schema, rows }| {
            Arc::new(Node::Source(Source::Stored { name, schema, path, rows }))
        });
        let Some(first) = inputs.next() else {
            let schema = letter_schema(&Schema::empty());
            let source = Source::Memory { name, schema, batches: Arc::new([]) };
            return Ok(Self::new(self.session.clone(), Node::Source(source)));
        };
        let first = Self { plan: first, runs: Arc::default(), ..self.clone() };
        let others: Vec<_> = inputs.collect();
        if others.is_empty() {
            return Ok(first);
        }
        Ok(first
            .then(|first| Node::Union { inputs: std::iter::once(first).chain(others).collect() }))
    }

    /// The runs. Not in a fork, where these locks may be held by threads that are not there.
    fn runs(&self) -> Result<MutexGuard<'_, Runs>, SessionError> {
        self.session.life().check_home()?;
        Ok(self.runs.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What the last run did, or does while it runs, as text; empty before the first, and in a
    /// fork of the process that runs it.
    #[must_use]
    pub fn stats(&self) -> String {
        let Ok(runs) = self.runs() else { return String::new() };
        match (&runs.now, &runs.last) {
            (Some(now), _) => stats_text(&now.snapshot(), &[]),
            (None, Some(RunRecord { snapshot, losses, .. })) => stats_text(snapshot, losses),
            (None, None) => String::new(),
        }
    }
}

/// Whether functions of a plan are called in workers.
fn calls_workers(plan: &Arc<Node>, compiles: bool) -> bool {
    let mut nodes = vec![plan];
    while let Some(node) = nodes.pop() {
        let is_called = |udf: &UdfSpec| match &udf.body {
            UdfBody::Foreign { program, .. } => !(compiles && program.is_ok()),
            UdfBody::Caller(_) | UdfBody::Native(_) => false,
        };
        if node.functions().into_iter().any(is_called) {
            return true;
        }
        nodes.extend(node.inputs());
    }
    false
}

/// The number in the output of a count.
///
/// # Errors
/// When the batch is not the output of a count.
pub fn counted_rows(batch: &RecordBatch) -> Result<u64, Failure> {
    let counts = batch.columns().first().and_then(|column| column.as_any().downcast_ref());
    let counts: &Int64Array =
        counts.ok_or_else(|| InternalError::new("the output of a count has other columns"))?;
    Ok(counts.iter().flatten().map(i64::unsigned_abs).sum())
}

/// The files in the output of a write.
///
/// # Errors
/// When the batch is not the output of a write.
pub fn written_files(batch: &RecordBatch) -> Result<Vec<WrittenFile>, Failure> {
    let foreign = || InternalError::new("the output of a write has other columns");
    let integers = |name| {
        let column = batch.column_by_name(name).ok_or_else(foreign)?;
        column.as_any().downcast_ref::<Int64Array>().ok_or_else(foreign)
    };
    let paths = batch.column_by_name("path").ok_or_else(foreign)?;
    let paths = paths.as_any().downcast_ref::<arrow::array::StringArray>().ok_or_else(foreign)?;
    let (rows, bytes) = (integers("rows")?, integers("bytes")?);
    Ok((0..paths.len())
        .map(|index| WrittenFile {
            path: paths.value(index).to_owned(),
            rows: rows.value(index),
            bytes: bytes.value(index),
        })
        .collect())
}
