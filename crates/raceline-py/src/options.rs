//! The dicts in which the Python face hands over what has many parts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use raceline::{
    BatchFormat, BatchLimits, CostLimit, CsvReadOptions, FileFormat, FileNames, FileScan,
    FileShuffle, FolderColumns, FolderNames, ImageReadOptions, JsonReadOptions, OnError,
    PartitionStyle, Passed, Resources, SaveMode, ScanRequest, TextReadOptions, UdfBody, UdfColumns,
    UdfKind, UdfSpec, UdfWorkers, WriteFormat, WriteSpec,
};

use crate::caller::Given;
use crate::capsule::ArrowChunks;
use crate::expr::Expr;
use crate::lambda::program_from_py;
use crate::names::FileNamer;

/// Rows that are looked at to find the types of CSV columns.
const CSV_INFER_ROWS: usize = 1000;
/// Objects that are looked at to find the columns of JSON: all that its reader samples, since keys
/// come and go.
const JSON_INFER_ROWS: usize = usize::MAX;

/// A required entry of an options dict.
pub(crate) fn required<'py, T>(options: &Bound<'py, PyDict>, name: &str) -> PyResult<T>
where
    T: for<'a> FromPyObject<'a, 'py>,
{
    optional(options, name)?
        .ok_or_else(|| PyValueError::new_err(format!("the option `{name}` is missing")))
}

/// An entry of an options dict; `None` when it is missing or None.
fn optional<'py, T>(options: &Bound<'py, PyDict>, name: &str) -> PyResult<Option<T>>
where
    T: for<'a> FromPyObject<'a, 'py>,
{
    match options.get_item(name)? {
        Some(value) if !value.is_none() => value.extract().map(Some).map_err(Into::into),
        _ => Ok(None),
    }
}

fn unknown(what: &str, value: &str) -> PyErr {
    PyValueError::new_err(format!("unknown {what} `{value}`"))
}

/// A file scan.
pub(crate) fn read_scan(options: &Bound<'_, PyDict>) -> PyResult<FileScan> {
    let partitions = partition_style(options)?;
    let projection = optional(options, "columns")?;
    Ok(FileScan {
        format: read_format(options)?,
        paths: required(options, "paths")?,
        storage_options: storage_options(options)?,
        partitions,
        include_paths: optional(options, "include_paths")?.unwrap_or(false),
        extensions: optional(options, "extensions")?,
        shuffle: optional::<(Option<u64>, bool)>(options, "shuffle")?
            .map(|(seed, reseeds)| FileShuffle { seed, reseeds }),
        schema: declared_schema(options)?,
        is_strict: optional(options, "strict_schema")?.unwrap_or(false),
        request: ScanRequest { projection, ..ScanRequest::default() },
    })
}

/// How folders become columns: `hive`, None, or their base, names and whether they name themselves.
fn partition_style(options: &Bound<'_, PyDict>) -> PyResult<PartitionStyle> {
    let Some(given) = options.get_item("partitioning")?.filter(|given| !given.is_none()) else {
        return Ok(PartitionStyle::None);
    };
    if let Ok(style) = given.extract::<String>() {
        return if style == "hive" {
            Ok(PartitionStyle::Hive)
        } else {
            Err(unknown("partitioning", &style))
        };
    }
    let (base, is_hive, names): (String, bool, Option<Vec<Option<String>>>) = given.extract()?;
    let names = if is_hive {
        FolderNames::Hive(names.map(|names| names.into_iter().flatten().collect()))
    } else {
        FolderNames::Order(names.unwrap_or_default())
    };
    Ok(PartitionStyle::Below(Arc::new(FolderColumns { base, names })))
}

/// The columns of a table without rows.
fn declared_schema(options: &Bound<'_, PyDict>) -> PyResult<Option<SchemaRef>> {
    let Some(table) = optional::<Bound<'_, PyAny>>(options, "schema")? else { return Ok(None) };
    schema_of(&table).map(Some)
}

