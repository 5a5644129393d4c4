//! Failures as Python exceptions. The classes are defined in Python (`raceline.errors`).

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use raceline::{ErrorKind, Failure, Place};
use raceline_worker::{UdfError, UserError};

pyo3::import_exception!(raceline.errors, PlanError);

/// The Python exception of `failure`: its class by kind, its place as attributes, and a user's
/// own exception as cause.
pub(crate) fn to_py_err(py: Python<'_>, failure: &Failure) -> PyErr {
    build(py, failure).unwrap_or_else(|error| {
        // The classes could not be imported: say both.
        PyRuntimeError::new_err(format!("{}\n({error})", failure.render()))
    })
}

fn build(py: Python<'_>, failure: &Failure) -> PyResult<PyErr> {
    let fields = PyDict::new(py);
    let Place { stage, uri, column, rows, memory: _ } = failure.place();
    fields.set_item("stage", stage.as_deref())?;
    fields.set_item("uri", uri.as_deref())?;
    fields.set_item("column", column.as_deref())?;
    fields.set_item("rows", *rows)?;
    fields.set_item("detail", failure.error().detail())?;
    fields.set_item("hint", failure.error().hint())?;
    let exception = failure.downcast_ref::<UdfError>().and_then(|error| of_user(py, &error.error));
    let arguments = (kind_name(failure.kind()), failure.render(), fields, exception);
    let value = py.import("raceline.errors")?.getattr("build")?.call1(arguments)?;
    Ok(PyErr::from_value(value))
}

/// The user's own exception: the object, where the function ran in this process, or pickled.
fn of_user<'py>(py: Python<'py>, error: &UserError) -> Option<Bound<'py, PyAny>> {
    let original = error.original.as_ref().and_then(|original| original.0.downcast_ref());
    let original = original.map(|exception: &Py<PyAny>| exception.bind(py).clone());
    original.or_else(|| Some(PyBytes::new(py, error.exception.as_deref()?).into_any()))
}

fn kind_name(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Plan => "plan",
        ErrorKind::ColumnNotFound => "column_not_found",
        ErrorKind::NotFound => "not_found",
        ErrorKind::PermissionDenied => "permission_denied",
        ErrorKind::Source => "source",
        ErrorKind::Udf => "udf",
        ErrorKind::Resource => "resource",
        ErrorKind::Timeout => "timeout",
        ErrorKind::Cancelled => "cancelled",
        ErrorKind::Internal => "internal",
    }
}
