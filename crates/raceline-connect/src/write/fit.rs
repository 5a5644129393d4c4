//! Which columns fit into files of a format.

use arrow::datatypes::{DataType, Schema};
use parquet::arrow::ArrowSchemaConverter;
use raceline_plan::WriteFormat;
use raceline_types::{Failure, column_type_name, holds_objects};

use super::error::WriteError;

/// Checks that files of `format` can hold the columns of `schema`.
///
/// # Errors
/// [`WriteError::Unwritable`] naming the first column that they cannot: Python objects, at any
/// depth, in any; in CSV nested columns, tensors and binary; in JSON lines binary (they would be
/// written as something else than they are).
pub(super) fn check_columns(schema: &Schema, format: &WriteFormat) -> Result<(), Failure> {
    for field in schema.fields() {
        let holds = !holds_objects(field)
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
                type_name: column_type_name(field),
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
