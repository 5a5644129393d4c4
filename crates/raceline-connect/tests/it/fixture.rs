//! Places to read from and to write to, and a runner of readers and sinks.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Int64Type;
use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};
use raceline_connect::{FileSink, Listing, Stores};
use raceline_exec::{Emit, Region, SplitReader, StageAccounts};
use raceline_plan::{
    FileFormat, FileNames, FileScan, FileSplit, PartitionStyle, SaveMode, ScanRequest,
    TextReadOptions, WriteFormat, WriteSpec,
};
use raceline_types::{Batch, Failure, Split};
use tokio::runtime::Handle;

pub(crate) const TEXT: FileFormat = FileFormat::Text(TextReadOptions { drop_empty_lines: false });

/// A root to work under: `{root}/name` is a path for [`Stores::resolve`].
pub(crate) struct Place {
    pub(crate) stores: Arc<Stores>,
    pub(crate) root: String,
    pub(crate) is_local: bool,
    memory: Arc<InMemory>,
    _folder: tempfile::TempDir,
}

impl Place {
    pub(crate) fn local() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap().to_str().unwrap().to_owned();
        let stores = Arc::new(Stores::new(Handle::current()));
        Self { stores, root, is_local: true, memory: Arc::default(), _folder: folder }
    }

    pub(crate) fn memory() -> Self {
        let stores = Arc::new(Stores::new(Handle::current()));
        let memory = Arc::new(InMemory::new());
        stores.register("memory://test", Arc::clone(&memory)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let root = "memory://test".to_owned();
        Self { stores, root, is_local: false, memory, _folder: folder }
    }

    pub(crate) fn both() -> [Self; 2] {
        [Self::local(), Self::memory()]
    }

    pub(crate) async fn put(&self, name: &str, bytes: impl Into<Vec<u8>>) {
        if self.is_local {
            let path = std::path::Path::new(&self.root).join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes.into()).unwrap();
        } else {
            let payload = PutPayload::from(bytes.into());
            self.memory.put(&Path::parse(name).unwrap(), payload).await.unwrap();
        }
    }

    pub(crate) fn memory_store(&self) -> &InMemory {
        &self.memory
    }

    pub(crate) fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.root)
    }

    pub(crate) fn scan(&self, format: FileFormat, paths: &[&str]) -> FileScan {
        FileScan {
            format,
            paths: paths.iter().map(|path| self.path(path)).collect(),
            storage_options: BTreeMap::new(),
            partitions: PartitionStyle::Hive,
            include_paths: false,
            extensions: None,
            shuffle: None,
            schema: None,
            is_strict: false,
            request: ScanRequest::default(),
        }
    }

    pub(crate) async fn splits(&self, scan: &FileScan) -> Result<Vec<Split>, Failure> {
        Listing::new(Arc::clone(&self.stores), scan)?.splits().try_collect().await
    }

    /// Paths of the files of a scan, relative to the root, or the failure.
    pub(crate) async fn list(&self, scan: &FileScan) -> Result<Vec<String>, Failure> {
        let splits = self.splits(scan).await?;
        Ok(splits
            .iter()
            .flat_map(|split| split.payload.downcast_ref::<Vec<FileSplit>>().unwrap().clone())
            .map(|file| file.uri.strip_prefix(&format!("{}/", self.root)).unwrap().to_owned())
            .collect())
    }

    pub(crate) fn spec(&self, name: &str, format: WriteFormat) -> WriteSpec {
        WriteSpec {
            format,
            path: self.path(name),
            storage_options: BTreeMap::new(),
            mode: SaveMode::Append,
            partition_columns: Vec::new(),
            rows_per_file_min: None,
            rows_per_file_max: None,
            names: FileNames::default(),
        }
    }

    /// Writes `batches`; the report comes back: (path relative to the root, rows, bytes).
    pub(crate) async fn write(
        &self,
        spec: WriteSpec,
        batches: Vec<Result<RecordBatch, Failure>>,
    ) -> Result<Vec<(String, i64, i64)>, Failure> {
        let report = self.write_somewhere(spec, batches).await?;
        let number =
            |column: usize, row| report.column(column).as_primitive::<Int64Type>().value(row);
        Ok((0..report.num_rows())
            .map(|row| {
                let path = report.column(0).as_string::<i32>().value(row);
                let path = path.strip_prefix(&format!("{}/", self.root)).unwrap().to_owned();
                (path, number(1, row), number(2, row))
            })
            .collect())
    }

    /// Writes `batches` to wherever `spec` says; the report comes back as it is.
    pub(crate) async fn write_somewhere(
        &self,
        spec: WriteSpec,
        batches: Vec<Result<RecordBatch, Failure>>,
    ) -> Result<RecordBatch, Failure> {
        let sink = FileSink::new(Arc::clone(&self.stores), Arc::new(spec))?;
        let port =
            futures::stream::iter(batches).map(|batch| batch.map(Batch::without_origin)).boxed();
        let mut out = Collected::default();
        sink.run(vec![port], &mut out).await?;
        assert_eq!(out.batches.len(), 1);
        Ok(out.batches.remove(0).data)
    }

    pub(crate) async fn get(&self, name: &str) -> Vec<u8> {
        let located = self.stores.resolve(&self.path(name), &BTreeMap::new()).unwrap();
        located.store.get(&located.path).await.unwrap().bytes().await.unwrap().to_vec()
    }

    /// Every file below the root, hidden ones too.
    pub(crate) async fn all_files(&self) -> Vec<String> {
        let located = self.stores.resolve(&self.root, &BTreeMap::new()).unwrap();
        let listed: Vec<_> = located.store.list(Some(&located.path)).try_collect().await.unwrap();
        let prefix = if self.is_local { format!("{}/", located.path) } else { String::new() };
        let mut names: Vec<String> = listed
            .into_iter()
            .map(|meta| meta.location.as_ref().strip_prefix(&prefix).unwrap().to_owned())
            .collect();
        names.sort();
        names
    }
}

/// What was emitted.
#[derive(Default)]
pub(crate) struct Collected {
    pub(crate) batches: Vec<Batch>,
    pub(crate) accounts: StageAccounts,
}

#[async_trait]
impl Emit for Collected {
    async fn emit(&mut self, batch: Batch) -> Result<(), Failure> {
        self.batches.push(batch);
        Ok(())
    }

    fn accounts(&self) -> StageAccounts {
        self.accounts.clone()
    }
}

pub(crate) async fn read(
    reader: &dyn SplitReader,
    splits: &[Split],
) -> Result<Vec<Batch>, Failure> {
    let mut out = Collected::default();
    for split in splits {
        reader.read(split, &mut out).await?;
    }
    Ok(out.batches)
}

/// The values of a text column over all batches.
pub(crate) fn texts(batches: &[Batch], column: &str) -> Vec<Option<String>> {
    let columns = batches.iter().map(|batch| batch.data.column_by_name(column).unwrap());
    columns
        .flat_map(|column| {
            column.as_string::<i32>().iter().map(|text| text.map(str::to_owned)).collect::<Vec<_>>()
        })
        .collect()
}

/// Rows `first..first + rows` of a table of a number and a name.
pub(crate) fn table(first: i64, rows: i64) -> RecordBatch {
    let numbers = Int64Array::from_iter_values(first..first + rows);
    let names: StringArray = (first..first + rows).map(|n| Some(format!("name {n}"))).collect();
    RecordBatch::try_from_iter([
        ("n", Arc::new(numbers) as Arc<dyn Array>),
        ("name", Arc::new(names) as Arc<dyn Array>),
    ])
    .unwrap()
}
