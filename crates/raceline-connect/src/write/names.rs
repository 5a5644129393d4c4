//! What the files of a write are called.

use std::collections::HashSet;
use std::sync::Arc;

use raceline_plan::{FileNames, WriteFormat, WriteSpec};
use raceline_types::{Failure, InternalError};
use tokio::runtime::Handle;

use super::error::WriteError;

/// Names files by their numbers, each otherwise.
pub(super) struct Namer {
    spec: Arc<WriteSpec>,
    write_id: String,
    io: Handle,
    /// Names that somebody else gave.
    given: HashSet<String>,
}

impl Namer {
    /// Names the files of the write `write_id`.
    pub(super) fn new(spec: Arc<WriteSpec>, write_id: String, io: Handle) -> Self {
        Self { spec, write_id, io, given: HashSet::new() }
    }

    /// The name of the file number `index`.
    ///
    /// # Errors
    /// [`WriteError::Name`] with what kept somebody else from naming it;
    /// [`WriteError::NameTwice`].
    pub(super) async fn name(&mut self, index: usize) -> Result<String, Failure> {
        let names = match &self.spec.names {
            FileNames::ByIndex { dataset_id } => {
                return Ok(by_index(dataset_id, &self.write_id, index, &self.spec.format));
            }
            FileNames::Given(names) => Arc::clone(names),
        };
        let write_id = self.write_id.clone();
        // Whoever names them may wait for a lock.
        let name = self.io.spawn_blocking(move || names.name(&write_id, index)).await;
        let name = name.map_err(|error| InternalError::caused_by("naming a file ended", error))?;
        let name = name.map_err(|source| WriteError::Name { source })?;
        if !self.given.insert(name.clone()) {
            return Err(WriteError::NameTwice { name }.into());
        }
        Ok(name)
    }
}

/// `{dataset id}_{write id}_{index}.{extension}`; Parquet's, as Ray Data's, say `-0` before it.
fn by_index(dataset_id: &str, write_id: &str, index: usize, format: &WriteFormat) -> String {
    let part = if matches!(format, WriteFormat::Parquet { .. }) { "-0" } else { "" };
    let separator = if dataset_id.is_empty() { "" } else { "_" };
    let extension = format.extension();
    format!("{dataset_id}{separator}{write_id}_{index:06}{part}.{extension}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_by_their_numbers() {
        let parquet =
            WriteFormat::Parquet { compression: "snappy".to_owned(), row_group_rows: None };
        assert_eq!(by_index("d", "w", 7, &WriteFormat::Csv), "d_w_000007.csv");
        assert_eq!(by_index("", "w", 7, &WriteFormat::Json), "w_000007.json");
        assert_eq!(by_index("d", "w", 7, &parquet), "d_w_000007-0.parquet");
    }
}
