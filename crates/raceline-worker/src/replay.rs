//! Running a batch again after its worker ended, so that no row is lost and none comes twice.

use async_trait::async_trait;
use raceline_exec::Emit;
use raceline_types::{Batch, Failure};

use crate::errored::{ErroredRow, ErroredRows};

/// What a call answers: batches, and rows that its function failed for.
pub(crate) trait Answers: Emit {
    /// Takes a row that the function failed for.
    fn errored(&mut self, row: ErroredRow) -> Result<(), Failure>;

    /// Where an attempt begins.
    fn mark(&self) -> Mark;

    /// What was answered since `mark` will be answered again.
    fn rewind(&mut self, mark: Mark);
}

/// Hands on what the attempts at one batch answer. An attempt that is made again begins where the
/// batch, or the part of it, began; what was handed on already is dropped, which is exact for
/// functions that answer the same for the same rows.
pub(crate) struct Replay<'a> {
    out: &'a mut dyn Emit,
    errored: Option<&'a dyn ErroredRows>,
    rows: Tally,
    errors: Tally,
}

/// How far an attempt has come.
#[derive(Clone, Copy, Default)]
pub(crate) struct Mark {
    rows: usize,
    errors: usize,
}

#[derive(Default)]
struct Tally {
    /// How many were answered, by attempts that count.
    answered: usize,
    /// How many were handed on.
    delivered: usize,
}

impl Tally {
    /// Counts the next `count`, and tells how many of them were handed on before.
    fn count(&mut self, count: usize) -> usize {
        let repeated = (self.delivered - self.answered.min(self.delivered)).min(count);
        self.answered += count;
        self.delivered = self.delivered.max(self.answered);
        repeated
    }
}

impl<'a> Replay<'a> {
    pub(crate) fn new(out: &'a mut dyn Emit, errored: Option<&'a dyn ErroredRows>) -> Self {
        Self { out, errored, rows: Tally::default(), errors: Tally::default() }
    }

    /// Rows that an earlier attempt returned and the last one, at its end, did not.
    pub(crate) fn missing(&self) -> usize {
        self.rows.delivered - self.rows.answered
    }
}

#[async_trait]
impl Emit for Replay<'_> {
    async fn emit(&mut self, batch: Batch) -> Result<(), Failure> {
        let rows = batch.rows();
        match self.rows.count(rows) {
            0 => self.out.emit(batch).await,
            dropped if dropped == rows => Ok(()),
            dropped => {
                let Batch { data, origin } = batch;
                self.out.emit(Batch::new(data.slice(dropped, rows - dropped), origin)).await
            }
        }
    }
}

impl Answers for Replay<'_> {
    fn errored(&mut self, row: ErroredRow) -> Result<(), Failure> {
        match self.errored {
            None => Err(row.failure),
            Some(errored) if self.errors.count(1) == 0 => errored.take(row),
            Some(_) => Ok(()),
        }
    }

    fn mark(&self) -> Mark {
        Mark { rows: self.rows.answered, errors: self.errors.answered }
    }

    fn rewind(&mut self, mark: Mark) {
        self.rows.answered = mark.rows;
        self.errors.answered = mark.errors;
    }
}

/// Takes answers that nobody wants.
pub(crate) struct Discard;

#[async_trait]
impl Emit for Discard {
    async fn emit(&mut self, _batch: Batch) -> Result<(), Failure> {
        Ok(())
    }
}

impl Answers for Discard {
    fn errored(&mut self, _row: ErroredRow) -> Result<(), Failure> {
        Ok(())
    }

    fn mark(&self) -> Mark {
        Mark::default()
    }

    fn rewind(&mut self, _mark: Mark) {}
}
