//! The scan of one file as a plan of `DataFusion`.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::common::ScalarValue;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::datasource::physical_plan::{
    CsvSource, FileScanConfigBuilder, FileSource, ParquetSource,
};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::DataFusionError;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::Expr;
use datafusion::parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, RowGroupMetaData};
use datafusion::physical_plan::ExecutionPlan;
use futures::stream::{BoxStream, StreamExt};
use object_store::{ObjectMeta, ObjectStore};
use raceline_plan::expression::relaxed;
use raceline_plan::{FileFormat, FileScan, FileSplit};
use raceline_types::Failure;

use super::csv::{csv_options, file_schema};
use super::fault::file_failure;
use super::infer::{check_names, footer, parquet_metadata, without_views};
use super::objects::ObjectFile;
use super::{compression, is_first, json, object_meta};
use crate::engine::Engine;
use crate::error::{FileError, carry};
use crate::resolve::resolve;
use crate::schemas::Schemas;

/// Rows of a batch of a format whose rows are not measured before they are read.
const TEXT_BATCH_ROWS: usize = 8192;

/// What a file is scanned for.
pub(super) struct LeafRequest<'a> {
    /// The columns, with the types they are to have.
    pub(super) needed: &'a SchemaRef,
    /// A condition that lets row groups be skipped; rows are not filtered.
    pub(super) predicate: Option<&'a Expr>,
    /// Columns that are the same for the whole file, with their values.
    pub(super) constants: Vec<(&'a str, Option<&'a str>)>,
    /// At most this many rows.
    pub(super) limit: Option<usize>,
    /// All columns that a file may have; `None` is any. Keys of JSON are those that are needed.
    pub(super) known: Option<&'a SchemaRef>,
    /// How closely the columns of a file must be those that are known.
    pub(super) types: Types,
}

/// How the types of a file's columns may differ from those of the scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Types {
    /// The file must have all columns of the scan, of the same types where it tells types.
    Same,
    /// Values of a kind may be of narrower or wider types: they are cast, or fail.
    OfAKind,
    /// Whatever can be cast.
    Any,
}

impl Types {
    /// Those of a scan.
    pub(crate) fn of(scan: &FileScan) -> Self {
        match (&scan.schema, scan.is_strict) {
            (_, true) => Self::Same,
            (None, false) => Self::OfAKind,
            (Some(_), false) => Self::Any,
        }
    }
}

/// Batches of a file, each an error instead when it cannot be read.
pub(super) type Batches = BoxStream<'static, Result<RecordBatch, DataFusionError>>;

impl LeafRequest<'_> {
    /// Checks that a file with the columns `found` has none that would be lost, and all that it
    /// must have.
    pub(super) fn check(&self, found: &Schema) -> Result<(), FileError> {
        let Some(known) = self.known else { return Ok(()) };
        let is_constant = |name: &str| self.constants.iter().any(|(one, _)| *one == name);
        let is_known = |name: &str| known.index_of(name).is_ok() || is_constant(name);
        let schemas = || Schemas::new(known, found);
        let mut names = found.fields().iter().map(|field| field.name());
        if let Some(column) = names.find(|name| !is_known(name)) {
            let (column, is_declared) = (column.clone(), self.types == Types::Same);
            return Err(FileError::UnknownColumn { column, is_declared, schemas: schemas() });
        }
        let mut wanted = known.fields().iter().map(|field| field.name());
        let is_there = |name: &str| is_constant(name) || found.index_of(name).is_ok();
        match wanted.find(|name| self.types == Types::Same && !is_there(name)) {
            Some(column) => {
                Err(FileError::MissingColumn { column: column.clone(), schemas: schemas() })
            }
            None => Ok(()),
        }
    }

    /// Checks that the types of the columns `stored` go with those of `own`, and that no column of
    /// floats would be read as integers, which drops fractions silently.
    pub(super) fn check_types(&self, stored: &Schema, own: &Schema) -> Result<(), FileError> {
        let is_other = |field: &&FieldRef| {
            let Ok(found) = stored.field_with_name(field.name()) else { return false };
            let (found, wanted) = (found.data_type(), field.data_type());
            (found.is_floating() && wanted.is_integer())
                || match self.types {
                    Types::Same => plain(found) != plain(wanted),
                    Types::OfAKind => !is_of_a_kind(found, wanted),
                    Types::Any => false,
                }
        };
        let Some(field) = own.fields().iter().find(is_other) else { return Ok(()) };
        let found = stored.field_with_name(field.name()).map(|found| found.data_type().clone());
        Err(FileError::OtherType {
            column: field.name().clone(),
            found: found.unwrap_or(DataType::Null),
            expected: field.data_type().clone(),
            is_declared: self.types != Types::OfAKind,
            schemas: Schemas::new(own, stored),
        })
    }
}

/// `data_type` with plain strings in place of views.
fn plain(data_type: &DataType) -> DataType {
    let field = Arc::new(Field::new("", data_type.clone(), true));
    without_views(&field).data_type().clone()
}

