//! What is known of a plan's output without running it.

use std::sync::Arc;

use arrow::array::{ArrayRef, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use raceline_plan::Node;
use raceline_types::{Diagnostic, ErrorKind, Failure, InternalError};
use thiserror::Error;

use super::lower;
use crate::session::Session;

/// Schema of the output of `plan`, when it is known without running: `None` behind an opaque
/// function.
pub(crate) async fn schema(
    session: &Session,
    plan: &Arc<Node>,
) -> Result<Option<SchemaRef>, Failure> {
    let plan = super::optimize(plan);
    Ok(lower(session, &plan).await?.schema)
}

/// Batches that cannot be one table.
#[derive(Debug, Error)]
enum UnifyError {
    #[error("column `{column}` is `{left}` in some batches and `{right}` in others")]
    Types { column: String, left: DataType, right: DataType },
}

impl Diagnostic for UnifyError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Plan
    }

    fn hint(&self) -> Option<String> {
        Some("make the function return one type for this column, e.g. always float".into())
    }
}

/// The batches under one schema: columns in order of first sight, columns that a batch lacks
/// are null in it, null columns take the type they have elsewhere, and int64 with float64 is
/// float64.
///
/// # Errors
/// When a column has types that cannot be united without loss.
pub fn unify(batches: Vec<RecordBatch>) -> Result<Vec<RecordBatch>, Failure> {
    let Some(first) = batches.first() else { return Ok(batches) };
    if batches.iter().all(|batch| batch.schema_ref() == first.schema_ref()) {
        return Ok(batches);
    }
    let mut fields: Vec<Field> = Vec::new();
    for batch in &batches {
        for field in batch.schema_ref().fields() {
            match fields.iter_mut().find(|known| known.name() == field.name()) {
                Some(known) => *known = united(known, field)?,
                None => fields.push(field.as_ref().clone()),
            }
        }
    }
    let fields = fields.into_iter().map(|field| field.with_nullable(true)).collect::<Vec<_>>();
    let metadata = first.schema_ref().metadata().clone();
    let schema = Arc::new(Schema::new_with_metadata(fields, metadata));
    batches.iter().map(|batch| conform(batch, &schema)).collect()
}

/// The field that holds the values of both.
fn united(left: &Field, right: &Field) -> Result<Field, UnifyError> {
    let kept = match (left.data_type(), right.data_type()) {
        (one, other) if one == other => left,
        (_, DataType::Null) | (DataType::Float64, DataType::Int64) => left,
        (DataType::Null, _) | (DataType::Int64, DataType::Float64) => right,
        (one, other) => {
            return Err(UnifyError::Types {
                column: left.name().clone(),
                left: one.clone(),
                right: other.clone(),
            });
        }
    };
    Ok(kept.clone())
}

/// `batch` with the columns of `schema`, which holds all of its own.
fn conform(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, Failure> {
    let columns = schema.fields().iter().map(|field| match batch.column_by_name(field.name()) {
        Some(column) if column.data_type() == field.data_type() => Ok(Arc::clone(column)),
        Some(column) => cast(column, field.data_type()),
        None => Ok(new_null_array(field.data_type(), batch.num_rows())),
    });
    let columns = columns.collect::<Result<Vec<ArrayRef>, _>>();
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    columns
        .and_then(|columns| {
            RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
        })
        .map_err(|error| {
            InternalError::caused_by("bringing a batch to a united schema", error).into()
        })
}

#[cfg(test)]
mod tests {
    use arrow::array::{Float64Array, Int64Array, NullArray, StringArray};

    use super::*;

    fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
        RecordBatch::try_from_iter(columns).unwrap()
    }

    #[test]
    fn ints_and_floats_and_nulls_unite() {
        let batches = vec![
            batch(vec![("x", Arc::new(Int64Array::from(vec![1])))]),
            batch(vec![("x", Arc::new(Float64Array::from(vec![0.5])))]),
            batch(vec![
                ("x", Arc::new(NullArray::new(1))),
                ("y", Arc::new(StringArray::from(vec!["a"]))),
            ]),
        ];
        let united = unify(batches).unwrap();
        let whole = arrow::compute::concat_batches(united[0].schema_ref(), &united).unwrap();
        let xs: &Float64Array = whole.column(0).as_any().downcast_ref().unwrap();
        assert_eq!(xs.iter().collect::<Vec<_>>(), vec![Some(1.0), Some(0.5), None]);
        assert_eq!(whole.column(1).null_count(), 2);
    }

    #[test]
    fn ints_and_strings_do_not() {
        let batches = vec![
            batch(vec![("x", Arc::new(Int64Array::from(vec![1])))]),
            batch(vec![("x", Arc::new(StringArray::from(vec!["a"])))]),
        ];
        let message = unify(batches).unwrap_err().render();
        assert!(message.starts_with("column `x` is `Int64` in some batches and `Utf8` in others"));
    }
}
