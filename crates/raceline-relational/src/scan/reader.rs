//! The reader of the splits of a table scan.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::Expr;
use futures::StreamExt;
use raceline_exec::{Emit, SplitReader};
use raceline_plan::{FileFormat, FileScan, FileSplit};
use raceline_types::{Batch, Failure, InternalError, Span, Split};

use super::bounds::bounds;
use super::csv::{empty_text, lines_before};
use super::fault::{Position, file_failure};
use super::infer::{footer, parquet_metadata};
use super::leaf::{Leaf, LeafRequest, Types};
use super::{PATH_COLUMN, json, object_meta, prune};
use crate::engine::Engine;
use crate::error::{FileError, RelationalError};
use crate::filter::RowFilter;
use crate::resolve::check_columns;

/// The folder name that stands for a null partition value.
const HIVE_NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// Reads Parquet, CSV and JSON files.
///
/// Does all of a [`raceline_plan::ScanRequest`] exactly: the projection in its order, the
/// predicate row by row (null drops the row), the limit within one split. Row groups and pages
/// that the predicate rules out are skipped, and files that it rules out by their folders are not
/// opened. Where only bounds are asked for, they are those of footers as far as these have them. Columns that a file lacks are null; columns and keys of a file that the schema lacks are
/// an error, unless the request projects or the user declared them. Rows come in file
/// order; the spans count the rows that are left. The payload of a split is a `Vec<FileSplit>`.
pub struct FileReader {
    engine: Arc<Engine>,
    format: FileFormat,
    include_paths: bool,
    /// Columns of the output and of the predicate, in the order of the table.
    needed: SchemaRef,
    output: SchemaRef,
    /// Positions of the output columns in `needed`.
    projection: Vec<usize>,
    predicate: Option<Expr>,
    filter: Option<RowFilter>,
    limit: Option<u64>,
    only_bounds: bool,
    /// All columns that a file may have; `None` is any.
    known: Option<SchemaRef>,
    types: Types,
}

impl FileReader {
    /// A reader of `scan`, whose files together have the columns of `schema` (as
    /// [`crate::infer_schema`] gives them: partition columns and `path` included).
    ///
    /// # Errors
    /// [`RelationalError::ColumnNotFound`] when the request names a column that `schema` lacks.
    pub fn new(engine: Arc<Engine>, scan: &FileScan, schema: SchemaRef) -> Result<Self, Failure> {
        let schema = with_path(schema, scan.include_paths);
        let request = &scan.request;
        let named = request.projection.iter().flatten().map(|name| {
            let found = schema.index_of(name);
            found.map_err(|_| RelationalError::column_not_found(name, &schema))
        });
        let mut chosen: Vec<usize> = named.collect::<Result<_, _>>()?;
        if let Some(wanted) = &request.wanted {
            chosen.extend(wanted.iter().filter_map(|name| schema.index_of(name).ok()));
            chosen.sort_unstable();
            chosen.dedup();
        } else if request.projection.is_none() {
            chosen = (0..schema.fields().len()).collect();
        }
        let mut needed = chosen.clone();
        if let Some(predicate) = &request.predicate {
            check_columns(predicate, &schema)?;
            let columns = predicate.column_refs();
            needed.extend(columns.iter().filter_map(|column| schema.index_of(&column.name).ok()));
        }
        needed.sort_unstable();
        needed.dedup();
        let pick = |positions: &[usize]| {
            let fields = positions.iter().map(|&at| Arc::clone(&schema.fields()[at]));
            Arc::new(Schema::new(fields.collect::<Vec<FieldRef>>()))
        };
        let projection = chosen.iter().filter_map(|at| needed.binary_search(at).ok()).collect();
        let names_all = request.projection.is_some() && request.wanted.is_none();
        let is_strict = scan.is_strict || (!names_all && scan.schema.is_none());
        Ok(Self {
            engine,
            format: scan.format.clone(),
            include_paths: scan.include_paths,
            needed: pick(&needed),
            output: pick(&chosen),
            projection,
            predicate: request.predicate.clone(),
            filter: request.predicate.clone().map(RowFilter::new),
            limit: request.limit,
            only_bounds: request.only_bounds,
            known: is_strict.then_some(schema),
            types: Types::of(scan),
        })
    }

