//! Errors of planning a query in plain words.

use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
use raceline_types::{Failure, InternalError};

use super::error::SqlError;
use crate::error::{RelationalError, carried};

/// `error`, which came up while a query was planned.
pub(super) fn planning_failure(error: DataFusionError) -> Failure {
    if let Some(failure) = carried(&error) {
        return failure;
    }
    if let DataFusionError::Internal(_) = error.find_root() {
        return InternalError::caused_by("planning a query", error).into();
    }
    if let Some(failure) = about_columns(error.find_root()) {
        return failure;
    }
    let (reason, advice) = said(&text_of(error.find_root()));
    SqlError::Invalid { reason, advice }.into()
}

/// The failure when a column is at fault.
fn about_columns(root: &DataFusionError) -> Option<Failure> {
    let DataFusionError::SchemaError(error, _) = root else { return None };
    match error.as_ref() {
        SchemaError::FieldNotFound { field, valid_fields } => {
            let mut known: Vec<String> = Vec::with_capacity(valid_fields.len());
            for valid in valid_fields {
                if !known.contains(&valid.name) {
                    known.push(valid.name.clone());
                }
            }
            let name = match &field.relation {
                Some(table) => format!("{table}.{}", field.name),
                None => field.name.clone(),
            };
            Some(RelationalError::ColumnNotFound { name, known }.into())
        }
        SchemaError::AmbiguousReference { field } => {
            Some(SqlError::Ambiguous { column: field.name.clone() }.into())
        }
        SchemaError::DuplicateQualifiedField { name, .. }
        | SchemaError::DuplicateUnqualifiedField { name } => {
            Some(RelationalError::DuplicateColumn { name: name.clone() }.into())
        }
    }
}

/// The words of an error, without the name of its kind.
fn text_of(error: &DataFusionError) -> String {
    match error {
        DataFusionError::Plan(text)
        | DataFusionError::NotImplemented(text)
        | DataFusionError::Execution(text)
        | DataFusionError::Configuration(text) => text.clone(),
        DataFusionError::ArrowError(error, _) => error.to_string(),
        other => other.to_string(),
    }
}

/// What is wrong, and what to do about it: `Invalid function 'foo'.\nDid you mean 'floor'?`.
fn said(text: &str) -> (String, Option<String>) {
    let mut lines = text.lines();
    let reason = lines.next().unwrap_or_default().trim().trim_end_matches('.');
    let advice = lines.map(str::trim).find(|line| line.starts_with("Did you mean"));
    (lower_first(reason), advice.map(|line| lower_first(&line.replace('\'', "`"))))
}

fn lower_first(text: &str) -> String {
    let mut letters = text.chars();
    let Some(first) = letters.next() else { return String::new() };
    // Names of types and keywords stay as they are.
    if letters.clone().next().is_some_and(char::is_uppercase) {
        return text.to_owned();
    }
    first.to_lowercase().collect::<String>() + letters.as_str()
}