/// The columns of a table.
pub(crate) fn schema_of(table: &Bound<'_, PyAny>) -> PyResult<SchemaRef> {
    match ArrowChunks::take(table)? {
        Some(chunks) => Ok(chunks.into_batches()?.0),
        None => Err(PyValueError::new_err("the option `schema` is no Arrow data")),
    }
}

fn storage_options(options: &Bound<'_, PyDict>) -> PyResult<BTreeMap<String, String>> {
    Ok(optional(options, "storage_options")?.unwrap_or_default())
}

fn read_format(options: &Bound<'_, PyDict>) -> PyResult<FileFormat> {
    let byte = |name, default: char| -> PyResult<u8> {
        let text = optional::<char>(options, name)?.unwrap_or(default);
        u8::try_from(text).map_err(|_| {
            PyValueError::new_err(format!("`{name}` must be one ASCII character, got `{text}`"))
        })
    };
    Ok(match required::<String>(options, "format")?.as_str() {
        "parquet" => FileFormat::Parquet,
        "csv" => FileFormat::Csv(CsvReadOptions {
            delimiter: byte("delimiter", ',')?,
            quote: byte("quote", '"')?,
            has_header: optional(options, "has_header")?.unwrap_or(true),
            infer_rows: CSV_INFER_ROWS,
        }),
        "json" => FileFormat::Json(JsonReadOptions { infer_rows: JSON_INFER_ROWS }),
        "text" => FileFormat::Text(TextReadOptions {
            drop_empty_lines: optional(options, "drop_empty_lines")?.unwrap_or(true),
        }),
        "binary" => FileFormat::Binary,
        "image" => FileFormat::Image(ImageReadOptions {
            size: optional(options, "size")?,
            mode: optional(options, "mode")?,
        }),
        other => return Err(unknown("format", other)),
    })
}

/// A user-defined function.
pub(crate) fn read_udf(options: &Bound<'_, PyDict>) -> PyResult<UdfSpec> {
    let kind = match required::<String>(options, "kind")?.as_str() {
        "map" => UdfKind::Map,
        "flat_map" => UdfKind::FlatMap,
        "filter" => UdfKind::Filter,
        "map_batches" => UdfKind::MapBatches,
        "map_groups" => UdfKind::MapGroups,
        "key" => UdfKind::Key,
        other => return Err(unknown("kind", other)),
    };
    let batch_format = match optional::<String>(options, "batch_format")?.as_deref() {
        None | Some("numpy" | "default") => BatchFormat::Numpy,
        Some("pandas") => BatchFormat::Pandas,
        Some("pyarrow") => BatchFormat::Arrow,
        Some("torch") => BatchFormat::Torch,
        Some(other) => return Err(unknown("batch format", other)),
    };
    let program = match options.get_item("program")? {
        Some(program) if !program.is_none() => program_from_py(&program)?,
        _ => Err(optional(options, "decline")?.unwrap_or_else(|| "it was not translated".into())),
    };
    let body = match optional::<Py<PyAny>>(options, "given")? {
        Some(given) => UdfBody::Caller(Arc::new(Given(given))),
        None => UdfBody::Foreign {
            payload: required::<Vec<u8>>(options, "payload")?.into(),
            program: program.map(Arc::new).map_err(Arc::from),
        },
    };
    Ok(UdfSpec {
        name: required(options, "name")?,
        kind,
        body,
        stateful: optional(options, "stateful")?.unwrap_or(false),
        batch_rows: optional(options, "batch_size")?,
        batch_limits: BatchLimits {
            fastest: optional(options, "batch_fastest")?.unwrap_or(false),
            bytes_max: optional(options, "batch_bytes")?,
            cost: cost_limit(options)?,
        },
        batch_format,
        resources: udf_resources(options)?,
        concurrency_max: optional(options, "concurrency_max")?,
        workers: UdfWorkers {
            start: optional(options, "workers_start")?.unwrap_or(0),
            least: optional(options, "workers_least")?.unwrap_or(0),
            in_flight_max: optional(options, "in_flight_max")?,
        },
        restarts_max: required(options, "max_retries")?,
        call_timeout: call_timeout(options)?,
        calls_at_once: optional(options, "max_concurrency")?,
        is_rate_limited: optional(options, "is_rate_limited")?.unwrap_or(false),
        preloads: optional(options, "preloads")?.unwrap_or_default(),
        on_error: match optional::<String>(options, "on_error")?.as_deref() {
            None | Some("raise") => OnError::Raise,
            Some("skip") => OnError::Skip,
            Some("dead_letter") => OnError::DeadLetter,
            Some(other) => return Err(unknown("error policy", other)),
        },
        errored_rows_max: optional(options, "max_errored_rows")?,
        columns: UdfColumns {
            reads: optional(options, "reads")?,
            only_written: optional(options, "only_written")?.unwrap_or_default(),
            declared: optional(options, "reads_declared")?.unwrap_or(false),
            passes: match optional::<Vec<(String, String)>>(options, "passes")? {
                Some(named) => Passed::Named(named),
                None if optional(options, "passes_others")?.unwrap_or(false) => Passed::Others,
                None => Passed::Nothing,
            },
        },
    })
}

