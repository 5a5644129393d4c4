//! Aggregates over groups or over the whole input.

mod finish;
mod first;
mod grouped_counts;
mod groups;
mod layout;
mod lists;
mod stages;
mod types;
mod value_counts;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, new_null_array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;
use raceline_exec::{Emit, PortStream, Region};
use raceline_plan::{Aggregate, AggregateKind};
use raceline_types::{Batch, Failure, InternalError};

use self::layout::{Form, Layout};
use self::stages::Stages;
pub(crate) use self::types::plain_type;
use crate::engine::Engine;
use crate::error::failure;
use crate::missing::{canonical_key, nan_to_null};
use crate::port::OpenPort;

/// Bytes of the input that are held back to know the types of its columns. All else streams, so
/// that memory grows with the groups, not with the rows.
const LOOKAHEAD_BYTES: usize = 1 << 20;

/// Aggregates by key columns; without keys the result is one row.
///
/// Null and NaN are missing: they form one group as a key (shown as null), and aggregates leave
/// them out, or are null because of them, as [`Aggregate::ignore_nulls`] says. Key columns come
/// first in the output, then the aggregates by their names; groups have no order. An integer sum
/// is int64 (uint64 for uint64) and an error when it exceeds 64 bits; other sums of numbers are
/// float64, of decimals decimal. An input without rows gives no groups, and without keys one row:
/// counts of 0 and nulls.
#[derive(Debug)]
pub struct AggregateRegion {
    engine: Arc<Engine>,
    keys: Vec<String>,
    aggregates: Vec<Aggregate>,
}

impl AggregateRegion {
    /// An aggregation. Columns are looked up when the first batch shows its schema.
    #[must_use]
    pub fn new(engine: Arc<Engine>, keys: Vec<String>, aggregates: Vec<Aggregate>) -> Self {
        Self { engine, keys, aggregates }
    }

    /// Schema of the output for an input of `schema`.
    ///
    /// # Errors
    /// [`crate::RelationalError::ColumnNotFound`], [`crate::RelationalError::AggregateType`],
    /// [`crate::RelationalError::AggregateColumn`] or
    /// [`crate::RelationalError::DuplicateColumn`].
    pub fn output_schema(
        schema: &SchemaRef,
        keys: &[String],
        aggregates: &[Aggregate],
    ) -> Result<SchemaRef, Failure> {
        Ok(Layout::new(schema, keys, aggregates)?.output)
    }

    /// The columns that are looked at.
    fn wanted(&self) -> Vec<&str> {
        let columns = self.aggregates.iter().filter_map(|one| one.column.as_deref());
        self.keys.iter().map(String::as_str).chain(columns).collect()
    }

    /// The groups of `port`, or its one row where there are no keys.
    async fn groups(
        &self,
        engine: &Arc<Engine>,
        port: OpenPort,
        layout: &Layout,
    ) -> Result<SendableRecordBatchStream, Failure> {
        let row_bytes = layout.row_bytes(port.row_bytes);
        if !self.keys.is_empty() {
            let stages = Arc::new(Stages::new(layout)?);
            let target = Arc::clone(&layout.input);
            let prepare = prepare(layout);
            let rows = port.batches().map(move |batch| {
                let columns = prepare(&batch?)?;
                RecordBatch::try_new(Arc::clone(&target), columns).map_err(|error| {
                    InternalError::caused_by("prepared columns do not fit", error).into()
                })
            });
            let rows = rows.boxed();
            return groups::groups(
                engine,
                &stages,
                rows,
                &self.name(),
                engine.batch_rows(row_bytes),
            );
        }
        let table = port.into_table(&layout.input, prepare(layout))?;
        let rows = engine.context(row_bytes).read_table(table).map_err(failure)?;
        let one = rows.aggregate(Vec::new(), layout.slot_exprs()).map_err(failure)?;
        Box::pin(one.execute_stream()).await.map_err(failure)
    }

    /// The one row of an input of which nothing is known.
    fn of_nothing(&self) -> Result<RecordBatch, Failure> {
        let mut wanted = self.wanted();
        wanted.sort_unstable();
        wanted.dedup();
        let fields: Vec<_> =
            wanted.into_iter().map(|name| Field::new(name, DataType::Null, true)).collect();
        let schema = Arc::new(Schema::new(fields));
        let output = Self::output_schema(&schema, &self.keys, &self.aggregates)?;
        self.one_row(&output, 0)
    }

