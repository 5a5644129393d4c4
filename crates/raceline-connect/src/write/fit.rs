//! Makes every batch fit the files: the first batch decides the columns.

use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use parquet::arrow::ArrowSchemaConverter;
use raceline_plan::WriteFormat;
use raceline_types::{Failure, TensorType, is_object_field};

use super::error::WriteError;

/// The columns that the rows of a write have.
#[derive(Debug)]
pub(super) struct Fit {
    schema: SchemaRef,
}

impl Fit {
    /// Takes the columns of `first`. All become nullable: a later batch may hold nulls where the
    /// first did not.
    pub(super) fn new(first: &Schema) -> Self {
        let fields: Fields =
            first.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect();
        Self { schema: Arc::new(Schema::new_with_metadata(fields, first.metadata().clone())) }
    }

    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// `batch` with the columns of the first: reordered by name, and cast where types differ
    /// only in layout (nullability and names inside, width of offsets, string views) or where
    /// a column holds nothing but nulls.
    ///
    /// # Errors
    /// Columns that came or went, and types that differ in what they mean.
    pub(super) fn apply(&self, batch: &RecordBatch) -> Result<RecordBatch, Failure> {
        let found = batch.schema();
        if found.fields().len() != self.schema.fields().len()
            || self.schema.fields().iter().any(|field| found.index_of(field.name()).is_err())
        {
            let lacks = |one: &Schema, other: &Schema| -> Vec<String> {
                let fields = one.fields().iter().map(|field| field.name());
                fields.filter(|name| other.index_of(name).is_err()).cloned().collect()
            };
            let missing = lacks(&self.schema, &found);
            let added = lacks(&found, &self.schema);
            return Err(WriteError::ColumnsChanged { missing, added }.into());
        }
        let mut columns = Vec::with_capacity(batch.num_columns());
        for (at, field) in self.schema.fields().iter().enumerate() {
            let position = if found.field(at).name() == field.name() {
                at
            } else {
                found.index_of(field.name()).map_err(encode_error)?
            };
            let column = batch.column(position);
            if column.data_type() == field.data_type() {
                columns.push(Arc::clone(column));
            } else if column.logical_null_count() == column.len()
                || meaning(column.data_type()) == meaning(field.data_type())
            {
                columns.push(cast(column, field.data_type()).map_err(encode_error)?);
            } else {
                let error = WriteError::TypeChanged {
                    column: field.name().clone(),
                    expected: field.data_type().clone(),
                    found: column.data_type().clone(),
                };
                return Err(Failure::from(error).at_column(field.name()));
            }
        }
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(encode_error)?)
    }
}

fn encode_error(source: arrow::error::ArrowError) -> WriteError {
    WriteError::Encode { format: "one table", source: Box::new(source) }
}

/// The type without what only concerns its layout.
fn meaning(data_type: &DataType) -> DataType {
    let item = |field: &Field| Arc::new(Field::new("item", meaning(field.data_type()), true));
    match data_type {
        DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::LargeBinary | DataType::BinaryView => DataType::Binary,
        DataType::List(field) | DataType::LargeList(field) => DataType::List(item(field)),
        DataType::FixedSizeList(field, size) => DataType::FixedSizeList(item(field), *size),
        DataType::Struct(fields) => DataType::Struct(
            fields
                .iter()
                .map(|field| Field::new(field.name(), meaning(field.data_type()), true))
                .collect(),
        ),
        DataType::Dictionary(_, value) => meaning(value),
        other => other.clone(),
    }
}

/// Checks that files of `format` can hold the columns of `schema`.
///
/// # Errors
/// [`WriteError::Unwritable`] naming the first column that they cannot: Python objects in any;
/// in CSV nested columns, tensors and binary; in JSON lines binary (they would be written as
/// something else than they are).
pub(super) fn check_columns(schema: &Schema, format: &WriteFormat) -> Result<(), Failure> {
    for field in schema.fields() {
        let holds = !is_object_field(field)
            && match format {
                WriteFormat::Parquet { .. } => {
                    let alone = Schema::new(vec![field.as_ref().clone()]);
                    ArrowSchemaConverter::new().convert(&alone).is_ok()
                }
                WriteFormat::Csv => !field.data_type().is_nested() && !is_binary(field.data_type()),
                WriteFormat::Json => !holds_binary(field.data_type()),
            };
        if !holds {
            let error = WriteError::Unwritable {
                format: format_name(format),
                column: field.name().clone(),
                type_name: type_name(field),
            };
            return Err(Failure::from(error).at_column(field.name()));
        }
    }
    Ok(())
}

/// The format's name, for people.
pub(super) fn format_name(format: &WriteFormat) -> &'static str {
    match format {
        WriteFormat::Parquet { .. } => "Parquet",
        WriteFormat::Csv => "CSV",
        WriteFormat::Json => "JSON",
    }
}

fn type_name(field: &Field) -> String {
    if is_object_field(field) {
        return "Python object".to_owned();
    }
    match TensorType::of(field) {
        Ok(Some(TensorType::Fixed { value_type, shape })) => {
            format!("tensor of {value_type} {shape:?}")
        }
        Ok(Some(TensorType::Variable { value_type, dimensions })) => {
            format!("tensor of {value_type}, {dimensions} dimensions")
        }
        Ok(None) | Err(_) => field.data_type().to_string(),
    }
}

/// Whether values of `data_type` are bytes.
pub(super) fn is_binary(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
            | DataType::FixedSizeBinary(_)
    )
}

fn holds_binary(data_type: &DataType) -> bool {
    match data_type {
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::FixedSizeList(field, _)
        | DataType::Map(field, _) => holds_binary(field.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| holds_binary(field.data_type())),
        DataType::Union(..) => true,
        other => is_binary(other),
    }
}
