//! The least and the greatest values of a Parquet file, from its footer.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, RecordBatch};
use arrow::compute::concat;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::error::Result;
use datafusion::parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use datafusion::parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use datafusion::parquet::file::statistics::Statistics;

use crate::missing::canonical_key;

/// Rows that have the least and the greatest value of each column of `wanted`, missing values apart,
/// in the row groups of a file that start in `range`. A value of one column stands beside any of
/// another. `None` where the footer does not tell all of them exactly: the file is to be read.
///
/// Of floats a footer leaves out NaN (Apache Parquet, `ColumnOrder` in `parquet.thrift`), which is a
/// missing value here.
pub(super) fn bounds(
    footer: &ParquetMetaData,
    stored: &Schema,
    wanted: &SchemaRef,
    range: Option<&Range<u64>>,
) -> Result<Option<RecordBatch>> {
    let groups: Vec<&RowGroupMetaData> =
        groups_within(footer, range).filter(|group| group.num_rows() > 0).collect();
    if wanted.fields().is_empty() {
        return Ok(None);
    }
    let mut columns = Vec::with_capacity(wanted.fields().len());
    for field in wanted.fields() {
        let same = stored.field_with_name(field.name()).ok();
        let same = same.filter(|own| own.data_type() == field.data_type());
        if same.is_none() || !is_told_exactly(field.data_type()) {
            return Ok(None);
        }
        let schema = footer.file_metadata().schema_descr();
        let column = StatisticsConverter::try_new(field.name(), stored, schema)?;
        match bounds_of(&column.with_missing_null_counts_as_zero(false), &groups)? {
            Some(bounds) => columns.push(bounds),
            None => return Ok(None),
        }
    }
    Ok(Some(RecordBatch::try_new(Arc::clone(wanted), columns)?))
}

/// The row groups that start in `range`, as `DataFusion` chooses them.
pub(super) fn groups_within<'a>(
    footer: &'a ParquetMetaData,
    range: Option<&'a Range<u64>>,
) -> impl Iterator<Item = &'a RowGroupMetaData> {
    let starts_within = move |group: &&RowGroupMetaData| {
        let Some(range) = range else { return true };
        let column = group.column(0);
        let start = column.dictionary_page_offset().unwrap_or_else(|| column.data_page_offset());
        u64::try_from(start).is_ok_and(|start| range.contains(&start))
    };
    footer.row_groups().iter().filter(starts_within)
}

/// Whether footers have values of a type whole, in an order that all writers agree on.
fn is_told_exactly(data_type: &DataType) -> bool {
    use DataType as T;
    data_type.is_integer()
        || matches!(data_type, T::Float32 | T::Float64 | T::Date32 | T::Timestamp(..))
}

/// The least values of `groups`, then the greatest.
fn bounds_of(
    column: &StatisticsConverter<'_>,
    groups: &[&RowGroupMetaData],
) -> Result<Option<ArrayRef>> {
    let Some(at) = column.parquet_column_index() else { return Ok(None) };
    let is_old = |group: &&RowGroupMetaData| {
        group.column(at).statistics().is_some_and(Statistics::is_min_max_deprecated)
    };
    if groups.iter().any(is_old) {
        return Ok(None);
    }
    let all = || groups.iter().copied();
    let (least, greatest) = (column.row_group_mins(all())?, column.row_group_maxes(all())?);
    let missing = column.row_group_null_counts(all())?;
    for (at, group) in groups.iter().enumerate() {
        let has_both = least.is_valid(at) && greatest.is_valid(at);
        let is_all_missing = missing.is_valid(at) && missing.value(at) == group_rows(group);
        if !has_both && !is_all_missing {
            return Ok(None);
        }
    }
    let bounds = concat(&[&least, &greatest])?;
    // Writers give every zero that is a bound a sign. If one kept NaN after all, who knows what it
    // compared with that.
    let signless = canonical_key(&bounds);
    Ok((signless.null_count() == bounds.null_count()).then_some(signless))
}

fn group_rows(group: &RowGroupMetaData) -> u64 {
    u64::try_from(group.num_rows()).unwrap_or(0)
}
