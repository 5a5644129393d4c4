//! The operator that runs foreign functions in worker processes.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use raceline_exec::{BatchShape, Emit, Operator, PoolShape};
use raceline_types::{Batch, Failure};

use crate::device::GpuLedger;
use crate::pool::Pool;
use crate::template::Template;
use crate::worker::CallFailure;

/// What a process operator runs and how.
#[derive(Clone)]
pub struct ProcessSpec {
    /// Name of the stage, for errors, progress and what workers print.
    pub name: Arc<str>,
    /// What the worker's runtime loads, in order; opaque here.
    pub chain: Vec<Arc<[u8]>>,
    /// How many workers, and what each takes. `workers_min` of them are started by `open`, or
    /// fewer when `limit_workers` says so.
    pub pool: PoolShape,
    /// How the input is cut.
    pub input: BatchShape,
    /// Whether a worker keeps state from batch to batch.
    pub stateful: bool,
    /// The session's GPUs. Each worker holds its share for as long as it lives and sees it as
    /// `CUDA_VISIBLE_DEVICES`.
    pub gpus: Arc<GpuLedger>,
    /// How often a batch is run again on another worker when one died before it returned
    /// anything. Stateful workers are never tried again.
    pub restarts_max: u32,
}

/// Finds the session's template, or starts it. Called when a worker is started.
pub type TemplateSource = Arc<dyn Fn() -> Result<Arc<Template>, Failure> + Send + Sync>;

/// Runs a chain of foreign functions in worker processes.
///
/// A run sends its batch to an idle worker, or else to a new one, up to the concurrency of the
/// pool, and hands on what the worker returns as it comes. A worker works on one batch at a
/// time. What a worker returns is validated.
///
/// Every output has the origin of the whole input. A run may be repeated unless the spec is
/// stateful. Dropping a run kills its worker, whose state is unknown then; dropping the operator
/// kills all of them.
///
/// # Errors
/// [`crate::UdfError`] when the user's code raised, [`crate::WorkerError`] otherwise.
pub struct ProcessOperator {
    spec: Arc<ProcessSpec>,
    pool: Pool,
}

impl ProcessOperator {
    /// An operator of `spec`. Nothing is started before `open` or `run`.
    #[must_use]
    pub fn new(template: TemplateSource, spec: ProcessSpec) -> Self {
        let spec = Arc::new(spec);
        Self { pool: Pool::new(template, Arc::clone(&spec)), spec }
    }
}

#[async_trait]
impl Operator for ProcessOperator {
    fn name(&self) -> Arc<str> {
        Arc::clone(&self.spec.name)
    }

    fn pool(&self) -> PoolShape {
        self.spec.pool.clone()
    }

    fn input(&self) -> BatchShape {
        self.spec.input
    }

    fn limit_workers(&self, workers_max: usize) {
        self.pool.limit(workers_max);
    }

    async fn open(&self) -> Result<(), Failure> {
        self.pool.fill().await
    }

    async fn run(&self, input: Batch, out: &mut dyn Emit) -> Result<(), Failure> {
        let restarts_max = if self.spec.stateful { 0 } else { self.spec.restarts_max };
        let mut restarts = 0;
        loop {
            let mut member = self.pool.take().await?;
            match member.worker.call(&input, out).await {
                Ok(()) => {
                    self.pool.give_back(member);
                    return Ok(());
                }
                Err(CallFailure::Raised(failure)) => {
                    self.pool.give_back(member);
                    return Err(failure);
                }
                Err(CallFailure::DiedSilent(_)) if restarts < restarts_max => restarts += 1,
                Err(CallFailure::DiedSilent(failure) | CallFailure::Broken(failure)) => {
                    return Err(failure);
                }
            }
        }
    }

    async fn close(&self) {
        self.pool.close().await;
    }

    fn workers(&self) -> usize {
        self.pool.live()
    }
}

impl fmt::Debug for ProcessSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, chain, pool, input, stateful, gpus: _, restarts_max } = self;
        f.debug_struct("ProcessSpec")
            .field("name", name)
            .field("functions", &chain.len())
            .field("pool", pool)
            .field("input", input)
            .field("stateful", stateful)
            .field("restarts_max", restarts_max)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ProcessOperator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { spec, pool } = self;
        f.debug_struct("ProcessOperator")
            .field("spec", spec)
            .field("workers", &pool.live())
            .finish()
    }
}