/// Whether values of both types are numbers, or both text, and so on.
fn is_of_a_kind(found: &DataType, wanted: &DataType) -> bool {
    use DataType as T;
    let is_number = |one: &T| one.is_numeric();
    let is_text = |one: &T| matches!(one, T::Utf8 | T::LargeUtf8 | T::Utf8View);
    let is_bytes =
        |one: &T| matches!(one, T::Binary | T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_));
    match (found, wanted) {
        (T::Null, _) | (_, T::Null) => true,
        (T::Dictionary(_, value), other) => is_of_a_kind(value, other),
        (other, T::Dictionary(_, value)) => is_of_a_kind(other, value),
        _ if found == wanted => true,
        _ if is_number(found) => is_number(wanted),
        _ if is_text(found) => is_text(wanted),
        _ if is_bytes(found) => is_bytes(wanted),
        _ if found.is_temporal() => wanted.is_temporal(),
        _ => found.is_nested() && wanted.is_nested(),
    }
}

/// A scan of one file (or of a range of it), of one partition.
pub(super) struct Leaf {
    content: Content,
    /// Rows of a batch.
    batch_rows: usize,
    /// Columns that stand in the file.
    pub(super) file_schema: SchemaRef,
    /// For each needed column, its position in the batches; `None` when the file does
    /// not have it.
    pub(super) positions: Vec<Option<usize>>,
}

/// What reads the file of a leaf.
enum Content {
    /// A plan of one partition.
    Plan(Arc<DataSourceExec>),
    /// A file of JSON.
    Objects(Box<ObjectFile>),
}

/// The file that a leaf scans.
struct Target<'a> {
    engine: &'a Engine,
    format: &'a FileFormat,
    split: &'a FileSplit,
    url: ObjectStoreUrl,
    store: Arc<dyn ObjectStore>,
    meta: ObjectMeta,
}

impl Leaf {
    /// The scan of `split`, or `None` when it holds nothing: an empty text file, or a later range
    /// of a file that can only be read whole.
    pub(super) async fn plan(
        engine: &Engine,
        format: &FileFormat,
        split: &FileSplit,
        request: &LeafRequest<'_>,
    ) -> Result<Option<Self>, Failure> {
        let (url, store) = engine.store(&split.store_url)?;
        let meta = object_meta(split)?;
        let target = Target { engine, format, split, url, store, meta };
        target.plan(request).await.map_err(|error| file_failure(error, format, split, None))
    }

    /// The rows.
    pub(super) async fn batches(&self, engine: &Engine) -> Result<Batches, DataFusionError> {
        match &self.content {
            Content::Plan(plan) => {
                Ok(plan.execute(0, engine.task_context(self.batch_rows))?.boxed())
            }
            Content::Objects(file) => file.batches(self.batch_rows).await,
        }
    }
}

