//! What can go wrong in relational work, and how `DataFusion`'s errors become ours.

use std::error::Error;
use std::fmt;

use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use raceline_types::{Diagnostic, ErrorKind, Failure, InternalError, holds_objects, nearest_names};
use thiserror::Error;

use crate::schemas::Schemas;

/// An error of relational work on batches.
#[derive(Debug, Error)]
pub enum RelationalError {
    /// An engine without memory or without partitions.
    #[error("an engine needs memory and partitions, got {memory_bytes} bytes and {partitions}")]
    Options {
        /// The memory in bytes.
        memory_bytes: usize,
        /// The partitions.
        partitions: usize,
    },
    /// A column that the input does not have.
    #[error("no column `{name}`")]
    ColumnNotFound {
        /// The name asked for.
        name: String,
        /// The columns that there are.
        known: Vec<String>,
    },
    /// A name that would occur twice.
    #[error("column `{name}` would occur twice")]
    DuplicateColumn {
        /// The name.
        name: String,
    },
    /// A predicate that is not a condition.
    #[error("filter `{expr}` is of type `{data_type}`, not boolean")]
    NotBoolean {
        /// The predicate.
        expr: String,
        /// What it is.
        data_type: DataType,
    },
    /// A cost of rows that is no number.
    #[error("cost `{expr}` is of type `{data_type}`, not a number")]
    NotANumber {
        /// The cost.
        expr: String,
        /// What it is.
        data_type: DataType,
    },
    /// An expression that does not fit the types of its columns.
    #[error("expression `{expr}` does not fit its columns")]
    Expression {
        /// The expression.
        expr: String,
        /// What does not fit.
        #[source]
        source: Box<DataFusionError>,
    },
    /// An expression that failed on a value.
    #[error("expression `{expr}` failed")]
    Evaluate {
        /// The expression.
        expr: String,
        /// Why.
        #[source]
        source: Box<DataFusionError>,
    },
    /// A value that failed inside a sort or an aggregate.
    #[error("relational work failed on a value")]
    Value {
        /// Why.
        #[source]
        source: Box<DataFusionError>,
    },
    /// An aggregate over a type that it is not defined for.
    #[error("cannot compute `{aggregate}` of column `{column}` of type `{data_type}`")]
    AggregateType {
        /// `sum`, `mean`, …
        aggregate: String,
        /// The column.
        column: String,
        /// Its type.
        data_type: DataType,
    },
    /// An aggregate that lacks its column.
    #[error("aggregate `{name}` needs a column")]
    AggregateColumn {
        /// The aggregate's name.
        name: String,
    },
    /// An integer sum beyond 64 bits.
    #[error("`{name}` exceeds 64 bits")]
    SumOverflow {
        /// The aggregate's name.
        name: String,
    },
    /// Work on the values of a column whose values are pickled Python objects.
    #[error("cannot {what} column `{column}`: it holds Python objects")]
    Objects {
        /// `sort by`, `group by`, `compute `max` of`.
        what: String,
        /// The column.
        column: String,
    },
    /// Key columns whose values cannot be compared.
    #[error("cannot join `{left}` of type `{left_type}` with `{right}` of type `{right_type}`")]
    JoinKeys {
        /// The key of the left side.
        left: String,
        /// Its type.
        left_type: DataType,
        /// The key of the right side.
        right: String,
        /// Its type.
        right_type: DataType,
    },
    /// A name that the output of a join would have twice.
    #[error("both sides of the join have a column `{name}`")]
    JoinColumn {
        /// The name.
        name: String,
    },
    /// A row that no sort can hold.
    #[error("a row of {bytes} bytes is too large to be sorted, at most {bytes_max} fit")]
    LargeRow {
        /// Its bytes.
        bytes: usize,
        /// Most bytes of a row.
        bytes_max: usize,
    },
    /// A group that no function can be given.
    #[error("group {key} has {rows} rows of {bytes} bytes together, at most {bytes_max} bytes fit")]
    LargeGroup {
        /// Its keys, `` `user` = 3 ``.
        key: String,
        /// Its rows.
        rows: u64,
        /// About their bytes.
        bytes: usize,
        /// Most bytes of a group.
        bytes_max: usize,
    },
    /// Memory ran out.
    #[error("out of memory for sorting, joining and aggregating")]
    OutOfMemory {
        /// Who asked for how much.
        #[source]
        source: Box<DataFusionError>,
    },
    /// Memory ran out for a join that can neither spill nor be partitioned.
    #[error("out of memory for a join without equal columns")]
    JoinTooLarge,
    /// Spilling to disk failed.
    #[error("cannot spill to disk")]
    Spill {
        /// Why.
        #[source]
        source: Box<DataFusionError>,
    },
}

