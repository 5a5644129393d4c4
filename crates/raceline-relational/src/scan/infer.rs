//! What is known of table files before they are read: columns and row counts.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::error::DataFusionError;
use datafusion::parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use futures::{StreamExt, TryStreamExt, stream};
use object_store::{ObjectMeta, ObjectStore};
use raceline_plan::{FileFormat, FileScan, FileSplit};
use raceline_types::{Failure, InternalError, unite_schemas, without_objects};

use super::bounds::groups_within;
use super::fault::file_failure;
use super::{PATH_COLUMN, compression, csv, json, object_meta};
use crate::engine::Engine;
use crate::error::FileError;

/// Footers that are read at once.
const FOOTERS_AT_ONCE: usize = 16;

/// Bytes of files of text that are looked at for their columns, beyond the first file.
const TEXT_BYTES_MAX: u64 = 16 << 20;

/// The whole schema of a scan whose first files are `firsts`, at least one: the columns of these
/// (or those that the user declared), then the partition columns of the first one's folders
/// (text), then `path` when it is asked for. A file's own column gives way to a partition column of
/// the same name. Every field is nullable; string views become plain strings.
///
/// A column has the type that holds its values in all of the files, and that of the first file
/// where there is none; one without values in any of them is text. Of text formats those files are
/// looked at that come to 16 MiB together.
///
/// # Errors
/// [`crate::FileError`] with the name of the first file when it cannot be read; a file without
/// content has no columns, which is an error too. What is wrong with other files is left to whoever
/// reads them.
pub async fn infer_schema(
    engine: &Engine,
    scan: &FileScan,
    firsts: &[FileSplit],
) -> Result<SchemaRef, Failure> {
    let own = match &scan.schema {
        Some(declared) => Schema::clone(declared),
        None => infer_files(engine, &scan.format, firsts).await?,
    };
    let folders = firsts.iter().take(1).flat_map(|first| &first.partition_values);
    let mut constants: Vec<&str> = folders.map(|(name, _)| &**name).collect();
    if scan.include_paths {
        constants.push(PATH_COLUMN);
    }
    let own_fields =
        own.fields().iter().filter(|field| !constants.contains(&field.name().as_str()));
    let constant_fields =
        constants.iter().map(|name| Arc::new(Field::new(*name, DataType::Utf8, true)));
    let fields: Vec<FieldRef> = own_fields.map(plain_field).chain(constant_fields).collect();
    Ok(Arc::new(Schema::new(fields)))
}

/// Exact number of rows of Parquet files, from their footers; of a file with a range, those of the
/// row groups that a reader takes for it.
///
/// # Errors
/// [`crate::FileError`] with the name of the first file whose footer cannot be read.
pub async fn count_rows(engine: &Engine, files: &[FileSplit]) -> Result<u64, Failure> {
    let counts = files.iter().cloned().map(|file| async move {
        let (_, store) = engine.store(&file.store_url)?;
        let footer = footer(engine, &store, &object_meta(&file)?)
            .await
            .map_err(|error| file_failure(error, &FileFormat::Parquet, &file, None))?;
        let groups = groups_within(&footer, file.range.as_ref());
        let rows: i64 = groups.map(RowGroupMetaData::num_rows).sum();
        u64::try_from(rows)
            .map_err(|error| Failure::from(InternalError::caused_by("rows of a footer", error)))
    });
    stream::iter(counts)
        .buffered(FOOTERS_AT_ONCE)
        .try_fold(0, |sum, rows| async move { Ok(sum + rows) })
        .await
}

/// The footer of a Parquet file, kept by the engine.
pub(super) async fn footer(
    engine: &Engine,
    store: &Arc<dyn ObjectStore>,
    meta: &ObjectMeta,
) -> Result<Arc<ParquetMetaData>, DataFusionError> {
    parquet_metadata(engine, store, meta).fetch_metadata().await
}

pub(super) fn parquet_metadata<'a>(
    engine: &Engine,
    store: &'a Arc<dyn ObjectStore>,
    meta: &'a ObjectMeta,
) -> DFParquetMetadata<'a> {
    let cache = engine.runtime().cache_manager.get_file_metadata_cache();
    DFParquetMetadata::new(store.as_ref(), meta).with_file_metadata_cache(Some(cache))
}

