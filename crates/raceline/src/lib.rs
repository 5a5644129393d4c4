//! Raceline: a streaming data engine for AI and ETL work.
//!
//! A [`Dataset`] is a lazy plan over a [`Session`]. Nothing runs until rows are asked for; then
//! the plan streams through the machine within the session's memory budget, in order.
//!
//! ```
//! use arrow::array::{Int64Array, RecordBatch};
//! use raceline::{Session, SessionOptions, col, lit};
//!
//! # fn main() -> Result<(), raceline::Failure> {
//! let session = Session::new(SessionOptions::default())?;
//! let rows = session.range(1_000).filter(col("id").gt_eq(lit(990_i64))).count()?;
//! assert_eq!(rows, 10);
//! # Ok(())
//! # }
//! ```

mod batching;
mod crossing;
mod dataset;
mod explain;
mod heap;
mod history;
mod kept;
mod letters;
mod life;
mod memory_limit;
mod native;
mod pending;
mod planner;
mod progress;
mod region;
mod run;
mod run_order;
mod session;
mod source;
mod sql;
mod stats;
mod template;
mod timeouts;
mod tolerance;
mod unite;
mod watchdog;

pub use datafusion::logical_expr::{Expr, col, lit};
pub use dataset::{Dataset, WrittenFile, counted_rows, written_files};
pub use kept::{Keeping, KeptSize};
pub use pending::Pending;
pub use progress::ProgressMode;
pub use raceline_exec::{
    Level, Snapshot, SpillFolder, StageMemory, StageSnapshot, StageState, Wait, WaitOn, WorkTimes,
};
pub use raceline_plan::{
    Aggregate, AggregateKind, BatchFormat, BatchLimits, CostLimit, CsvReadOptions, Cut,
    DownloadSpec, ExchangeForm, FileFormat, FileNames, FileScan, FileShuffle, FileSplit,
    FolderColumns, FolderNames, ImageReadOptions, JoinKind, JoinSpec, JsonReadOptions,
    KeyedExchange, MixSpec, NameFiles, Node, OnError, PartitionStyle, Passed, Projection, Query,
    QueryFunction, QueryInput, RowValues, SaveMode, ScanRequest, SortKey, TextReadOptions, UdfBody,
    UdfColumns, UdfKind, UdfSpec, UdfWorkers, WriteFormat, WriteSpec,
};
pub use raceline_relational::{SqlCall, SqlError, is_sql_function};
pub use raceline_types::{
    Diagnostic, ErrorKind, Failure, Place, ResourceError, Resources, unite_batches,
};
pub use raceline_worker::{CallerLoader, Errand, Interruption, Launcher};
pub use run::{Run, Waited};
pub use run_order::RunOrder;
pub use session::{Session, SessionOptions};
pub use sql::{SqlTable, sql_calls, sql_tables};
pub use timeouts::RunTimeouts;
