//! Narrow operators: one batch in, any number of batches out.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use raceline_types::{Batch, Failure, Resources};

use crate::emit::Emit;

/// How an operator wants its input cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchShape {
    /// As it comes.
    AsIs,
    /// Exactly this many rows, across batch and split borders; only the last may be shorter.
    Rows(usize),
    /// At least this many rows: neighbouring small batches are joined, none is cut.
    AtLeastRows(usize),
}

/// How many batches of an operator may run at once and what each of them takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolShape {
    /// Resources of one running batch. The graph takes them for as long as the batch runs;
    /// [`Operator::limit_workers`] sees to it that the GPUs and custom resources of workers
    /// that live on between batches fit the machine too.
    pub resources: Resources,
    /// At most this many at once; `None` is bounded by resources alone.
    pub concurrency_max: Option<usize>,
    /// Stateful workers that are started before the first batch; 0 for stateless work.
    pub workers_min: usize,
}

impl PoolShape {
    /// Inline work of one CPU token, as wide as the machine.
    #[must_use]
    pub fn inline() -> Self {
        let resources =
            Resources { cpu_nanos: raceline_types::NANOS_PER_UNIT, ..Resources::default() };
        Self { resources, concurrency_max: None, workers_min: 0 }
    }
}

/// A narrow operator: each batch is worked on by itself, by any worker, in any order.
///
/// # Contract
/// `open` is called once before the first `run` and `close` once after the last, on success,
/// failure and cancellation alike. `run` is called concurrently, at most
/// [`PoolShape::concurrency_max`] times. Calling `run` again with the same input is allowed
/// (retry), unless the operator says otherwise in its own docs.
///
/// # Order
/// Outputs of one `run` keep their order; the graph restores input order between runs.
///
/// # Memory
/// `run` holds its input, its own output batch, and what `emit` admitted.
///
/// # Cancellation
/// The future of `run` may be dropped at any await point. `close` ends what runs outside the
/// process, within a second.
///
/// # Errors
/// The graph adds the stage's name; the operator names column and rows where it knows them.
///
/// # Example
/// ```
/// use std::sync::Arc;
/// use async_trait::async_trait;
/// use raceline_exec::{BatchShape, Emit, Operator, PoolShape};
/// use raceline_types::{Batch, Failure};
///
/// #[derive(Debug)]
/// struct FirstRow;
///
/// #[async_trait]
/// impl Operator for FirstRow {
///     fn name(&self) -> Arc<str> {
///         "FirstRow".into()
///     }
///     fn pool(&self) -> PoolShape {
///         PoolShape::inline()
///     }
///     fn input(&self) -> BatchShape {
///         BatchShape::AsIs
///     }
///     async fn run(&self, input: Batch, out: &mut dyn Emit) -> Result<(), Failure> {
///         let rows = input.rows().min(1);
///         out.emit(input.slice(0, rows)).await
///     }
/// }
/// ```
#[async_trait]
pub trait Operator: fmt::Debug + Send + Sync + 'static {
    /// Short name for progress, `explain` and errors: `MapBatches(embed)`.
    fn name(&self) -> Arc<str>;

    /// How wide it may run and what a run takes.
    fn pool(&self) -> PoolShape;

    /// How its input is to be cut.
    fn input(&self) -> BatchShape;

    /// Told once before `open`: no more than `workers_max` workers (at least 1) can ever run at
    /// once, or share the GPUs with other stages, so a pool keeps no more than that. This bounds
    /// both [`PoolShape::workers_min`] and [`PoolShape::concurrency_max`].
    fn limit_workers(&self, _workers_max: usize) {}

    /// Gets ready: starts stateful workers, so that constructors run in parallel.
    async fn open(&self) -> Result<(), Failure> {
        Ok(())
    }

    /// Works on one batch.
    async fn run(&self, input: Batch, out: &mut dyn Emit) -> Result<(), Failure>;

    /// Ends workers and frees what `open` took. Called once, also after a failure.
    async fn close(&self) {}

    /// Live workers, for progress; 0 for inline work.
    fn workers(&self) -> usize {
        0
    }

    /// Rows that it failed for and went on without.
    fn errored_rows(&self) -> u64 {
        0
    }
}
