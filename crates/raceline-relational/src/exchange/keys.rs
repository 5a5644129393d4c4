//! Key columns in the form in which they are equal or not.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::SortOptions;
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::row::{RowConverter, Rows, SortField};
use raceline_types::{Failure, InternalError};

use crate::aggregate::{plain, plain_type};
use crate::error::{RelationalError, check_comparable};
use crate::missing::canonical_key;
use crate::partition::HashPartitioner;

/// Which columns of a schema are keys.
#[derive(Debug)]
pub(super) struct KeyColumns {
    positions: Vec<usize>,
    /// Their names and plain types.
    schema: SchemaRef,
}

impl KeyColumns {
    /// The columns `names` of `schema`.
    pub(super) fn of(schema: &SchemaRef, names: &[String]) -> Result<Self, RelationalError> {
        let mut positions = Vec::with_capacity(names.len());
        let mut fields = Vec::with_capacity(names.len());
        for name in names {
            let position = schema.index_of(name);
            let position = position.map_err(|_| RelationalError::column_not_found(name, schema))?;
            let field = schema.field(position);
            check_comparable(field, "group by")?;
            positions.push(position);
            fields.push(Field::new(name, plain_type(field.data_type()), true));
        }
        Ok(Self { positions, schema: Arc::new(Schema::new(fields)) })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.positions.is_empty()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.schema.fields().iter().map(|field| field.name().as_str())
    }

    /// Tells the partition of rows as [`KeyColumns::of_rows`] has them.
    pub(super) fn partitioner(&self, partitions: usize, level: u32) -> HashPartitioner {
        HashPartitioner::new((0..self.positions.len()).collect(), partitions, level)
    }

    /// The keys of `rows`, where all missing values are null and both zeros are one.
    pub(super) fn of_rows(&self, rows: &RecordBatch) -> Result<RecordBatch, Failure> {
        let fields = self.schema.fields().iter();
        let columns = self.positions.iter().zip(fields).map(|(&at, field)| {
            plain(rows.column(at), field.data_type()).map(|column| canonical_key(&column))
        });
        let columns: Vec<ArrayRef> = columns.collect::<Result<_, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .map_err(|error| InternalError::caused_by("keys do not fit their types", error).into())
    }

    /// The keys of `rows` as bytes that compare as they do, missing ones last.
    pub(super) fn encoded(&self, rows: &RecordBatch) -> Result<Rows, Failure> {
        let options = SortOptions { descending: false, nulls_first: false };
        let fields = self.schema.fields().iter();
        let fields =
            fields.map(|field| SortField::new_with_options(field.data_type().clone(), options));
        let keys = self.of_rows(rows)?;
        let converter = RowConverter::new(fields.collect());
        converter
            .and_then(|converter| converter.convert_columns(keys.columns()))
            .map_err(|error| InternalError::caused_by("keys cannot be compared", error).into())
    }
}
