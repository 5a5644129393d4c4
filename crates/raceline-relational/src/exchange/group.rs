//! Groups as rows: each is a list of the rows that it has.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ListArray, RecordBatch, StructArray, UInt32Array};
use arrow::buffer::OffsetBuffer;
use arrow::compute::take_record_batch;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::row::OwnedRow;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use raceline_types::{Failure, InternalError};

use super::keys::KeyColumns;

/// Name of the only column of groups.
const GROUP_COLUMN: &str = "group";

/// Schema of the groups of rows of `rows`.
pub(super) fn schema(rows: &SchemaRef) -> SchemaRef {
    let list = DataType::List(item(rows));
    Arc::new(Schema::new(vec![Field::new(GROUP_COLUMN, list, true)]))
}

fn item(rows: &SchemaRef) -> FieldRef {
    Arc::new(Field::new("item", DataType::Struct(rows.fields().clone()), true))
}

/// The groups of `rows`, in the order of their keys, missing ones last.
pub(super) fn groups(keys: &KeyColumns, rows: &RecordBatch) -> Result<RecordBatch, Failure> {
    let (order, lengths) = grouped(keys, rows)?;
    let collect = || {
        let together = match order {
            Some(order) => take_record_batch(rows, &UInt32Array::from(order))?,
            None => rows.clone(),
        };
        let (fields, length) = (together.schema_ref().fields().clone(), together.num_rows());
        let columns = together.columns().to_vec();
        let rows = StructArray::try_new_with_length(fields, columns, None, length)?;
        let offsets = OffsetBuffer::from_lengths(lengths);
        let schema = schema(together.schema_ref());
        let list = ListArray::try_new(item(together.schema_ref()), offsets, Arc::new(rows), None)?;
        RecordBatch::try_new(schema, vec![Arc::new(list)])
    };
    collect().map_err(unfit)
}

/// The order in which rows with equal keys follow each other (`None` is as they are), and how many
/// rows each group has. Rows of a group keep their order.
fn grouped(
    keys: &KeyColumns,
    rows: &RecordBatch,
) -> Result<(Option<Vec<u32>>, Vec<usize>), Failure> {
    if keys.is_empty() {
        return Ok((None, vec![rows.num_rows()]));
    }
    let encoded = keys.encoded(rows)?;
    let count = u32::try_from(rows.num_rows())
        .map_err(|error| InternalError::caused_by("rows of a partition", error))?;
    let mut order: Vec<u32> = (0..count).collect();
    let key = |row: u32| encoded.row(row as usize);
    order.sort_by(|&one, &other| key(one).cmp(&key(other)));
    let lengths = order.chunk_by(|&one, &other| key(one) == key(other)).map(<[u32]>::len);
    let lengths = lengths.collect();
    Ok((Some(order), lengths))
}

/// The group that has most rows, for a person, and how many these are.
pub(super) fn largest(
    keys: &KeyColumns,
    batches: impl Iterator<Item = Result<RecordBatch, Failure>>,
) -> Result<(String, u64), Failure> {
    let mut counts: HashMap<OwnedRow, (u64, String)> = HashMap::new();
    let mut all_rows = 0;
    for batch in batches {
        let batch = batch?;
        all_rows += batch.num_rows() as u64;
        if keys.is_empty() {
            continue;
        }
        let (encoded, values) = (keys.encoded(&batch)?, keys.of_rows(&batch)?);
        for (row, key) in encoded.iter().enumerate() {
            if let Some((count, _)) = counts.get_mut(&key.owned()) {
                *count += 1;
            } else {
                let text = shown(keys, &values, row).map_err(unfit)?;
                counts.insert(key.owned(), (1, text));
            }
        }
    }
    let most = counts.into_values().max_by_key(|(count, _)| *count);
    Ok(most.map_or(("of all rows".to_owned(), all_rows), |(count, text)| (text, count)))
}

/// The key of row `row` of `values`: `` `user` = 3, `day` = null ``.
fn shown(keys: &KeyColumns, values: &RecordBatch, row: usize) -> Result<String, ArrowError> {
    let options = FormatOptions::new().with_null("null");
    let parts = keys.names().zip(values.columns()).map(|(name, column)| {
        let value = ArrayFormatter::try_new(column, &options)?.value(row).try_to_string()?;
        Ok(format!("`{name}` = {value}"))
    });
    Ok(parts.collect::<Result<Vec<_>, ArrowError>>()?.join(", "))
}

fn unfit(error: ArrowError) -> Failure {
    InternalError::caused_by("rows could not become groups", error).into()
}
