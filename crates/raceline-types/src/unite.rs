//! How columns of different batches become one: the only rule for it in the engine.
//!
//! - A column that is null everywhere takes the type that it has elsewhere.
//! - Integers take the narrowest integer type that holds both; an integer and a float are float64,
//!   and an integer beyond 2⁵³, which float64 may not hold, is an error.
//! - Strings of different layouts (`Utf8`, `LargeUtf8`, views, dictionaries) are `LargeUtf8`,
//!   bytes `LargeBinary`, lists `LargeList`.
//! - Structs have the fields of both, null where one lacks them; lists and structs follow the rule
//!   inside.
//! - Tensors of one number of dimensions and different shapes have variable shapes. A tensor is
//!   never a plain list, and a column of Python objects is never one of bytes.
//! - Columns go by name. They stand in the order of first sight; one that a batch lacks is null in
//!   it.
//!
//! Batches without rows have no say, unless there are no others.

mod convert;
mod field;

use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchOptions, new_null_array};
use arrow_schema::{ArrowError, Field, Schema, SchemaRef};
use thiserror::Error;

use self::convert::{ConvertError, convert};
use self::field::{same_type, united};
use crate::error::{Diagnostic, ErrorKind, Failure};
use crate::extension::column_type_name;

/// Columns that cannot become one.
#[derive(Debug, Error)]
pub enum UniteError {
    /// Types that cannot be united without loss, or of which the later does not fit the earlier
    /// one, which is fixed by then.
    #[error("column `{column}` is `{earlier}` in some batches and `{later}` in later ones")]
    Types {
        /// The column.
        column: String,
        /// Its type in the earlier batches.
        earlier: String,
        /// Its type in a later one.
        later: String,
    },
    /// An integer that float64, which the column is elsewhere, may not hold.
    #[error(
        "column `{column}` is float64 in some batches, which cannot hold its integer `{value}`"
    )]
    Inexact {
        /// The column.
        column: String,
        /// The integer.
        value: String,
    },
    /// Values that do not fit the united type.
    #[error("values of column `{column}` do not fit its type `{data_type}` of other batches")]
    Values {
        /// The column.
        column: String,
        /// The united type.
        data_type: String,
        /// Arrow's reason.
        #[source]
        source: ArrowError,
    },
    /// A column that appears when the columns are fixed already.
    #[error("column `{column}` is missing in the first batches and there in a later one")]
    NewColumn {
        /// The column.
        column: String,
    },
}

impl UniteError {
    fn column(&self) -> &str {
        match self {
            Self::Types { column, .. }
            | Self::Inexact { column, .. }
            | Self::Values { column, .. }
            | Self::NewColumn { column } => column,
        }
    }

    fn types(earlier: &Field, later: &Field) -> Self {
        Self::Types {
            column: earlier.name().clone(),
            earlier: column_type_name(earlier),
            later: column_type_name(later),
        }
    }

    /// The failure, which names the column.
    fn placed(self) -> Failure {
        let column = self.column().to_owned();
        Failure::from(self).at_column(&column)
    }
}

impl Diagnostic for UniteError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Plan
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Types { column, .. } => format!(
                "make the function return one type for `{column}` in every batch, e.g. always \
                 `float(x)` or always `str(x)`"
            ),
            Self::Inexact { column, .. } => {
                format!("make the function return `float(x)` or `str(x)` for `{column}`")
            }
            Self::Values { column, .. } => {
                format!("make the function return one type for `{column}` in every batch")
            }
            Self::NewColumn { column } => format!(
                "make the function return `{column}` in every batch, `None` where there is no value"
            ),
        })
    }
}