/// The columns of files, in the order in which they are first seen.
async fn infer_files(
    engine: &Engine,
    format: &FileFormat,
    files: &[FileSplit],
) -> Result<Schema, Failure> {
    let is_text = format != &FileFormat::Parquet;
    let has_content = |file: &&FileSplit| !is_text || file.size_bytes > 0;
    let Some(first) = files.iter().find(has_content).or_else(|| files.first()) else {
        return Err(InternalError::new("no file to find the columns of").into());
    };
    let own = infer_file(engine, format, first).await?;
    let mut bytes = first.size_bytes;
    let others = files.iter().filter(has_content).filter(|file| *file != first);
    let others: Vec<_> = others
        .take_while(|file| {
            bytes += file.size_bytes;
            !is_text || bytes <= TEXT_BYTES_MAX
        })
        .cloned()
        .collect();
    let inferred = others.into_iter().map(|file| async move {
        // What is wrong with it is told when it is read.
        infer_file(engine, format, &file).await.ok()
    });
    let inferred: Vec<_> = stream::iter(inferred).buffered(FOOTERS_AT_ONCE).collect().await;
    Ok(inferred.iter().flatten().fold(own, |known, found| widened(&known, found)))
}

/// The columns of `known` and of `found`, each with the type that holds the values of both; where
/// there is none, with that of `known`.
fn widened(known: &Schema, found: &Schema) -> Schema {
    let mut fields: Vec<FieldRef> = known.fields().to_vec();
    for field in found.fields() {
        match fields.iter_mut().find(|one| one.name() == field.name()) {
            Some(one) => *one = wider(one, field).unwrap_or_else(|| Arc::clone(one)),
            None => fields.push(Arc::clone(field)),
        }
    }
    Schema::new_with_metadata(fields, known.metadata().clone())
}

/// The field that holds the values of both; `None` when there is none without loss.
fn wider(one: &FieldRef, other: &FieldRef) -> Option<FieldRef> {
    let alone = |field: &FieldRef| Arc::new(Schema::new(vec![without_views(field)]));
    let both = unite_schemas(&[alone(one), alone(other)]).ok()?;
    both.fields().first().cloned()
}

async fn infer_file(
    engine: &Engine,
    format: &FileFormat,
    split: &FileSplit,
) -> Result<Schema, Failure> {
    let (_, store) = engine.store(&split.store_url)?;
    let meta = object_meta(split)?;
    let schema = match format {
        _ if split.size_bytes == 0 => Ok(Schema::empty()),
        FileFormat::Parquet => parquet_metadata(engine, &store, &meta).fetch_schema().await,
        FileFormat::Csv(options) => csv::infer(&store, &meta, (options, compression(split))).await,
        FileFormat::Json(options) => json::infer(&store, &meta, split, options.infer_rows).await,
        FileFormat::Text(_) | FileFormat::Binary | FileFormat::Image(_) => {
            let what = format!("{} is not a table format", format.read_name());
            return Err(InternalError::new(what).into());
        }
    };
    let schema = schema.map_err(|error| file_failure(error, format, split, None))?;
    if schema.fields().is_empty() {
        let error = DataFusionError::Execution("it has no columns".into());
        return Err(file_failure(error, format, split, None));
    }
    check_names(&schema).map_err(|error| Failure::from(error).at_uri(&split.uri))?;
    Ok(schema)
}

/// Checks that no two columns of a file have one name: only one of them could be read.
pub(super) fn check_names(columns: &Schema) -> Result<(), FileError> {
    let mut seen = HashSet::new();
    match columns.fields().iter().find(|field| !seen.insert(field.name())) {
        Some(field) => Err(FileError::DuplicateColumn { column: field.name().clone() }),
        None => Ok(()),
    }
}

/// `field`, nullable, with plain strings in place of views and text in place of the type null.
fn plain_field(field: &FieldRef) -> FieldRef {
    let field = json::without_null_type(&without_views(field));
    Arc::new(Field::clone(&field).with_nullable(true))
}

/// `field` with plain strings in place of views.
pub(super) fn without_views(field: &FieldRef) -> FieldRef {
    let field = without_objects(field);
    let data_type = match field.data_type() {
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        other => other.clone(),
    };
    Arc::new(field.with_data_type(data_type))
}
