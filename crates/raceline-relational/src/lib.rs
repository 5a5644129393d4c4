//! `DataFusion` under the engine: table files, filters, projections, sorts, aggregates, queries.
//!
//! The crate turns plan nodes into the machine's readers, operators and regions. It knows no
//! credentials (stores are registered by whoever opened them) and no Python. The known faults of
//! `DataFusion` are worked around here: see [`Engine`] for memory.

mod aggregate;
mod compiled;
mod cost;
mod cut;
mod engine;
mod error;
mod exchange;
mod filter;
#[cfg(test)]
mod fixture;
mod grants;
mod join;
mod lease;
mod missing;
mod partition;
mod pool;
mod port;
mod project;
mod resolve;
mod run_pool;
mod scan;
mod schemas;
mod sort;
mod spill;
mod sql;
mod stream;

pub use aggregate::AggregateRegion;
pub use compiled::{CompiledOperator, Evaluation, evaluate_program};
pub use cost::RowCost;
pub use engine::{Engine, EngineOptions};
pub use error::{FileError, RelationalError};
pub use exchange::ExchangeRegion;
pub use filter::FilterOperator;
pub use join::JoinRegion;
pub use project::ProjectOperator;
pub use resolve::expression_field;
pub use scan::{FileReader, count_rows, infer_schema};
pub use schemas::Schemas;
pub use sort::SortRegion;
pub use sql::{
    FileTable, FunctionCall, FunctionResults, PlannedQuery, PortTable, QueryPart, QueryRegion,
    QuerySource, QueryTable, SqlCall, SqlError, SqlStatement, is_sql_function,
};
