//! Parquet files whose footers were read, as parts of a table.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::common::{ScalarValue, Statistics};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::Expr;
use raceline_plan::{FileFormat, FileSplit};
use raceline_types::Failure;

use super::fault::file_failure;
use super::infer::{check_names, footer, parquet_metadata};
use super::leaf::{LeafRequest, Types};
use super::reader::constants;
use super::{object_meta, prune};
use crate::engine::Engine;
use crate::error::carry;

/// What the files of one table have in common.
pub(crate) struct TableShape {
    /// The columns that stand in files, with the types they are to have.
    pub(crate) own: SchemaRef,
    /// All columns that a file may have; `None` is any.
    pub(crate) known: Option<SchemaRef>,
    /// How the types of a file's columns may differ.
    pub(crate) types: Types,
    /// Whether a column names each row's file.
    pub(crate) include_paths: bool,
}

/// A file of a table.
pub(crate) struct TableFile {
    split: FileSplit,
    include_paths: bool,
    statistics: Arc<Statistics>,
}

impl TableFile {
    /// Reads the footer of `split`, and checks that the file is one of the table.
    ///
    /// # Errors
    /// [`crate::FileError`] with the file's name.
    pub(crate) async fn open(
        engine: &Engine,
        split: FileSplit,
        shape: &TableShape,
    ) -> Result<Self, Failure> {
        let statistics = Self::check(engine, &split, shape)
            .await
            .map_err(|error| file_failure(error, &FileFormat::Parquet, &split, None))?;
        Ok(Self { split, include_paths: shape.include_paths, statistics: Arc::new(statistics) })
    }

    async fn check(
        engine: &Engine,
        split: &FileSplit,
        shape: &TableShape,
    ) -> Result<Statistics, DataFusionError> {
        let (_, store) = engine.store(&split.store_url).map_err(carry)?;
        let meta = object_meta(split).map_err(carry)?;
        let footer = footer(engine, &store, &meta).await?;
        let stored = parquet_metadata(engine, &store, &meta).fetch_schema().await?;
        let request = LeafRequest {
            needed: &shape.own,
            predicate: None,
            constants: constants(split, shape.include_paths),
            limit: None,
            known: shape.known.as_ref(),
            types: shape.types,
        };
        check_names(&stored)
            .and_then(|()| request.check(&stored))
            .and_then(|()| request.check_types(&stored, &shape.own))
            .map_err(|error| carry(error.into()))?;
        DFParquetMetadata::statistics_from_parquet_metadata(&footer, &shape.own)
    }

    /// Whether one of `filters` rules the file out by its folders or its path.
    pub(crate) fn is_out(&self, filters: &[Expr]) -> Result<bool, Failure> {
        for filter in filters {
            if prune::rules_out(filter, &self.split, self.include_paths)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The file as plans scan it, with what is known of its columns.
    pub(crate) fn scanned(&self) -> Result<PartitionedFile, Failure> {
        let values: Vec<ScalarValue> = constants(&self.split, self.include_paths)
            .into_iter()
            .map(|(_, value)| ScalarValue::Utf8(value.map(str::to_owned)))
            .collect();
        let has_null = values.iter().any(ScalarValue::is_null);
        let meta = object_meta(&self.split)?;
        let file = PartitionedFile::new_from_meta(meta).with_partition_values(values);
        // Statistics would say of a folder that stands for null that it does not.
        Ok(if has_null { file } else { file.with_statistics(Arc::clone(&self.statistics)) })
    }
}
