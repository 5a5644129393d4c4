//! Queries in SQL over datasets.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use raceline_plan::{Node, Query, QueryFunction, QueryInput};
use raceline_relational::{SqlCall, SqlError, SqlStatement};
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

/// The calls of functions in the query in `text`, whoever has the functions, each with each number
/// of arguments once. Names without quotes are in lower case.
///
/// # Errors
/// [`SqlError`] when the text is not one query.
pub fn sql_calls(text: &str) -> Result<Vec<SqlCall>, Failure> {
    Ok(SqlStatement::parse(text)?.calls())
}

/// A dataset that a query reads.
#[derive(Clone, Copy, Debug)]
pub struct SqlTable<'a> {
    /// Its name in the query.
    pub name: &'a str,
    /// The dataset.
    pub dataset: &'a Dataset,
    /// The columns of its rows, where the plan does not tell them: a query that calls functions
    /// must know.
    pub columns: Option<&'a SchemaRef>,
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
        let tables: Vec<_> = tables
            .iter()
            .map(|&(name, dataset)| SqlTable { name, dataset, columns: None })
            .collect();
        self.sql_with_functions(text, &tables, &[])
    }

    /// The result of a query in SQL that may call `functions` by their names; see
    /// [`Session::sql`]. They run in stages of their own, each once for each row that reaches it.
    ///
    /// # Errors
    /// [`SqlError`] when the text is not one query, or reads a table that is not among `tables`.
    pub fn sql_with_functions(
        &self,
        text: &str,
        tables: &[SqlTable<'_>],
        functions: &[Arc<QueryFunction>],
    ) -> Result<Dataset, Failure> {
        let statement = SqlStatement::parse(text)?;
        let mut inputs = Vec::with_capacity(statement.tables().len());
        let mut read = Vec::with_capacity(inputs.capacity());
        for name in statement.tables() {
            let Some(table) = tables.iter().find(|table| table.name == name) else {
                let known = tables.iter().map(|table| table.name.to_owned()).collect();
                return Err(SqlError::TableNotFound { name: name.clone(), known }.into());
            };
            inputs.push(Arc::clone(table.dataset.plan()));
            read.push(QueryInput { name: name.clone(), columns: table.columns.cloned() });
        }
        let text = Arc::clone(statement.text());
        let query = Query { text, tables: read, functions: functions.to_vec() };
        let node = Node::Relational { inputs, query: Arc::new(query) };
        Ok(Dataset::new(self.clone(), node))
    }
}
