//! Files: written, read back, pruned, counted.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{Float64Type, Int64Type};
use arrow::error::ArrowError;
use raceline::{
    Aggregate, AggregateKind, CsvReadOptions, ErrorKind, FileFormat, FileNames, FileScan,
    JsonReadOptions, PartitionStyle, SaveMode, ScanRequest, SortKey, WriteFormat, WriteSpec, col,
    lit,
};

use crate::{ints, session};

fn scan(path: &Path, format: FileFormat) -> FileScan {
    FileScan {
        format,
        paths: vec![path.to_str().unwrap().to_owned()],
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

fn write(path: &Path, format: WriteFormat) -> WriteSpec {
    WriteSpec {
        format,
        path: path.to_str().unwrap().to_owned(),
        storage_options: BTreeMap::new(),
        mode: SaveMode::Append,
        partition_columns: Vec::new(),
        rows_per_file_min: None,
        rows_per_file_max: None,
        names: FileNames::default(),
    }
}

fn parquet() -> WriteFormat {
    WriteFormat::Parquet { compression: "zstd".into(), row_group_rows: Some(10_000) }
}

/// Columns `k` (0..8) and `v` out of `id`.
fn keyed(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let ids = batch["id"].as_primitive::<Int64Type>();
    let keys: Int64Array = ids.unary(|id| id % 8);
    RecordBatch::try_from_iter([("k", Arc::new(keys) as ArrayRef), ("v", Arc::clone(&batch["id"]))])
}

fn check_round_trip(written: WriteFormat, read: FileFormat) {
    let folder = tempfile::tempdir().unwrap();
    let session = session();
    let files = session
        .range(50_000)
        .map_batches("keyed", keyed)
        .write(write(folder.path(), written))
        .unwrap();
    assert_eq!(files.iter().map(|file| file.rows).sum::<i64>(), 50_000);
    let on_disk: u64 = files.iter().map(|file| std::fs::metadata(&file.path).unwrap().len()).sum();
    assert_eq!(files.iter().map(|file| file.bytes.unsigned_abs()).sum::<u64>(), on_disk);

    let dataset = session.read_files(scan(folder.path(), read));
    assert_eq!(dataset.count().unwrap(), 50_000);
    let batches = dataset.filter(col("v").lt(lit(20_000_i64))).select(&["v"]).collect().unwrap();
    assert_eq!(ints(&batches, "v"), (0..20_000).collect::<Vec<_>>());
}

#[test]
fn parquet_round_trips() {
    check_round_trip(parquet(), FileFormat::Parquet);
}

#[test]
fn csv_round_trips() {
    let options =
        CsvReadOptions { delimiter: b',', quote: b'"', has_header: true, infer_rows: 100 };
    check_round_trip(WriteFormat::Csv, FileFormat::Csv(options));
}

#[test]
fn json_round_trips() {
    check_round_trip(WriteFormat::Json, FileFormat::Json(JsonReadOptions { infer_rows: 100 }));
}

#[test]
fn an_aggregate_over_files_reads_its_columns_and_sorts() {
    let folder = tempfile::tempdir().unwrap();
    let session = session();
    session
        .range(80_000)
        .map_batches("keyed", keyed)
        .write(write(folder.path(), parquet()))
        .unwrap();
    let aggregates = vec![
        Aggregate::new(AggregateKind::Count, None, false),
        Aggregate::new(AggregateKind::Mean, Some("v".into()), true),
    ];
    let report = session
        .read_files(scan(folder.path(), FileFormat::Parquet))
        .aggregate(vec!["k".into()], aggregates)
        .sort(vec![SortKey { column: "k".into(), descending: false }]);
    let batches = report.collect().unwrap();
    assert_eq!(ints(&batches, "k"), (0..8).collect::<Vec<_>>());
    assert_eq!(ints(&batches, "count()"), vec![10_000; 8]);
    let report = arrow::compute::concat_batches(batches[0].schema_ref(), &batches).unwrap();
    let means = report["mean(v)"].as_primitive::<Float64Type>();
    assert_eq!(means.value(0).to_bits(), 39_996.0_f64.to_bits());
}

#[test]
fn a_missing_path_is_named() {
    let missing = Path::new("/nowhere/at/all.parquet");
    let failure = session().read_files(scan(missing, FileFormat::Parquet)).collect().unwrap_err();
    assert_eq!(failure.kind(), ErrorKind::NotFound);
    assert!(failure.render().contains("/nowhere/at/all.parquet"), "{}", failure.render());
}
