//! Columns of Python objects that Arrow cannot hold: pickled, value by value.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::sync::Arc;

use arrow::array::{ArrayRef, LargeBinaryBuilder};
use arrow::datatypes::Field;
use pyo3::exceptions::PyUserWarning;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyBytes;
use raceline_types::object_field;

/// An object column of `cells`, with a warning that names it and the types of its values.
/// `None` is null.
///
/// # Errors
/// What `cloudpickle` raises when a value cannot be pickled, and the warning, where the program
/// has turned warnings into errors.
pub(crate) fn object_column(name: &str, cells: &[Bound<'_, PyAny>]) -> PyResult<(Field, ArrayRef)> {
    static DUMPS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let mut types = BTreeSet::new();
    let mut bytes = LargeBinaryBuilder::with_capacity(cells.len(), 0);
    for cell in cells {
        if cell.is_none() {
            bytes.append_null();
            continue;
        }
        types.insert(cell.get_type().fully_qualified_name()?.to_string());
        let pickled = DUMPS.import(cell.py(), "cloudpickle", "dumps")?.call1((cell,))?;
        bytes.append_value(pickled.cast::<PyBytes>()?.as_bytes());
    }
    if let Some(cell) = cells.first() {
        let types = types.into_iter().collect::<Vec<_>>().join("`, `");
        let text = CString::new(format!(
            "column `{name}` holds values that no Arrow type can hold (`{types}`): they are \
             pickled, and such a column cannot be written to a file"
        ))?;
        PyErr::warn(cell.py(), &cell.py().get_type::<PyUserWarning>(), &text, 1)?;
    }
    Ok((object_field(name), Arc::new(bytes.finish())))
}
