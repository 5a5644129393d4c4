//! Queries in SQL over the inputs of a node.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{FieldRef, SchemaRef};

use crate::udf::UdfSpec;

/// Characters of a query that are shown.
const SHOWN_CHARS: usize = 60;

/// A query, as its text. It is planned when the columns of its tables are known.
#[derive(Clone, Debug)]
pub struct Query {
    /// The text.
    pub text: Arc<str>,
    /// The node's inputs, in their order.
    pub tables: Vec<QueryInput>,
    /// Functions of users that it may call.
    pub functions: Vec<Arc<QueryFunction>>,
}

/// An input of a query.
#[derive(Clone, Debug)]
pub struct QueryInput {
    /// Its name in the query.
    pub name: String,
    /// The columns that its rows will have, where somebody looked at the first of them because
    /// the plan does not tell.
    pub columns: Option<SchemaRef>,
}

/// A user's function that a query calls by name, once for each row.
///
/// It is a batch function over columns that are named for it: for each call those of its arguments,
/// which it takes away, and it adds one for each call.
#[derive(Clone, Debug)]
pub struct QueryFunction {
    /// Its name in the query.
    pub name: String,
    /// Tells it from functions of the same name in other queries.
    pub key: String,
    /// The column that it makes; its name means nothing.
    pub returns: FieldRef,
    /// Whether equal arguments have equal results, so that equal calls are made once.
    pub is_deterministic: bool,
    /// The function.
    pub udf: Arc<UdfSpec>,
}

/// How the columns begin that stand for calls.
const CALL: &str = "__raceline_call";

impl QueryFunction {
    /// Whether a column of this name stands for an argument or a result of a call.
    #[must_use]
    pub fn is_of_call(column: &str) -> bool {
        column.starts_with(CALL)
    }

    /// The column of the result of its call number `call`.
    #[must_use]
    pub fn result_column(&self, call: usize) -> String {
        format!("{CALL} {} {call}", self.key)
    }

    /// The column of argument number `argument` of its call number `call`.
    #[must_use]
    pub fn argument_column(&self, call: usize, argument: usize) -> String {
        format!("{CALL} {} {call} {argument}", self.key)
    }

    /// The column whose rows are counted for its call number `call`, which has no arguments.
    #[must_use]
    pub fn rows_column(&self, call: usize) -> String {
        format!("{CALL} {} {call} rows", self.key)
    }
}

/// The query in one line, cut short: `Sql(select a from t)`.
impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.text.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut letters = line.chars();
        let shown: String = letters.by_ref().take(SHOWN_CHARS).collect();
        let more = if letters.next().is_some() { "..." } else { "" };
        write!(f, "Sql({shown}{more})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_shown_in_one_line() {
        let shown = |text: &str| {
            Query { text: text.into(), tables: Vec::new(), functions: Vec::new() }.to_string()
        };
        assert_eq!(shown("select a\n  from t"), "Sql(select a from t)");
        let long = format!("select {} from t", "a, ".repeat(30));
        let expected = format!("Sql({}...)", &long.replace("  ", " ")[..60]);
        assert_eq!(shown(&long), expected);
    }
}
