//! Queries in SQL: parsed, planned over tables, and run as one plan of `DataFusion`.
//!
//! A table is what somebody else resolved a name to: Parquet files, batches in memory, another
//! query, or an input port of the region. Files are scanned inside the plan, with their statistics
//! and with filters that come to be known while it runs; ports are read once. Functions of users
//! are names here: the plan is cut at their calls into parts, and who runs it has the functions
//! run between them.

mod called_names;
mod cut;
mod error;
mod fault;
mod files;
mod function;
mod hash_pair;
mod key_function;
mod names;
mod part;
mod planned;
mod port_table;
mod region;
mod settings;
mod spilling_join;
mod spool;
mod statement;

#[cfg(test)]
mod tests;

pub use called_names::{SqlCall, is_sql_function};
pub use cut::FunctionCall;
pub use error::SqlError;
pub use files::FileTable;
pub use part::{FunctionResults, QueryPart};
pub use planned::{PlannedQuery, QueryTable};
pub use port_table::PortTable;
pub use region::{QueryRegion, QuerySource};
pub use statement::SqlStatement;
