//! Divides rows by the values of partition columns.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch, StringArray, UInt32Array};
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
        let mut groups = Groups::one(batch.num_rows());
        let mut values = Vec::with_capacity(self.columns.len());
        for (position, name) in &self.columns {
            let text = cast(batch.column(*position), &DataType::Utf8).map_err(encode)?;
            groups.part_by(text.as_string());
            values.push((name, text));
        }
        let divided = groups.rows().into_iter().map(|rows| {
            let first = rows[0] as usize;
            let folders = values.iter().map(|(name, text)| {
                let text = text.as_string::<i32>();
                folder_name(name, text.is_valid(first).then(|| text.value(first)))
            });
            let folder = folders.collect::<Vec<_>>().join("/");
            if rows.len() == content.num_rows() {
                return Ok((folder, content.clone()));
            }
            let taken = take_record_batch(&content, &UInt32Array::from(rows)).map_err(encode)?;
            Ok((folder, taken))
        });
        divided.collect()
    }
}

/// Rows by their values: equal ones are in the same group. Groups are numbered in the order in
/// which they appear.
#[derive(Debug)]
struct Groups {
    of_rows: Vec<u32>,
    count: u32,
}

impl Groups {
    /// All rows in one group.
    fn one(rows: usize) -> Self {
        Self { of_rows: vec![0; rows], count: u32::from(rows > 0) }
    }

    /// Parts the groups by a column of theirs. Null and no text are the same folder.
    fn part_by(&mut self, column: &StringArray) {
        let mut known: HashMap<(u32, &str), u32> = HashMap::new();
        let mut last = None;
        for (row, group) in self.of_rows.iter_mut().enumerate() {
            let value = if column.is_valid(row) { column.value(row) } else { "" };
            let key = (*group, value);
            // Rows of one folder often come one behind the other.
            *group = match last {
                Some((last, group)) if last == key => group,
                _ => {
                    let next = u32::try_from(known.len()).unwrap_or(u32::MAX);
                    *known.entry(key).or_insert(next)
                }
            };
            last = Some((key, *group));
        }
        self.count = u32::try_from(known.len()).unwrap_or(u32::MAX);
    }

    /// The rows of each group, in their order.
    fn rows(&self) -> Vec<Vec<u32>> {
        let mut rows = vec![Vec::new(); self.count as usize];
        for (row, &group) in (0..).zip(&self.of_rows) {
            rows[group as usize].push(row);
        }
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_parted_by_all_columns_in_the_order_in_which_they_appear() {
        let mut groups = Groups::one(6);
        groups.part_by(&StringArray::from(vec![
            Some("a"),
            Some("b"),
            None,
            Some("a"),
            None,
            Some(""),
        ]));
        assert_eq!(groups.rows(), [vec![0, 3], vec![1], vec![2, 4, 5]]);
        groups.part_by(&StringArray::from(vec!["x", "x", "x", "y", "x", "y"]));
        assert_eq!(groups.rows(), [vec![0], vec![1], vec![2, 4], vec![3], vec![5]]);
        assert!(Groups::one(0).rows().is_empty());
    }
}
