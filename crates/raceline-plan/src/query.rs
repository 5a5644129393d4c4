//! Queries in SQL over the inputs of a node.

use std::fmt;
use std::sync::Arc;

/// Characters of a query that are shown.
const SHOWN_CHARS: usize = 60;

/// A query, as its text. It is planned when the columns of its tables are known.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Query {
    /// The text.
    pub text: Arc<str>,
    /// Names of the node's inputs in the query, in their order.
    pub tables: Vec<String>,
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
        let shown = |text: &str| Query { text: text.into(), tables: Vec::new() }.to_string();
        assert_eq!(shown("select a\n  from t"), "Sql(select a from t)");
        let long = format!("select {} from t", "a, ".repeat(30));
        let expected = format!("Sql({}...)", &long.replace("  ", " ")[..60]);
        assert_eq!(shown(&long), expected);
    }
}
