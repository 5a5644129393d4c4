//! The sink: a region that writes its input to files.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use futures::StreamExt;
use raceline_exec::{Emit, MemoryAccount, PortStream, Region};
use raceline_plan::{SaveMode, WriteSpec};
use raceline_types::{Batch, Failure, InternalError};
use uuid::Uuid;

use super::commit::{commit, exists, present_files, recover};
use super::encode::check_format;
use super::error::WriteError;
use super::manifest::Manifest;
use super::stage::{Staging, path_in};
use super::writer::{Writer, Written};
use crate::store::{Located, Stores};

/// Writes the rows of its input to a folder, in order, and puts out one row a file: `path`
/// (utf8), `rows` and `bytes` (int64), in the order of the rows.
///
/// Files are named as the spec says; by their numbers, sorting by name is the order of the rows
/// (within a folder of partition columns). They are staged, and appear together when
/// the input has ended: a write that fails or is dropped leaves nothing. A write without rows
/// makes no file and no folder. Batches without rows are passed over.
pub struct FileSink {
    stores: Arc<Stores>,
    spec: Arc<WriteSpec>,
    target: Located,
    memory_bytes: usize,
}

impl FileSink {
    /// A sink for `spec`. Touches nothing yet.
    ///
    /// # Errors
    /// A path, storage option, compression or combination of options that means nothing.
    pub fn new(stores: Arc<Stores>, spec: Arc<WriteSpec>) -> Result<Self, Failure> {
        let target = stores.resolve(&spec.path, &spec.storage_options)?;
        if target.is_glob() {
            return Err(WriteError::Pattern { path: spec.path.clone() }.into());
        }
        if let (Some(rows_min), Some(rows_max)) = (spec.rows_per_file_min, spec.rows_per_file_max)
            && rows_min > rows_max
        {
            return Err(WriteError::RowsPerFile { rows_min, rows_max }.into());
        }
        check_format(&spec.format)?;
        Ok(Self { stores, spec, target, memory_bytes: usize::MAX })
    }

    /// The same sink, which holds about `memory_bytes`: row groups are smaller, and fewer are
    /// encoded side by side, where it would hold more.
    #[must_use]
    pub fn within(self, memory_bytes: usize) -> Self {
        Self { memory_bytes, ..self }
    }

    /// Schema of what the sink puts out.
    #[must_use]
    pub fn schema() -> SchemaRef {
        Arc::new(Schema::new(vec![
            Field::new("path", DataType::Utf8, false),
            Field::new("rows", DataType::Int64, false),
            Field::new("bytes", DataType::Int64, false),
        ]))
    }

    /// Whether the mode lets the write go on; finishes first what an earlier write left.
    async fn begin(&self) -> Result<bool, Failure> {
        recover(&self.target, self.stores.io()).await?;
        let uri = std::path::Path::new(&*self.target.uri);
        if self.target.is_local() && uri.exists() && !uri.is_dir() {
            let uri = Arc::clone(&self.target.uri);
            return match self.spec.mode {
                SaveMode::Ignore => Ok(false),
                SaveMode::Error => Err(WriteError::Exists { path: self.spec.path.clone() }.into()),
                SaveMode::Append | SaveMode::Overwrite => {
                    Err(WriteError::NotAFolder { uri }.into())
                }
            };
        }
        match self.spec.mode {
            SaveMode::Ignore => Ok(!exists(&self.target).await?),
            SaveMode::Error if exists(&self.target).await? => {
                Err(WriteError::Exists { path: self.spec.path.clone() }.into())
            }
            SaveMode::Append | SaveMode::Overwrite | SaveMode::Error => Ok(true),
        }
    }

    /// Writes `ports`; what it holds meanwhile counts in `account`.
    async fn write(
        &self,
        ports: Vec<PortStream>,
        account: &MemoryAccount,
    ) -> Result<Vec<Written>, Failure> {
        let write_id = Uuid::new_v4().simple().to_string();
        let staging = Staging::new(self.target.clone(), write_id, self.stores.io().clone());
        let spec = Arc::clone(&self.spec);
        let mut writer = Writer::new(spec, staging, self.memory_bytes, account);
        for mut port in ports {
            while let Some(batch) = port.next().await {
                writer.write(&batch?.data).await?;
            }
        }
        let (staging, written) = writer.finish().await?;
        let removed = match self.spec.mode {
            SaveMode::Overwrite => present_files(&self.target).await?,
            SaveMode::Append | SaveMode::Ignore | SaveMode::Error => Vec::new(),
        };
        let files = written.iter().map(|one| one.entry.clone()).collect();
        commit(staging, Manifest { files, removed }).await?;
        Ok(written)
    }

    fn report(&self, written: &[Written]) -> Result<RecordBatch, Failure> {
        let paths = written
            .iter()
            .map(|one| Ok(self.target.uri_of(&path_in(&self.target, &one.entry.path)?)))
            .collect::<Result<Vec<_>, Failure>>()?;
        let paths: StringArray = paths.iter().map(|path| Some(&**path)).collect();
        let count = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let rows = Int64Array::from_iter_values(written.iter().map(|one| count(one.rows)));
        let bytes =
            Int64Array::from_iter_values(written.iter().map(|one| count(one.entry.size_bytes)));
        let columns: Vec<ArrayRef> = vec![Arc::new(paths), Arc::new(rows), Arc::new(bytes)];
        Ok(RecordBatch::try_new(Self::schema(), columns)
            .map_err(|error| InternalError::caused_by("a write's report does not fit", error))?)
    }
}

impl fmt::Debug for FileSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileSink").field("target", &self.target).finish_non_exhaustive()
    }
}

#[async_trait]
impl Region for FileSink {
    fn name(&self) -> Arc<str> {
        format!("Write({})", self.spec.path).into()
    }

    async fn run(&self, ports: Vec<PortStream>, out: &mut dyn Emit) -> Result<(), Failure> {
        let written = if self.begin().await? {
            self.write(ports, &out.accounts().held).await?
        } else {
            Vec::new()
        };
        out.emit(Batch::without_origin(self.report(&written)?)).await
    }
}
