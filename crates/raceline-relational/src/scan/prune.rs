//! Files that a predicate rules out by their folders.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::utils::split_conjunction;
use raceline_plan::FileSplit;
use raceline_types::{Failure, InternalError};

use super::reader::constants;
use crate::filter::RowFilter;

/// Whether the conditions of `predicate` that look only at partition columns and `path` rule the
/// file of `split` out.
pub(super) fn rules_out(
    predicate: &Expr,
    split: &FileSplit,
    include_paths: bool,
) -> Result<bool, Failure> {
    let constants = constants(split, include_paths);
    let mut conditions = split_conjunction(predicate).into_iter().filter(|condition| {
        let columns = condition.column_refs();
        !columns.is_empty()
            && columns.iter().all(|column| constants.iter().any(|(name, _)| *name == column.name))
    });
    let Some(first) = conditions.next() else { return Ok(false) };
    let condition = conditions.fold(first.clone(), |all, one| all.and(one.clone()));
    let fields: Vec<_> =
        constants.iter().map(|(name, _)| Field::new(*name, DataType::Utf8, true)).collect();
    let values = constants
        .iter()
        .map(|(_, value)| Arc::new(StringArray::from(vec![*value])) as ArrayRef)
        .collect();
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    let row = RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), values, &options)
        .map_err(|error| InternalError::caused_by("partition values", error))?;
    // A condition that fails does so for the rows that the others leave, if there are any.
    Ok(RowFilter::new(condition).apply(&row).is_ok_and(|kept| kept.num_rows() == 0))
}
