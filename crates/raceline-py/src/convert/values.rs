//! The values of one column, gathered until its type can be told.
//!
//! As long as there are only integers that fit into 64 bits, or only floats, they are kept as
//! such: the objects are let go while they are still in the processor's cache.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Float64Array, Int64Array};
use arrow::datatypes::Field;
use pyo3::prelude::*;
use pyo3::types::{PyFloat, PyInt, PyList};
use pyo3::{IntoPyObjectExt, PyTypeInfo};

use super::from_cells::column_from_cells;

/// Values, in order.
pub(crate) enum Values {
    Ints(Vec<i64>),
    Floats(Vec<f64>),
    Objects(Vec<Py<PyAny>>),
}

impl Default for Values {
    fn default() -> Self {
        Self::Objects(Vec::new())
    }
}

impl Values {
    /// Adds one value.
    pub(super) fn push(&mut self, value: Bound<'_, PyAny>) -> PyResult<()> {
        self.objects(value.py())?.push(value.unbind());
        Ok(())
    }

    /// Adds values.
    pub(crate) fn extend(&mut self, values: &Bound<'_, PyList>) -> PyResult<()> {
        if self.len() == 0 {
            *self = match values.iter().next() {
                Some(first) if first.is_exact_instance_of::<PyInt>() => Self::Ints(Vec::new()),
                Some(first) if first.is_exact_instance_of::<PyFloat>() => Self::Floats(Vec::new()),
                _ => Self::default(),
            };
        }
        let are_taken = match self {
            Self::Ints(ints) => take::<PyInt, _>(values, ints),
            Self::Floats(floats) => take::<PyFloat, _>(values, floats),
            Self::Objects(_) => false,
        };
        if !are_taken {
            self.objects(values.py())?.extend(values.iter().map(Bound::unbind));
        }
        Ok(())
    }

    /// Adds `None` until there are so many values.
    pub(super) fn fill(&mut self, py: Python<'_>, count: usize) -> PyResult<()> {
        if self.len() < count {
            self.objects(py)?.resize_with(count, || py.None());
        }
        Ok(())
    }

    /// The column `name` of the values.
    ///
    /// # Errors
    /// As [`column_from_cells`].
    pub(crate) fn into_column(self, py: Python<'_>, name: &str) -> PyResult<(Field, ArrayRef)> {
        let numbers: ArrayRef = match self {
            Self::Ints(ints) => Arc::new(Int64Array::from(ints)),
            Self::Floats(floats) => Arc::new(Float64Array::from(floats)),
            Self::Objects(objects) => {
                let cells = objects.into_iter().map(|value| value.into_bound(py)).collect();
                return column_from_cells(name, cells);
            }
        };
        Ok((Field::new(name, numbers.data_type().clone(), true), numbers))
    }

    fn len(&self) -> usize {
        match self {
            Self::Ints(ints) => ints.len(),
            Self::Floats(floats) => floats.len(),
            Self::Objects(objects) => objects.len(),
        }
    }

    /// The values as objects, from now on.
    fn objects(&mut self, py: Python<'_>) -> PyResult<&mut Vec<Py<PyAny>>> {
        let made = match self {
            Self::Ints(ints) => Some(objects_of(py, ints)?),
            Self::Floats(floats) => Some(objects_of(py, floats)?),
            Self::Objects(_) => None,
        };
        if let Some(objects) = made {
            *self = Self::Objects(objects);
        }
        let Self::Objects(objects) = self else { unreachable!("it was made so above") };
        Ok(objects)
    }
}

/// Puts `values` behind those `taken`: all of them, or none where one is not exactly of Python's
/// type `P` or does not fit into a `T`.
fn take<'py, P, T>(values: &Bound<'py, PyList>, taken: &mut Vec<T>) -> bool
where
    P: PyTypeInfo,
    T: for<'a> FromPyObject<'a, 'py>,
{
    let before = taken.len();
    taken.reserve(values.len());
    for value in values.iter() {
        let number = if value.is_exact_instance_of::<P>() { value.extract().ok() } else { None };
        let Some(number) = number else {
            taken.truncate(before);
            return false;
        };
        taken.push(number);
    }
    true
}

fn objects_of<T>(py: Python<'_>, values: &[T]) -> PyResult<Vec<Py<PyAny>>>
where
    T: for<'py> IntoPyObject<'py> + Copy,
{
    values.iter().map(|value| value.into_py_any(py)).collect()
}