impl RelationalError {
    /// A missing column of `schema`.
    pub(crate) fn column_not_found(name: &str, schema: &Schema) -> Self {
        let known = schema.fields().iter().map(|field| field.name().clone()).collect();
        Self::ColumnNotFound { name: name.to_owned(), known }
    }
}

/// Refuses to compare or compute values of `field` when they are pickled objects.
pub(crate) fn check_comparable(field: &Field, what: &str) -> Result<(), RelationalError> {
    if holds_objects(field) {
        let column = field.name().clone();
        return Err(RelationalError::Objects { what: what.to_owned(), column });
    }
    Ok(())
}

impl Diagnostic for RelationalError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::ColumnNotFound { .. } => ErrorKind::ColumnNotFound,
            Self::LargeRow { .. }
            | Self::LargeGroup { .. }
            | Self::OutOfMemory { .. }
            | Self::JoinTooLarge
            | Self::Spill { .. } => ErrorKind::Resource,
            Self::Options { .. }
            | Self::DuplicateColumn { .. }
            | Self::NotBoolean { .. }
            | Self::NotANumber { .. }
            | Self::Expression { .. }
            | Self::Evaluate { .. }
            | Self::Value { .. }
            | Self::AggregateType { .. }
            | Self::AggregateColumn { .. }
            | Self::SumOverflow { .. }
            | Self::JoinKeys { .. }
            | Self::JoinColumn { .. }
            | Self::Objects { .. } => ErrorKind::Plan,
        }
    }

    fn detail(&self) -> Option<String> {
        match self {
            Self::ColumnNotFound { known, .. } => {
                let names: Vec<_> = known.iter().map(|name| format!("`{name}`")).collect();
                Some(format!("  columns: {}", names.join(", ")))
            }
            _ => None,
        }
    }

    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::ColumnNotFound { name, known } => {
                let nearest = nearest_names(name, known.iter().map(String::as_str));
                return nearest.first().map(|best| format!("did you mean `{best}`?"));
            }
            Self::LargeRow { bytes, bytes_max } => {
                let tenths = (10 * bytes).div_ceil(*bytes_max);
                return Some(format!(
                    "give the session more memory, at least {}.{} times as much, or leave wide \
                     columns out",
                    tenths / 10,
                    tenths % 10
                ));
            }
            Self::LargeGroup { .. } => {
                "give the session more memory, select fewer columns, group by more of them, or \
                 aggregate: aggregations hold no groups"
            }
            Self::DuplicateColumn { .. } => "give each output column a name of its own",
            Self::NotBoolean { .. } => "compare the value with something",
            Self::NotANumber { .. } => "cast it, or make a column of the costs first",
            Self::Expression { .. } => "cast the columns to types that go together",
            Self::Evaluate { .. } | Self::Value { .. } => "filter such values out first",
            Self::AggregateType { .. } => "cast the column first, or aggregate another one",
            Self::AggregateColumn { .. } => "name a column; only a count does without",
            Self::SumOverflow { .. } => "cast the column to float64 first",
            Self::Objects { .. } => {
                "make a column of numbers or strings of it first, e.g. by `float(x)` or `str(x)`"
            }
            Self::JoinKeys { left_type, right_type, .. }
                if left_type.is_nested() || right_type.is_nested() =>
            {
                "join on columns of plain values: lists, structs, maps and tensors are no keys"
            }
            Self::JoinKeys { .. } => "cast one of them to the type of the other",
            Self::JoinColumn { .. } => {
                "set `left_suffix` or `right_suffix`, or drop or rename one of them"
            }
            Self::OutOfMemory { .. } => {
                "give the session more memory, or work on fewer and narrower columns"
            }
            Self::JoinTooLarge => {
                "join by `=` on some columns, or give the session more memory: one side is held"
            }
            Self::Spill { .. } => "free space in the spill folder, or give the session more memory",
            Self::Options { .. } => return None,
        };
        Some(text.to_owned())
    }
}

