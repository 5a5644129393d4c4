//! `mix`: the rows of several inputs, interleaved by weights.
//!
//! The next row is of the input that is furthest behind its weight, so that any stretch of rows has
//! the inputs in proportion. Which that is depends on the weights alone, and on what has ended.

use std::sync::Arc;

use arrow::compute::interleave_record_batch;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use async_trait::async_trait;
use futures::StreamExt;
use raceline_exec::{Emit, PortStream, Region};
use raceline_plan::MixSpec;
use raceline_types::{Batch, Failure, InternalError, batch_sliced_bytes, unite_batches};

/// Rows of a batch that is put out, at most.
const BATCH_ROWS: usize = 4096;
/// Bytes of one, about.
const BATCH_BYTES: usize = 4 << 20;

/// Interleaves its inputs. What comes out has no origin: neighbours come of several inputs.
#[derive(Debug)]
pub(crate) struct MixRegion {
    spec: Arc<MixSpec>,
}

impl MixRegion {
    /// Interleaves as many inputs as `spec` has weights.
    pub(crate) fn new(spec: Arc<MixSpec>) -> Self {
        Self { spec }
    }
}

/// One input.
struct Side {
    port: PortStream,
    weight: f64,
    /// Rows that were taken so far.
    taken: u64,
    has_ended: bool,
    batch: Option<RecordBatch>,
    /// Mean bytes of its rows.
    row_bytes: usize,
    /// Rows of the batch that are in the next output.
    used: usize,
}

impl Side {
    fn new((port, weight): (PortStream, f64)) -> Self {
        let (taken, has_ended) = (0, false);
        Self { port, weight, taken, has_ended, batch: None, row_bytes: 0, used: 0 }
    }

    /// Whether a row is there without a wait.
    fn has_row(&self) -> bool {
        self.batch.as_ref().is_some_and(|batch| self.used < batch.num_rows())
    }

    /// Waits for rows, all others being out; false when there are no more.
    async fn fill(&mut self, schema: &mut Option<SchemaRef>) -> Result<bool, Failure> {
        while !self.has_row() {
            let Some(batch) = self.port.next().await else {
                (self.has_ended, self.batch) = (true, None);
                return Ok(false);
            };
            let batch = batch?.data;
            schema.get_or_insert_with(|| batch.schema());
            self.row_bytes = batch_sliced_bytes(&batch) / batch.num_rows().max(1);
            (self.batch, self.used) = (Some(batch), 0);
        }
        Ok(true)
    }

    /// The rows that are in the next output; the batch keeps the others.
    fn part(&mut self) -> Option<RecordBatch> {
        let batch = self.batch.take().filter(|_| self.used > 0)?;
        let used = std::mem::take(&mut self.used);
        let part = batch.slice(0, used);
        if used < batch.num_rows() {
            self.batch = Some(batch.slice(used, batch.num_rows() - used));
        }
        Some(part)
    }

    /// When its next row is due.
    #[expect(clippy::cast_precision_loss, reason = "2^53 rows are out of reach")]
    fn due(&self) -> f64 {
        (self.taken + 1) as f64 / self.weight
    }
}

#[async_trait]
impl Region for MixRegion {
    fn name(&self) -> Arc<str> {
        "Mix".into()
    }

    async fn run(&self, ports: Vec<PortStream>, out: &mut dyn Emit) -> Result<(), Failure> {
        let weights = self.spec.weights.iter().copied();
        let mut sides: Vec<Side> = ports.into_iter().zip(weights).map(Side::new).collect();
        let mut schema = None;
        let mut order = Vec::with_capacity(BATCH_ROWS);
        let (mut bytes, mut is_empty) = (0, true);
        while let Some(at) = next_side(&sides) {
            if !sides[at].has_row() {
                is_empty &= order.is_empty();
                put_out(&mut sides, &mut order, out).await?;
                bytes = 0;
                if !sides[at].fill(&mut schema).await? {
                    if self.spec.stops_early {
                        break;
                    }
                    continue;
                }
            }
            let side = &mut sides[at];
            order.push((at, side.used));
            side.used += 1;
            side.taken += 1;
            bytes += side.row_bytes;
            if order.len() == BATCH_ROWS || bytes >= BATCH_BYTES {
                put_out(&mut sides, &mut order, out).await?;
                (bytes, is_empty) = (0, false);
            }
        }
        is_empty &= order.is_empty();
        put_out(&mut sides, &mut order, out).await?;
        if let (true, Some(schema)) = (is_empty, schema) {
            // The columns go on even when no row does.
            out.emit(Batch::without_origin(RecordBatch::new_empty(schema))).await?;
        }
        Ok(())
    }
}

/// The input of the next row: the first of those that are furthest behind.
fn next_side(sides: &[Side]) -> Option<usize> {
    let open = sides.iter().enumerate().filter(|(_, side)| !side.has_ended);
    open.min_by(|(_, left), (_, right)| left.due().total_cmp(&right.due())).map(|(at, _)| at)
}

/// Puts out the rows in `order`, each an input and a row of its batch.
async fn put_out(
    sides: &mut [Side],
    order: &mut Vec<(usize, usize)>,
    out: &mut dyn Emit,
) -> Result<(), Failure> {
    if order.is_empty() {
        return Ok(());
    }
    let mut positions = vec![0; sides.len()];
    let mut parts = Vec::with_capacity(sides.len());
    for (side, position) in sides.iter_mut().zip(&mut positions) {
        if let Some(part) = side.part() {
            *position = parts.len();
            parts.push(part);
        }
    }
    let parts = unite_batches(parts)?;
    let order: Vec<_> = order.drain(..).map(|(at, row)| (positions[at], row)).collect();
    out.emit(Batch::without_origin(interleaved(&parts, &order)?)).await
}

/// The rows `order` of `parts`, which have the same columns.
fn interleaved(parts: &[RecordBatch], order: &[(usize, usize)]) -> Result<RecordBatch, Failure> {
    let schema = parts[0].schema();
    if schema.fields().is_empty() {
        let options = RecordBatchOptions::new().with_row_count(Some(order.len()));
        return RecordBatch::try_new_with_options(schema, Vec::new(), &options).map_err(misfit);
    }
    let parts: Vec<&RecordBatch> = parts.iter().collect();
    interleave_record_batch(&parts, order).map_err(misfit)
}

fn misfit(error: arrow::error::ArrowError) -> Failure {
    InternalError::caused_by("rows of a mix do not fit", error).into()
}
