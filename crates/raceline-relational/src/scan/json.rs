//! JSON: lines, one object, or one array a file; and the types of its columns.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Decimal128Type, DecimalType, Field, FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::json::reader::infer_json_schema_from_iterator;
use datafusion::error::DataFusionError;
use object_store::{ObjectMeta, ObjectStore};
use raceline_plan::FileSplit;
use serde_json::Value;

use super::compression;
use super::head::{Head, read_head};

/// Bytes of a file that are looked at for its types.
const SAMPLE_BYTES: u64 = 16 << 20;

/// Bytes of a file that are looked at for its first character.
const SNIFF_BYTES: u64 = 4 << 10;

/// The digits of 64-bit integers with room for a fraction.
const PRECISION: u8 = 38;
const SCALE: i8 = 18;
const ONE: i128 = 10_i128.pow(18);
const FRACTIONS: DataType = DataType::Decimal128(PRECISION, SCALE);

/// Whether the file of `split` is one array; a file that is named as lines is not looked at.
pub(super) async fn is_array(
    store: &Arc<dyn ObjectStore>,
    meta: &ObjectMeta,
    split: &FileSplit,
) -> Result<bool, DataFusionError> {
    let name = split.location.to_ascii_lowercase();
    if name.contains(".jsonl") || name.contains(".ndjson") {
        return Ok(false);
    }
    let head = read_head(store, meta, compression(split), SNIFF_BYTES).await?;
    Ok(starts_with_array(&head.bytes))
}

/// The columns of a file, from at most its first `rows` objects. Columns without a value are
/// text.
pub(super) async fn infer(
    store: &Arc<dyn ObjectStore>,
    meta: &ObjectMeta,
    split: &FileSplit,
    rows: usize,
) -> Result<Schema, DataFusionError> {
    let head = read_head(store, meta, compression(split), SAMPLE_BYTES).await?;
    let schema = infer_json_schema_from_iterator(sample(&head, rows)?.into_iter().map(Ok))?;
    let fields: Vec<_> = schema.fields().iter().map(without_null_type).collect();
    Ok(Schema::new(fields))
}

/// `columns` as they are read: integers with their fractions, which the reader would drop.
pub(super) fn with_fractions(columns: &Schema) -> SchemaRef {
    let field = |field: &FieldRef| {
        let field = Field::clone(field);
        if field.data_type().is_integer() { field.with_data_type(FRACTIONS) } else { field }
    };
    Arc::new(Schema::new(columns.fields().iter().map(field).collect::<Vec<_>>()))
}

/// A column that was read by [`with_fractions`] as the integers of `data_type`.
///
/// # Errors
/// [`ArrowError::CastError`] for a value with a fraction, or beyond the type.
pub(super) fn integers(column: &ArrayRef, data_type: &DataType) -> Result<ArrayRef, ArrowError> {
    let numbers = column.as_primitive::<Decimal128Type>();
    let whole = numbers.try_unary::<_, Decimal128Type, ArrowError>(|number| {
        if number % ONE != 0 {
            let text = Decimal128Type::format_decimal(number, PRECISION, SCALE);
            let text = text.trim_end_matches('0');
            return Err(ArrowError::CastError(format!("`{text}` is not an integer")));
        }
        Ok(number / ONE)
    })?;
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(&whole.with_precision_and_scale(PRECISION, 0)?, data_type, &strict)
}

fn starts_with_array(head: &[u8]) -> bool {
    head.trim_ascii_start().first() == Some(&b'[')
}

/// The first `rows` objects of a file.
fn sample(head: &Head, rows: usize) -> Result<Vec<Value>, DataFusionError> {
    let is_array = starts_with_array(&head.bytes);
    let mut rest = head.bytes.trim_ascii_start();
    if is_array {
        rest = rest[1..].trim_ascii_start();
    }
    let mut values = Vec::new();
    while values.len() < rows && !rest.is_empty() && !(is_array && rest[0] == b']') {
        let mut items = serde_json::Deserializer::from_slice(rest).into_iter::<Value>();
        match items.next() {
            Some(Ok(value @ Value::Object(_))) => values.push(value),
            Some(Ok(value)) => return Err(malformed(&format!("`{value}` is not an object"))),
            Some(Err(error)) if error.is_eof() && !head.is_whole && !values.is_empty() => break,
            Some(Err(error)) => return Err(malformed(&error.to_string())),
            None => break,
        }
        rest = rest[items.byte_offset()..].trim_ascii_start();
        if is_array {
            rest = rest.strip_prefix(b",").unwrap_or(rest).trim_ascii_start();
        }
    }
    Ok(values)
}

fn malformed(reason: &str) -> DataFusionError {
    ArrowError::JsonError(reason.to_owned()).into()
}

/// `field` with text in place of the type null, at any depth.
fn without_null_type(field: &FieldRef) -> FieldRef {
    let data_type = match field.data_type() {
        DataType::Null => DataType::Utf8,
        DataType::List(item) => DataType::List(without_null_type(item)),
        DataType::Struct(parts) => DataType::Struct(parts.iter().map(without_null_type).collect()),
        other => other.clone(),
    };
    Arc::new(Field::clone(field).with_data_type(data_type))
}
