//! Compiled functions: expressions where a function was proved equal to them, Python elsewhere.

mod evaluator;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::RecordBatch;
use async_trait::async_trait;
use raceline_exec::{BatchShape, Emit, MovedBytes, Operator, PoolShape, WorkTimes, WorkerMemory};
use raceline_plan::lambda::{Decline, Program};
use raceline_plan::{BatchFormat, UdfBody, UdfKind, UdfSpec};
use raceline_types::{Batch, Failure};
use tokio::sync::OnceCell;

use crate::resolve::BySchema;

use self::evaluator::Evaluator;

/// Runs a function as expressions, and hands to `fallback` each batch whose result only Python
/// can tell.
///
/// Whether the function compiles is decided for each schema when it is first seen. A batch is
/// evaluated whole before any of it is emitted, so that a row in trouble sends all of it, once,
/// to the fallback. Order, origins and errors are those of the function itself. The fallback is
/// opened when it is first needed.
pub struct CompiledOperator {
    udf: Arc<UdfSpec>,
    fallback: Arc<dyn Operator>,
    /// How opening the fallback went.
    opened: OnceCell<Result<(), Failure>>,
    /// Whether opening the fallback began.
    needed: AtomicBool,
    compiled: BySchema<Result<Evaluator, Decline>>,
}

impl CompiledOperator {
    /// An operator that does what `udf` does; `fallback` runs `udf` itself on any batch.
    #[must_use]
    pub fn new(udf: Arc<UdfSpec>, fallback: Arc<dyn Operator>) -> Self {
        Self {
            udf,
            fallback,
            opened: OnceCell::new(),
            needed: AtomicBool::new(false),
            compiled: BySchema::new(),
        }
    }

    /// The result for one batch; `None` when it needs Python.
    fn evaluate(&self, batch: &RecordBatch) -> Result<Option<RecordBatch>, Failure> {
        let Ok(compiled) = self.compiled.get(&batch.schema(), || {
            let evaluator = program(&self.udf).and_then(|program| {
                Evaluator::new(program, self.udf.kind, self.udf.batch_format, &batch.schema())
            });
            Ok::<_, std::convert::Infallible>(evaluator)
        });
        match compiled.as_ref() {
            Ok(evaluator) => evaluator.evaluate(batch),
            Err(_declined) => Ok(None),
        }
    }

    async fn open_fallback(&self) -> Result<(), Failure> {
        let open = || async {
            self.needed.store(true, Ordering::Release);
            self.fallback.open().await
        };
        self.opened.get_or_init(open).await.clone()
    }
}

#[async_trait]
impl Operator for CompiledOperator {
    fn name(&self) -> Arc<str> {
        self.udf.label().into()
    }

    fn pool(&self) -> PoolShape {
        PoolShape::inline()
    }

    fn input(&self) -> BatchShape {
        BatchShape::AsIs
    }

    fn limit_workers(&self, workers_max: usize) {
        self.fallback.limit_workers(workers_max);
    }

    async fn run(&self, input: Batch, out: &mut dyn Emit) -> Result<(), Failure> {
        if let Some(data) = self.evaluate(&input.data)? {
            let origin = input.origin;
            drop(input.data);
            return out.emit(Batch::new(data, origin)).await;
        }
        self.open_fallback().await?;
        let mut outputs = Outputs::default();
        self.fallback.run(input, &mut outputs).await?;
        for output in outputs.0 {
            out.emit(output).await?;
        }
        Ok(())
    }

    async fn close(&self) {
        if self.needed.load(Ordering::Acquire) {
            self.fallback.close().await;
        }
    }

    fn workers(&self) -> usize {
        if self.needed.load(Ordering::Acquire) { self.fallback.workers() } else { 0 }
    }

    fn memory(&self) -> Vec<WorkerMemory> {
        self.fallback.memory()
    }

    fn errored_rows(&self) -> u64 {
        self.fallback.errored_rows()
    }

    fn times(&self) -> Option<WorkTimes> {
        self.fallback.times()
    }

    fn moved_bytes(&self) -> Option<MovedBytes> {
        self.fallback.moved_bytes()
    }
}

/// All outputs of one batch. The fallback ends before the first of them waits for room: its
/// workers are fewer than the pieces of work that share them, and the one whose output is wanted
/// next must not wait for a worker that waits for room. A function that compiles makes few rows of
/// one.
#[derive(Default)]
struct Outputs(Vec<Batch>);

#[async_trait]
impl Emit for Outputs {
    async fn emit(&mut self, batch: Batch) -> Result<(), Failure> {
        self.0.push(batch);
        Ok(())
    }
}

impl fmt::Debug for CompiledOperator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { udf, fallback, opened: _, needed: _, compiled: _ } = self;
        f.debug_struct("CompiledOperator")
            .field("udf", udf)
            .field("fallback", fallback)
            .finish_non_exhaustive()
    }
}

/// What the compiler made of one batch.
#[derive(Debug)]
pub enum Evaluation {
    /// The function's result.
    Done(RecordBatch),
    /// A row needs Python.
    Trouble,
    /// The function needs Python for this schema.
    Declined(Decline),
}

/// Compiles `program` for the schema of `batch` and evaluates it once: what
/// [`CompiledOperator`] does, without a fallback.
///
/// # Errors
/// An internal error when an expression fails other than by trouble.
pub fn evaluate_program(
    program: &Program,
    kind: UdfKind,
    format: BatchFormat,
    batch: &RecordBatch,
) -> Result<Evaluation, Failure> {
    match Evaluator::new(program, kind, format, &batch.schema()) {
        Ok(evaluator) => {
            Ok(evaluator.evaluate(batch)?.map_or(Evaluation::Trouble, Evaluation::Done))
        }
        Err(decline) => Ok(Evaluation::Declined(decline)),
    }
}

/// The translated body of a function.
fn program(udf: &UdfSpec) -> Result<&Program, Decline> {
    match &udf.body {
        UdfBody::Foreign { program: Ok(program), .. } => Ok(program),
        UdfBody::Foreign { program: Err(reason), .. } => Err(Decline::new(reason.as_ref())),
        UdfBody::Caller(_) => Err(Decline::new("it is debugged")),
        UdfBody::Native(_) => Err(Decline::new("it is a closure of this process")),
    }
}

#[cfg(test)]
mod tests;
