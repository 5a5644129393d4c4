//! `repartition`: the same rows, cut anew.

use std::sync::Arc;

use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use futures::StreamExt;
use raceline_exec::{Emit, KeptRows, PortStream, Region, SpillBuffer, SpillStore};
use raceline_plan::Cut;
use raceline_types::{Batch, Diagnostic, ErrorKind, Failure, InternalError, batch_sliced_bytes};
use thiserror::Error;

use super::rows::Rows;

/// Rows that cannot be one batch.
#[derive(Debug, Error)]
pub(crate) enum RepartitionError {
    #[error("rows cannot be joined into one batch")]
    Join { source: ArrowError },
}

impl Diagnostic for RepartitionError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Resource
    }

    fn hint(&self) -> Option<String> {
        Some("ask for more and smaller batches, or leave the repartition out".into())
    }
}

/// Bytes of rows that are joined into one batch. The graph cuts larger ones.
const JOINED_BYTES: usize = 8 << 20;

/// Collects its input and cuts it into so many batches, in order. Their sizes differ by at most
/// one row; there are fewer when there are not so many rows.
///
/// Input beyond `memory_bytes` is spilled. A batch that would be larger than that, or than
/// [`JOINED_BYTES`], comes in several.
#[derive(Debug)]
pub(crate) struct PartsRegion {
    parts: usize,
    memory_bytes: usize,
    spill: Arc<SpillStore>,
}

impl PartsRegion {
    /// `parts` batches, with `memory_bytes` of the input in memory.
    pub(crate) fn new(parts: usize, memory_bytes: usize, spill: Arc<SpillStore>) -> Self {
        Self { parts, memory_bytes, spill }
    }

    async fn collect(&self, ports: Vec<PortStream>) -> Result<KeptRows, Failure> {
        let mut buffer = SpillBuffer::new(&self.spill, &self.name(), self.memory_bytes);
        for mut port in ports {
            while let Some(batch) = port.next().await {
                buffer.push(batch?.data)?;
            }
        }
        buffer.finish()
    }

    /// Emits the next `rows` rows, out of `rest` and then of `batches`.
    async fn emit_part<I>(
        &self,
        rows: usize,
        rest: &mut Rows,
        batches: &mut I,
        out: &mut dyn Emit,
    ) -> Result<(), Failure>
    where
        I: Iterator<Item = Result<RecordBatch, Failure>> + Send,
    {
        let bytes_max = self.memory_bytes.clamp(1, JOINED_BYTES);
        let mut left = rows;
        let mut bytes = rest.held_bytes();
        loop {
            while rest.held_rows() < left && bytes < bytes_max {
                let Some(batch) = batches.next().transpose()? else { break };
                bytes += batch_sliced_bytes(&batch);
                rest.push(batch);
            }
            let taken = left.min(rest.held_rows());
            left -= taken;
            if let Some(part) = rest.take(taken)? {
                out.emit(Batch::without_origin(part)).await?;
            }
            if left == 0 {
                return Ok(());
            }
            if taken == 0 {
                return Err(InternalError::new("rows of a repartition are missing").into());
            }
            bytes = rest.held_bytes();
        }
    }
}

#[async_trait]
impl Region for PartsRegion {
    fn name(&self) -> Arc<str> {
        Cut::Parts(self.parts).to_string().into()
    }

    fn gathers(&self) -> bool {
        true
    }

    async fn run(&self, ports: Vec<PortStream>, out: &mut dyn Emit) -> Result<(), Failure> {
        let kept = self.collect(ports).await?;
        let (schema, rows) = (kept.schema().cloned(), kept.rows());
        let Some(schema) = schema else { return Ok(()) };
        let mut batches = kept.into_batches()?;
        let mut rest = Rows::default();
        let end = |part: usize| {
            let end = u128::from(rows) * part as u128 / self.parts as u128;
            u64::try_from(end).expect("a part of `rows` is at most `rows`")
        };
        if rows == 0 {
            // The columns go on even when no row does.
            return out.emit(Batch::without_origin(RecordBatch::new_empty(schema))).await;
        }
        for part in 0..self.parts {
            let rows = usize::try_from(end(part + 1) - end(part)).unwrap_or(usize::MAX);
            if rows > 0 {
                self.emit_part(rows, &mut rest, &mut batches, out).await?;
            }
        }
        Ok(())
    }
}

/// Cuts its input into batches by a number of rows, as it comes.
#[derive(Debug)]
pub(crate) struct RowsRegion {
    rows: usize,
    /// Whether rows of several batches become one.
    joins: bool,
}

impl RowsRegion {
    /// Batches of `rows` rows. Where it `joins`, only the last has fewer; else as many as an
    /// input batch has left.
    pub(crate) fn new(rows: usize, joins: bool) -> Self {
        Self { rows, joins }
    }

    /// Emits all of `held` but what is less than a batch.
    async fn emit_whole(&self, held: &mut Rows, out: &mut dyn Emit) -> Result<(), Failure> {
        while held.held_rows() >= self.rows {
            if let Some(batch) = held.take(self.rows)? {
                out.emit(Batch::without_origin(batch)).await?;
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Region for RowsRegion {
    fn name(&self) -> Arc<str> {
        let cut = if self.joins { Cut::Rows(self.rows) } else { Cut::RowsAtMost(self.rows) };
        cut.to_string().into()
    }

    async fn run(&self, ports: Vec<PortStream>, out: &mut dyn Emit) -> Result<(), Failure> {
        let mut held = Rows::default();
        for mut port in ports {
            while let Some(batch) = port.next().await {
                let batch = batch?;
                if self.joins {
                    held.push(batch.data);
                    self.emit_whole(&mut held, out).await?;
                    continue;
                }
                // A batch without rows is handed on as it is.
                for first in (0..batch.rows().max(1)).step_by(self.rows) {
                    let rows = self.rows.min(batch.rows() - first);
                    out.emit(batch.slice(first, rows)).await?;
                }
            }
        }
        if let Some(last) = held.take(self.rows)? {
            out.emit(Batch::without_origin(last)).await?;
        }
        Ok(())
    }
}
