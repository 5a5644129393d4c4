//! Batches in a file of the engine's own.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;

use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use raceline_exec::{Emit, Source, SplitReader};
use raceline_types::{Batch, Diagnostic, ErrorKind, Failure, Span, Split, SplitId};
use thiserror::Error;

/// The file cannot be read.
#[derive(Debug, Error)]
#[error("cannot read the engine's own file")]
struct StoredError {
    source: ArrowError,
}

impl Diagnostic for StoredError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Source
    }

    fn hint(&self) -> Option<String> {
        Some("such files live as long as the session that wrote them".to_owned())
    }
}

/// An Arrow IPC stream file on a local disk, which is one split.
#[derive(Debug)]
pub(crate) struct StoredSource {
    name: &'static str,
    path: Arc<Path>,
    rows: u64,
}

impl StoredSource {
    /// The `rows` rows of the file at `path`.
    pub(crate) fn new(name: &'static str, path: Arc<Path>, rows: u64) -> Self {
        Self { name, path, rows }
    }

    fn failed(&self, source: ArrowError) -> Failure {
        Failure::from(StoredError { source }).at_uri(&self.path.to_string_lossy())
    }
}

#[async_trait]
impl SplitReader for StoredSource {
    async fn read(&self, split: &Split, out: &mut dyn Emit) -> Result<(), Failure> {
        let file = File::open(&self.path).map_err(|error| self.failed(error.into()))?;
        let reader = StreamReader::try_new(BufReader::new(file), None);
        let mut first_row = 0;
        for batch in reader.map_err(|error| self.failed(error))? {
            let batch = batch.map_err(|error| self.failed(error))?;
            let rows = batch.num_rows() as u64;
            out.emit(Batch::new(batch, vec![Span { split: split.id, first_row, rows }])).await?;
            first_row += rows;
        }
        Ok(())
    }
}

#[async_trait]
impl Source for StoredSource {
    fn name(&self) -> Arc<str> {
        self.name.into()
    }

    fn splits(&self) -> BoxStream<'static, Result<Split, Failure>> {
        let split = Split {
            id: SplitId(0),
            label: self.path.to_string_lossy().into(),
            rows: Some(self.rows),
            estimated_bytes: None,
            payload: Arc::new(()),
        };
        stream::iter([Ok(split)]).boxed()
    }
}
