//! JSON: lines, one object, or one array a file; and the types of its columns.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, make_array};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{
    DataType, Decimal128Type, DecimalType, Field, FieldRef, Fields, Schema, SchemaRef,
};
use arrow::error::ArrowError;
use arrow::json::reader::infer_json_schema_from_iterator;
use datafusion::error::DataFusionError;
use object_store::{ObjectMeta, ObjectStore};
use raceline_plan::FileSplit;
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, IgnoredAny, MapAccess, Visitor};
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

/// The columns of a file, from at most `rows` objects in its first [`SAMPLE_BYTES`], in the order
/// in which their keys are first seen. Columns without a value are of type null.
pub(super) async fn infer(
    store: &Arc<dyn ObjectStore>,
    meta: &ObjectMeta,
    split: &FileSplit,
    rows: usize,
) -> Result<Schema, DataFusionError> {
    let head = read_head(store, meta, compression(split), SAMPLE_BYTES).await?;
    let schema = infer_json_schema_from_iterator(objects(&head).take(rows))?;
    let mut fields = schema.fields().to_vec();
    let mut position = HashMap::new();
    for key in items::<Keys>(&head).take(rows).map_while(Result::ok).flat_map(|keys| keys.0) {
        let next = position.len();
        position.entry(key).or_insert(next);
    }
    fields.sort_by_key(|field| position.get(field.name()).copied());
    Ok(Schema::new(fields))
}

/// Those keys of the first objects of a file that are among `names`, as columns. What cannot be
/// told has none: reading the file tells what is wrong with it.
pub(super) async fn passed_over(
    store: &Arc<dyn ObjectStore>,
    meta: &ObjectMeta,
    split: &FileSplit,
    names: &[&str],
) -> Result<Vec<FieldRef>, DataFusionError> {
    let head = read_head(store, meta, compression(split), SNIFF_BYTES).await?;
    let Ok(schema) = infer_json_schema_from_iterator(objects(&head).map_while(Result::ok).map(Ok))
    else {
        return Ok(Vec::new());
    };
    let schema = with_fractions(&schema);
    let fields = schema.fields().iter().map(without_null_type);
    Ok(fields.filter(|field| names.contains(&field.name().as_str())).collect())
}

/// `columns` as they are read: integers, at any depth, with their fractions, which the reader
/// would drop.
pub(super) fn with_fractions(columns: &Schema) -> SchemaRef {
    Arc::new(Schema::new(columns.fields().iter().map(with_fraction).collect::<Fields>()))
}

fn with_fraction(field: &FieldRef) -> FieldRef {
    let data_type = match field.data_type() {
        integer if integer.is_integer() => FRACTIONS,
        DataType::Struct(parts) => DataType::Struct(parts.iter().map(with_fraction).collect()),
        DataType::List(item) => DataType::List(with_fraction(item)),
        DataType::LargeList(item) => DataType::LargeList(with_fraction(item)),
        DataType::Map(entry, sorted) => DataType::Map(with_fraction(entry), *sorted),
        other => other.clone(),
    };
    Arc::new(Field::clone(field).with_data_type(data_type))
}

/// A column that was read by [`with_fractions`], with the integers of `data_type`.
///
/// # Errors
/// [`ArrowError::CastError`] for a value with a fraction, or beyond the type.
pub(super) fn without_fractions(
    column: &ArrayRef,
    data_type: &DataType,
) -> Result<ArrayRef, ArrowError> {
    let parts: &[FieldRef] = match data_type {
        same if same == column.data_type() => return Ok(Arc::clone(column)),
        integer if integer.is_integer() => return integers(column, integer),
        DataType::Struct(parts) => parts,
        DataType::List(item) | DataType::LargeList(item) | DataType::Map(item, _) => {
            std::slice::from_ref(item)
        }
        other => return cast(column, other),
    };
    let column = column.to_data();
    let children = column.child_data().iter().zip(parts).map(|(child, part)| {
        let child = without_fractions(&make_array(child.clone()), part.data_type())?;
        Ok(child.to_data())
    });
    let children = children.collect::<Result<Vec<_>, ArrowError>>()?;
    let whole = column.into_builder().data_type(data_type.clone()).child_data(children);
    Ok(make_array(whole.build()?))
}

fn integers(column: &ArrayRef, data_type: &DataType) -> Result<ArrayRef, ArrowError> {
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

/// The objects at the start of a file, without one that is cut off.
fn objects(head: &Head) -> impl Iterator<Item = Result<Value, ArrowError>> {
    items::<Value>(head).map(|item| match item? {
        object @ Value::Object(_) => Ok(object),
        value => Err(malformed(&format!("`{value}` is not an object"))),
    })
}

/// The items at the start of a file, without one that is cut off.
fn items<T: DeserializeOwned>(head: &Head) -> impl Iterator<Item = Result<T, ArrowError>> {
    let is_array = starts_with_array(&head.bytes);
    let mut rest = head.bytes.trim_ascii_start();
    if is_array {
        rest = rest[1..].trim_ascii_start();
    }
    let mut is_first = true;
    std::iter::from_fn(move || {
        if rest.is_empty() || (is_array && rest[0] == b']') {
            return None;
        }
        let mut items = serde_json::Deserializer::from_slice(rest).into_iter::<T>();
        let item = match items.next()? {
            Err(error) if error.is_eof() && !head.is_whole && !is_first => return None,
            item => item.map_err(|error| malformed(&error.to_string())),
        };
        is_first = false;
        rest = rest[items.byte_offset()..].trim_ascii_start();
        if is_array {
            rest = rest.strip_prefix(b",").unwrap_or(rest).trim_ascii_start();
        }
        Some(item)
    })
}

/// The keys of an object, in its order.
struct Keys(Vec<String>);

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(KeysVisitor)
    }
}

struct KeysVisitor;

impl<'de> Visitor<'de> for KeysVisitor {
    type Value = Keys;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Keys, A::Error> {
        let mut keys = Vec::new();
        while let Some((key, IgnoredAny)) = object.next_entry()? {
            keys.push(key);
        }
        Ok(Keys(keys))
    }
}

fn malformed(reason: &str) -> ArrowError {
    ArrowError::JsonError(reason.to_owned())
}

/// `field` with text in place of the type null, at any depth.
pub(super) fn without_null_type(field: &FieldRef) -> FieldRef {
    let data_type = match field.data_type() {
        DataType::Null => DataType::Utf8,
        DataType::List(item) => DataType::List(without_null_type(item)),
        DataType::Struct(parts) => DataType::Struct(parts.iter().map(without_null_type).collect()),
        other => other.clone(),
    };
    Arc::new(Field::clone(field).with_data_type(data_type))
}
