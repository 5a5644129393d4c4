//! CSV: options, the columns of one file, and empty strings.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::csv::reader::Format;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::config::CsvOptions;
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use datafusion::error::DataFusionError;
use futures::StreamExt;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore};
use raceline_plan::CsvReadOptions;

use super::head::read_head;
use super::infer::check_names;
use crate::error::carry;

/// Bytes at the start of a file that are looked at for its types.
const SAMPLE_BYTES: u64 = 4 << 20;

/// Most bytes of a header line.
const HEADER_BYTES_MAX: u64 = 64 << 10;

/// `DataFusion`'s options for ours.
pub(super) fn csv_options(
    options: &CsvReadOptions,
    compression: FileCompressionType,
) -> CsvOptions {
    let CsvReadOptions { delimiter, quote, has_header, infer_rows } = options;
    CsvOptions {
        has_header: Some(*has_header),
        delimiter: *delimiter,
        quote: *quote,
        newlines_in_values: Some(true),
        compression: compression.into(),
        schema_infer_max_rec: Some(*infer_rows),
        ..CsvOptions::default()
    }
}

/// The columns of a file, from at most so many rows at its start as the options say. Columns without
/// a value are of type null.
pub(super) async fn infer(
    store: &Arc<dyn ObjectStore>,
    meta: &ObjectMeta,
    (options, compression): (&CsvReadOptions, FileCompressionType),
) -> Result<Schema, DataFusionError> {
    let head = read_head(store, meta, compression, SAMPLE_BYTES).await?;
    let end = if head.is_whole { None } else { whole_rows(&head.bytes, options.quote) };
    let whole = end.unwrap_or(head.bytes.len());
    let format = Format::default()
        .with_header(options.has_header)
        .with_delimiter(options.delimiter)
        .with_quote(options.quote);
    let (schema, _) = format.infer_schema(&head.bytes[..whole], Some(options.infer_rows))?;
    Ok(without_mark(&schema))
}

/// Bytes of the rows that `head` holds whole; `None` when it holds none. A row ends with a line
/// break outside quotes.
fn whole_rows(head: &[u8], quote: u8) -> Option<usize> {
    let mut is_quoted = false;
    let ends = head.iter().enumerate().filter(|(_, byte)| {
        is_quoted ^= **byte == quote;
        **byte == b'\n' && !is_quoted
    });
    ends.last().map(|(at, _)| at + 1)
}

/// The columns of one file: its own names in its own order, with the types that `table` gives
/// them; columns that `table` does not have are text. Without a header, the columns of `table`.
pub(super) async fn file_schema(
    store: &Arc<dyn ObjectStore>,
    meta: &ObjectMeta,
    (options, compression): (&CsvReadOptions, FileCompressionType),
    table: &SchemaRef,
) -> Result<SchemaRef, DataFusionError> {
    if !options.has_header {
        return Ok(Arc::clone(table));
    }
    let head = read_head(store, meta, compression, HEADER_BYTES_MAX).await?;
    let line_end = head.bytes.iter().position(|&byte| byte == b'\n');
    if line_end.is_none() && !head.is_whole {
        return Err(DataFusionError::Execution(format!(
            "its first line is longer than {HEADER_BYTES_MAX} bytes"
        )));
    }
    let format = Format::default()
        .with_header(true)
        .with_delimiter(options.delimiter)
        .with_quote(options.quote);
    let (header, _) = format.infer_schema(head.bytes.as_slice(), Some(0))?;
    let header = without_mark(&header);
    check_names(&header).map_err(|error| carry(error.into()))?;
    let field = |field: &Arc<Field>| match table.field_with_name(field.name()) {
        Ok(known) => known.clone(),
        Err(_) => Field::new(field.name(), DataType::Utf8, true),
    };
    Ok(Arc::new(Schema::new(header.fields().iter().map(field).collect::<Vec<_>>())))
}

/// `header` without the byte order mark before its first name.
pub(super) fn without_mark(header: &Schema) -> Schema {
    let name = |field: &Arc<Field>| field.name().trim_start_matches('\u{feff}').to_owned();
    let fields = header.fields().iter().map(|field| field.as_ref().clone().with_name(name(field)));
    Schema::new(fields.collect::<Vec<_>>())
}

/// Lines before the rows of a range that starts at `start`: a range begins behind the first line
/// break at or after the byte before it.
pub(super) async fn lines_before(
    store: &Arc<dyn ObjectStore>,
    meta: &ObjectMeta,
    start: u64,
) -> Result<u64, DataFusionError> {
    if start < 2 {
        return Ok(start);
    }
    let range = GetRange::Bounded(0..start - 1);
    let options = GetOptions { range: Some(range), ..GetOptions::default() };
    let mut chunks = store.get_opts(&meta.location, options).await?.into_stream();
    let mut lines = 1;
    while let Some(chunk) = chunks.next().await {
        lines += chunk?.iter().map(|&byte| u64::from(byte == b'\n')).sum::<u64>();
    }
    Ok(lines)
}

/// A text column with "" in place of null: the reader takes empty text for null, but CSV cannot
/// tell one from the other, and text is what the column holds.
pub(super) fn empty_text(column: &ArrayRef) -> ArrayRef {
    match column.data_type() {
        DataType::Utf8 if column.null_count() > 0 => {
            let text = column.as_string::<i32>().iter();
            Arc::new(StringArray::from_iter_values(text.map(Option::unwrap_or_default)))
        }
        _ => Arc::clone(column),
    }
}
