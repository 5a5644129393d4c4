//! A shuffle in a window: rows are drawn at random from the last so many.

mod fixed;
mod slots;
mod start;

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::Schema;
use async_trait::async_trait;
use futures::StreamExt;
use raceline_exec::{Emit, PortStream, Region};
use raceline_types::{
    Batch, Failure, InternalError, Random, RandomDraws, RandomStream, batch_sliced_bytes, conform,
    unite_batches,
};

use super::error::ShuffleError;
use slots::Slots;
pub(crate) use start::WindowStart;

/// Rows are let in when so many parts of the window wait, so that small batches do not each pay for
/// a look at all columns.
const WAITING_PARTS: usize = 8;
/// Or so many bytes.
const WAITING_BYTES: usize = 64 << 20;

/// Holds `rows` rows; each row that comes is handed on or takes the place of one that is, drawn
/// from both. At the end the rows that are left come in a random order.
///
/// The order depends on the seed and the order of the input, not on how batches are cut.
#[derive(Debug)]
pub(crate) struct WindowShuffleRegion {
    rows: usize,
    seed: u64,
    limit_bytes: usize,
    start: Option<WindowStart>,
}

impl WindowShuffleRegion {
    /// A window of `rows` rows, of at most `limit_bytes`.
    pub(crate) fn new(rows: usize, seed: u64, limit_bytes: usize) -> Self {
        Self { rows, seed, limit_bytes, start: None }
    }

    /// The same window from `start` on; its input is that from [`WindowStart::first_row`] on.
    pub(crate) fn starting(self, start: WindowStart) -> Self {
        Self { start: Some(start), ..self }
    }
}

#[async_trait]
impl Region for WindowShuffleRegion {
    fn name(&self) -> Arc<str> {
        format!("RandomShuffle(window={})", self.rows).into()
    }

    async fn run(&self, ports: Vec<PortStream>, out: &mut dyn Emit) -> Result<(), Failure> {
        let mut window = Window::new(self.rows, Random::new(self.seed), self.limit_bytes);
        let mut input = futures::stream::iter(ports).flatten();
        let (mut waiting, mut rows, mut bytes) = (Vec::new(), 0, 0);
        if let Some(start) = &self.start {
            let (held, rest) = start.rows_of(&mut input).await?;
            window.begin(start, held)?;
            waiting.extend(rest.filter(|rest| rest.num_rows() > 0));
        }
        while let Some(batch) = input.next().await {
            let batch = batch?.data;
            if batch.num_rows() == 0 {
                // The schema goes on even when no row does.
                out.emit(Batch::without_origin(batch)).await?;
                continue;
            }
            rows += batch.num_rows();
            bytes += batch_sliced_bytes(&batch);
            waiting.push(batch);
            if rows >= self.rows / WAITING_PARTS || bytes >= WAITING_BYTES {
                (rows, bytes) = (0, 0);
                let drawn = window.let_in(std::mem::take(&mut waiting))?;
                out.emit(Batch::without_origin(drawn)).await?;
            }
        }
        if !waiting.is_empty() {
            let drawn = window.let_in(waiting)?;
            out.emit(Batch::without_origin(drawn)).await?;
        }
        let order = window.order_of_rest();
        for slots in order.chunks(window.slots.batch_rows()) {
            out.emit(Batch::without_origin(window.slots.take(slots)?)).await?;
        }
        Ok(())
    }
}

/// The rows that are held, and how others are drawn.
struct Window {
    rows: usize,
    draws: RandomDraws,
    limit_bytes: usize,
    slots: Slots,
}

impl Window {
    fn new(rows: usize, random: Random, limit_bytes: usize) -> Self {
        let draws = random.draws(RandomStream::Window);
        Self { rows, draws, limit_bytes, slots: Slots::new(Arc::new(Schema::empty())) }
    }

    /// Holds the rows of `start`, which come slot after slot.
    fn begin(&mut self, start: &WindowStart, held: Option<RecordBatch>) -> Result<(), Failure> {
        self.draws = start.draws();
        if let Some(held) = held {
            self.slots = Slots::new(held.schema());
            self.slots.let_in(&held, held.num_rows(), &[])?;
        }
        Ok(())
    }

    /// Lets rows in; what is drawn meanwhile comes back.
    fn let_in(&mut self, batches: Vec<RecordBatch>) -> Result<RecordBatch, Failure> {
        let batch = joined(batches)?;
        let batch = self.united(batch)?;
        let added = batch.num_rows().min(self.rows - self.slots.rows());
        let chosen = (added..batch.num_rows()).map(|_| self.draws.below(self.rows + 1));
        let drawn = self.slots.let_in(&batch, added, &chosen.collect::<Vec<_>>())?;
        if self.slots.bytes() > self.limit_bytes {
            self.slots.compact()?;
            if self.slots.bytes() > self.limit_bytes {
                let (rows, limit_bytes) = (self.rows, self.limit_bytes);
                return Err(ShuffleError::WindowTooLarge { rows, limit_bytes }.into());
            }
        }
        Ok(drawn)
    }

    /// `batch` with the columns of the rows that are held, which are united with its own if need be.
    fn united(&mut self, batch: RecordBatch) -> Result<RecordBatch, Failure> {
        if batch.schema_ref() == self.slots.schema() {
            return Ok(batch);
        }
        if self.slots.rows() == 0 {
            self.slots = Slots::new(batch.schema());
            return Ok(batch);
        }
        if let Ok(batch) = conform(&batch, self.slots.schema()) {
            return Ok(batch);
        }
        let all: Vec<usize> = (0..self.slots.rows()).collect();
        let mut batches = unite_batches(vec![self.slots.take(&all)?, batch])?;
        let (batch, held) = (batches.pop(), batches.pop());
        let (Some(batch), Some(held)) = (batch, held) else {
            return Err(InternalError::new("uniting batches lost one").into());
        };
        self.slots = Slots::new(held.schema());
        self.slots.let_in(&held, all.len(), &[])?;
        Ok(batch)
    }

    /// The slots of the rows that are left, in the order in which they come.
    fn order_of_rest(&mut self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.slots.rows()).collect();
        self.draws.shuffle(&mut order);
        order
    }
}

/// One batch of all rows.
fn joined(batches: Vec<RecordBatch>) -> Result<RecordBatch, Failure> {
    let mut batches = unite_batches(batches)?;
    if batches.len() == 1 {
        return Ok(batches.remove(0));
    }
    let joined = concat_batches(&batches[0].schema(), &batches);
    Ok(joined.map_err(|source| ShuffleError::Gather { source })?)
}
