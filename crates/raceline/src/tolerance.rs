//! The batches and splits that one run may do without: how many, and what is said of each.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures::stream::BoxStream;
use raceline_exec::{Emit, Source, SplitReader, StageAccounts};
use raceline_types::{Batch, ColumnMemory, ErrorKind, Failure, Split};
use raceline_worker::{ErroredBatches, LineSink};

/// What a run may lose and has lost.
pub(crate) struct Tolerance {
    run: Arc<Count>,
    stages: Mutex<Vec<Arc<StageTolerance>>>,
}

/// What one stage has lost.
pub(crate) struct StageTolerance {
    stage: Arc<str>,
    run: Arc<Count>,
    taken: AtomicU64,
}

/// The count of the whole run.
struct Count {
    /// Batches and splits that it may lose; `u64::MAX` sets no limit.
    most: u64,
    taken: AtomicU64,
    lines: Option<LineSink>,
}

impl Tolerance {
    /// Of a run that may lose `most` batches and splits, each of which is told to `lines`.
    pub(crate) fn new(most: u64, lines: Option<LineSink>) -> Self {
        let run = Arc::new(Count { most, taken: AtomicU64::new(0), lines });
        Self { run, stages: Mutex::default() }
    }

    /// Whether the run may lose nothing.
    pub(crate) fn is_nothing(&self) -> bool {
        self.run.most == 0
    }

    /// What `stage` loses; `None` where the run may lose nothing.
    pub(crate) fn of_stage(&self, stage: Arc<str>) -> Option<Arc<StageTolerance>> {
        if self.is_nothing() {
            return None;
        }
        let (run, taken) = (Arc::clone(&self.run), AtomicU64::new(0));
        let stage = Arc::new(StageTolerance { stage, run, taken });
        let mut stages = self.stages.lock().unwrap_or_else(PoisonError::into_inner);
        stages.push(Arc::clone(&stage));
        Some(stage)
    }

    /// The stages that have lost something, and how much.
    pub(crate) fn losses(&self) -> Vec<(Arc<str>, u64)> {
        let stages = self.stages.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = |stage: &Arc<StageTolerance>| stage.taken.load(Ordering::Relaxed);
        let losses = stages.iter().map(|stage| (Arc::clone(&stage.stage), taken(stage)));
        losses.filter(|(_, taken)| *taken > 0).collect()
    }
}

impl StageTolerance {
    /// Whether the run goes on without `what`, which `failure` is about.
    fn lose(&self, what: &str, failure: &Failure) -> bool {
        let Count { most, taken, lines } = self.run.as_ref();
        let one_more = |taken: u64| (taken < *most).then_some(taken + 1);
        let before = taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok();
        let told = match before {
            None => format!("more than `max_errored_blocks={most}` batches failed"),
            Some(before) => {
                let is_bounded = *most != u64::MAX;
                let left = is_bounded.then(|| (most - before - 1).to_string());
                let left = left.as_deref().unwrap_or("no limit");
                format!("{failure}; its {what} is left out, remaining max_errored_blocks: {left}")
            }
        };
        if let Some(lines) = lines {
            lines(&format!("({}) {told}", self.stage));
        }
        self.taken.fetch_add(u64::from(before.is_some()), Ordering::Relaxed);
        before.is_some()
    }
}

impl ErroredBatches for StageTolerance {
    fn take(&self, rows: usize, failure: &Failure) -> bool {
        failure.kind() != ErrorKind::Internal
            && self.lose(&format!("batch of {rows} rows"), failure)
    }
}

impl fmt::Debug for StageTolerance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StageTolerance")
            .field("stage", &self.stage)
            .field("most", &self.run.most)
            .field("taken", &self.taken)
            .finish()
    }
}

/// A source whose splits may fail to be read. What was read of one before stays.
#[derive(Debug)]
pub(crate) struct TolerantSource {
    pub(crate) source: Arc<dyn Source>,
    pub(crate) tolerance: Arc<StageTolerance>,
}

#[async_trait]
impl SplitReader for TolerantSource {
    async fn read(&self, split: &Split, out: &mut dyn Emit) -> Result<(), Failure> {
        let mut out = Watched { out, has_failed: false };
        match self.source.read(split, &mut out).await {
            Err(failure)
                if !out.has_failed
                    && is_of_files(failure.kind())
                    && self.tolerance.lose(&format!("rest of `{}`", split.label), &failure) =>
            {
                Ok(())
            }
            ended => ended,
        }
    }
}

#[async_trait]
impl Source for TolerantSource {
    fn name(&self) -> Arc<str> {
        self.source.name()
    }

    fn splits(&self) -> BoxStream<'static, Result<Split, Failure>> {
        self.source.splits()
    }
}

fn is_of_files(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Source | ErrorKind::NotFound | ErrorKind::PermissionDenied)
}

/// Notes whether what comes behind a reader failed, as opposed to the reader.
struct Watched<'a> {
    out: &'a mut dyn Emit,
    has_failed: bool,
}

#[async_trait]
impl Emit for Watched<'_> {
    fn accounts(&self) -> StageAccounts {
        self.out.accounts()
    }

    fn memory(&self) -> Arc<dyn ColumnMemory> {
        self.out.memory()
    }

    async fn emit(&mut self, batch: Batch) -> Result<(), Failure> {
        let emitted = self.out.emit(batch).await;
        self.has_failed |= emitted.is_err();
        emitted
    }
}
