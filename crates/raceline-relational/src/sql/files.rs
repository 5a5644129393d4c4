//! Parquet files as a table of `DataFusion`.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Statistics;
use datafusion::common::stats::Precision;
use datafusion::datasource::TableType;
use datafusion::datasource::file_format::FileFormat as _;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::DataFusionError;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use futures::{StreamExt, TryStreamExt, stream};
use raceline_plan::{FileScan, FileSplit};
use raceline_types::Failure;

use crate::engine::Engine;
use crate::error::{RelationalError, carry};
use crate::scan::{TableFile, TableShape, Types, constants};

/// Footers that are read at once.
const FOOTERS_AT_ONCE: usize = 16;

/// Parquet files that a plan scans itself: row groups and pages that cannot match are skipped,
/// also by what the plan learns while it runs, and joins know how large the files are.
///
/// Columns are those of the scan, strings as views. Files are checked as [`crate::FileReader`]
/// checks them, all of them before the first is read.
pub struct FileTable {
    url: ObjectStoreUrl,
    /// Columns that stand in files, then those of the folders.
    table: TableSchema,
    /// Positions of the scan's columns in the table's.
    chosen: Vec<usize>,
    schema: SchemaRef,
    files: Vec<TableFile>,
}

impl FileTable {
    /// The table of `files`, all of one store, which together have the columns of `schema` (as
    /// [`crate::infer_schema`] gives them). Reads the footer of each.
    ///
    /// # Errors
    /// [`crate::FileError`] with the name of the first file that is not what the scan says, and
    /// [`RelationalError::ColumnNotFound`] when the scan names a column that there is not.
    pub async fn open(
        engine: &Engine,
        scan: &FileScan,
        files: Vec<FileSplit>,
        schema: &SchemaRef,
    ) -> Result<Self, Failure> {
        let url = match files.first() {
            Some(first) => engine.store(&first.store_url)?.0,
            None => ObjectStoreUrl::local_filesystem(),
        };
        let table = table_schema(files.first(), scan, schema);
        let all = table.table_schema();
        let names: Vec<&str> = match &scan.request.projection {
            Some(names) => names.iter().map(String::as_str).collect(),
            None => schema.fields().iter().map(|field| field.name().as_str()).collect(),
        };
        let position =
            |name| all.index_of(name).map_err(|_| RelationalError::column_not_found(name, schema));
        let chosen = names.into_iter().map(position).collect::<Result<Vec<_>, _>>()?;
        let fields: Vec<_> = chosen.iter().map(|&at| Arc::clone(&all.fields()[at])).collect();
        let may_lose = scan.request.projection.is_some() || scan.schema.is_some();
        let is_strict = scan.is_strict || !may_lose;
        let shape = TableShape {
            own: Arc::clone(table.file_schema()),
            known: is_strict.then(|| Arc::clone(schema)),
            types: Types::of(scan),
            include_paths: scan.include_paths,
        };
        let opened = files.into_iter().map(|file| TableFile::open(engine, file, &shape));
        let files = stream::iter(opened).buffered(FOOTERS_AT_ONCE).try_collect().await?;
        Ok(Self { url, table, chosen, schema: Arc::new(Schema::new(fields)), files })
    }

    /// Mean bytes of a row of the columns at `positions` of the schema; all when `None`.
    pub(super) fn row_bytes(&self, positions: Option<&[usize]>) -> Result<usize, Failure> {
        let files: Vec<_> = self.files.iter().map(TableFile::scanned).collect::<Result<_, _>>()?;
        let Ok(statistics) = self.statistics(&files) else { return Ok(0) };
        let all: Vec<usize> = (0..self.chosen.len()).collect();
        let bytes: usize = positions
            .unwrap_or(&all)
            .iter()
            .filter_map(|&at| statistics.column_statistics.get(*self.chosen.get(at)?))
            .filter_map(|column| column.byte_size.get_value())
            .sum();
        Ok(match statistics.num_rows {
            Precision::Exact(rows) | Precision::Inexact(rows) => bytes / rows.max(1),
            Precision::Absent => 0,
        })
    }

    /// What is known of all of `files` together.
    fn statistics(&self, files: &[PartitionedFile]) -> Result<Statistics, DataFusionError> {
        let schema = self.table.table_schema();
        let known: Option<Vec<&Statistics>> =
            files.iter().map(|file| file.statistics.as_deref()).collect();
        match known {
            Some(known) => Statistics::try_merge_iter(known, schema),
            None => Ok(Statistics::new_unknown(schema)),
        }
    }
}

#[async_trait]
impl TableProvider for FileTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>, DataFusionError> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        let columns: Vec<usize> = match projection {
            Some(positions) => positions.iter().map(|&at| self.chosen[at]).collect(),
            None => self.chosen.clone(),
        };
        let mut files = Vec::with_capacity(self.files.len());
        for file in &self.files {
            if !file.is_out(filters).map_err(carry)? {
                files.push(file.scanned().map_err(carry)?);
            }
        }
        if files.is_empty() {
            let schema = self.table.table_schema().project(&columns)?;
            return Ok(Arc::new(EmptyExec::new(Arc::new(schema))));
        }
        let statistics = self.statistics(&files)?;
        let options = state.default_table_options().parquet;
        let format = ParquetFormat::default().with_options(options);
        let groups = FileGroup::new(files).split_files(state.config().target_partitions());
        let source = format.file_source(self.table.clone());
        let config = FileScanConfigBuilder::new(self.url.clone(), source)
            .with_file_groups(groups)
            .with_statistics(statistics)
            .with_limit(limit.filter(|_| filters.is_empty()))
            .with_projection_indices(Some(columns))?
            .build();
        format.create_physical_plan(state, config).await
    }
}

impl fmt::Debug for FileTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileTable")
            .field("schema", &self.schema)
            .field("files", &self.files.len())
            .finish_non_exhaustive()
    }
}

/// The columns of `schema` that stand in files, as scans give them, and behind them those that
/// are the same for a whole file.
fn table_schema(first: Option<&FileSplit>, scan: &FileScan, schema: &SchemaRef) -> TableSchema {
    let constants = first.map(|first| constants(first, scan.include_paths)).unwrap_or_default();
    let is_constant = |field: &&FieldRef| constants.iter().any(|(name, _)| name == field.name());
    let own: Vec<FieldRef> =
        schema.fields().iter().filter(|field| !is_constant(field)).map(as_view).collect();
    let folders: Vec<FieldRef> = constants
        .iter()
        .map(|(name, _)| Arc::new(Field::new(*name, DataType::Utf8, true)))
        .collect();
    TableSchema::builder(Arc::new(Schema::new(own))).with_table_partition_cols(folders).build()
}

/// `field` with strings and bytes as views.
fn as_view(field: &FieldRef) -> FieldRef {
    let data_type = match field.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
        DataType::Binary | DataType::LargeBinary => DataType::BinaryView,
        _ => return Arc::clone(field),
    };
    Arc::new(Field::clone(field).with_data_type(data_type))
}
