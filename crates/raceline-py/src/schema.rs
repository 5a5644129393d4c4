//! The schema handle.

use arrow::datatypes::SchemaRef;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;
use raceline_types::TensorType;

use crate::capsule::schema_capsule;

/// Names and types of columns; any Arrow library takes it by `__arrow_c_schema__`.
#[pyclass(frozen, module = "raceline._native")]
pub(crate) struct Schema {
    inner: SchemaRef,
}

impl Schema {
    pub(crate) fn new(inner: SchemaRef) -> Self {
        Self { inner }
    }
}

#[pymethods]
impl Schema {
    #[getter]
    fn names(&self) -> Vec<String> {
        self.inner.fields().iter().map(|field| field.name().clone()).collect()
    }

    /// Types as text: `int64`, `list<item: double>`, `tensor(shape=(3, 4), dtype=uint8)`.
    #[getter]
    fn types(&self) -> Vec<String> {
        self.inner.fields().iter().map(|field| type_name(field)).collect()
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        schema_capsule(py, &self.inner)
    }
}

fn type_name(field: &arrow::datatypes::Field) -> String {
    if raceline_types::is_object_field(field) {
        return "object".into();
    }
    match TensorType::of(field) {
        Ok(Some(TensorType::Fixed { value_type, shape })) => {
            let shape: Vec<_> = shape.iter().map(ToString::to_string).collect();
            format!("tensor(shape=({}), dtype={})", shape.join(", "), data_type_name(&value_type))
        }
        Ok(Some(TensorType::Variable { value_type, dimensions })) => {
            format!("tensor(ndim={dimensions}, dtype={})", data_type_name(&value_type))
        }
        Ok(None) | Err(_) => data_type_name(field.data_type()),
    }
}

/// The name that Arrow's Python users know a type by.
fn data_type_name(data_type: &arrow::datatypes::DataType) -> String {
    use arrow::datatypes::DataType as T;
    match data_type {
        T::Boolean => "bool".into(),
        T::Utf8 | T::Utf8View => "string".into(),
        T::LargeUtf8 => "large_string".into(),
        T::Binary | T::BinaryView => "binary".into(),
        T::LargeBinary => "large_binary".into(),
        T::Float16 => "halffloat".into(),
        T::Float32 => "float".into(),
        T::Float64 => "double".into(),
        T::Date32 => "date32[day]".into(),
        T::Date64 => "date64[ms]".into(),
        T::List(item) | T::ListView(item) => {
            format!("list<{}: {}>", item.name(), data_type_name(item.data_type()))
        }
        T::LargeList(item) => {
            format!("large_list<{}: {}>", item.name(), data_type_name(item.data_type()))
        }
        T::FixedSizeList(item, size) => {
            format!(
                "fixed_size_list<{}: {}>[{size}]",
                item.name(),
                data_type_name(item.data_type())
            )
        }
        T::Struct(fields) => {
            let fields: Vec<_> = fields
                .iter()
                .map(|field| format!("{}: {}", field.name(), data_type_name(field.data_type())))
                .collect();
            format!("struct<{}>", fields.join(", "))
        }
        T::Timestamp(unit, None) => format!("timestamp[{}]", unit_name(*unit)),
        T::Timestamp(unit, Some(zone)) => format!("timestamp[{}, tz={zone}]", unit_name(*unit)),
        T::Duration(unit) => format!("duration[{}]", unit_name(*unit)),
        T::Time32(unit) => format!("time32[{}]", unit_name(*unit)),
        T::Time64(unit) => format!("time64[{}]", unit_name(*unit)),
        T::Decimal128(precision, scale) => format!("decimal128({precision}, {scale})"),
        T::Dictionary(key, value) => format!(
            "dictionary<values={}, indices={}, ordered=0>",
            data_type_name(value),
            data_type_name(key)
        ),
        other => other.to_string().to_lowercase(),
    }
}

fn unit_name(unit: arrow::datatypes::TimeUnit) -> &'static str {
    use arrow::datatypes::TimeUnit;
    match unit {
        TimeUnit::Second => "s",
        TimeUnit::Millisecond => "ms",
        TimeUnit::Microsecond => "us",
        TimeUnit::Nanosecond => "ns",
    }
}
