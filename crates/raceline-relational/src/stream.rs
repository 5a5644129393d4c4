//! Streams of batches as inputs of `DataFusion`'s plans, and the outputs of plans as one stream.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::{
    RecordBatchReceiverStreamBuilder, RecordBatchStreamAdapter,
};
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use raceline_types::Failure;
use tokio::sync::Mutex as AsyncMutex;

use crate::error::{carry, failure};

/// Batches of one schema.
pub(crate) type Batches = BoxStream<'static, Result<RecordBatch, Failure>>;

/// A partition of a table that can be read once.
pub(crate) struct OncePartition {
    schema: SchemaRef,
    batches: Mutex<Option<Batches>>,
}

impl OncePartition {
    /// The partition that has `batches`, which are of `schema`.
    pub(crate) fn of(schema: &SchemaRef, batches: Batches) -> Arc<dyn PartitionStream> {
        Arc::new(Self { schema: Arc::clone(schema), batches: Mutex::new(Some(batches)) })
    }
}

impl PartitionStream for OncePartition {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _ctx: Arc<TaskContext>) -> SendableRecordBatchStream {
        let batches = self.batches.lock().unwrap_or_else(PoisonError::into_inner).take();
        let batches = match batches {
            Some(batches) => batches.map(|batch| batch.map_err(carry)).boxed(),
            None => stream::once(async {
                Err(DataFusionError::Internal("an input was read twice".into()))
            })
            .boxed(),
        };
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), batches))
    }
}

impl fmt::Debug for OncePartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { schema, batches: _ } = self;
        f.debug_struct("OncePartition").field("schema", schema).finish_non_exhaustive()
    }
}

/// A plan that reads `partitions`, each once.
pub(crate) fn table_of(
    schema: &SchemaRef,
    partitions: Vec<Batches>,
) -> Result<Arc<dyn ExecutionPlan>, Failure> {
    let partitions =
        partitions.into_iter().map(|batches| OncePartition::of(schema, batches)).collect();
    let table = StreamingTableExec::try_new(Arc::clone(schema), partitions, None, [], false, None);
    Ok(Arc::new(table.map_err(failure)?))
}

/// `batches` for several readers; each batch goes to one of them, the first to ask.
///
/// A failure goes to one reader and ends all.
pub(crate) fn shared(batches: Batches, readers: usize) -> Vec<Batches> {
    let source = Arc::new(AsyncMutex::new(Some(batches)));
    let reader = |_| {
        stream::unfold(Arc::clone(&source), |source| async move {
            let mut rest = source.lock().await;
            let batch = rest.as_mut()?.next().await;
            if !matches!(batch, Some(Ok(_))) {
                *rest = None;
            }
            drop(rest);
            batch.map(|batch| (batch, source))
        })
        .boxed()
    };
    (0..readers).map(reader).collect()
}

/// The output of all partitions of `plan`, each of which is run by a task of its own, as it comes.
pub(crate) fn merged(
    plan: &Arc<dyn ExecutionPlan>,
    context: &Arc<TaskContext>,
) -> Result<SendableRecordBatchStream, Failure> {
    let partitions = plan.output_partitioning().partition_count();
    let mut all = RecordBatchReceiverStreamBuilder::new(plan.schema(), partitions);
    for partition in 0..partitions {
        let mut output = plan.execute(partition, Arc::clone(context)).map_err(failure)?;
        let all_of_them = all.tx();
        all.spawn(async move {
            while let Some(batch) = output.next().await {
                let is_last = batch.is_err();
                if all_of_them.send(batch).await.is_err() || is_last {
                    break;
                }
            }
            Ok(())
        });
    }
    Ok(all.build())
}
