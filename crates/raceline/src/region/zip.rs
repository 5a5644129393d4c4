//! `zip`: the columns of several inputs side by side.
//!
//! Rows are paired as they come. An input that is ahead waits in its queue, which has a bound, and
//! leaves the others room.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::RecordBatchOptions;
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use futures::StreamExt;
use raceline_exec::{Emit, PortStream, Region};
use raceline_types::{Batch, Diagnostic, ErrorKind, Failure, InternalError};
use thiserror::Error;

/// Inputs of different lengths.
#[derive(Debug, Error)]
#[error("`zip` pairs rows, and dataset {ended} has {rows} of them while dataset {longer} has more")]
struct ZipError {
    /// The input that ended, counted from 1.
    ended: usize,
    rows: u64,
    longer: usize,
}

impl Diagnostic for ZipError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Plan
    }

    fn hint(&self) -> Option<String> {
        Some("zip datasets of the same number of rows, as `limit` makes them".into())
    }
}

/// Pairs the rows of its inputs. What comes out has no origin: a row comes of several.
#[derive(Debug)]
pub(crate) struct ZipRegion;

/// One input, and what of it is not yet paired.
struct Side {
    port: PortStream,
    batch: Option<RecordBatch>,
    /// A batch without rows: it tells the columns.
    schema: Option<SchemaRef>,
    rows: u64,
}

impl Side {
    /// Waits for rows; false when there are no more.
    async fn fill(&mut self) -> Result<bool, Failure> {
        while self.batch.is_none() {
            let Some(batch) = self.port.next().await else { return Ok(false) };
            let batch = batch?.data;
            self.schema.get_or_insert_with(|| batch.schema());
            self.batch = Some(batch).filter(|batch| batch.num_rows() > 0);
        }
        Ok(true)
    }

    /// The next `rows` rows, which are there.
    fn take(&mut self, rows: usize) -> Option<RecordBatch> {
        let batch = self.batch.take()?;
        self.rows += rows as u64;
        if rows < batch.num_rows() {
            self.batch = Some(batch.slice(rows, batch.num_rows() - rows));
        }
        Some(batch.slice(0, rows))
    }
}

#[async_trait]
impl Region for ZipRegion {
    fn name(&self) -> Arc<str> {
        "Zip".into()
    }

    async fn run(&self, ports: Vec<PortStream>, out: &mut dyn Emit) -> Result<(), Failure> {
        let side = |port| Side { port, batch: None, schema: None, rows: 0 };
        let mut sides: Vec<Side> = ports.into_iter().map(side).collect();
        let mut any = false;
        loop {
            let mut ended = None;
            let mut longer = None;
            for (at, side) in sides.iter_mut().enumerate() {
                let found = if side.fill().await? { &mut longer } else { &mut ended };
                found.get_or_insert(at);
            }
            if let (Some(ended), Some(longer)) = (ended, longer) {
                let (rows, longer) = (sides[ended].rows, longer + 1);
                return Err(ZipError { ended: ended + 1, rows, longer }.into());
            }
            if ended.is_some() {
                break;
            }
            let there = sides.iter().filter_map(|side| Some(side.batch.as_ref()?.num_rows()));
            let rows = there.min().unwrap_or(0);
            let pieces: Vec<_> = sides.iter_mut().filter_map(|side| side.take(rows)).collect();
            out.emit(Batch::without_origin(side_by_side(&pieces, rows)?)).await?;
            any = true;
        }
        let schemas: Option<Vec<_>> = sides.iter().map(|side| side.schema.clone()).collect();
        if let (false, Some(schemas)) = (any, schemas) {
            // The columns go on even when no row does.
            let none = RecordBatch::new_empty(zipped_schema(&schemas));
            out.emit(Batch::without_origin(none)).await?;
        }
        Ok(())
    }
}

/// The columns of `parts`, which all have `rows` rows.
fn side_by_side(parts: &[RecordBatch], rows: usize) -> Result<RecordBatch, Failure> {
    let schemas: Vec<_> = parts.iter().map(RecordBatch::schema).collect();
    let columns = parts.iter().flat_map(|part| part.columns().iter().map(Arc::clone)).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(zipped_schema(&schemas), columns, &options)
        .map_err(|error| InternalError::caused_by("columns of a zip do not fit", error).into())
}

/// The schema of a zip of inputs with `schemas`.
pub(crate) fn zipped_schema(schemas: &[SchemaRef]) -> SchemaRef {
    let mut names = HashSet::new();
    let mut fields = Vec::new();
    for field in schemas.iter().flat_map(|schema| schema.fields()) {
        let mut name = field.name().clone();
        let mut times = 0;
        while !names.insert(name.clone()) {
            times += 1;
            name = format!("{}_{times}", field.name());
        }
        fields.push(Field::clone(field).with_name(name));
    }
    Arc::new(Schema::new(fields))
}
