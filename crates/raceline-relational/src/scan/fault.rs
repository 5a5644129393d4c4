//! Errors of table files in plain words.

use std::error::Error as _;
use std::io;

use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use datafusion::parquet::errors::ParquetError;
use object_store::Error as StoreError;
use raceline_plan::{FileFormat, FileSplit};
use raceline_types::{Failure, InternalError};

use crate::error::{FileError, RelationalError, carried};

/// What tells where in a file an error came up.
pub(super) struct Position<'a> {
    /// The columns of the file.
    pub(super) columns: &'a Schema,
    /// Lines before the range that was read.
    pub(super) lines_before: u64,
}

/// `error`, which came up while `split` was read, with the file's name, and with line and column
/// when `position` is known.
pub(super) fn file_failure(
    error: DataFusionError,
    format: &FileFormat,
    split: &FileSplit,
    position: Option<&Position<'_>>,
) -> Failure {
    let failure = match carried(&error) {
        Some(failure) => failure,
        None => explain(error, format_name(format), position),
    };
    failure.at_uri(&split.uri)
}

fn format_name(format: &FileFormat) -> &'static str {
    match format {
        FileFormat::Parquet => "Parquet",
        FileFormat::Csv(_) => "CSV",
        FileFormat::Json(_) => "JSON",
        FileFormat::Text(_) => "text",
        FileFormat::Binary => "binary",
        FileFormat::Image(_) => "image",
    }
}

fn explain(
    error: DataFusionError,
    format: &'static str,
    position: Option<&Position<'_>>,
) -> Failure {
    let error = without_context(error);
    let reason = match error.find_root() {
        DataFusionError::ResourcesExhausted(_) => {
            return RelationalError::OutOfMemory { source: Box::new(error) }.into();
        }
        DataFusionError::ObjectStore(store) => {
            let (is_missing, is_denied) = (is_missing(store), is_denied(store));
            let source = Box::new(error);
            return match (is_missing, is_denied) {
                (true, _) => FileError::NotFound { source }.into(),
                (_, true) => FileError::PermissionDenied { source }.into(),
                _ => FileError::Read { format, source }.into(),
            };
        }
        DataFusionError::Internal(_) => {
            return InternalError::caused_by("reading a table file", error).into();
        }
        DataFusionError::ParquetError(parquet) => match parquet_reason(parquet) {
            Some(reason) => {
                let source = Some(Box::new(error));
                return FileError::Malformed { format, reason, source }.into();
            }
            None => None,
        },
        DataFusionError::Execution(reason) => Some(reason.clone()),
        DataFusionError::ArrowError(arrow, _) => match arrow.as_ref() {
            // The JSON reader says of its syntax `JsonError`.
            ArrowError::ParseError(_) if format == "JSON" => {
                return FileError::Cast { source: Box::new(error) }.into();
            }
            ArrowError::ParseError(text) => {
                if let Some(value) = position.and_then(|position| bad_value(text, position)) {
                    return value.into();
                }
                Some(text.clone())
            }
            ArrowError::CastError(_) => {
                return FileError::Cast { source: Box::new(error) }.into();
            }
            ArrowError::JsonError(text) if let Some(key) = unknown_key(text) => {
                return FileError::UnknownKey { key }.into();
            }
            ArrowError::JsonError(text) if text.starts_with("whilst decoding field") => {
                return FileError::Cast { source: Box::new(error) }.into();
            }
            ArrowError::CsvError(text) | ArrowError::JsonError(text) => Some(text.clone()),
            _ => None,
        },
        _ => None,
    };
    match reason {
        Some(reason) => FileError::Malformed { format, reason, source: None }.into(),
        None => FileError::Read { format, source: Box::new(error) }.into(),
    }
}

/// `error` without the file's name, which is told apart from it.
fn without_context(error: DataFusionError) -> DataFusionError {
    match error {
        DataFusionError::Context(_, inner) => without_context(*inner),
        error => error,
    }
}

/// The key of `whilst decoding field 'a': column 'b' missing from schema`: `a.b`.
fn unknown_key(text: &str) -> Option<String> {
    let (mut keys, mut rest) = (Vec::new(), text);
    while let Some(inner) = rest.strip_prefix("whilst decoding field '") {
        let (key, inner) = inner.split_once("': ")?;
        keys.push(key);
        rest = inner;
    }
    keys.push(rest.strip_prefix("column '")?.strip_suffix("' missing from schema")?);
    Some(keys.join("."))
}

fn is_missing(error: &StoreError) -> bool {
    matches!(error, StoreError::NotFound { .. })
}

/// Of local files the store says no more than that opening failed; its cause tells why.
fn is_denied(error: &StoreError) -> bool {
    let mut causes = std::iter::successors(error.source(), |&cause| cause.source());
    matches!(error, StoreError::PermissionDenied { .. } | StoreError::Unauthenticated { .. })
        || causes.any(|cause| {
            let io = cause.downcast_ref::<io::Error>();
            io.is_some_and(|io| io.kind() == io::ErrorKind::PermissionDenied)
        })
}

/// What is wrong with a Parquet file, when it is not one or not a whole one.
fn parquet_reason(error: &ParquetError) -> Option<String> {
    let text = error.to_string();
    let has_no_footer =
        ["Invalid Parquet file", "footer", "smaller than", "at least", "EOF", "NeedMoreData"]
            .iter()
            .any(|part| text.contains(part))
            || matches!(error, ParquetError::EOF(_) | ParquetError::NeedMoreData(_));
    has_no_footer
        .then(|| "it does not end in a footer; it is truncated or of another format".into())
}

/// The value that did not parse, from the CSV reader's words, whose lines count from 0.
fn bad_value(text: &str, position: &Position<'_>) -> Option<FileError> {
    let (value, column, line) = plain_value(text).or_else(|| time_value(text))?;
    let field = position.columns.fields().get(column.parse::<usize>().ok()?)?;
    Some(FileError::Value {
        value: value.to_owned(),
        line: position.lines_before + line.parse::<u64>().ok()? + 1,
        column: field.name().clone(),
        data_type: field.data_type().clone(),
    })
}

/// Value, column and line of
/// `Error while parsing value 'x' as type 'Int64' for column 1 at line 5. Row data: '…'`.
fn plain_value(text: &str) -> Option<(&str, &str, &str)> {
    let (_, rest) = text.split_once("Error while parsing value '")?;
    let (value, rest) = rest.rsplit_once("' as type '")?;
    let (_, rest) = rest.split_once("' for column ")?;
    let (column, rest) = rest.split_once(" at line ")?;
    Some((value, column, rest.split_once(". Row data")?.0))
}

/// Value, column and line of
/// `Error parsing column 1 at line 5: Parser error: Error parsing timestamp from 'x': …`.
fn time_value(text: &str) -> Option<(&str, &str, &str)> {
    let (_, rest) = text.split_once("Error parsing column ")?;
    let (column, rest) = rest.split_once(" at line ")?;
    let (line, rest) = rest.split_once(": ")?;
    let (_, rest) = rest.split_once(" from '")?;
    Some((rest.rsplit_once("':")?.0, column, line))
}
