//! Plans as values: what to read, how to transform it, where to write it; and the compiler that
//! turns small Python functions into expressions.
//!
//! A plan is inert: building one touches no file, no clock and no network. Equal plans print
//! equal text. [`datafusion_expr::Expr`] is *the* expression type.

mod aggregate;
mod download;
mod exchange;
pub mod expression;
mod join;
pub mod lambda;
mod node;
mod query;
mod row_values;
mod scan;
mod udf;
mod write;

pub use aggregate::{Aggregate, AggregateKind};
pub use download::DownloadSpec;
pub use exchange::{ExchangeForm, KeyedExchange};
pub use join::{JoinKind, JoinSpec};
pub use node::{Cut, MixSpec, Node, Projection, ShuffleScope, SortKey, Source};
pub use query::{Query, QueryFunction, QueryInput};
pub use row_values::RowValues;
pub use scan::{
    CsvReadOptions, FileFormat, FileScan, FileShuffle, FileSplit, FolderColumns, FolderNames,
    ImageReadOptions, JsonReadOptions, PartitionStyle, ScanRequest, TextReadOptions,
};
pub use udf::{
    BatchFormat, BatchLimits, CostLimit, NativeFunction, OnError, Passed, UdfBody, UdfColumns,
    UdfKind, UdfSpec, UdfWorkers,
};
pub use write::{FileNames, NameFiles, SaveMode, WriteFormat, WriteSpec};
