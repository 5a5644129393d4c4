//! What a query asks for, and the functions of Python that it may call.

use std::sync::Arc;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use raceline::{QueryFunction, SqlCall};

use crate::gil::detached;
use crate::options::{read_udf, schema_of};

/// Names of the tables that a query reads.
#[pyfunction]
pub(crate) fn sql_tables(py: Python<'_>, query: &str) -> PyResult<Vec<String>> {
    detached(py, || raceline::sql_tables(query))
}

/// A call of a function in a query: its name, its number of arguments, what it has that only
/// functions of SQL know, and whether SQL has the function itself.
type Call = (String, usize, Option<&'static str>, bool);

/// The calls of functions in a query.
#[pyfunction]
pub(crate) fn sql_calls(py: Python<'_>, query: &str) -> PyResult<Vec<Call>> {
    let calls = detached(py, || raceline::sql_calls(query))?;
    let told = calls.into_iter().map(|SqlCall { name, arguments, clause }| {
        let is_own = raceline::is_sql_function(&name);
        (name, arguments, clause, is_own)
    });
    Ok(told.collect())
}

/// Whether SQL has a function of this name itself.
#[pyfunction]
pub(crate) fn is_sql_function(name: &str) -> bool {
    raceline::is_sql_function(name)
}

/// A function of a query: its name, its key, a table without rows that has the column which it makes,
/// whether it is deterministic, and the batch function that makes it.
#[derive(FromPyObject)]
pub(crate) struct FunctionArguments<'py>(
    String,
    String,
    Bound<'py, PyAny>,
    bool,
    Bound<'py, PyDict>,
);

impl FunctionArguments<'_> {
    /// The function for the planner.
    pub(crate) fn function(&self) -> PyResult<Arc<QueryFunction>> {
        let Self(name, key, made, is_deterministic, options) = self;
        let schema = schema_of(made)?;
        let Some(returns) = schema.fields().first() else {
            return Err(PyValueError::new_err("a function makes no column"));
        };
        Ok(Arc::new(QueryFunction {
            name: name.clone(),
            key: key.clone(),
            returns: Arc::clone(returns),
            is_deterministic: *is_deterministic,
            udf: Arc::new(read_udf(options)?),
        }))
    }
}