    /// The one row of an input of `rows` rows when nothing but rows is counted, or no row is
    /// there.
    fn one_row(&self, output: &SchemaRef, rows: i64) -> Result<RecordBatch, Failure> {
        let columns = self.aggregates.iter().zip(output.fields()).map(|(aggregate, field)| {
            if matches!(aggregate.kind, AggregateKind::Count | AggregateKind::CountDistinct) {
                Arc::new(Int64Array::from_value(rows, 1)) as ArrayRef
            } else {
                new_null_array(field.data_type(), 1)
            }
        });
        RecordBatch::try_new(Arc::clone(output), columns.collect())
            .map_err(|error| InternalError::caused_by("one row of aggregates", error).into())
    }

    /// The one row of an input of which nothing but rows is counted: types do not matter.
    async fn count(&self, mut port: PortStream) -> Result<RecordBatch, Failure> {
        let mut output = None;
        let mut rows = 0;
        while let Some(batch) = port.next().await {
            let data = batch?.data;
            if output.is_none() {
                output = Some(Self::output_schema(&data.schema(), &self.keys, &self.aggregates)?);
            }
            rows += i64::try_from(data.num_rows())
                .map_err(|error| InternalError::caused_by("rows of a batch", error))?;
        }
        match output {
            Some(output) => self.one_row(&output, rows),
            None => self.of_nothing(),
        }
    }

    /// Whether all that is asked for is the number of rows.
    fn only_counts_rows(&self) -> bool {
        let counts_rows = |one: &Aggregate| {
            one.kind == AggregateKind::Count && (one.column.is_none() || !one.ignore_nulls)
        };
        self.keys.is_empty() && self.aggregates.iter().all(counts_rows)
    }
}

#[async_trait]
impl Region for AggregateRegion {
    fn name(&self) -> Arc<str> {
        let names: Vec<_> = self.aggregates.iter().map(|one| one.name.as_str()).collect();
        format!("Aggregate(by=[{}], [{}])", self.keys.join(", "), names.join(", ")).into()
    }

    fn gathers(&self) -> bool {
        true
    }

    async fn run(&self, ports: Vec<PortStream>, out: &mut dyn Emit) -> Result<(), Failure> {
        let port = ports.into_iter().next();
        let port = port.ok_or_else(|| InternalError::new("an aggregate without an input"))?;
        if self.only_counts_rows() {
            return out.emit(Batch::without_origin(self.count(port).await?)).await;
        }
        let lookahead_bytes = self.engine.lookahead_bytes().min(LOOKAHEAD_BYTES);
        let Some(port) = OpenPort::open(port, Some(&self.wanted()), lookahead_bytes).await? else {
            if self.keys.is_empty() {
                out.emit(Batch::without_origin(self.of_nothing()?)).await?;
            }
            return Ok(());
        };
        let layout = Layout::new(&port.schema, &self.keys, &self.aggregates)?;
        let accounts = out.accounts();
        let engine = self.engine.for_stage(&accounts)?;
        let mut groups = self.groups(&engine, port.counted(&accounts.held), &layout).await?;
        // The schema goes on even when no group does.
        out.emit(Batch::without_origin(RecordBatch::new_empty(Arc::clone(&layout.output)))).await?;
        while let Some(batch) = groups.next().await {
            let batch = layout.finish(&batch.map_err(failure)?)?;
            out.emit(Batch::without_origin(batch)).await?;
        }
        Ok(())
    }
}

/// Makes of a batch of the input the keys and values of `layout`.
fn prepare(
    layout: &Layout,
) -> impl Fn(&RecordBatch) -> Result<Vec<ArrayRef>, Failure> + Send + Sync + 'static {
    let (keys, values) = (layout.keys.clone(), layout.values.clone());
    let target = Arc::clone(&layout.input);
    move |batch| {
        let keys = keys.iter().map(|&at| (at, Form::Key));
        let columns = keys.chain(values.iter().map(|value| (value.at, value.form)));
        columns
            .zip(target.fields())
            .map(|((at, form), field)| {
                let column = plain(batch.column(at), field.data_type())?;
                Ok(match form {
                    Form::Key => canonical_key(&column),
                    Form::Value => nan_to_null(&column),
                    Form::AsIs => column,
                })
            })
            .collect()
    }
}

/// `column` as the plain type that aggregates work on.
pub(crate) fn plain(column: &ArrayRef, target: &DataType) -> Result<ArrayRef, Failure> {
    if column.data_type() == target {
        return Ok(Arc::clone(column));
    }
    arrow::compute::cast(column, target)
        .map_err(|error| InternalError::caused_by("a column could not be unpacked", error).into())
}
