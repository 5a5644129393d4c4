//! Running a batch again after its worker died, so that no row is lost and none comes twice.

use async_trait::async_trait;
use raceline_exec::Emit;
use raceline_types::{Batch, Failure};

/// Hands on what the attempts at one batch return. A later attempt begins where the one before
/// ended: as many rows as were handed on already are dropped, which is exact for functions that
/// return the same rows for the same batch.
pub(crate) struct Replay<'a> {
    out: &'a mut dyn Emit,
    /// Rows that were handed on, by all attempts.
    delivered: usize,
    /// Rows of this attempt that are still to be dropped.
    repeated: usize,
}

impl<'a> Replay<'a> {
    pub(crate) fn new(out: &'a mut dyn Emit) -> Self {
        Self { out, delivered: 0, repeated: 0 }
    }

    /// The next attempt begins.
    pub(crate) fn begin_again(&mut self) {
        self.repeated = self.delivered;
    }

    /// Rows that an earlier attempt returned and this one, at its end, did not.
    pub(crate) fn missing(&self) -> usize {
        self.repeated
    }
}

#[async_trait]
impl Emit for Replay<'_> {
    async fn emit(&mut self, batch: Batch) -> Result<(), Failure> {
        let rows = batch.rows();
        let dropped = self.repeated.min(rows);
        self.repeated -= dropped;
        if dropped > 0 && dropped == rows {
            return Ok(());
        }
        self.delivered += rows - dropped;
        if dropped == 0 {
            return self.out.emit(batch).await;
        }
        let Batch { data, origin } = batch;
        self.out.emit(Batch::new(data.slice(dropped, rows - dropped), origin)).await
    }
}

/// Takes output that nobody wants.
pub(crate) struct Discard;

#[async_trait]
impl Emit for Discard {
    async fn emit(&mut self, _batch: Batch) -> Result<(), Failure> {
        Ok(())
    }
}
