//! Lists of rows as batches.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, Schema};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyMapping, PyString};
use raceline_types::plain_value_field;

use super::error::ConvertError;
use super::from_cells::column_from_cells;

/// A batch of `rows`, each a mapping of column name to value. Columns are the union of the keys
/// in order of first sight; a missing key is null.
///
/// # Errors
/// [`ConvertError::NotARow`], [`ConvertError::ColumnName`], and when a value that Arrow cannot
/// hold cannot be pickled.
pub(crate) fn rows_to_batch(rows: &Bound<'_, PyList>) -> PyResult<RecordBatch> {
    let mut columns = RowColumns::default();
    columns.extend(rows)?;
    columns.finish(rows.py())
}

/// A batch of a dataset of plain values: one column, marked as such.
///
/// # Errors
/// When a value that Arrow cannot hold cannot be pickled.
pub(crate) fn values_to_batch(values: &Bound<'_, PyList>) -> PyResult<RecordBatch> {
    let name = raceline_types::PLAIN_VALUE_COLUMN;
    let (field, array) = column_from_cells(name, values.iter().collect())?;
    assemble(vec![(plain_value_field(&field), array)], values.len())
}

/// A batch of columns of `rows` rows each.
pub(super) fn assemble(columns: Vec<(Field, ArrayRef)>, rows: usize) -> PyResult<RecordBatch> {
    if columns.iter().any(|(_, array)| array.len() != rows) {
        let lengths = columns.iter().map(|(field, array)| (field.name().clone(), array.len()));
        return Err(ConvertError::UnequalLengths(lengths.collect()).into());
    }
    let (fields, arrays): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)
        .map_err(|error| ConvertError::from(error).into())
}

/// The values of rows that are gone, column by column; see [`rows_to_batch`].
#[derive(Default)]
pub(crate) struct RowColumns {
    rows: usize,
    /// A column that the last rows lacked is shorter, and filled up when it is next seen.
    cells: Vec<(Py<PyString>, Vec<Py<PyAny>>)>,
}

impl RowColumns {
    /// Adds `rows`.
    ///
    /// # Errors
    /// [`ConvertError::NotARow`] and [`ConvertError::ColumnName`].
    pub(crate) fn extend(&mut self, rows: &Bound<'_, PyList>) -> PyResult<()> {
        for row in rows.iter() {
            match row.cast_into_exact::<PyDict>() {
                Ok(row) => self.push(&row)?,
                Err(other) => self.push(&dict_of(self.rows, &other.into_inner())?)?,
            }
        }
        Ok(())
    }

    /// The batch of all rows.
    ///
    /// # Errors
    /// When a value that Arrow cannot hold cannot be pickled.
    pub(crate) fn finish(self, py: Python<'_>) -> PyResult<RecordBatch> {
        let columns = self.cells.into_iter().map(|(name, mut cells)| {
            cells.resize_with(self.rows, || py.None());
            let cells = cells.into_iter().map(|cell| cell.into_bound(py)).collect();
            column_from_cells(name.bind(py).to_str()?, cells)
        });
        assemble(columns.collect::<PyResult<Vec<_>>>()?, self.rows)
    }

    fn push(&mut self, row: &Bound<'_, PyDict>) -> PyResult<()> {
        let py = row.py();
        let mut found = 0;
        for (key, cells) in &mut self.cells {
            if let Some(value) = row.get_item(key.bind(py))? {
                cells.resize_with(self.rows, || py.None());
                cells.push(value.unbind());
                found += 1;
            }
        }
        if found < row.len() {
            self.add_columns(row)?;
        }
        self.rows += 1;
        Ok(())
    }

    fn add_columns(&mut self, row: &Bound<'_, PyDict>) -> PyResult<()> {
        let py = row.py();
        for (key, value) in row {
            let key = column_name(key)?;
            if self.has(&key)? {
                continue;
            }
            let mut cells = Vec::with_capacity(self.rows + 1);
            cells.resize_with(self.rows, || py.None());
            cells.push(value.unbind());
            self.cells.push((key.unbind(), cells));
        }
        Ok(())
    }

    fn has(&self, key: &Bound<'_, PyString>) -> PyResult<bool> {
        for (name, _) in &self.cells {
            if name.bind(key.py()).as_any().eq(key)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// `key` as a column's name.
pub(super) fn column_name(key: Bound<'_, PyAny>) -> PyResult<Bound<'_, PyString>> {
    key.cast_into::<PyString>().map_err(|error| {
        let key = error.into_inner();
        let type_name = key.get_type().name().map_or_else(|_| "?".into(), |name| name.to_string());
        ConvertError::ColumnName { value: key.to_string(), type_name }.into()
    })
}

fn dict_of<'py>(index: usize, row: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
    let Ok(mapping) = row.cast::<PyMapping>() else {
        let type_name = row.get_type().name()?.to_string();
        return Err(ConvertError::NotARow { row: index, type_name }.into());
    };
    let dict = PyDict::new(row.py());
    dict.update(mapping)?;
    Ok(dict)
}
