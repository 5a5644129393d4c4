//! A region's input port as a table of `DataFusion`.
//!
//! A port tells its schema by its first batch. Later batches are brought to that schema:
//! nullability and metadata may differ, columns may come in another order, a column of type null
//! becomes one of nulls. Any other change of type is an error.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::catalog::streaming::StreamingTable;
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use raceline_exec::PortStream;
use raceline_types::{Failure, InternalError, batch_sliced_bytes};

use crate::error::{RelationalError, carry, failure};

/// Bytes that are read ahead in search of the type of a column that is all null so far.
const LOOKAHEAD_BYTES: usize = 32 << 20;

/// A port whose schema is known, because its first batches were read.
pub(crate) struct OpenPort {
    /// Schema of all batches; every field is nullable.
    pub(crate) schema: SchemaRef,
    /// Mean bytes of a row of the first batches.
    pub(crate) row_bytes: usize,
    pending: Vec<RecordBatch>,
    rest: PortStream,
}

impl OpenPort {
    /// Reads `port` up to its first batch, and on while the type of a column of `wanted` (all
    /// when `None`) is unknown. `None` when the port ends without a batch.
    pub(crate) async fn open(
        port: PortStream,
        wanted: Option<&[&str]>,
    ) -> Result<Option<Self>, Failure> {
        // A port that ended must not be polled again.
        let mut port = port.fuse();
        let mut pending: Vec<RecordBatch> = Vec::new();
        let mut fields: Vec<FieldRef> = Vec::new();
        let mut bytes = 0;
        while pending.is_empty() || (bytes < LOOKAHEAD_BYTES && any_unknown(&fields, wanted)) {
            let Some(batch) = port.next().await else { break };
            let data = batch?.data;
            bytes += batch_sliced_bytes(&data);
            merge(&mut fields, &data);
            pending.push(data);
        }
        let Some(first) = pending.first() else { return Ok(None) };
        let rows: usize = pending.iter().map(RecordBatch::num_rows).sum();
        let row_bytes = bytes.checked_div(rows).unwrap_or(0);
        let schema = Arc::new(Schema::new_with_metadata(fields, first.schema().metadata().clone()));
        Ok(Some(Self { schema, row_bytes, pending, rest: port.boxed() }))
    }

    /// All batches, in order, each with the schema of the port.
    pub(crate) fn batches(self) -> BoxStream<'static, Result<RecordBatch, Failure>> {
        let Self { schema, row_bytes: _, pending, rest } = self;
        stream::iter(pending.into_iter().map(Ok))
            .chain(rest.map_ok(|batch| batch.data))
            .map(move |batch| conform(&batch?, &schema))
            .boxed()
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
        let partition = OncePartition {
            schema: Arc::clone(schema),
            batches: Mutex::new(Some(batches.boxed())),
        };
        let table = StreamingTable::try_new(Arc::clone(schema), vec![Arc::new(partition)]);
        Ok(Arc::new(table.map_err(failure)?))
    }
}

fn any_unknown(fields: &[FieldRef], wanted: Option<&[&str]>) -> bool {
    fields.iter().any(|field| {
        field.data_type() == &DataType::Null
            && wanted.is_none_or(|wanted| wanted.contains(&field.name().as_str()))
    })
}

/// Adds what the schema of `batch` tells to `fields`: a known type replaces an unknown one.
fn merge(fields: &mut Vec<FieldRef>, batch: &RecordBatch) {
    let schema = batch.schema();
    if fields.is_empty() {
        fields.extend(schema.fields().iter().map(nullable));
        return;
    }
    for field in fields {
        if field.data_type() == &DataType::Null
            && let Ok(later) = schema.field_with_name(field.name())
        {
            *field = nullable(&Arc::new(later.clone()));
        }
    }
}

fn nullable(field: &FieldRef) -> FieldRef {
    if field.is_nullable() {
        return Arc::clone(field);
    }
    Arc::new(Field::clone(field).with_nullable(true))
}

/// `batch` brought to `schema`.
fn conform(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, Failure> {
    let own = batch.schema();
    if let Some(new) = own.fields().iter().find(|field| schema.index_of(field.name()).is_err()) {
        return Err(RelationalError::NewColumn { column: new.name().clone() }.into());
    }
    let same_names = own.fields().len() == schema.fields().len()
        && own.fields().iter().zip(schema.fields()).all(|(a, b)| a.name() == b.name());
    let columns = schema.fields().iter().enumerate().map(|(position, field)| {
        let position = if same_names { Some(position) } else { own.index_of(field.name()).ok() };
        let Some(position) = position else {
            return Ok(new_null_array(field.data_type(), batch.num_rows()));
        };
        let column = batch.column(position);
        match (column.data_type(), field.data_type()) {
            (DataType::Null, target) => Ok(new_null_array(target, batch.num_rows())),
            (own, target) if own.equals_datatype(target) => Ok(Arc::clone(column)),
            (own, target) => Err(RelationalError::TypeChange {
                column: field.name().clone(),
                first: target.clone(),
                later: own.clone(),
            }),
        }
    });
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let columns = columns
        .into_iter()
        .zip(schema.fields())
        .map(|(column, field)| retyped(column, field))
        .collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
        .map_err(|error| InternalError::caused_by("a batch does not fit its port", error).into())
}

/// `column` with exactly the type of `field`: nested fields may differ in nullability and
/// metadata only.
fn retyped(column: ArrayRef, field: &Field) -> Result<ArrayRef, Failure> {
    if column.data_type() == field.data_type() {
        return Ok(column);
    }
    arrow::compute::cast(&column, field.data_type()).map_err(|_| {
        RelationalError::TypeChange {
            column: field.name().clone(),
            first: field.data_type().clone(),
            later: column.data_type().clone(),
        }
        .into()
    })
}

/// The one partition of a table that can be read once.
struct OncePartition {
    schema: SchemaRef,
    batches: Mutex<Option<BoxStream<'static, Result<RecordBatch, Failure>>>>,
}

impl PartitionStream for OncePartition {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _ctx: Arc<TaskContext>) -> SendableRecordBatchStream {
        let batches = self.batches.lock().unwrap_or_else(PoisonError::into_inner).take();
        let batches = match batches {
            Some(batches) => batches.map_err(carry).boxed(),
            None => stream::once(async {
                Err(DataFusionError::Internal("an input was read twice".into()))
            })
            .boxed(),
        };
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), batches))
    }
}

impl fmt::Debug for OncePartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { schema, batches: _ } = self;
        f.debug_struct("OncePartition").field("schema", schema).finish_non_exhaustive()
    }
}
