//! Names of files that a Python function gives.

use std::error::Error;

use pyo3::prelude::*;
use raceline::NameFiles;

use crate::lent::Visit;

/// A function that gets a write's identifier and a file's number, and returns its name.
pub(crate) struct FileNamer(pub(crate) Py<PyAny>);

impl NameFiles for FileNamer {
    #[expect(
        clippy::disallowed_methods,
        reason = "the engine asks in a thread of its own, which holds nothing that others wait for"
    )]
    fn name(&self, write_id: &str, index: usize) -> Result<String, Box<dyn Error + Send + Sync>> {
        let _visit = Visit::begin().ok_or("the interpreter ends")?;
        let named = Python::attach(|py| self.0.bind(py).call1((write_id, index))?.extract());
        named.map_err(Into::into)
    }
}
