//! Tests of scans, over a store in memory.
//!
//! What a scan must not read is filled with garbage: reading it would fail.

mod bounds;
mod columns;
mod csv;
mod json;
mod parquet;

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use futures::{StreamExt, stream};
use object_store::ObjectStoreExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use raceline_exec::SplitReader;
use raceline_plan::{FileFormat, FileScan, FileSplit, PartitionStyle, ScanRequest};
use raceline_types::{Failure, Split, SplitId};
use url::Url;

use super::{FileCompressionType, FileReader, infer_schema};
use crate::engine::Engine;
use crate::fixture::{Collected, block_on, engine};

const STORE_URL: &str = "memory://test";

/// A store in memory and an engine that knows it.
struct Files {
    engine: Arc<Engine>,
    store: Arc<InMemory>,
}

impl Files {
    fn new() -> Self {
        Self::with(engine(1, 256 << 20))
    }

    fn with(engine: Arc<Engine>) -> Self {
        let store = Arc::new(InMemory::new());
        engine.register_store(&Url::parse(STORE_URL).unwrap(), Arc::clone(&store) as _);
        Self { engine, store }
    }

    /// The whole new file at `location`; `column=value` folders become partition values.
    fn put(&self, location: &str, bytes: impl Into<Vec<u8>>) -> FileSplit {
        let bytes = bytes.into();
        let size_bytes = bytes.len() as u64;
        block_on(self.store.put(&Path::from(location), bytes.into())).unwrap();
        let folders = location.split('/').filter_map(|folder| folder.split_once('='));
        FileSplit {
            uri: format!("/{location}").into(),
            store_url: STORE_URL.into(),
            location: location.into(),
            size_bytes,
            modified_ms: 0,
            range: None,
            partition_values: folders.map(|(name, value)| (name.into(), value.into())).collect(),
        }
    }

    /// As [`Self::put`], compressed by gzip.
    fn put_gzip(&self, location: &str, text: &str) -> FileSplit {
        let plain = stream::iter([Ok(text.to_owned().into())]).boxed();
        let packed = FileCompressionType::GZIP.convert_to_compress_stream(plain).unwrap();
        let chunks: Vec<_> = block_on(packed.collect());
        self.put(location, chunks.into_iter().flat_map(Result::unwrap).collect::<Vec<u8>>())
    }

    fn infer(&self, scan: &FileScan, first: &FileSplit) -> Result<SchemaRef, Failure> {
        block_on(infer_schema(&self.engine, scan, std::slice::from_ref(first)))
    }

    /// The columns that are found from all of `firsts`, each with its type.
    fn columns(&self, scan: &FileScan, firsts: &[FileSplit]) -> String {
        let schema = block_on(infer_schema(&self.engine, scan, firsts)).unwrap();
        let fields = schema.fields().iter();
        let fields: Vec<_> =
            fields.map(|field| format!("{}: {}", field.name(), field.data_type())).collect();
        fields.join(", ")
    }

    fn reader(&self, scan: &FileScan, first: &FileSplit) -> Result<FileReader, Failure> {
        FileReader::new(Arc::clone(&self.engine), scan, self.infer(scan, first)?)
    }

    /// All rows of `splits`, whose columns are those of the first.
    fn read(&self, scan: &FileScan, splits: &[FileSplit]) -> Result<RecordBatch, Failure> {
        let whole = FileSplit { range: None, ..splits[0].clone() };
        read_with(&self.reader(scan, &whole)?, splits)
    }
}

/// All rows of `splits`, each a split of its own.
fn read_with(reader: &FileReader, splits: &[FileSplit]) -> Result<RecordBatch, Failure> {
    let mut out = Collected::default();
    block_on(async {
        for (id, file) in (0..).zip(splits) {
            let split = Split {
                id: SplitId(id),
                label: Arc::clone(&file.uri),
                rows: None,
                estimated_bytes: None,
                payload: Arc::new(vec![file.clone()]),
            };
            reader.read(&split, &mut out).await?;
        }
        Ok::<_, Failure>(())
    })?;
    Ok(out.rows())
}

fn scan(format: FileFormat, request: ScanRequest) -> FileScan {
    FileScan {
        format,
        paths: vec![],
        storage_options: std::collections::BTreeMap::new(),
        partitions: PartitionStyle::Hive,
        include_paths: false,
        extensions: None,
        shuffle: None,
        schema: None,
        is_strict: false,
        request,
    }
}

fn columns(names: &[&str]) -> ScanRequest {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    ScanRequest { projection: Some(names), ..ScanRequest::default() }
}

/// Each row as text, its values parted by spaces.
fn rows(batch: &RecordBatch) -> Vec<String> {
    let options = FormatOptions::default().with_null("null");
    let formatters: Vec<_> = batch
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column.as_ref(), &options).unwrap())
        .collect();
    let row = |row| {
        let values = formatters.iter().map(|formatter| formatter.value(row).to_string());
        values.collect::<Vec<_>>().join(" ")
    };
    (0..batch.num_rows()).map(row).collect()
}

fn names(batch: &RecordBatch) -> Vec<String> {
    batch.schema().fields().iter().map(|field| field.name().clone()).collect()
}

/// The ranges of `split` between `cuts`, which together cover its file.
fn ranges(split: &FileSplit, cuts: &[u64]) -> Vec<FileSplit> {
    let mut bounds: Vec<_> = cuts.iter().map(|cut| cut % (split.size_bytes + 1)).collect();
    bounds.extend([0, split.size_bytes]);
    bounds.sort_unstable();
    let range = |pair: &[u64]| FileSplit { range: Some(pair[0]..pair[1]), ..split.clone() };
    bounds.windows(2).map(range).collect()
}

/// The rendered failure of a read that fails.
fn fault(read: Result<RecordBatch, Failure>) -> String {
    read.unwrap_err().render()
}
