//! The columns of a file scan: content, partitions, `path`.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use raceline_plan::FileSplit;
use raceline_types::{Failure, InternalError};

use super::error::ReadError;
use crate::listing::HIVE_NULL;

/// Name of the column that names each row's file.
const PATH_COLUMN: &str = "path";

#[derive(Clone, Debug, PartialEq, Eq)]
enum Origin {
    Content,
    Partition(Arc<str>),
    Path,
}

/// The columns that a reader puts out, and where each comes from.
#[derive(Clone, Debug)]
pub struct FileColumns {
    schema: SchemaRef,
    origins: Vec<Origin>,
}

impl FileColumns {
    /// Columns of a scan whose files hold one column `content`: it, then the partition columns
    /// (utf8, nullable), then `path` (utf8) when `include_paths`. With a projection: those of
    /// them that it names, in its order.
    ///
    /// # Errors
    /// [`ReadError::ColumnTwice`] when a folder names a column that there is already;
    /// [`ReadError::ColumnNotFound`] when the projection names one that there is not.
    pub fn new(
        content: Field,
        partition_columns: &[Arc<str>],
        include_paths: bool,
        projection: Option<&[String]>,
    ) -> Result<Self, ReadError> {
        let mut all = vec![(content, Origin::Content)];
        for column in partition_columns {
            let field = Field::new(column.as_ref(), DataType::Utf8, true);
            all.push((field, Origin::Partition(Arc::clone(column))));
        }
        if include_paths {
            all.push((Field::new(PATH_COLUMN, DataType::Utf8, false), Origin::Path));
        }
        for (at, (field, _)) in all.iter().enumerate() {
            if all[..at].iter().any(|(earlier, _)| earlier.name() == field.name()) {
                return Err(ReadError::ColumnTwice { column: field.name().clone() });
            }
        }
        let kept = match projection {
            None => all,
            Some(columns) => columns
                .iter()
                .map(|column| {
                    let found = all.iter().find(|(field, _)| field.name() == column);
                    found.cloned().ok_or_else(|| ReadError::ColumnNotFound {
                        column: column.clone(),
                        known: all.iter().map(|(field, _)| field.name().clone()).collect(),
                    })
                })
                .collect::<Result<_, _>>()?,
        };
        let (fields, origins): (Vec<Field>, Vec<Origin>) = kept.into_iter().unzip();
        Ok(Self { schema: Arc::new(Schema::new(fields)), origins })
    }

    /// Schema of every batch.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Whether the files have to be read at all.
    pub(super) fn wants_content(&self) -> bool {
        self.origins.contains(&Origin::Content)
    }

    /// Bytes of a row of `file` without its content: offsets, folders, `path`.
    pub(super) fn row_bytes(&self, file: &FileSplit) -> usize {
        let value = |origin: &Origin| match origin {
            Origin::Content => 0,
            Origin::Partition(column) => partition_value(file, column).map_or(0, str::len),
            Origin::Path => path_of(file).len(),
        };
        self.origins.iter().map(|origin| size_of::<i32>() + value(origin)).sum()
    }

    /// The batch of `content`, whose rows come from `runs` (files and their numbers of rows, in
    /// row order). `content` is not asked for unless it is wanted.
    pub(super) fn batch(
        &self,
        content: impl Fn() -> ArrayRef,
        runs: &[(&FileSplit, usize)],
    ) -> Result<RecordBatch, Failure> {
        let columns = self.origins.iter().map(|origin| match origin {
            Origin::Content => content(),
            Origin::Partition(column) => repeat(runs, |file| partition_value(file, column)),
            Origin::Path => repeat(runs, |file| Some(path_of(file))),
        });
        let rows = runs.iter().map(|(_, rows)| rows).sum();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns.collect(), &options)
            .map_err(|error| {
                InternalError::caused_by("a reader's columns do not fit", error).into()
            })
    }
}

/// The value of the `path` column: the URI without its scheme.
fn path_of(file: &FileSplit) -> &str {
    file.uri.split_once("://").map_or(&*file.uri, |(_, path)| path)
}

/// The value of the partition column `column`.
fn partition_value<'a>(file: &'a FileSplit, column: &str) -> Option<&'a str> {
    let mut values = file.partition_values.iter();
    let value = values.find(|(name, _)| &**name == column).map(|(_, value)| &**value);
    value.filter(|value| *value != HIVE_NULL)
}

fn repeat<'a>(
    runs: &[(&'a FileSplit, usize)],
    value: impl Fn(&'a FileSplit) -> Option<&'a str>,
) -> ArrayRef {
    let mut builder = StringBuilder::new();
    for &(file, rows) in runs {
        let value = value(file);
        for _ in 0..rows {
            builder.append_option(value);
        }
    }
    Arc::new(builder.finish())
}
