//! Lists of rows as batches.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, Schema};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyMapping, PyString, PyTuple};
use raceline_types::plain_value_field;

use super::error::ConvertError;
use super::values::Values;

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
pub(crate) fn values_to_batch(py: Python<'_>, values: Values) -> PyResult<RecordBatch> {
    let (field, array) = values.into_column(py, raceline_types::PLAIN_VALUE_COLUMN)?;
    let rows = array.len();
    assemble(vec![(plain_value_field(&field), array)], rows)
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
    cells: Vec<(Py<PyString>, Values)>,
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

    /// Adds rows that all have the columns `names` and no others: the values of each, of which
    /// there are as many.
    ///
    /// # Errors
    /// [`ConvertError::ColumnName`], and [`ConvertError::UnequalLengths`].
    pub(crate) fn extend_columns(
        &mut self,
        names: &Bound<'_, PyTuple>,
        columns: Vec<Bound<'_, PyList>>,
    ) -> PyResult<()> {
        let rows = columns.first().map_or(0, PyListMethods::len);
        if columns.len() != names.len() || columns.iter().any(|values| values.len() != rows) {
            let lengths = names.iter().zip(&columns);
            let lengths = lengths.map(|(name, values)| (name.to_string(), values.len()));
            return Err(ConvertError::UnequalLengths(lengths.collect()).into());
        }
        for (name, values) in names.iter().zip(columns) {
            let name = column_name(name)?;
            let before = self.rows;
            let cells = match self.position(&name)? {
                Some(index) => &mut self.cells[index].1,
                None => self.add(name)?,
            };
            cells.fill(values.py(), before)?;
            cells.extend(&values)?;
        }
        self.rows += rows;
        Ok(())
    }

    /// The batch of all rows.
    ///
    /// # Errors
    /// When a value that Arrow cannot hold cannot be pickled.
    pub(crate) fn finish(self, py: Python<'_>) -> PyResult<RecordBatch> {
        let columns = self.cells.into_iter().map(|(name, mut cells)| {
            cells.fill(py, self.rows)?;
            cells.into_column(py, name.bind(py).to_str()?)
        });
        assemble(columns.collect::<PyResult<Vec<_>>>()?, self.rows)
    }

    fn push(&mut self, row: &Bound<'_, PyDict>) -> PyResult<()> {
        let py = row.py();
        let mut found = 0;
        for (key, cells) in &mut self.cells {
            if let Some(value) = row.get_item(key.bind(py))? {
                cells.fill(py, self.rows)?;
                cells.push(value)?;
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
        for (key, value) in row {
            let key = column_name(key)?;
            if self.position(&key)?.is_some() {
                continue;
            }
            let cells = self.add(key)?;
            cells.push(value)?;
        }
        Ok(())
    }

    /// The new column `key`, null in all rows so far.
    fn add(&mut self, key: Bound<'_, PyString>) -> PyResult<&mut Values> {
        let mut cells = Values::default();
        cells.fill(key.py(), self.rows)?;
        self.cells.push((key.unbind(), cells));
        Ok(&mut self.cells.last_mut().expect("it was pushed above").1)
    }

    fn position(&self, key: &Bound<'_, PyString>) -> PyResult<Option<usize>> {
        for (index, (name, _)) in self.cells.iter().enumerate() {
            if name.is(key) || name.bind(key.py()).as_any().eq(key)? {
                return Ok(Some(index));
            }
        }
        Ok(None)
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