/// An error of a table file. The file's name is in the failure's place.
#[derive(Debug, Error)]
pub enum FileError {
    /// Not what it should be.
    #[error("not a {format} file: {reason}")]
    Malformed {
        /// `Parquet`, `CSV` or `JSON`.
        format: &'static str,
        /// In plain words.
        reason: String,
        /// What the reader said, when the reason does not repeat it.
        #[source]
        source: Option<Box<DataFusionError>>,
    },
    /// A key of a JSON object that no column has.
    #[error("key `{key}` is none of the columns that were found")]
    UnknownKey {
        /// The key, with those above it: `a.b`.
        key: String,
    },
    /// A column that the first files lack, or that was not declared.
    #[error(
        "column `{column}` is none of those {}",
        if *is_declared { "that were declared" } else { "of the first file" }
    )]
    UnknownColumn {
        /// The name.
        column: String,
        /// Whether the columns were declared, and are not found from files.
        is_declared: bool,
        /// Those of the scan and of the file.
        schemas: Schemas,
    },
    /// A column that was declared and that a file must have.
    #[error("column `{column}` is missing in this file")]
    MissingColumn {
        /// The name.
        column: String,
        /// Those of the scan and of the file.
        schemas: Schemas,
    },
    /// Two columns of one name.
    #[error("column `{column}` occurs twice")]
    DuplicateColumn {
        /// The name.
        column: String,
    },
    /// A value that does not fit the type of its column.
    #[error("value `{value}` in line {line} does not fit column `{column}` of type `{data_type}`")]
    Value {
        /// The text in the file.
        value: String,
        /// The line of the file, counted from 1. Empty lines, and line breaks inside a value, do
        /// not count.
        line: u64,
        /// The column.
        column: String,
        /// Its type.
        data_type: DataType,
    },
    /// A value that cannot be cast to the type of its column.
    #[error("a value does not fit the type of its column")]
    Cast {
        /// Which value.
        #[source]
        source: Box<DataFusionError>,
    },
    /// A column whose values are of another kind, or would lose their fractions.
    #[error("column `{column}` is `{found}` in this file, not `{expected}`")]
    OtherType {
        /// The column.
        column: String,
        /// Its type in the file.
        found: DataType,
        /// Its type in the scan.
        expected: DataType,
        /// Whether the types were declared, and are not found from files.
        is_declared: bool,
        /// Those of the scan and of the file.
        schemas: Schemas,
    },
    /// Content that its reader refused.
    #[error("cannot read this {format} file")]
    Read {
        /// `Parquet`, `CSV` or `JSON`.
        format: &'static str,
        /// What the reader said.
        #[source]
        source: Box<DataFusionError>,
    },
    /// The file went away.
    #[error("no such file")]
    NotFound {
        /// What the store said.
        #[source]
        source: Box<DataFusionError>,
    },
    /// Access was refused.
    #[error("access refused")]
    PermissionDenied {
        /// What the store said.
        #[source]
        source: Box<DataFusionError>,
    },
}

