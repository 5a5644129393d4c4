//! The text of a query, parsed.

use std::sync::Arc;

use datafusion::common::TableReference;
use datafusion::error::DataFusionError;
use datafusion::sql::parser::Statement as AnyStatement;
use datafusion::sql::resolve::resolve_table_references;
use datafusion::sql::sqlparser::ast::{Query, Statement};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use raceline_plan::QueryFunction;
use raceline_types::Failure;

use super::called_names::{SqlCall, calls_of};
use super::error::SqlError;
use super::fault::planning_failure;

/// One query, parsed; its tables are names yet.
#[derive(Clone, Debug)]
pub struct SqlStatement {
    text: Arc<str>,
    query: Box<Query>,
    tables: Vec<String>,
    functions: Vec<Arc<QueryFunction>>,
}

impl SqlStatement {
    /// Parses one query.
    ///
    /// # Errors
    /// [`SqlError::Syntax`], [`SqlError::Empty`], [`SqlError::Several`] and
    /// [`SqlError::NotAQuery`].
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let statements = Parser::parse_sql(&GenericDialect {}, text)
            .map_err(|error| syntax_error(&error, text))?;
        let count = statements.len();
        let mut statements = statements.into_iter();
        let query = match (statements.next(), count) {
            (None, _) => return Err(SqlError::Empty.into()),
            (Some(Statement::Query(query)), 1) => query,
            (Some(other), 1) => {
                let text = other.to_string();
                let what = text.split_whitespace().next().unwrap_or_default().to_owned();
                return Err(SqlError::NotAQuery { what }.into());
            }
            _ => return Err(SqlError::Several { count }.into()),
        };
        let statement = AnyStatement::Statement(Box::new(Statement::Query(query.clone())));
        let (references, _) =
            resolve_table_references(&statement, true).map_err(planning_failure)?;
        let tables = references.iter().map(TableReference::to_string).collect();
        Ok(Self { text: text.into(), query, tables, functions: Vec::new() })
    }

    /// The same query, which may call `functions` by their names.
    #[must_use]
    pub fn with_functions(self, functions: &[Arc<QueryFunction>]) -> Self {
        Self { functions: functions.to_vec(), ..self }
    }

    /// The text as it was given.
    #[must_use]
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// Names of the tables that the query reads, each once; those without quotes in lower case.
    #[must_use]
    pub fn tables(&self) -> &[String] {
        &self.tables
    }

    /// The functions that it calls, each with each number of arguments once, whoever has them.
    #[must_use]
    pub fn calls(&self) -> Vec<SqlCall> {
        calls_of(&self.query)
    }

    /// Functions of users that it may call.
    pub(super) fn functions(&self) -> &[Arc<QueryFunction>] {
        &self.functions
    }

    /// The query, to be changed.
    pub(super) fn query(&self) -> Box<Query> {
        self.query.clone()
    }
}

fn syntax_error(error: &ParserError, text: &str) -> SqlError {
    let said = match error {
        ParserError::TokenizerError(said) | ParserError::ParserError(said) => said.as_str(),
        ParserError::RecursionLimitExceeded => "it is nested too deeply",
    };
    let (reason, excerpt) = match said.rsplit_once(" at Line: ") {
        Some((reason, place)) => (reason, place_of(place).and_then(|place| excerpt(text, place))),
        None => (said, None),
    };
    SqlError::Syntax { reason: plain(reason), excerpt }
}

/// `3, Column: 7` as numbers.
fn place_of(place: &str) -> Option<(usize, usize)> {
    let (line, column) = place.split_once(", Column: ")?;
    Some((line.parse().ok()?, column.parse().ok()?))
}

/// The line of `text` with a mark below the column; both count from 1.
fn excerpt(text: &str, (line, column): (usize, usize)) -> Option<String> {
    let content = text.lines().nth(line.checked_sub(1)?)?.replace('\t', " ");
    let gutter = format!("  {line} | ");
    let before = gutter.chars().count() + column.saturating_sub(1);
    Some(format!("{gutter}{content}\n{}^", " ".repeat(before)))
}

/// `Expected: an expression, found: from` as people write it.
fn plain(reason: &str) -> String {
    let Some((wanted, found)) =
        reason.strip_prefix("Expected: ").and_then(|rest| rest.rsplit_once(", found: "))
    else {
        let mut letters = reason.chars();
        let first = letters.next().map(|first| first.to_lowercase().to_string());
        return first.unwrap_or_default() + letters.as_str();
    };
    match found {
        "EOF" => format!("expected {wanted}, found its end"),
        found => format!("expected {wanted}, found `{found}`"),
    }
}

/// What the planner takes.
pub(super) fn plannable(query: Box<Query>) -> AnyStatement {
    AnyStatement::Statement(Box::new(Statement::Query(query)))
}

/// An error that no text of a user leads to.
pub(super) fn unexpected(what: &str) -> DataFusionError {
    DataFusionError::Internal(what.to_owned())
}
