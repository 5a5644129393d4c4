//! Queries in SQL: parsed, planned over tables, and run as one plan of `DataFusion`.
//!
//! A table is what somebody else resolved a name to: Parquet files, batches in memory, another
//! query, or an input port of the region. Files are scanned inside the plan, with their statistics
//! and with filters that come to be known while it runs; ports are read once.

mod error;
mod fault;
mod files;
mod names;
mod planned;
mod pool;
mod port_table;
mod region;
mod settings;
mod spool;
mod statement;

#[cfg(test)]
mod tests;

pub use error::SqlError;
pub use files::FileTable;
pub use planned::{PlannedQuery, QueryTable};
pub use port_table::PortTable;
pub use region::{QueryRegion, QuerySource};
pub use statement::SqlStatement;
