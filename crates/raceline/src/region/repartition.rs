//! `repartition(n)`: the same rows in `n` batches of equal size.

use std::sync::Arc;

use arrow::compute::concat_batches;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use futures::StreamExt;
use raceline_exec::{Emit, PortStream, Region};
use raceline_types::{Batch, Diagnostic, ErrorKind, Failure, unite_batches};
use thiserror::Error;

/// Repartitioning holds its input; this is what happens when that is too much.
#[derive(Debug, Error)]
pub(crate) enum RepartitionError {
    #[error("repartition holds its whole input, which passed its share of {limit_bytes} bytes")]
    TooLarge { limit_bytes: usize },
    #[error("repartition holds its whole input as one batch, which Arrow cannot hold")]
    Join { source: ArrowError },
}

impl Diagnostic for RepartitionError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Resource
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::TooLarge { .. } => {
                "give the session more memory (`raceline.init(memory=…)`), or leave the \
                 repartition out: batches are cut to a fitting size without it"
                    .into()
            }
            Self::Join { .. } => {
                "leave the repartition out: batches are cut to a fitting size without it".into()
            }
        })
    }
}

/// Collects its input and cuts it into exactly `partitions` batches, in order. Their sizes
/// differ by at most one row; some are empty when there are fewer rows than partitions.
#[derive(Debug)]
pub(crate) struct RepartitionRegion {
    partitions: usize,
    limit_bytes: usize,
}

impl RepartitionRegion {
    /// `partitions` batches out of at most `limit_bytes` of input.
    pub(crate) fn new(partitions: usize, limit_bytes: usize) -> Self {
        Self { partitions, limit_bytes }
    }

    async fn collect(&self, ports: Vec<PortStream>) -> Result<Vec<RecordBatch>, Failure> {
        let mut held = Vec::new();
        let mut held_bytes = 0;
        for mut port in ports {
            while let Some(batch) = port.next().await {
                let batch = batch?;
                held_bytes += batch.bytes();
                if held_bytes > self.limit_bytes {
                    let limit_bytes = self.limit_bytes;
                    return Err(RepartitionError::TooLarge { limit_bytes }.into());
                }
                held.push(batch.data);
            }
        }
        Ok(held)
    }
}

#[async_trait]
impl Region for RepartitionRegion {
    fn name(&self) -> Arc<str> {
        format!("Repartition({})", self.partitions).into()
    }

    fn gathers(&self) -> bool {
        true
    }

    async fn run(&self, ports: Vec<PortStream>, out: &mut dyn Emit) -> Result<(), Failure> {
        let held = self.collect(ports).await?;
        let held = unite_batches(held)?;
        let Some(first) = held.first() else { return Ok(()) };
        let whole = concat_batches(first.schema_ref(), &held)
            .map_err(|source| RepartitionError::Join { source })?;
        drop(held);
        let rows = whole.num_rows();
        for partition in 0..self.partitions {
            let start = rows * partition / self.partitions;
            let end = rows * (partition + 1) / self.partitions;
            out.emit(Batch::without_origin(whole.slice(start, end - start))).await?;
        }
        Ok(())
    }
}
