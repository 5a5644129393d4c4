//! User-defined functions that are Rust closures of this process.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use arrow::array::{BooleanArray, Float64Array};
use arrow::compute::filter_record_batch;
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use raceline_exec::{BatchShape, Emit, Operator, PoolShape};
use raceline_plan::{NativeFunction, UdfKind, UdfSpec};
use raceline_types::{Batch, Diagnostic, ErrorKind, Failure};
use thiserror::Error;

use crate::batching::Batching;

/// A closure that did not keep to what its kind asks for.
#[derive(Debug, Error)]
enum NativeError {
    #[error("function `{name}` failed")]
    Failed { name: String, source: Box<dyn Error + Send + Sync> },
    #[error("filter `{name}` must return one boolean column of {rows} rows, returned `{found}`")]
    NotAPredicate { name: String, rows: usize, found: String },
}

impl Diagnostic for NativeError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Udf
    }
}

/// A closure under the name that its errors carry.
pub(crate) struct Closure<F> {
    /// What a person would call it.
    pub(crate) name: String,
    /// The code.
    pub(crate) function: F,
}

impl<F, E> NativeFunction for Closure<F>
where
    F: Fn(&RecordBatch) -> Result<RecordBatch, E> + Send + Sync + 'static,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    fn call(&self, batch: &RecordBatch) -> Result<RecordBatch, Failure> {
        (self.function)(batch).map_err(|error| {
            NativeError::Failed { name: self.name.clone(), source: error.into() }.into()
        })
    }
}

/// Runs a closure on each batch, in the thread of the fragment.
pub(crate) struct NativeOperator {
    udf: Arc<UdfSpec>,
    function: Arc<dyn NativeFunction>,
    batching: Batching,
}

impl NativeOperator {
    /// `function`, which is the body of `udf`.
    pub(crate) fn new(udf: Arc<UdfSpec>, function: Arc<dyn NativeFunction>) -> Self {
        let batching = Batching::of(&udf);
        Self { udf, function, batching }
    }

    fn keep(&self, input: &RecordBatch, answer: &RecordBatch) -> Result<RecordBatch, Failure> {
        let refuse = || NativeError::NotAPredicate {
            name: self.udf.name.clone(),
            rows: input.num_rows(),
            found: format!("{} rows of {}", answer.num_rows(), answer.schema()),
        };
        let column = answer.columns().first().ok_or_else(refuse)?;
        let mask = column.as_any().downcast_ref::<BooleanArray>().ok_or_else(refuse)?;
        filter_record_batch(input, mask).map_err(|_| refuse().into())
    }
}

impl fmt::Debug for NativeOperator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NativeOperator({})", self.udf.name)
    }
}

#[async_trait]
impl Operator for NativeOperator {
    fn name(&self) -> Arc<str> {
        self.udf.label().into()
    }

    fn pool(&self) -> PoolShape {
        PoolShape {
            resources: self.udf.resources.clone(),
            concurrency_max: self.udf.concurrency_max,
            workers: None,
        }
    }

    fn input(&self) -> BatchShape {
        self.batching.shape
    }

    fn row_costs(&self, input: &Batch) -> Result<Float64Array, Failure> {
        match &self.batching.cost {
            Some(cost) => cost.of(&input.data),
            None => Ok(Float64Array::from_value(0.0, input.rows())),
        }
    }

    async fn run(&self, input: Batch, out: &mut dyn Emit) -> Result<(), Failure> {
        let Batch { data, origin } = input;
        let answer = self.function.call(&data)?;
        let output =
            if self.udf.kind == UdfKind::Filter { self.keep(&data, &answer)? } else { answer };
        out.emit(Batch::new(output, origin)).await
    }
}
