//! The rows that a window holds, each in a slot.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use raceline_types::{Failure, InternalError, batch_sliced_bytes};

use super::super::error::ShuffleError;
use super::super::gather::{Position, batch_rows, gather, output_rows};
use super::fixed::{FixedColumn, fixed_column};

/// Rows of one schema. Values of one width lie in their slots; those of other columns stay in the
/// batches in which they came, until most rows of these are gone.
pub(super) struct Slots {
    schema: SchemaRef,
    rows: usize,
    fixed: Vec<Option<Box<dyn FixedColumn>>>,
    /// Batches of the other columns.
    batches: Vec<RecordBatch>,
    /// Rows of all of these, also of those that were handed on.
    kept_rows: usize,
    /// Where the other columns of each slot are.
    positions: Vec<Position>,
}

impl Slots {
    pub(super) fn new(schema: SchemaRef) -> Self {
        let fields = schema.fields().iter();
        let fixed = fields.map(|field| fixed_column(field.data_type())).collect();
        Self { schema, rows: 0, fixed, batches: Vec::new(), kept_rows: 0, positions: Vec::new() }
    }

    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Rows that are held.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes that are held.
    pub(super) fn bytes(&self) -> usize {
        let fixed: usize = self.fixed.iter().flatten().map(|column| column.bytes()).sum();
        fixed + self.batches.iter().map(batch_sliced_bytes).sum::<usize>()
    }

    /// Lets in the rows of `batch`: the first `added` into new slots, each of the others into one
    /// of `slots`, whose row is handed on. A slot behind the last one hands on the row itself.
    ///
    /// # Errors
    /// When Arrow cannot hold the rows that are handed on in one batch.
    pub(super) fn let_in(
        &mut self,
        batch: &RecordBatch,
        added: usize,
        slots: &[usize],
    ) -> Result<RecordBatch, Failure> {
        let mut drawn = Vec::with_capacity(self.fixed.len());
        for (column, array) in self.fixed.iter_mut().zip(batch.columns()) {
            drawn.push(match column {
                Some(column) => {
                    column.fill(array, added);
                    let values = column.replace(array, added, slots);
                    Some(values.map_err(|source| ShuffleError::Gather { source })?)
                }
                None => None,
            });
        }
        self.rows += added;
        let others = self.let_in_others(batch, added, slots)?;
        self.joined(drawn, others.as_ref(), slots.len())
    }

    /// The columns that are in no slots of their own; `None` when there are none.
    fn let_in_others(
        &mut self,
        batch: &RecordBatch,
        added: usize,
        slots: &[usize],
    ) -> Result<Option<RecordBatch>, Failure> {
        let chosen: Vec<usize> =
            (0..self.fixed.len()).filter(|&at| self.fixed[at].is_none()).collect();
        if chosen.is_empty() {
            return Ok(None);
        }
        let others = batch.project(&chosen).map_err(|source| ShuffleError::Gather { source })?;
        let at = self.batches.len();
        self.positions.extend((0..added).map(|row| (at, row)));
        let mut drawn = Vec::with_capacity(slots.len());
        for (row, &slot) in (added..).zip(slots) {
            let came = (at, row);
            drawn.push(match self.positions.get_mut(slot) {
                Some(position) => std::mem::replace(position, came),
                None => came,
            });
        }
        self.kept_rows += others.num_rows();
        self.batches.push(others);
        let drawn = gather(&self.batches[0].schema(), &self.batches, &drawn)?;
        if self.kept_rows > 2 * self.rows {
            self.compact()?;
        }
        Ok(Some(drawn))
    }

    /// Lets go of what lies in batches beside the rows that are held.
    ///
    /// # Errors
    /// When Arrow cannot hold the rows.
    pub(super) fn compact(&mut self) -> Result<(), Failure> {
        let mut batches = Vec::new();
        for (at, positions) in self.positions.chunks_mut(output_rows(&self.batches)).enumerate() {
            batches.push(gather(&self.batches[0].schema(), &self.batches, positions)?);
            for (row, position) in positions.iter_mut().enumerate() {
                *position = (at, row);
            }
        }
        self.batches = batches;
        self.kept_rows = self.positions.len();
        Ok(())
    }

    /// The rows in `slots`.
    ///
    /// # Errors
    /// When Arrow cannot hold them in one batch.
    pub(super) fn take(&self, slots: &[usize]) -> Result<RecordBatch, Failure> {
        let take = |column: &Option<Box<dyn FixedColumn>>| {
            column.as_ref().map(|column| column.take(slots)).transpose()
        };
        let fixed = self.fixed.iter().map(take).collect::<Result<Vec<_>, _>>();
        let fixed = fixed.map_err(|source| ShuffleError::Gather { source })?;
        let others = match self.batches.first() {
            Some(first) => {
                let positions: Vec<_> = slots.iter().map(|&slot| self.positions[slot]).collect();
                Some(gather(first.schema_ref(), &self.batches, &positions)?)
            }
            None => None,
        };
        self.joined(fixed, others.as_ref(), slots.len())
    }

    /// Rows that a batch of these should have.
    pub(super) fn batch_rows(&self) -> usize {
        batch_rows(self.bytes(), self.rows)
    }

    /// All columns in their order.
    fn joined(
        &self,
        fixed: Vec<Option<ArrayRef>>,
        others: Option<&RecordBatch>,
        rows: usize,
    ) -> Result<RecordBatch, Failure> {
        let mut others = others.into_iter().flat_map(RecordBatch::columns).cloned();
        let columns = fixed.into_iter().map(|column| column.or_else(|| others.next()));
        let columns: Option<Vec<_>> = columns.collect();
        let columns = columns.ok_or_else(|| InternalError::new("a window lost a column"))?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .map_err(|error| InternalError::caused_by("a window changed a type", error).into())
    }
}
