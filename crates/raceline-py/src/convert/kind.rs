//! What kind of value a Python object is, for choosing a column's type.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{
    PyBool, PyBytes, PyDate, PyDateTime, PyDelta, PyDict, PyFloat, PyInt, PyList, PyString, PyTime,
    PyTuple,
};

use crate::numpy::numpy_item;

/// Kind of a value. Kinds are bits, so that those of a column make a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(crate) enum Kind {
    Null = 1,
    Bool = 1 << 1,
    Int = 1 << 2,
    Float = 1 << 3,
    Str = 1 << 4,
    Bytes = 1 << 5,
    /// A NumPy scalar or an array without dimensions; it keeps its own type.
    NumpyScalar = 1 << 6,
    Datetime = 1 << 7,
    Date = 1 << 8,
    Time = 1 << 9,
    Timedelta = 1 << 10,
    Decimal = 1 << 11,
    List = 1 << 12,
    Dict = 1 << 13,
    /// An array of numbers, booleans or instants with at least one dimension.
    Array = 1 << 14,
    /// Anything else: Arrow has no type for it.
    Other = 1 << 15,
}

impl Kind {
    /// The kind of one value.
    pub(crate) fn of(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        kind_of(&mut value.clone())
    }
}

/// The kinds in a column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kinds(u16);

impl Kinds {
    /// The set of `kinds`.
    pub(crate) const fn of(kinds: &[Kind]) -> Self {
        let mut bits = 0;
        let mut index = 0;
        while index < kinds.len() {
            bits |= kinds[index] as u16;
            index += 1;
        }
        Self(bits)
    }

    pub(crate) fn insert(&mut self, kind: Kind) {
        self.0 |= kind as u16;
    }

    pub(crate) fn contains(self, kind: Kind) -> bool {
        self.0 & kind as u16 != 0
    }

    /// Whether there is no kind but those of `others`.
    pub(crate) fn is_subset(self, others: Self) -> bool {
        self.0 & !others.0 == 0
    }
}

/// The kinds of `cells`. Tensors of other libraries (whatever speaks `DLPack`) are replaced by
/// NumPy arrays, and not-a-time by `None`.
pub(crate) fn kinds_of(cells: &mut [Bound<'_, PyAny>]) -> PyResult<Kinds> {
    let mut kinds = Kinds::default();
    for cell in cells {
        kinds.insert(kind_of(cell)?);
    }
    Ok(kinds)
}

fn kind_of(cell: &mut Bound<'_, PyAny>) -> PyResult<Kind> {
    Ok(if cell.is_none() {
        Kind::Null
    } else if cell.is_exact_instance_of::<PyInt>() {
        Kind::Int
    } else if cell.is_exact_instance_of::<PyFloat>() {
        Kind::Float
    } else if cell.is_exact_instance_of::<PyString>() {
        Kind::Str
    } else if cell.is_exact_instance_of::<PyBool>() {
        Kind::Bool
    } else if cell.is_exact_instance_of::<PyDict>() {
        Kind::Dict
    } else if cell.is_exact_instance_of::<PyList>() {
        Kind::List
    } else if cell.is_exact_instance_of::<PyBytes>() {
        Kind::Bytes
    } else {
        return rare_kind(cell);
    })
}

/// Kind of a value that is not exactly of a common built-in type. `numpy.float64`,
/// `numpy.str_` and `numpy.bytes_` are subclasses of built-in types and count as those.
fn rare_kind(cell: &mut Bound<'_, PyAny>) -> PyResult<Kind> {
    static GENERIC: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    static NDARRAY: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    static ASARRAY: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = cell.py();
    if let Some(kind) = standard_kind(cell)? {
        if matches!(kind, Kind::Datetime) && cell.ne(&*cell)? {
            *cell = py.None().into_bound(py);
            return Ok(Kind::Null);
        }
        return Ok(kind);
    }
    if cell.is_instance(numpy_item(py, &GENERIC, "generic")?)? {
        return Ok(Kind::NumpyScalar);
    }
    if !cell.is_instance(numpy_item(py, &NDARRAY, "ndarray")?)? {
        if !cell.hasattr(intern!(py, "__dlpack__"))? {
            return Ok(Kind::Other);
        }
        *cell = numpy_item(py, &ASARRAY, "asarray")?.call1((&*cell,))?;
    }
    if cell.getattr(intern!(py, "ndim"))?.extract::<usize>()? == 0 {
        return Ok(Kind::NumpyScalar);
    }
    let kind: char = cell.getattr(intern!(py, "dtype"))?.getattr(intern!(py, "kind"))?.extract()?;
    Ok(if matches!(kind, 'b' | 'i' | 'u' | 'f' | 'M' | 'm') { Kind::Array } else { Kind::List })
}

/// Kind of an instance of a class of the standard library.
fn standard_kind(cell: &Bound<'_, PyAny>) -> PyResult<Option<Kind>> {
    static DECIMAL: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = cell.py();
    let decimal = DECIMAL.import(py, "decimal", "Decimal")?;
    Ok(Some(if cell.is_instance_of::<PyString>() {
        Kind::Str
    } else if cell.is_instance_of::<PyBytes>() {
        Kind::Bytes
    } else if cell.is_instance_of::<PyFloat>() {
        Kind::Float
    } else if cell.is_instance_of::<PyInt>() {
        Kind::Int
    } else if cell.is_instance_of::<PyTuple>() || cell.is_instance_of::<PyList>() {
        Kind::List
    } else if cell.is_instance_of::<PyDict>() {
        Kind::Dict
    } else if cell.is_instance_of::<PyDateTime>() {
        Kind::Datetime
    } else if cell.is_instance_of::<PyDate>() {
        Kind::Date
    } else if cell.is_instance_of::<PyTime>() {
        Kind::Time
    } else if cell.is_instance_of::<PyDelta>() {
        Kind::Timedelta
    } else if cell.is_instance(decimal)? {
        Kind::Decimal
    } else {
        return Ok(None);
    }))
}
