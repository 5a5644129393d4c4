//! The first batches of an input, held back until the types of its columns are likely known.

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use crate::error::Failure;
use crate::memory::batch_sliced_bytes;
use crate::unite::{conform, united_schema};

/// Bytes that are held back at most, when memory is ample.
pub const LOOKAHEAD_BYTES: usize = 32 << 20;

/// What holding any batch costs, so that batches without bytes are bounded too.
const BATCH_BYTES: usize = 1 << 10;

/// The first batches of an input whose schema must be fixed before all of it was seen.
///
/// Types that change within these batches are united; types that change behind them are an error
/// of [`conform`], unless they fit.
#[derive(Debug)]
pub struct Lookahead {
    held: Vec<RecordBatch>,
    held_bytes: usize,
    bytes_max: usize,
}

impl Lookahead {
    /// Holds about `bytes_max` bytes, and always one batch.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        Self { held: Vec::new(), held_bytes: 0, bytes_max }
    }

    /// Takes the next batch.
    pub fn push(&mut self, batch: RecordBatch) {
        self.held_bytes += batch_sliced_bytes(&batch) + BATCH_BYTES;
        self.held.push(batch);
    }

    /// Bytes that are held back now.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.held_bytes
    }

    /// Whether it is time to [`Lookahead::fix`] the schema.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.held_bytes >= self.bytes_max
    }

    /// Mean bytes of a row so far.
    #[must_use]
    pub fn row_bytes(&self) -> usize {
        let bytes: usize = self.held.iter().map(batch_sliced_bytes).sum();
        let rows: usize = self.held.iter().map(RecordBatch::num_rows).sum();
        bytes.checked_div(rows).unwrap_or(0)
    }

    /// The united schema of the batches, every field nullable, and the batches in it. `None` when
    /// there are none.
    ///
    /// # Errors
    /// As [`crate::unite_batches`].
    pub fn fix(self) -> Result<Option<(SchemaRef, Vec<RecordBatch>)>, Failure> {
        if self.held.is_empty() {
            return Ok(None);
        }
        let schema = nullable(&united_schema(&self.held)?);
        let batches = self.held.iter().map(|batch| conform(batch, &schema));
        let batches = batches.collect::<Result<_, _>>()?;
        Ok(Some((schema, batches)))
    }
}

/// `schema` with every field nullable: a later batch may hold nulls where the first did not.
fn nullable(schema: &SchemaRef) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
    let fields: Vec<_> = fields.collect();
    arrow_schema::Schema::new_with_metadata(fields, schema.metadata().clone()).into()
}
