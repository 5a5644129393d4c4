//! The Rust API end to end: sources, closures, relational operators, files.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod pipeline;
mod sql;
mod tables;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use raceline::{Session, SessionOptions};

/// A session of two CPUs.
fn session() -> Session {
    Session::new(SessionOptions { cpus: Some(2.0), ..SessionOptions::default() }).unwrap()
}

/// All values of an int64 column, in order.
fn ints(batches: &[RecordBatch], column: &str) -> Vec<i64> {
    batches
        .iter()
        .flat_map(|batch| batch[column].as_primitive::<Int64Type>().values().to_vec())
        .collect()
}