    /// Schema of what is read.
    #[must_use]
    pub fn output_schema(&self) -> SchemaRef {
        Arc::clone(&self.output)
    }

    /// Whether the predicate rules a file out by its folders (or its path), so that it need not
    /// be opened.
    ///
    /// # Errors
    /// When the predicate fails on the folders' values.
    pub fn prunes(&self, split: &FileSplit) -> Result<bool, Failure> {
        match &self.predicate {
            Some(predicate) => prune::rules_out(predicate, split, self.include_paths),
            None => Ok(false),
        }
    }

    /// The plan that scans one file.
    pub(super) async fn leaf(&self, file: &FileSplit) -> Result<Option<Leaf>, Failure> {
        let limit = self.limit.filter(|_| self.predicate.is_none());
        let request = LeafRequest {
            needed: &self.needed,
            predicate: self.predicate.as_ref(),
            constants: constants(file, self.include_paths),
            limit: limit.and_then(|rows| usize::try_from(rows).ok()),
            known: self.known.as_ref(),
            types: self.types,
        };
        Leaf::plan(&self.engine, &self.format, file, &request).await
    }

    /// Emits the rows of one file, the first `progress.rows` of the split being out already.
    async fn read_file(
        &self,
        file: &FileSplit,
        progress: &mut Progress,
        out: &mut dyn Emit,
    ) -> Result<(), Failure> {
        if self.prunes(file)? {
            return Ok(());
        }
        let Some(leaf) = self.leaf(file).await? else { return Ok(()) };
        if let Some(bounds) = self.bounds(file).await? {
            return progress.emit(bounds, out).await;
        }
        let mut batches = leaf
            .batches(&self.engine)
            .await
            .map_err(|error| file_failure(error, &self.format, file, None))?;
        while let Some(batch) = batches.next().await {
            let batch = match batch {
                Ok(batch) => batch,
                Err(error) => return Err(self.located(error, file, &leaf).await),
            };
            let kept = self.finish(&batch, &leaf).map_err(|failure| failure.at_uri(&file.uri))?;
            let left = self.limit.map_or(u64::MAX, |limit| limit - progress.rows);
            let rows =
                usize::try_from(left).map_or(kept.num_rows(), |left| left.min(kept.num_rows()));
            if rows > 0 {
                progress.emit(kept.slice(0, rows), out).await?;
            }
            if self.limit == Some(progress.rows) {
                break;
            }
        }
        Ok(())
    }

    /// What is asked for of `file`, where only bounds are and its footer tells them.
    async fn bounds(&self, file: &FileSplit) -> Result<Option<RecordBatch>, Failure> {
        if !self.only_bounds || self.format != FileFormat::Parquet {
            return Ok(None);
        }
        let (_, store) = self.engine.store(&file.store_url)?;
        let meta = object_meta(file)?;
        let told = async {
            let footer = footer(&self.engine, &store, &meta).await?;
            let stored = parquet_metadata(&self.engine, &store, &meta).fetch_schema().await?;
            bounds(&footer, &stored, &self.output, file.range.as_ref())
        };
        told.await.map_err(|error| file_failure(error, &self.format, file, None))
    }

    /// `error`, which came up in the rows of `file`, with line and column where it tells them;
    /// or the fault of the store, when the lines cannot be counted.
    async fn located(&self, error: DataFusionError, file: &FileSplit, leaf: &Leaf) -> Failure {
        match self.lines_before(file).await {
            Ok(lines_before) => {
                let position = Position { columns: &leaf.file_schema, lines_before };
                file_failure(error, &self.format, file, Some(&position))
            }
            Err(failure) => failure,
        }
    }

    /// Lines of `file` before its range; only CSV counts them.
    async fn lines_before(&self, file: &FileSplit) -> Result<u64, Failure> {
        let (FileFormat::Csv(_), Some(range)) = (&self.format, &file.range) else { return Ok(0) };
        let (_, store) = self.engine.store(&file.store_url)?;
        lines_before(&store, &object_meta(file)?, range.start)
            .await
            .map_err(|error| file_failure(error, &self.format, file, None))
    }

