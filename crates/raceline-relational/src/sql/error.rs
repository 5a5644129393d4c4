//! What can be wrong with a query.

use raceline_types::{Diagnostic, ErrorKind, nearest_names};
use thiserror::Error;

/// An error of the text of a query.
#[derive(Debug, Error)]
pub enum SqlError {
    /// Text that is not SQL.
    #[error("the query is not valid SQL: {reason}")]
    Syntax {
        /// In plain words.
        reason: String,
        /// The line of the text, with a mark below the place; `None` where it is not known.
        excerpt: Option<String>,
    },
    /// No query at all.
    #[error("the query is empty")]
    Empty,
    /// Several statements.
    #[error("{count} statements are given, one query is wanted")]
    Several {
        /// How many.
        count: usize,
    },
    /// A statement that is no query.
    #[error("`{what}` is no query")]
    NotAQuery {
        /// Its first word.
        what: String,
    },
    /// A table that is not in scope.
    #[error("no table `{name}`")]
    TableNotFound {
        /// The name asked for.
        name: String,
        /// The tables that there are.
        known: Vec<String>,
    },
    /// A column name that more than one table has.
    #[error("column `{column}` is in more than one table")]
    Ambiguous {
        /// The column.
        column: String,
    },
    /// A call of a user's function that cannot be made before what needs it.
    #[error("`{function}` cannot be called {place}")]
    MisplacedCall {
        /// The function.
        function: String,
        /// Where it is called, in plain words.
        place: &'static str,
    },
    /// A table whose columns are not known, of a query that calls functions of users.
    #[error("the columns of table `{table}` are not known before it runs")]
    UnknownColumns {
        /// The table.
        table: String,
    },
    /// A query that makes no sense over its tables.
    #[error("the query cannot be planned: {reason}")]
    Invalid {
        /// In plain words.
        reason: String,
        /// What to do about it, where the planner knows that.
        advice: Option<String>,
    },
}

impl Diagnostic for SqlError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Plan
    }

    fn detail(&self) -> Option<String> {
        match self {
            Self::Syntax { excerpt, .. } => excerpt.clone(),
            Self::TableNotFound { known, .. } if !known.is_empty() => {
                let names: Vec<_> = known.iter().map(|name| format!("`{name}`")).collect();
                Some(format!("  tables: {}", names.join(", ")))
            }
            _ => None,
        }
    }

    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Syntax { .. } => return None,
            Self::Empty => "write a query: `select ... from ...`",
            Self::Several { .. } => "run them one by one",
            Self::NotAQuery { .. } => {
                "write a query: `select ...`; datasets are written by `write_parquet` and its kin, \
                 and explained by `explain`"
            }
            Self::TableNotFound { name, known } => {
                let nearest = nearest_names(name, known.iter().map(String::as_str));
                return Some(match nearest.first() {
                    Some(best) => format!("did you mean `{best}`?"),
                    None => format!(
                        "pass it as a keyword argument, `{name}=dataset`; paths of files stand in \
                         single quotes"
                    ),
                });
            }
            Self::Ambiguous { column } => {
                return Some(format!("name its table: `table.{column}`"));
            }
            Self::MisplacedCall { function, .. } => {
                return Some(format!(
                    "call it in a subquery, and use its result: `select {function}(...) as x from \
                     ...`"
                ));
            }
            Self::UnknownColumns { .. } => {
                "tell them, as a query that calls your functions is planned before it runs"
            }
            Self::Invalid { advice, .. } => return advice.clone(),
        };
        Some(text.to_owned())
    }
}
