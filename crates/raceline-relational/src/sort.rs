//! Sorts, whole or the first rows of one.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::dataframe::DataFrame;
use datafusion::logical_expr::{SortExpr, ident};
use futures::StreamExt;
use raceline_exec::{Emit, PortStream, Region, StageAccounts};
use raceline_plan::SortKey;
use raceline_types::{Batch, Failure, InternalError};

use crate::engine::Engine;
use crate::error::{RelationalError, check_comparable, failure};
use crate::grants::Grants;
use crate::missing::canonical_key;
use crate::port::OpenPort;
use crate::stream::Batches;

/// Part of the engine's memory that the merges of a sort are granted together beyond what there is
/// room for.
const MERGES_SHARE: usize = 4;

/// Sorts its input by keys, most significant first; not stable.
///
/// Missing values (null and NaN) come last in either direction; -0.0 and 0.0 are equal. Strings sort by their UTF-8
/// bytes. Memory is the engine's; what does not fit is spilled. The output has the columns and
/// types of the input, every field nullable, and no origin.
#[derive(Debug)]
pub struct SortRegion {
    engine: Arc<Engine>,
    keys: Vec<SortKey>,
    limit: Option<u64>,
}

impl SortRegion {
    /// A sort; with `limit` only that many first rows, for which it holds no more than those.
    #[must_use]
    pub fn new(engine: Arc<Engine>, keys: Vec<SortKey>, limit: Option<u64>) -> Self {
        Self { engine, keys, limit }
    }

    /// Checks that `schema` has the columns of `keys`.
    ///
    /// # Errors
    /// [`RelationalError::ColumnNotFound`].
    pub fn check_keys(keys: &[SortKey], schema: &Schema) -> Result<(), Failure> {
        let missing = keys.iter().find(|key| schema.index_of(&key.column).is_err());
        match missing {
            Some(key) => Err(RelationalError::column_not_found(&key.column, schema).into()),
            None => Ok(()),
        }
    }

    /// The rows of `port`, sorted; what it takes counts in `accounts`.
    pub(crate) async fn sorted(
        &self,
        port: OpenPort,
        accounts: &StageAccounts,
    ) -> Result<Batches, Failure> {
        let schema = Arc::clone(&port.schema);
        let plan = self.plan(port, accounts)?;
        let sorted = Box::pin(plan.execute_stream()).await.map_err(failure)?;
        Ok(sorted.map(move |batch| restore(&batch.map_err(failure)?, &schema)).boxed())
    }

    /// The plan that sorts a port. Columns are renamed to their positions, so that any name will do.
    fn plan(&self, port: OpenPort, accounts: &StageAccounts) -> Result<DataFrame, Failure> {
        let engine = self.engine.for_stage(accounts)?;
        // The sorts of two threads can each refuse the other's merge, which cannot spill.
        let merges_bytes = engine.limit_bytes() / MERGES_SHARE;
        let grants = Grants { merges_bytes, ..Grants::default() };
        let context = engine.granting(grants)?.context(port.row_bytes);
        let schema = Arc::clone(&port.schema);
        let mut fields: Vec<Field> = schema
            .fields()
            .iter()
            .enumerate()
            .map(|(at, field)| Field::new(format!("c{at}"), field.data_type().clone(), true))
            .collect();
        let mut order: Vec<SortExpr> = Vec::with_capacity(self.keys.len());
        let mut float_keys = Vec::new();
        for key in &self.keys {
            let at = schema
                .index_of(&key.column)
                .map_err(|_| RelationalError::column_not_found(&key.column, &schema))?;
            check_comparable(schema.field(at), "sort by")?;
            let data_type = schema.field(at).data_type();
            let name = if data_type.is_floating() {
                float_keys.push(at);
                let name = format!("k{}", float_keys.len());
                fields.push(Field::new(&name, data_type.clone(), true));
                name
            } else {
                format!("c{at}")
            };
            order.push(ident(name).sort(!key.descending, false));
        }
        let prepare = move |batch: &RecordBatch| {
            let keys = float_keys.iter().map(|&at| canonical_key(batch.column(at)));
            Ok(batch.columns().iter().map(Arc::clone).chain(keys).collect::<Vec<ArrayRef>>())
        };
        let port = port.cut(self.engine.piece_size());
        let table = port.into_table(&Arc::new(Schema::new(fields)), prepare)?;
        let sorted =
            context.read_table(table).and_then(|rows| rows.sort(order)).map_err(failure)?;
        match self.limit {
            Some(rows) => {
                sorted.limit(0, Some(usize::try_from(rows).unwrap_or(usize::MAX))).map_err(failure)
            }
            None => Ok(sorted),
        }
    }
}

#[async_trait]
impl Region for SortRegion {
    fn name(&self) -> Arc<str> {
        let keys: Vec<_> = self.keys.iter().map(ToString::to_string).collect();
        match self.limit {
            Some(rows) => format!("Sort({}, limit={rows})", keys.join(", ")).into(),
            None => format!("Sort({})", keys.join(", ")).into(),
        }
    }

    fn gathers(&self) -> bool {
        true
    }

    async fn run(&self, ports: Vec<PortStream>, out: &mut dyn Emit) -> Result<(), Failure> {
        let port = ports.into_iter().next();
        let port = port.ok_or_else(|| InternalError::new("a sort without an input"))?;
        let Some(port) = OpenPort::open(port, None, self.engine.lookahead_bytes()).await? else {
            return Ok(());
        };
        let accounts = out.accounts();
        let port = port.counted(&accounts.held);
        let schema = Arc::clone(&port.schema);
        let mut sorted = self.sorted(port, &accounts).await?;
        // The schema goes on even when no row does.
        out.emit(Batch::without_origin(RecordBatch::new_empty(schema))).await?;
        while let Some(batch) = sorted.next().await {
            out.emit(Batch::without_origin(batch?)).await?;
        }
        Ok(())
    }
}

/// The columns of `schema`, without the keys behind them.
fn restore(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, Failure> {
    let columns = batch.columns()[..schema.fields().len()].to_vec();
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
        .map_err(|error| InternalError::caused_by("sorted columns changed type", error).into())
}

#[cfg(test)]
mod tests;