    /// The output rows of a batch of `leaf`.
    fn finish(&self, batch: &RecordBatch, leaf: &Leaf) -> Result<RecordBatch, Failure> {
        let is_csv = matches!(self.format, FileFormat::Csv(_));
        let columns = leaf.positions.iter().zip(self.needed.fields()).map(|(position, field)| {
            let Some(position) = *position else {
                return Ok(new_null_array(field.data_type(), batch.num_rows()));
            };
            let is_own = leaf.file_schema.index_of(field.name()).is_ok();
            let column = match &self.format {
                FileFormat::Json(_) if is_own => {
                    json::without_fractions(batch.column(position), field.data_type()).map_err(
                        |error| {
                            let error = FileError::Cast { source: Box::new(error.into()) };
                            Failure::from(error).at_column(field.name())
                        },
                    )?
                }
                _ => fitted(batch.column(position), field)?,
            };
            Ok(if is_csv && is_own { empty_text(&column) } else { column })
        });
        let columns = columns.collect::<Result<Vec<_>, Failure>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let internal = |error| {
            Failure::from(InternalError::caused_by("a scan does not fit its schema", error))
        };
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.needed), columns, &options)
            .map_err(internal)?;
        let kept = match &self.filter {
            Some(filter) => filter.apply(&batch)?,
            None => batch,
        };
        kept.project(&self.projection).map_err(internal)
    }
}

#[async_trait]
impl SplitReader for FileReader {
    async fn read(&self, split: &Split, out: &mut dyn Emit) -> Result<(), Failure> {
        let files = split
            .payload
            .downcast_ref::<Vec<FileSplit>>()
            .ok_or_else(|| InternalError::new("a table reader got a split of another source"))?;
        // The schema goes on even when no row does.
        let empty = RecordBatch::new_empty(Arc::clone(&self.output));
        out.emit(Batch::without_origin(empty)).await?;
        let mut progress = Progress { split: split.clone(), rows: 0 };
        for file in files {
            if self.limit == Some(progress.rows) {
                break;
            }
            Box::pin(self.read_file(file, &mut progress, out)).await?;
        }
        Ok(())
    }
}

impl fmt::Debug for FileReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileReader")
            .field("format", &self.format)
            .field("output", &self.output)
            .finish_non_exhaustive()
    }
}

/// How far a split was read.
struct Progress {
    split: Split,
    rows: u64,
}

impl Progress {
    async fn emit(&mut self, data: RecordBatch, out: &mut dyn Emit) -> Result<(), Failure> {
        let rows = data.num_rows() as u64;
        let span = Span { split: self.split.id, first_row: self.rows, rows };
        self.rows += rows;
        out.emit(Batch::new(data, vec![span])).await
    }
}

/// The columns that are the same for a whole file, with their values.
pub(crate) fn constants(split: &FileSplit, include_paths: bool) -> Vec<(&str, Option<&str>)> {
    let value = |value: &str| value != HIVE_NULL;
    let folders = split
        .partition_values
        .iter()
        .map(|(name, text)| (name.as_ref(), Some(text.as_ref()).filter(|text: &&str| value(text))));
    let path = include_paths.then_some((PATH_COLUMN, Some(split.uri.as_ref())));
    folders.chain(path).collect()
}

/// `schema` with the column `path` when it is asked for.
fn with_path(schema: SchemaRef, include_paths: bool) -> SchemaRef {
    if !include_paths || schema.index_of(PATH_COLUMN).is_ok() {
        return schema;
    }
    let path = Arc::new(Field::new(PATH_COLUMN, DataType::Utf8, true));
    Arc::new(Schema::new(schema.fields().iter().cloned().chain([path]).collect::<Vec<_>>()))
}

/// `column` with exactly the type of `field`.
fn fitted(column: &ArrayRef, field: &Field) -> Result<ArrayRef, Failure> {
    if column.data_type() == field.data_type() {
        return Ok(Arc::clone(column));
    }
    arrow::compute::cast(column, field.data_type()).map_err(|error| {
        let source = Box::new(DataFusionError::from(error));
        let expr = format!("cast of `{}` to {}", field.name(), field.data_type());
        Failure::from(RelationalError::Evaluate { expr, source }).at_column(field.name())
    })
}
