//! A region's input port as a table of `DataFusion`.
//!
//! A port tells its schema by its first batches: as many as fit a lookahead, which is large where
//! a region holds its whole input anyway, and small where its memory must not grow with it. Later batches are brought to
//! that schema, see [`raceline_types::conform`]; a change of type that does not fit is an error.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::streaming::StreamingTable;
use futures::stream;
use futures::{StreamExt, TryStreamExt};
use raceline_exec::{Held, MemoryAccount, PortStream};
use raceline_types::{Failure, InternalError, Lookahead, batch_sliced_bytes, conform};

use crate::cut::{PieceSize, cut};
use crate::error::{RelationalError, failure};
use crate::stream::{Batches, OncePartition};

/// A port whose schema is known, because its first batches were read.
pub(crate) struct OpenPort {
    /// Schema of all batches; every field is nullable.
    pub(crate) schema: SchemaRef,
    /// Mean bytes of a row of the first batches.
    pub(crate) row_bytes: usize,
    pending: Vec<RecordBatch>,
    /// Counts what is pending, where that was asked for.
    held: Option<Held>,
    rest: Batches,
}

impl OpenPort {
    /// Reads about `lookahead_bytes` of `port`. Of its columns only those of `wanted` (all when
    /// `None`) are looked at and passed on. `None` when the port ends without a batch.
    ///
    /// # Errors
    /// [`RelationalError::ColumnNotFound`] for a wanted column that no batch has, and
    /// [`raceline_types::UniteError`].
    pub(crate) async fn open(
        port: PortStream,
        wanted: Option<&[&str]>,
        lookahead_bytes: usize,
    ) -> Result<Option<Self>, Failure> {
        let wanted: Option<Vec<String>> =
            wanted.map(|names| names.iter().map(|&name| name.to_owned()).collect());
        // A port that ended must not be polled again.
        let mut port = port.fuse();
        let mut lookahead = Lookahead::new(lookahead_bytes);
        let mut first = None;
        while !lookahead.is_full() {
            let Some(batch) = port.next().await else { break };
            let data = batch?.data;
            lookahead.push(chosen(&data, wanted.as_deref()));
            first.get_or_insert_with(|| data.schema());
        }
        let row_bytes = lookahead.row_bytes();
        let (Some((schema, pending)), Some(first)) = (lookahead.fix()?, first) else {
            return Ok(None);
        };
        let lacks = |name: &&String| schema.index_of(name).is_err();
        if let Some(name) = wanted.iter().flatten().find(lacks) {
            return Err(RelationalError::column_not_found(name, &first).into());
        }
        let rest = port.map_ok(move |batch| chosen(&batch.data, wanted.as_deref())).boxed();
        Ok(Some(Self { schema, row_bytes, pending, held: None, rest }))
    }

    /// Counts in `account` what was read ahead, until that is taken.
    pub(crate) fn counted(mut self, account: &MemoryAccount) -> Self {
        let bytes: u64 = self.pending.iter().map(bytes_of).sum();
        self.held = Some(account.hold(bytes));
        self
    }

    /// A port of `batches` of `schema`, whose rows weigh about `row_bytes`.
    pub(crate) fn of(schema: SchemaRef, row_bytes: usize, batches: Batches) -> Self {
        Self { schema, row_bytes, pending: Vec::new(), held: None, rest: batches }
    }

    /// A port without rows.
    pub(crate) fn empty(schema: SchemaRef) -> Self {
        Self::of(schema, 0, stream::empty().boxed())
    }

    /// The same, in pieces of about `size`.
    pub(crate) fn cut(self, size: PieceSize) -> Self {
        let (schema, row_bytes) = (Arc::clone(&self.schema), self.row_bytes);
        Self::of(schema, row_bytes, cut(self.batches(), size))
    }

    /// All batches, in order, each with the schema of the port.
    pub(crate) fn batches(self) -> Batches {
        let Self { schema, row_bytes: _, pending, mut held, rest } = self;
        let rest = rest.map(move |batch| conform(&batch?, &schema));
        let pending = pending.into_iter().map(move |batch| {
            if let Some(held) = &mut held {
                held.set(held.bytes() - bytes_of(&batch));
            }
            Ok(batch)
        });
        stream::iter(pending).chain(rest).boxed()
    }

    /// The port as a table of one partition that can be read once, each batch passed through
    /// `prepare`, which brings it to `schema`.
    pub(crate) fn into_table(
        self,
        schema: &SchemaRef,
        prepare: impl Fn(&RecordBatch) -> Result<Vec<ArrayRef>, Failure> + Send + Sync + 'static,
    ) -> Result<Arc<StreamingTable>, Failure> {
        let target = Arc::clone(schema);
        let batches = self.batches().map(move |batch| {
            let batch = batch?;
            let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
            RecordBatch::try_new_with_options(Arc::clone(&target), prepare(&batch)?, &options)
                .map_err(|error| {
                    InternalError::caused_by("prepared columns do not fit", error).into()
                })
        });
        let partition = OncePartition::of(schema, batches.boxed());
        let table = StreamingTable::try_new(Arc::clone(schema), vec![partition]);
        Ok(Arc::new(table.map_err(failure)?))
    }
}

fn bytes_of(batch: &RecordBatch) -> u64 {
    batch_sliced_bytes(batch) as u64
}

/// The columns of `batch` that are wanted, as far as it has them.
fn chosen(batch: &RecordBatch, wanted: Option<&[String]>) -> RecordBatch {
    let Some(wanted) = wanted else { return batch.clone() };
    let schema = batch.schema_ref();
    let (fields, columns): (Vec<_>, Vec<_>) = schema
        .fields()
        .iter()
        .zip(batch.columns())
        .filter(|(field, _)| wanted.contains(field.name()))
        .map(|(field, column)| (Arc::clone(field), Arc::clone(column)))
        .unzip();
    let schema = Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()));
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema, columns, &options)
        .expect("some columns of a batch are a batch")
}
