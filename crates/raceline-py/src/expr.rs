//! The expression handle.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyFloat, PyInt, PyString};
use raceline_plan::expression::{self, ScalarValue};

use crate::error::{PlanError, to_py_err};

/// An expression over the columns of one row.
#[pyclass(frozen, module = "raceline._native")]
pub(crate) struct Expr {
    inner: raceline::Expr,
}

impl Expr {
    fn new(inner: raceline::Expr) -> Self {
        Self { inner }
    }

    /// The expression itself.
    pub(crate) fn get(&self) -> &raceline::Expr {
        &self.inner
    }
}

#[pymethods]
impl Expr {
    fn binary(&self, py: Python<'_>, op: &str, other: &Self) -> PyResult<Self> {
        expression::binary(op, self.inner.clone(), other.inner.clone())
            .map(Self::new)
            .map_err(|error| to_py_err(py, &error.into()))
    }

    fn unary(&self, py: Python<'_>, op: &str) -> PyResult<Self> {
        expression::unary(op, self.inner.clone())
            .map(Self::new)
            .map_err(|error| to_py_err(py, &error.into()))
    }

    #[expect(clippy::needless_pass_by_value, reason = "extracted from Python by value")]
    fn is_in(&self, values: Vec<Bound<'_, PyAny>>) -> PyResult<Self> {
        let values = values.iter().map(scalar).collect::<PyResult<Vec<_>>>()?;
        Ok(Self::new(expression::is_in(self.inner.clone(), values, false)))
    }

    fn alias(&self, name: &str) -> Self {
        Self::new(self.inner.clone().alias(name))
    }

    fn cast(&self, r#type: &str) -> PyResult<Self> {
        Ok(Self::new(expression::cast(self.inner.clone(), named_type(r#type)?)))
    }

    fn __repr__(&self) -> String {
        self.inner.to_string()
    }
}

/// The column `name` as it is spelt, dots and capitals included.
#[pyfunction]
pub(crate) fn col(name: &str) -> Expr {
    Expr::new(expression::column(name))
}

/// A constant.
#[pyfunction]
pub(crate) fn lit(value: &Bound<'_, PyAny>) -> PyResult<Expr> {
    Ok(Expr::new(expression::literal(scalar(value)?)))
}

fn scalar(value: &Bound<'_, PyAny>) -> PyResult<ScalarValue> {
    if value.is_none() {
        return Ok(ScalarValue::Null);
    }
    // NumPy's scalars know how to become Python's.
    let value = match value.getattr_opt("item")? {
        Some(item) => item.call0()?,
        None => value.clone(),
    };
    if value.is_instance_of::<PyBool>() {
        Ok(ScalarValue::Boolean(Some(value.extract()?)))
    } else if value.is_instance_of::<PyInt>() {
        let number = value.extract().map_err(|_| {
            PlanError::new_err(format!("a literal int must fit into 64 bits, got `{value}`"))
        })?;
        Ok(ScalarValue::Int64(Some(number)))
    } else if value.is_instance_of::<PyFloat>() {
        Ok(ScalarValue::Float64(Some(value.extract()?)))
    } else if value.is_instance_of::<PyString>() {
        Ok(ScalarValue::Utf8(Some(value.extract()?)))
    } else if value.is_instance_of::<PyBytes>() {
        Ok(ScalarValue::Binary(Some(value.extract()?)))
    } else {
        Err(PyTypeError::new_err(format!(
            "a literal must be None, bool, int, float, str or bytes, got `{}`",
            value.get_type()
        )))
    }
}

/// A type by the name that Arrow's Python users know it by.
fn named_type(name: &str) -> PyResult<arrow::datatypes::DataType> {
    use arrow::datatypes::{DataType as T, TimeUnit};
    Ok(match name {
        "bool" => T::Boolean,
        "int8" => T::Int8,
        "int16" => T::Int16,
        "int32" => T::Int32,
        "int64" | "int" => T::Int64,
        "uint8" => T::UInt8,
        "uint16" => T::UInt16,
        "uint32" => T::UInt32,
        "uint64" => T::UInt64,
        "float" | "float32" => T::Float32,
        "double" | "float64" => T::Float64,
        "string" | "str" => T::Utf8,
        "large_string" => T::LargeUtf8,
        "binary" | "bytes" => T::Binary,
        "date32" | "date32[day]" => T::Date32,
        "timestamp[s]" => T::Timestamp(TimeUnit::Second, None),
        "timestamp[ms]" => T::Timestamp(TimeUnit::Millisecond, None),
        "timestamp[us]" => T::Timestamp(TimeUnit::Microsecond, None),
        "timestamp[ns]" => T::Timestamp(TimeUnit::Nanosecond, None),
        other => return Err(PyValueError::new_err(format!("unknown type `{other}`"))),
    })
}
