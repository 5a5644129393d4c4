//! Queries in SQL over datasets.

use std::sync::Arc;

use raceline_plan::{Node, Query};
use raceline_relational::{SqlError, SqlStatement};
use raceline_types::Failure;

use crate::dataset::Dataset;
use crate::session::Session;

/// Names of the tables that the query in `text` reads, each once. Names without quotes are in lower
/// case.
///
/// # Errors
/// [`SqlError`] when the text is not one query.
pub fn sql_tables(text: &str) -> Result<Vec<String>, Failure> {
    Ok(SqlStatement::parse(text)?.tables().to_vec())
}

impl Session {
    /// The result of a query in SQL over datasets of this session, each under its name. Names
    /// without quotes are in lower case, but find columns in any case.
    ///
    /// The query is planned when it runs: then columns that do not exist are an error. Rows are in
    /// the order of the query's `order by`, and in any order without one.
    ///
    /// ```
    /// use raceline::{Session, SessionOptions};
    ///
    /// # fn main() -> Result<(), raceline::Failure> {
    /// let session = Session::new(SessionOptions::default())?;
    /// let numbers = session.range(10);
    /// let large = session.sql("select id from t where id > 7", &[("t", &numbers)])?;
    /// assert_eq!(large.count()?, 2);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`SqlError`] when the text is not one query, or reads a table that is not among `tables`.
    pub fn sql(&self, text: &str, tables: &[(&str, &Dataset)]) -> Result<Dataset, Failure> {
        let statement = SqlStatement::parse(text)?;
        let mut inputs = Vec::with_capacity(statement.tables().len());
        for name in statement.tables() {
            let Some((_, dataset)) = tables.iter().find(|(known, _)| known == name) else {
                let known = tables.iter().map(|(known, _)| (*known).to_owned()).collect();
                return Err(SqlError::TableNotFound { name: name.clone(), known }.into());
            };
            inputs.push(Arc::clone(dataset.plan()));
        }
        let query =
            Query { text: Arc::clone(statement.text()), tables: statement.tables().to_vec() };
        let node = Node::Relational { inputs, query: Arc::new(query) };
        Ok(Dataset::new(self.clone(), node))
    }
}
