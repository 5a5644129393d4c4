//! Rows that wait to be brought to their partitions.

use arrow::array::{Array, RecordBatch};
use arrow::compute::interleave;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use raceline_types::{Failure, batch_sliced_bytes};

use super::super::codec::with_rows;
use super::super::compact::compact;
use super::super::error::SpillError;

/// Bytes of rows in a gathered batch; a partition that gets more gets several.
const PIECE_BYTES: usize = 1 << 20;

/// Bytes of what is known of a row: its partition, and where it is while rows are gathered.
const INDEX_BYTES: usize = size_of::<u32>() + size_of::<Place>();

/// Batches, with the partition of each row.
#[derive(Debug, Default)]
pub(super) struct Pending {
    batches: Vec<RecordBatch>,
    partition_of_row: Vec<u32>,
    data_bytes: usize,
}

/// Where a row is.
#[derive(Clone, Copy, Default)]
struct Place {
    batch: u32,
    row: u32,
}

impl Pending {
    pub(super) fn push(&mut self, batch: RecordBatch, partition_of_row: &[u32]) {
        self.data_bytes += batch_sliced_bytes(&batch);
        self.batches.push(batch);
        self.partition_of_row.extend_from_slice(partition_of_row);
    }

    /// Bytes that it holds, and needs beside the gathered rows.
    pub(super) fn held_bytes(&self) -> usize {
        self.data_bytes + self.partition_of_row.len() * INDEX_BYTES
    }

    pub(super) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Gives each partition its rows, in their order.
    pub(super) fn gather(
        self,
        schema: &SchemaRef,
        partitions: usize,
        mut give: impl FnMut(usize, RecordBatch),
    ) -> Result<(), Failure> {
        let columns: Vec<Vec<&dyn Array>> = (0..schema.fields().len())
            .map(|at| self.batches.iter().map(|batch| batch.column(at).as_ref()).collect())
            .collect();
        let rows = self.partition_of_row.len();
        let piece_rows = (PIECE_BYTES * rows / self.data_bytes.max(1)).max(1);
        let (places, ends) = self.places(partitions);
        let mut first = 0;
        for (partition, &end) in ends.iter().enumerate() {
            for piece in places[first..end].chunks(piece_rows) {
                let batch = piece_of(schema, &columns, piece);
                give(partition, batch.map_err(|source| SpillError::Rows { source })?);
            }
            first = end;
        }
        Ok(())
    }

    /// The places of all rows, ordered by partition, and where each partition ends.
    fn places(&self, partitions: usize) -> (Vec<Place>, Vec<usize>) {
        let mut next = vec![0; partitions + 1];
        for &partition in &self.partition_of_row {
            next[partition as usize + 1] += 1;
        }
        for partition in 0..partitions {
            next[partition + 1] += next[partition];
        }
        let mut places = vec![Place::default(); self.partition_of_row.len()];
        let mut partition_of_row = self.partition_of_row.iter();
        for (batch, rows) in (0..).zip(self.batches.iter().map(RecordBatch::num_rows)) {
            for (row, &partition) in (0..).zip(partition_of_row.by_ref().take(rows)) {
                let at = &mut next[partition as usize];
                places[*at] = Place { batch, row };
                *at += 1;
            }
        }
        // Each is now where the one behind it began.
        next.truncate(partitions);
        (places, next)
    }
}

fn piece_of(
    schema: &SchemaRef,
    columns: &[Vec<&dyn Array>],
    places: &[Place],
) -> Result<RecordBatch, ArrowError> {
    let places: Vec<_> =
        places.iter().map(|place| (place.batch as usize, place.row as usize)).collect();
    let columns = columns.iter().map(|column| compact(&interleave(column, &places)?));
    with_rows(schema, columns.collect::<Result<_, _>>()?, places.len())
}