/// The schema of the batches of all `schemas`, with the metadata of the first. A column is
/// nullable where it is so in any of them, or one of them lacks it.
///
/// # Errors
/// [`UniteError::Types`].
pub fn unite_schemas<'a>(
    schemas: impl IntoIterator<Item = &'a SchemaRef>,
) -> Result<SchemaRef, Failure> {
    let mut schemas = schemas.into_iter();
    let Some(first) = schemas.next() else { return Ok(Arc::new(Schema::empty())) };
    let mut fields: Vec<Field> = first.fields().iter().map(|field| Field::clone(field)).collect();
    let mut last = first;
    let mut changed = false;
    for schema in schemas {
        if Arc::ptr_eq(schema, last) || schema == last {
            continue;
        }
        (last, changed) = (schema, true);
        for (at, field) in fields.iter_mut().enumerate() {
            *field = match position(schema, at, field.name()) {
                Some(other) => {
                    let later = schema.field(other);
                    united(field, later).ok_or_else(|| UniteError::types(field, later).placed())?
                }
                None => field.clone().with_nullable(true),
            };
        }
        for field in schema.fields() {
            if fields.iter().all(|known| known.name() != field.name()) {
                fields.push(Field::clone(field).with_nullable(true));
            }
        }
    }
    if !changed {
        return Ok(Arc::clone(first));
    }
    Ok(Arc::new(Schema::new_with_metadata(fields, first.metadata().clone())))
}

/// The batches under one schema; columns that a batch lacks are null in it.
///
/// # Errors
/// [`UniteError::Types`], [`UniteError::Inexact`] or [`UniteError::Values`].
pub fn unite_batches(batches: Vec<RecordBatch>) -> Result<Vec<RecordBatch>, Failure> {
    let schema = united_schema(&batches)?;
    let same = |batch: &RecordBatch| batch.schema_ref() == &schema;
    if batches.iter().all(same) {
        return Ok(batches);
    }
    batches.iter().map(|batch| conform(batch, &schema)).collect()
}

/// The schema that [`unite_batches`] brings `batches` to.
///
/// # Errors
/// [`UniteError::Types`].
pub(crate) fn united_schema(batches: &[RecordBatch]) -> Result<SchemaRef, Failure> {
    let has_rows = batches.iter().any(|batch| batch.num_rows() > 0);
    let counted = batches.iter().filter(|batch| batch.num_rows() > 0 || !has_rows);
    unite_schemas(counted.map(RecordBatch::schema_ref))
}

/// `batch` with the columns of `schema`, which is fixed; those that it lacks are null. A column of
/// nothing but nulls fits any type.
///
/// # Errors
/// Any [`UniteError`]; `schema` must hold all columns of the batch.
pub fn conform(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, Failure> {
    let own = batch.schema_ref();
    if own == schema {
        return Ok(batch.clone());
    }
    let rows = batch.num_rows();
    if rows == 0 {
        return Ok(RecordBatch::new_empty(Arc::clone(schema)));
    }
    let new = own.fields().iter().enumerate();
    let mut new = new.filter(|(at, field)| position(schema, *at, field.name()).is_none());
    if let Some((_, field)) = new.next() {
        return Err(UniteError::NewColumn { column: field.name().clone() }.placed());
    }
    let mut columns = Vec::with_capacity(schema.fields().len());
    for (at, target) in schema.fields().iter().enumerate() {
        let Some(found) = position(own, at, target.name()) else {
            columns.push(new_null_array(target.data_type(), rows));
            continue;
        };
        let (column, field) = (batch.column(found), own.field(found));
        columns.push(if column.logical_null_count() == rows {
            new_null_array(target.data_type(), rows)
        } else if united(target, field).is_some_and(|united| same_type(&united, target)) {
            convert(column, field, target).map_err(|error| values_error(error, target))?
        } else {
            return Err(UniteError::types(target, field).placed());
        });
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options).map_err(|source| {
        let lacks_nulls = schema.fields().iter().find(|field| !field.is_nullable());
        let column = lacks_nulls.map(|field| field.name().clone()).unwrap_or_default();
        UniteError::Values { column, data_type: "not null".to_owned(), source }.placed()
    })
}

fn values_error(error: ConvertError, target: &Field) -> Failure {
    let column = target.name().clone();
    match error {
        ConvertError::Inexact(value) => UniteError::Inexact { column, value }.placed(),
        ConvertError::Arrow(source) => {
            UniteError::Values { column, data_type: column_type_name(target), source }.placed()
        }
    }
}

/// Where `schema` has the column `name`, which is likely at `at`.
fn position(schema: &Schema, at: usize, name: &str) -> Option<usize> {
    match schema.fields().get(at) {
        Some(field) if field.name() == name => Some(at),
        _ => schema.index_of(name).ok(),
    }
}

#[cfg(test)]
mod tests;