impl Diagnostic for FileError {
    fn detail(&self) -> Option<String> {
        match self {
            Self::UnknownColumn { schemas, .. }
            | Self::MissingColumn { schemas, .. }
            | Self::OtherType { schemas, .. } => Some(schemas.to_string()),
            _ => None,
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::Malformed { .. }
            | Self::UnknownKey { .. }
            | Self::UnknownColumn { .. }
            | Self::DuplicateColumn { .. }
            | Self::Value { .. }
            | Self::Cast { .. }
            | Self::MissingColumn { .. }
            | Self::OtherType { .. }
            | Self::Read { .. } => ErrorKind::Source,
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::PermissionDenied { .. } => ErrorKind::PermissionDenied,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Malformed { format, .. } => {
                format!("remove the file from the paths, or write it again as {format}")
            }
            Self::UnknownKey { .. } => "columns are found from the start of the first file: put \
                first a file that starts with all keys, select the columns that you need, or read \
                the lines with `read_text` and parse them in a function"
                .into(),
            Self::UnknownColumn { is_declared: true, .. }
            | Self::MissingColumn { .. }
            | Self::OtherType { is_declared: true, .. } => "mend the file, or declare the columns \
                as it has them; without `strict_schema` they may be missing, and are cast"
                .into(),
            Self::UnknownColumn { .. } => "put first a file that has all columns, or select the \
                columns that you need"
                .into(),
            Self::DuplicateColumn { .. } => "give each column of the file a name of its own".into(),
            Self::Value { .. } | Self::Cast { .. } => "types are found from the start of the \
                first file: write the files with the same types, or put first one that shows them"
                .into(),
            Self::OtherType { .. } => "types are found from the first files: declare them by \
                `schema=`, or write the files with the same types"
                .into(),
            Self::Read { .. } => "check the file with another reader; it may be truncated".into(),
            Self::NotFound { .. } => "it was there when it was listed: run again".into(),
            Self::PermissionDenied { .. } => "check credentials and file permissions".into(),
        })
    }
}

/// A [`Failure`] on its way through `DataFusion`.
#[derive(Debug)]
pub(crate) struct Carried(pub(crate) Failure);

impl fmt::Display for Carried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for Carried {}

/// Wraps a failure so that [`failure`] finds it again.
pub(crate) fn carry(failure: Failure) -> DataFusionError {
    DataFusionError::External(Box::new(Carried(failure)))
}

/// The failure that an error of `DataFusion` carries, or else what kind of error it is.
pub(crate) fn failure(error: DataFusionError) -> Failure {
    if let Some(carried) = carried(&error) {
        return carried;
    }
    match error.find_root() {
        DataFusionError::ResourcesExhausted(_) => {
            RelationalError::OutOfMemory { source: Box::new(error) }.into()
        }
        DataFusionError::IoError(_) => RelationalError::Spill { source: Box::new(error) }.into(),
        root if is_about_values(root) => RelationalError::Value { source: Box::new(error) }.into(),
        _ => InternalError::caused_by("relational work failed", error).into(),
    }
}

/// Whether an error is about the data and not about the engine.
fn is_about_values(error: &DataFusionError) -> bool {
    match error {
        DataFusionError::Execution(_)
        | DataFusionError::Plan(_)
        | DataFusionError::NotImplemented(_)
        | DataFusionError::SchemaError(..) => true,
        DataFusionError::ArrowError(error, _) => !matches!(
            error.as_ref(),
            ArrowError::MemoryError(_) | ArrowError::ExternalError(_) | ArrowError::IoError(..)
        ),
        _ => false,
    }
}

/// The failure inside, however deep.
pub(crate) fn carried(error: &DataFusionError) -> Option<Failure> {
    let mut link: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = link {
        // An I/O error keeps what it was made of to itself.
        let io = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        let found = error.downcast_ref().or_else(|| io?.downcast_ref());
        if let Some(Carried(failure)) = found {
            return Some(failure.clone());
        }
        link = error.source();
    }
    None
}
