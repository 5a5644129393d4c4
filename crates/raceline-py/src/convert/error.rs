//! What cannot be converted between Arrow and Python.

use arrow::error::ArrowError;
use pyo3::PyErr;
use pyo3::exceptions::{PyTypeError, PyValueError};
use raceline_types::{Diagnostic, ErrorKind};
use thiserror::Error;

use crate::error::PlanError;

/// Data that has no counterpart on the other side.
#[derive(Debug, Error)]
pub(crate) enum ConvertError {
    /// Columns of one batch that differ in length.
    #[error("columns of one batch differ in length: {}", named_lengths(.0))]
    UnequalLengths(Vec<(String, usize)>),
    /// Two columns of one name.
    #[error("column `{column}` comes twice")]
    DuplicateColumn {
        /// The name.
        column: String,
    },
    /// A column name that is not a string.
    #[error("column names must be `str`, got `{value}` of type `{type_name}`")]
    ColumnName {
        /// The key, as Python prints it.
        value: String,
        /// Its type.
        type_name: String,
    },
    /// A column that is a single value.
    #[error("column `{column}` must be a list or an array with one value a row, got `{type_name}`")]
    ScalarColumn {
        /// The column.
        column: String,
        /// Type of the value.
        type_name: String,
    },
    /// Something that is not a row.
    #[error("row {row} must be a mapping of column name to value, got `{type_name}`")]
    NotARow {
        /// Position in the list.
        row: usize,
        /// Type of the value.
        type_name: String,
    },
    /// Something that is not a batch.
    #[error(
        "a batch must be a dict of columns, a `pandas.DataFrame` or Arrow data, got `{type_name}`"
    )]
    NotABatch {
        /// Type of the value.
        type_name: String,
    },
    /// An Arrow type without Python values.
    #[error("a column of type `{0}` has no Python values")]
    NoPythonType(arrow::datatypes::DataType),
    /// Arrow refused the data.
    #[error("Arrow refused the data")]
    Arrow(#[from] ArrowError),
}

fn named_lengths(columns: &[(String, usize)]) -> String {
    let named: Vec<_> =
        columns.iter().map(|(name, length)| format!("`{name}` has {length}")).collect();
    named.join(", ")
}

impl Diagnostic for ConvertError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Plan
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::UnequalLengths(_) => "return one value a row in every column",
            Self::DuplicateColumn { .. } => "give each column a name of its own",
            Self::ColumnName { .. } => "turn the keys into strings: `{str(key): value}`",
            Self::ScalarColumn { .. } => {
                "repeat the value: `numpy.full(rows, value)`, or wrap it in a list"
            }
            Self::NotARow { .. } => "return a dict, such as `{\"value\": x}`",
            Self::NotABatch { .. } => {
                "wrap it in a dict, such as `{\"data\": numpy.array(values)}`"
            }
            Self::NoPythonType(_) => "cast the column to a type that Python has, or drop it",
            Self::Arrow(_) => return None,
        };
        Some(hint.into())
    }
}

/// The Python error: primary line, cause and hint.
impl From<ConvertError> for PyErr {
    fn from(error: ConvertError) -> Self {
        if matches!(error, ConvertError::DuplicateColumn { .. }) {
            return PlanError::new_err(raceline_types::Failure::from(error).render());
        }
        let is_type = matches!(
            error,
            ConvertError::ColumnName { .. }
                | ConvertError::ScalarColumn { .. }
                | ConvertError::NotARow { .. }
                | ConvertError::NotABatch { .. }
        );
        let text = raceline_types::Failure::from(error).render();
        if is_type { PyTypeError::new_err(text) } else { PyValueError::new_err(text) }
    }
}
