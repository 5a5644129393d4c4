//! A pipeline through the Rust API: make readings and write them as Parquet; read them back,
//! clean them with a closure, aggregate by sensor, sort, write the report, and show it.
//!
//! Run it with `cargo run -p raceline --example sensor_report -- FOLDER`.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch};
use arrow::datatypes::{Float64Type, Int64Type};
use arrow::error::ArrowError;
use raceline::{
    Aggregate, AggregateKind, FileFormat, FileNames, FileScan, PartitionStyle, ProgressMode,
    SaveMode, ScanRequest, Session, SessionOptions, SortKey, WriteFormat, WriteSpec, col, lit,
};

const READINGS: u64 = 2_000_000;
const SENSORS: i64 = 8;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "sensor-report".into());
    let options = SessionOptions { progress: ProgressMode::Auto, ..SessionOptions::default() };
    let session = Session::new(options)?;

    let readings = session.range(READINGS).map_batches("measure", measure);
    readings.write(parquet(format!("{folder}/readings")))?;

    let report = session
        .read_files(scan(format!("{folder}/readings")))
        .filter(col("raw").gt(lit(0_i64)))
        .map_batches("to_celsius", to_celsius)
        .aggregate(
            vec!["sensor".into()],
            vec![
                Aggregate::new(AggregateKind::Count, None, false),
                Aggregate::new(AggregateKind::Mean, Some("celsius".into()), true),
            ],
        )
        .sort(vec![SortKey { column: "sensor".into(), descending: false }]);
    let files = report.write(parquet(format!("{folder}/report")))?;

    let mut out = std::io::stdout().lock();
    for batch in session.read_files(scan(format!("{folder}/report"))).collect()? {
        let sensors = batch["sensor"].as_primitive::<Int64Type>();
        let counts = batch["count()"].as_primitive::<Int64Type>();
        let means = batch["mean(celsius)"].as_primitive::<Float64Type>();
        for row in 0..batch.num_rows() {
            let (sensor, count, mean) = (sensors.value(row), counts.value(row), means.value(row));
            writeln!(out, "sensor {sensor}: {count} readings, mean {mean:.2} °C")?;
        }
    }
    for file in files {
        writeln!(out, "wrote {} ({} rows, {} bytes)", file.path, file.rows, file.bytes)?;
    }
    Ok(())
}

/// Turns row numbers into readings: which sensor, and its raw value (0 is a failed reading).
fn measure(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let ids = batch["id"].as_primitive::<Int64Type>();
    let sensor: Int64Array = ids.unary(|id| id % SENSORS);
    let raw: Int64Array = ids.unary(|id| id * 7919 % 1000);
    RecordBatch::try_from_iter([
        ("sensor", Arc::new(sensor) as ArrayRef),
        ("raw", Arc::new(raw) as ArrayRef),
    ])
}

/// Turns raw values into degrees.
#[expect(clippy::cast_precision_loss, reason = "raw values are below 1000")]
fn to_celsius(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let raw = batch["raw"].as_primitive::<Int64Type>();
    let celsius: Float64Array = raw.unary(|raw| raw as f64 / 10.0 - 20.0);
    RecordBatch::try_from_iter([
        ("sensor", Arc::clone(&batch["sensor"])),
        ("celsius", Arc::new(celsius) as ArrayRef),
    ])
}

fn scan(path: String) -> FileScan {
    FileScan {
        format: FileFormat::Parquet,
        paths: vec![path],
        storage_options: BTreeMap::new(),
        partitions: PartitionStyle::Hive,
        include_paths: false,
        extensions: Some(vec!["parquet".into()]),
        shuffle: None,
        schema: None,
        is_strict: false,
        request: ScanRequest::default(),
    }
}

fn parquet(path: String) -> WriteSpec {
    WriteSpec {
        format: WriteFormat::Parquet { compression: "snappy".into(), row_group_rows: None },
        path,
        storage_options: BTreeMap::new(),
        mode: SaveMode::Overwrite,
        partition_columns: Vec::new(),
        rows_per_file_min: None,
        rows_per_file_max: None,
        names: FileNames::default(),
    }
}