fn call_timeout(options: &Bound<'_, PyDict>) -> PyResult<Option<Duration>> {
    optional::<f64>(options, "timeout_s")?
        .map(Duration::try_from_secs_f64)
        .transpose()
        .map_err(|error| PyValueError::new_err(error.to_string()))
}

fn cost_limit(options: &Bound<'_, PyDict>) -> PyResult<Option<CostLimit>> {
    let Some(cost) = optional::<PyRef<'_, Expr>>(options, "batch_by")? else { return Ok(None) };
    Ok(Some(CostLimit { cost: cost.get().clone(), most: required(options, "batch_cost")? }))
}

fn udf_resources(options: &Bound<'_, PyDict>) -> PyResult<Resources> {
    let amount = |name| optional::<f64>(options, name);
    let refuse = |error: raceline::ResourceError| PyValueError::new_err(error.to_string());
    let gpus = amount("num_gpus")?.unwrap_or(0.0);
    // As in Ray: a function that asks for GPUs alone takes no CPU.
    let cpus = amount("num_cpus")?.unwrap_or(if gpus > 0.0 { 0.0 } else { 1.0 });
    let memory = optional::<f64>(options, "memory")?.unwrap_or(0.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "`as` saturates, which is what a budget should do"
    )]
    let mut resources = Resources::new(cpus, gpus, memory as u64).map_err(refuse)?;
    let custom: BTreeMap<String, f64> = optional(options, "resources")?.unwrap_or_default();
    for (name, amount) in custom {
        let nanos = Resources::new(amount, 0.0, 0).map_err(refuse)?.cpu_nanos;
        resources.custom_nanos.insert(name, nanos);
    }
    Ok(resources)
}

/// A write.
pub(crate) fn read_write(options: &Bound<'_, PyDict>) -> PyResult<WriteSpec> {
    let format = match required::<String>(options, "format")?.as_str() {
        "parquet" => WriteFormat::Parquet {
            compression: optional(options, "compression")?.unwrap_or_else(|| "snappy".into()),
            row_group_rows: optional(options, "row_group_size")?,
        },
        "csv" => WriteFormat::Csv,
        "json" => WriteFormat::Json,
        other => return Err(unknown("format", other)),
    };
    let mode = match optional::<String>(options, "mode")?.as_deref() {
        None | Some("append") => SaveMode::Append,
        Some("overwrite") => SaveMode::Overwrite,
        Some("ignore") => SaveMode::Ignore,
        Some("error" | "create") => SaveMode::Error,
        Some(other) => return Err(unknown("mode", other)),
    };
    Ok(WriteSpec {
        format,
        path: required(options, "path")?,
        storage_options: storage_options(options)?,
        mode,
        partition_columns: optional(options, "partition_cols")?.unwrap_or_default(),
        rows_per_file_min: optional(options, "min_rows_per_file")?,
        rows_per_file_max: optional(options, "max_rows_per_file")?,
        names: match optional::<Py<PyAny>>(options, "names")? {
            Some(function) => FileNames::Given(Arc::new(FileNamer(function))),
            None => FileNames::ByIndex {
                dataset_id: optional(options, "dataset_id")?.unwrap_or_default(),
            },
        },
    })
}
