//! The expression handle.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::DataType;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyFloat, PyInt, PyString, PyTuple};
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
    /// How it was made, as arguments of `raceline._lineage.make_expression`.
    recipe: Py<PyTuple>,
}

impl Expr {
    fn new(inner: raceline::Expr, recipe: Bound<'_, PyTuple>) -> Self {
        Self { inner, recipe: recipe.unbind() }
    }

    /// The expression itself.
    pub(crate) fn get(&self) -> &raceline::Expr {
        &self.inner
    }
}

#[pymethods]
impl Expr {
    fn binary(this: &Bound<'_, Self>, op: &str, other: &Bound<'_, Self>) -> PyResult<Self> {
        let py = this.py();
        let made = expression::binary(op, this.get().inner.clone(), other.get().inner.clone())
            .map_err(|error| to_py_err(py, &error.into()))?;
        Ok(Self::new(made, ("binary", this, op, other).into_pyobject(py)?))
    }

    fn unary(this: &Bound<'_, Self>, op: &str) -> PyResult<Self> {
        let py = this.py();
        let made = expression::unary(op, this.get().inner.clone())
            .map_err(|error| to_py_err(py, &error.into()))?;
        Ok(Self::new(made, ("unary", this, op).into_pyobject(py)?))
    }

    /// A function of the engine, with `self` as the first argument.
    fn call(
        this: &Bound<'_, Self>,
        function: &str,
        others: Vec<Bound<'_, Self>>,
        options: BTreeMap<String, Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let py = this.py();
        let more = others.iter().map(|other| other.get().inner.clone());
        let arguments = std::iter::once(this.get().inner.clone()).chain(more).collect();
        let parameters = options
            .iter()
            .map(|(name, value)| parameter(name, value).map(|value| (name.clone(), value)))
            .collect::<PyResult<_>>()?;
        let made = expression::named(function, arguments, parameters)
            .map_err(|error| to_py_err(py, &error.into()))?;
        Ok(Self::new(made, ("call", this, function, others, options).into_pyobject(py)?))
    }

    /// Whether the value is one of `values`, which are literals.
    fn is_in(this: &Bound<'_, Self>, values: Vec<Bound<'_, Self>>) -> PyResult<Self> {
        let literal = |value: &Bound<'_, Self>| match &value.get().inner {
            raceline::Expr::Literal(value, _) => Ok(value.clone()),
            other => Err(PyTypeError::new_err(format!("`{other}` is no plain value"))),
        };
        let literals = values.iter().map(literal).collect::<PyResult<_>>()?;
        let made = expression::is_in(this.get().inner.clone(), literals, false);
        Ok(Self::new(made, ("is_in", this, values).into_pyobject(this.py())?))
    }

    fn alias(this: &Bound<'_, Self>, name: &str) -> PyResult<Self> {
        let made = this.get().inner.clone().alias(name);
        Ok(Self::new(made, ("alias", this, name).into_pyobject(this.py())?))
    }

    fn cast(this: &Bound<'_, Self>, r#type: &str, safe: bool) -> PyResult<Self> {
        let made = expression::cast(this.get().inner.clone(), named_type(r#type)?, safe);
        Ok(Self::new(made, ("cast", this, r#type, safe).into_pyobject(this.py())?))
    }

    /// As `cast`, to a type that exports itself as an Arrow schema.
    fn cast_to(this: &Bound<'_, Self>, r#type: &Bound<'_, PyAny>, safe: bool) -> PyResult<Self> {
        let data_type = exported_field(r#type)?.data_type().clone();
        let made = expression::cast(this.get().inner.clone(), data_type, safe);
        Ok(Self::new(made, ("cast_to", this, r#type, safe).into_pyobject(this.py())?))
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

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, Py<PyTuple>)> {
        let make = py.import("raceline._lineage")?.getattr("make_expression")?;
        Ok((make, self.recipe.clone_ref(py)))
    }

    fn __repr__(&self) -> String {
        self.inner.to_string()
    }
}

/// The column `name` as it is spelt, dots and capitals included.
#[pyfunction]
pub(crate) fn col(py: Python<'_>, name: &str) -> PyResult<Expr> {
    Ok(Expr::new(expression::column(name), ("col", name).into_pyobject(py)?))
}

/// A constant.
#[pyfunction]
pub(crate) fn lit(value: &Bound<'_, PyAny>) -> PyResult<Expr> {
    let made = expression::literal(scalar(value)?);
    Ok(Expr::new(made, ("lit", value).into_pyobject(value.py())?))
}

/// The value of the one row and column of a batch, as a constant.
#[pyfunction]
pub(crate) fn lit_of(batch: &Bound<'_, Batch>) -> PyResult<Expr> {
    let row = batch.get().get();
    let (fields, columns) = (row.schema(), row.columns());
    let ([field], [column]) = (fields.fields().as_ref(), columns) else {
        return Err(PyTypeError::new_err("a constant is one value"));
    };
    if holds_objects(field) {
        return Err(PyTypeError::new_err("the engine has no type for such a value"));
    }
    let value = ScalarValue::try_from_array(column, 0)
        .map_err(|error| PyTypeError::new_err(error.to_string()))?;
    let recipe = ("lit_of", batch).into_pyobject(batch.py())?;
    Ok(Expr::new(expression::literal(value), recipe))
}

/// The value of the first condition that holds, or else `rest`.
#[pyfunction]
pub(crate) fn case(
    py: Python<'_>,
    conditions: Vec<Bound<'_, Expr>>,
    values: Vec<Bound<'_, Expr>>,
    rest: Option<Bound<'_, Expr>>,
) -> PyResult<Expr> {
    let plain = |expr: &Bound<'_, Expr>| expr.get().inner.clone();
    let pairs = conditions.iter().zip(&values);
    let pairs = pairs.map(|(when, then)| (plain(when), plain(then))).collect();
    let made = expression::case(pairs, rest.as_ref().map(plain));
    Ok(Expr::new(made, ("case", conditions, values, rest).into_pyobject(py)?))
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
