//! The expression handle.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::DataType;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyFloat, PyInt, PyString};
use raceline_plan::expression::{self, Parameter, ScalarValue};
use raceline_relational::expression_field;
use raceline_types::holds_objects;

use crate::batch::Batch;
use crate::capsule::exported_field;
use crate::error::{PlanError, to_py_err};
use crate::schema::Schema;

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

    /// A function of the engine, with `self` as the first argument.
    #[expect(clippy::needless_pass_by_value, reason = "extracted from Python by value")]
    fn call(
        &self,
        py: Python<'_>,
        function: &str,
        others: Vec<PyRef<'_, Self>>,
        options: BTreeMap<String, Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let others = others.iter().map(|other| other.inner.clone());
        let arguments = std::iter::once(self.inner.clone()).chain(others).collect();
        let parameters = options
            .into_iter()
            .map(|(name, value)| parameter(&name, &value).map(|value| (name, value)))
            .collect::<PyResult<_>>()?;
        expression::named(function, arguments, parameters)
            .map(Self::new)
            .map_err(|error| to_py_err(py, &error.into()))
    }

    /// Whether the value is one of `values`, which are literals.
    #[expect(clippy::needless_pass_by_value, reason = "extracted from Python by value")]
    fn is_in(&self, values: Vec<PyRef<'_, Self>>) -> PyResult<Self> {
        let literal = |value: &PyRef<'_, Self>| match &value.inner {
            raceline::Expr::Literal(value, _) => Ok(value.clone()),
            other => Err(PyTypeError::new_err(format!("`{other}` is no plain value"))),
        };
        let values = values.iter().map(literal).collect::<PyResult<_>>()?;
        Ok(Self::new(expression::is_in(self.inner.clone(), values, false)))
    }

    fn alias(&self, name: &str) -> Self {
        Self::new(self.inner.clone().alias(name))
    }

    fn cast(&self, r#type: &str, safe: bool) -> PyResult<Self> {
        Ok(Self::new(expression::cast(self.inner.clone(), named_type(r#type)?, safe)))
    }

    /// As `cast`, to a type that exports itself as an Arrow schema.
    fn cast_to(&self, r#type: &Bound<'_, PyAny>, safe: bool) -> PyResult<Self> {
        let field = exported_field(r#type)?;
        Ok(Self::new(expression::cast(self.inner.clone(), field.data_type().clone(), safe)))
    }

    /// The field that it is over the columns of a schema.
    fn field(&self, py: Python<'_>, name: &str, schema: &Bound<'_, PyAny>) -> PyResult<Schema> {
        let exported = exported_field(schema)?;
        let DataType::Struct(fields) = exported.data_type() else {
            return Err(PyTypeError::new_err("a schema is needed"));
        };
        let columns = Arc::new(arrow::datatypes::Schema::new(fields.clone()));
        let field = expression_field(&self.inner, &columns)
            .map_err(|error| to_py_err(py, &error))?
            .with_name(name);
        Ok(Schema::new(Arc::new(arrow::datatypes::Schema::new(vec![field]))))
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

/// The value of the one row and column of a batch, as a constant.
#[pyfunction]
pub(crate) fn lit_of(batch: &Batch) -> PyResult<Expr> {
    let (fields, columns) = (batch.get().schema(), batch.get().columns());
    let ([field], [column]) = (fields.fields().as_ref(), columns) else {
        return Err(PyTypeError::new_err("a constant is one value"));
    };
    if holds_objects(field) {
        return Err(PyTypeError::new_err("the engine has no type for such a value"));
    }
    let value = ScalarValue::try_from_array(column, 0)
        .map_err(|error| PyTypeError::new_err(error.to_string()))?;
    Ok(Expr::new(expression::literal(value)))
}

/// The value of the first condition that holds, or else `rest`.
#[pyfunction]
#[expect(clippy::needless_pass_by_value, reason = "extracted from Python by value")]
pub(crate) fn case(
    conditions: Vec<PyRef<'_, Expr>>,
    values: Vec<PyRef<'_, Expr>>,
    rest: Option<PyRef<'_, Expr>>,
) -> Expr {
    let pairs = conditions.iter().zip(&values);
    let pairs = pairs.map(|(when, then)| (when.inner.clone(), then.inner.clone())).collect();
    Expr::new(expression::case(pairs, rest.map(|rest| rest.inner.clone())))
}

fn parameter(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Parameter> {
    if value.is_instance_of::<PyBool>() {
        Ok(Parameter::Flag(value.extract()?))
    } else if value.is_instance_of::<PyString>() {
        Ok(Parameter::Text(value.extract()?))
    } else if let Ok(number) = value.extract() {
        Ok(Parameter::Number(number))
    } else {
        Err(PlanError::new_err(format!(
            "`{name}` must be a string, an int or a bool, got `{value}`"
        )))
    }
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
