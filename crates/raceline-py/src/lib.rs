//! The Python face of the engine: handles, conversions, error mapping, and the worker child.
//!
//! Everything public to Python users is in the package `raceline`; this module is its
//! `raceline._native`. Nothing here plans or schedules.

mod aggregate;
mod batch;
mod caller;
mod capsule;
mod child;
mod convert;
mod dataset;
mod error;
mod expr;
mod gil;
mod ipc;
mod lambda;
mod lent;
mod names;
mod numpy;
mod options;
mod schema;
mod session;
mod sql;
mod stream;

use pyo3::prelude::*;

/// The engine, compiled. Its names are not public: use `raceline` and `raceline.data`.
#[pymodule(name = "_native")]
mod native {
    #[pymodule_export]
    use super::batch::{Batch, columns_to_batch, rows_to_batches};
    #[pymodule_export]
    use super::child::{
        RateGate, RowCollector, WorkerBatch, WorkerRequest, WorkerTemplate, is_plain_value,
        join_batches, value_to_batches,
    };
    #[pymodule_export]
    use super::dataset::Dataset;
    #[pymodule_export]
    use super::expr::{Expr, case, col, lit, lit_of};
    #[pymodule_export]
    use super::lambda::evaluate_lambda;
    #[pymodule_export]
    use super::lent::end_lending;
    #[pymodule_export]
    use super::schema::Schema;
    #[pymodule_export]
    use super::session::Session;
    #[pymodule_export]
    use super::sql::{is_sql_function, sql_calls, sql_tables};
    #[pymodule_export]
    use super::stream::Stream;
}
