//! Divides rows by the values of partition columns.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch, UInt32Array};
use arrow::compute::{can_cast_types, cast, take_record_batch};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use raceline_types::Failure;

use super::error::WriteError;
use super::fit::is_binary;
use crate::listing::folder_name;

/// The partition columns of a write, and what is left for the files.
#[derive(Debug)]
pub(super) struct Partitions {
    /// Positions and names of the partition columns, outermost first.
    columns: Vec<(usize, String)>,
    /// Positions of the columns that stay in the files.
    kept: Vec<usize>,
    file_schema: SchemaRef,
}

impl Partitions {
    /// Takes `names` out of `schema`.
    ///
    /// # Errors
    /// A name that is no column, a type whose values cannot name folders, no column left.
    pub(super) fn new(schema: &Schema, names: &[String]) -> Result<Self, Failure> {
        let mut columns = Vec::with_capacity(names.len());
        for name in names {
            let position = schema.index_of(name).map_err(|_| WriteError::NoPartitionColumn {
                column: name.clone(),
                known: schema.fields().iter().map(|field| field.name().clone()).collect(),
            })?;
            let data_type = schema.field(position).data_type();
            let names_folders = !data_type.is_nested()
                && !is_binary(data_type)
                && can_cast_types(data_type, &DataType::Utf8);
            if !names_folders {
                return Err(WriteError::PartitionType {
                    column: name.clone(),
                    data_type: data_type.clone(),
                }
                .into());
            }
            columns.push((position, name.clone()));
        }
        let kept: Vec<usize> = (0..schema.fields().len())
            .filter(|at| columns.iter().all(|(position, _)| position != at))
            .collect();
        if kept.is_empty() {
            return Err(WriteError::OnlyPartitions.into());
        }
        let fields: Vec<_> = kept.iter().map(|&at| schema.field(at).clone()).collect();
        let file_schema = Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()));
        Ok(Self { columns, kept, file_schema })
    }

    /// Columns of the files.
    pub(super) fn file_schema(&self) -> &SchemaRef {
        &self.file_schema
    }

    /// The rows of `batch` for each folder (relative, empty without partition columns), in row
    /// order; folders in the order in which they appear.
    pub(super) fn divide(
        &self,
        batch: &RecordBatch,
    ) -> Result<Vec<(String, RecordBatch)>, Failure> {
        let encode = |source: arrow::error::ArrowError| WriteError::Encode {
            format: "hive folders",
            source: Box::new(source),
        };
        let content = batch.project(&self.kept).map_err(encode)?;
        if self.columns.is_empty() {
            return Ok(vec![(String::new(), content)]);
        }
        let mut values = Vec::with_capacity(self.columns.len());
        for (position, name) in &self.columns {
            let text = cast(batch.column(*position), &DataType::Utf8).map_err(encode)?;
            values.push((name, text));
        }
        let mut positions: HashMap<String, usize> = HashMap::new();
        let mut groups: Vec<(String, Vec<u32>)> = Vec::new();
        for (row, index) in (0..batch.num_rows()).zip(0_u32..) {
            let folders: Vec<String> = values
                .iter()
                .map(|(name, text)| {
                    let text = text.as_string::<i32>();
                    folder_name(name, (!text.is_null(row)).then(|| text.value(row)))
                })
                .collect();
            let folder = folders.join("/");
            let group = *positions.entry(folder).or_insert_with_key(|folder| {
                groups.push((folder.clone(), Vec::new()));
                groups.len() - 1
            });
            groups[group].1.push(index);
        }
        groups
            .into_iter()
            .map(|(folder, rows)| {
                let taken =
                    take_record_batch(&content, &UInt32Array::from(rows)).map_err(encode)?;
                Ok((folder, taken))
            })
            .collect()
    }
}