impl Target<'_> {
    async fn plan(&self, request: &LeafRequest<'_>) -> Result<Option<Leaf>, DataFusionError> {
        let is_text = self.format != &FileFormat::Parquet;
        let compression = compression(self.split);
        let can_be_cut = !(is_text && compression.is_compressed());
        if is_text && (self.meta.size == 0 || (!can_be_cut && !is_first(self.split))) {
            return Ok(None);
        }
        let own = Self::own_columns(request);
        match self.format {
            FileFormat::Parquet => self.parquet(own, request).await.map(Some),
            FileFormat::Csv(options) => {
                let own =
                    file_schema(&self.store, &self.meta, (options, compression), &own).await?;
                request.check(&own).map_err(|error| carry(error.into()))?;
                let table = table_schema(&own, request);
                let source =
                    CsvSource::new(table).with_csv_options(csv_options(options, compression));
                self.leaf(Arc::new(source), own, request, (TEXT_BATCH_ROWS, can_be_cut)).map(Some)
            }
            // JSON is read whole, by the first range.
            FileFormat::Json(_) if !is_first(self.split) => Ok(None),
            FileFormat::Json(_) => self.objects(own, request).await.map(Some),
            FileFormat::Text(_) | FileFormat::Binary | FileFormat::Image(_) => {
                Err(DataFusionError::Internal("not a table format".into()))
            }
        }
    }

    /// The needed columns that may stand in the file.
    fn own_columns(request: &LeafRequest<'_>) -> SchemaRef {
        let is_constant =
            |field: &&FieldRef| request.constants.iter().any(|(name, _)| name == field.name());
        let fields = request.needed.fields().iter().filter(|field| !is_constant(field));
        Arc::new(Schema::new(fields.cloned().collect::<Vec<_>>()))
    }

    async fn parquet(
        &self,
        own: SchemaRef,
        request: &LeafRequest<'_>,
    ) -> Result<Leaf, DataFusionError> {
        let footer = footer(self.engine, &self.store, &self.meta).await?;
        let stored = parquet_metadata(self.engine, &self.store, &self.meta).fetch_schema().await?;
        check_names(&stored)
            .and_then(|()| request.check(&stored))
            .map_err(|error| carry(error.into()))?;
        request.check_types(&stored, &own).map_err(|error| carry(error.into()))?;
        let cache = self.engine.runtime().cache_manager.get_file_metadata_cache();
        let table = table_schema(&own, request);
        let readers = CachedParquetFileReaderFactory::new(Arc::clone(&self.store), cache);
        let mut source =
            ParquetSource::new(table.clone()).with_parquet_file_reader_factory(Arc::new(readers));
        if let Some(predicate) = request.predicate {
            let predicate =
                resolve(&relaxed(predicate, table.table_schema()), table.table_schema());
            source = source.with_predicate(predicate.map_err(|error| carry(error.into()))?);
        }
        let rows = self.engine.batch_rows(row_bytes(&footer, &own));
        self.leaf(Arc::new(source), own, request, (rows, true))
    }

    async fn objects(
        &self,
        own: SchemaRef,
        request: &LeafRequest<'_>,
    ) -> Result<Leaf, DataFusionError> {
        let constants = || request.constants.iter();
        let strict = match request.known.is_some() {
            true if request.constants.is_empty() => Some(Vec::new()),
            true => {
                let names: Vec<_> = constants().map(|(name, _)| *name).collect();
                Some(json::passed_over(&self.store, &self.meta, self.split, &names).await?)
            }
            false => None,
        };
        let own = json::with_fractions(&own);
        let positions = Self::positions(&own, request);
        let file = ObjectFile {
            store: Arc::clone(&self.store),
            meta: self.meta.clone(),
            compression: compression(self.split),
            is_array: json::is_array(&self.store, &self.meta, self.split).await?,
            columns: Arc::clone(&own),
            constants: constants()
                .map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned)))
                .collect(),
            strict,
        };
        let content = Content::Objects(Box::new(file));
        Ok(Leaf { content, batch_rows: TEXT_BATCH_ROWS, file_schema: own, positions })
    }

    /// For each needed column, its position among the columns of the file and the constants.
    fn positions(own: &SchemaRef, request: &LeafRequest<'_>) -> Vec<Option<usize>> {
        let table = table_schema(own, request);
        let needed = request.needed.fields().iter();
        needed.map(|field| table.table_schema().index_of(field.name()).ok()).collect()
    }

    fn leaf(
        &self,
        source: Arc<dyn FileSource>,
        own: SchemaRef,
        request: &LeafRequest<'_>,
        (batch_rows, can_be_cut): (usize, bool),
    ) -> Result<Leaf, DataFusionError> {
        let mut file = PartitionedFile::new_from_meta(self.meta.clone());
        if let Some(range) = self.split.range.as_ref().filter(|_| can_be_cut) {
            let bound = |at: u64| i64::try_from(at).unwrap_or(i64::MAX);
            file = file.with_range(bound(range.start), bound(range.end));
        }
        let values = request.constants.iter();
        let values = values.map(|(_, value)| ScalarValue::Utf8(value.map(str::to_owned)));
        let file = file.with_partition_values(values.collect());
        let found = Self::positions(&own, request);
        let config = FileScanConfigBuilder::new(self.url.clone(), source)
            .with_file(file)
            .with_limit(request.limit)
            .with_preserve_order(true)
            .with_file_compression_type(if self.format == &FileFormat::Parquet {
                super::FileCompressionType::UNCOMPRESSED
            } else {
                compression(self.split)
            })
            .with_projection_indices(Some(found.iter().flatten().copied().collect()))?
            .build();
        let mut next = 0..;
        Ok(Leaf {
            content: Content::Plan(DataSourceExec::from_data_source(config)),
            batch_rows,
            file_schema: own,
            positions: found.into_iter().map(|at| at.and_then(|_| next.next())).collect(),
        })
    }
}

/// The columns in the file, then the constants.
fn table_schema(own: &SchemaRef, request: &LeafRequest<'_>) -> TableSchema {
    let constants = request.constants.iter();
    let constants: Vec<FieldRef> =
        constants.map(|(name, _)| Arc::new(Field::new(*name, DataType::Utf8, true))).collect();
    TableSchema::builder(Arc::clone(own)).with_table_partition_cols(constants).build()
}

/// Mean bytes of a row of the columns of `own`, as stored without compression.
fn row_bytes(footer: &ParquetMetaData, own: &Schema) -> usize {
    let wanted = footer.row_groups().iter().flat_map(RowGroupMetaData::columns).filter(|column| {
        let path = column.column_path().parts();
        path.first().is_some_and(|root| own.index_of(root).is_ok())
    });
    let bytes: i64 = wanted.map(ColumnChunkMetaData::uncompressed_size).sum();
    let rows = footer.file_metadata().num_rows().max(1);
    usize::try_from(bytes / rows).unwrap_or(0)
}
