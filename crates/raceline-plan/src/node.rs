//! The logical plan.

use std::any::Any;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion_expr::Expr;

use crate::aggregate::Aggregate;
use crate::download::DownloadSpec;
use crate::exchange::KeyedExchange;
use crate::join::JoinSpec;
use crate::query::Query;
use crate::row_values::RowValues;
use crate::scan::FileScan;
use crate::udf::UdfSpec;
use crate::write::WriteSpec;

/// Where rows come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// Column `id`: 0, 1, …, `rows - 1`, int64.
    Range {
        /// Number of rows.
        rows: u64,
    },
    /// Batches held in memory.
    Memory {
        /// Name shown to people: `FromItems`, `FromPandas`.
        name: &'static str,
        /// Schema of all batches.
        schema: SchemaRef,
        /// The rows.
        batches: Arc<[RecordBatch]>,
    },
    /// Batches in Arrow IPC stream files of the engine's own, on a local disk.
    Stored {
        /// Name shown to people: `DeadLetters`.
        name: &'static str,
        /// Schema of all batches.
        schema: SchemaRef,
        /// The file.
        path: Arc<Path>,
        /// Number of rows.
        rows: u64,
    },
    /// Rows of a run that were kept, in memory and on disk.
    Kept {
        /// Name shown to people: `Materialized`.
        name: &'static str,
        /// Schema of all batches.
        schema: SchemaRef,
        /// Number of rows.
        rows: u64,
        /// The rows, as whoever runs the plan keeps them.
        contents: Arc<dyn Any + Send + Sync>,
    },
    /// Files.
    Files(Box<FileScan>),
}

/// How rows are cut anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Into this many batches of equal size.
    Parts(usize),
    /// Into batches of so many rows; the last may have fewer.
    Rows(usize),
    /// Into batches of at most so many rows, none of which has rows of two input batches.
    RowsAtMost(usize),
}

/// A change of columns that looks at no other row.
#[derive(Clone, Debug, PartialEq)]
pub enum Projection {
    /// Only these columns, in this order.
    Select(Vec<String>),
    /// All but these columns.
    Drop(Vec<String>),
    /// New names for columns; positions stay.
    Rename(Vec<(String, String)>),
    /// A new or replaced column. A replaced column keeps its position, a new one goes last.
    With {
        /// Its name.
        name: String,
        /// Its value, evaluated against the input columns.
        expr: Expr,
    },
}

/// One sort key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SortKey {
    /// The column.
    pub column: String,
    /// Greatest first. Missing values come last either way.
    pub descending: bool,
}

/// How the rows of several inputs are mixed.
#[derive(Clone, Debug, PartialEq)]
pub struct MixSpec {
    /// Rows of each input among those of all, in proportion; finite and greater than 0.
    pub weights: Vec<f64>,
    /// Whether all ends with the first input of which a row would be next and is not there; else
    /// the others go on without it.
    pub stops_early: bool,
}

/// What a shuffle moves, and how far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ShuffleScope {
    /// Each row, anywhere.
    Rows,
    /// Each row, drawn from so many that are held.
    Window {
        /// Rows that are held; at least 1.
        rows: usize,
    },
    /// Each batch, anywhere; its rows stay together.
    Batches,
}

/// A logical plan: an inert tree of nodes.
///
/// Column names are resolved when a schema is known, which behind an opaque function is when
/// its first batch arrives.
#[derive(Clone, Debug)]
pub enum Node {
    /// Reads.
    Source(Source),
    /// Keeps the rows for which the expression is true (null drops the row).
    Filter {
        /// Input.
        input: Arc<Self>,
        /// Boolean expression over the input columns.
        predicate: Expr,
    },
    /// Changes columns.
    Project {
        /// Input.
        input: Arc<Self>,
        /// The change.
        projection: Projection,
    },
    /// Applies a user's function.
    Udf {
        /// Input.
        input: Arc<Self>,
        /// The function.
        udf: Arc<UdfSpec>,
    },
    /// At most the first `rows` rows.
    Limit {
        /// Input.
        input: Arc<Self>,
        /// Number of rows.
        rows: u64,
    },
    /// All but the first `rows` rows.
    Skip {
        /// Input.
        input: Arc<Self>,
        /// Number of rows.
        rows: u64,
    },
    /// Sorts by keys, most significant first; not stable.
    Sort {
        /// Input.
        input: Arc<Self>,
        /// Keys.
        keys: Vec<SortKey>,
    },
    /// Aggregates by key columns; without keys the result is one row.
    Aggregate {
        /// Input.
        input: Arc<Self>,
        /// Key columns, which come first in the output.
        keys: Vec<String>,
        /// Aggregations, in output order.
        aggregates: Vec<Aggregate>,
    },
    /// Rows of two inputs with equal keys, in any order.
    Join {
        /// The left side.
        left: Arc<Self>,
        /// The right side.
        right: Arc<Self>,
        /// Keys, names and which rows are kept.
        spec: Arc<JoinSpec>,
    },
    /// All rows of the inputs, in the order of the inputs.
    Union {
        /// Inputs.
        inputs: Vec<Arc<Self>>,
    },
    /// All rows of the inputs, those of each in order, interleaved by weights.
    Mix {
        /// Inputs, as many as there are weights.
        inputs: Vec<Arc<Self>>,
        /// How.
        spec: Arc<MixSpec>,
    },
    /// Row by row, the columns of the first input and then those of each other one, which must
    /// have as many rows. A name that was there gets `_1`, `_2`.
    Zip {
        /// Inputs.
        inputs: Vec<Arc<Self>>,
    },
    /// The result of a query over the inputs.
    Relational {
        /// Inputs: the query's tables.
        inputs: Vec<Arc<Self>>,
        /// The query.
        query: Arc<Query>,
    },
    /// Cuts the rows anew, in order.
    Repartition {
        /// Input.
        input: Arc<Self>,
        /// How.
        cut: Cut,
    },
    /// Brings rows with equal keys together, in any order.
    Exchange {
        /// Input.
        input: Arc<Self>,
        /// By which columns, and what becomes of the rows.
        spec: Arc<KeyedExchange>,
    },
    /// A new or replaced column of values that rows have by their places. A replaced column keeps
    /// its position, a new one goes last.
    RowColumn {
        /// Input.
        input: Arc<Self>,
        /// The column's name.
        name: String,
        /// Its values.
        values: RowValues,
    },
    /// A new or replaced column of what is fetched for each row.
    Download {
        /// Input.
        input: Arc<Self>,
        /// What.
        spec: Arc<DownloadSpec>,
    },
    /// Puts rows into a random order.
    Shuffle {
        /// Input.
        input: Arc<Self>,
        /// What the order depends on, beside the input.
        seed: u64,
        /// Whether each run has an order of its own, which depends on its number as well.
        reseeds: bool,
        /// What is moved, and how far.
        scope: ShuffleScope,
    },
    /// Writes files; the result is one row a file: `path`, `rows`, `bytes`.
    Write {
        /// Input.
        input: Arc<Self>,
        /// Where and how.
        spec: Arc<WriteSpec>,
    },
}

impl Node {
    /// The inputs, in order.
    #[must_use]
    pub fn inputs(&self) -> Vec<&Arc<Self>> {
        match self {
            Self::Source(_) => Vec::new(),
            Self::Filter { input, .. }
            | Self::Project { input, .. }
            | Self::Udf { input, .. }
            | Self::Limit { input, .. }
            | Self::Skip { input, .. }
            | Self::Sort { input, .. }
            | Self::Aggregate { input, .. }
            | Self::Repartition { input, .. }
            | Self::Exchange { input, .. }
            | Self::RowColumn { input, .. }
            | Self::Download { input, .. }
            | Self::Shuffle { input, .. }
            | Self::Write { input, .. } => vec![input],
            Self::Join { left, right, .. } => vec![left, right],
            Self::Union { inputs }
            | Self::Mix { inputs, .. }
            | Self::Zip { inputs }
            | Self::Relational { inputs, .. } => inputs.iter().collect(),
        }
    }

    /// The functions of users that it calls, its inputs aside.
    #[must_use]
    pub fn functions(&self) -> Vec<&UdfSpec> {
        match self {
            Self::Udf { udf, .. } => vec![udf],
            Self::Relational { query, .. } => {
                query.functions.iter().map(|function| &*function.udf).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The node nearest to the output whose rows come in another order each time that the plan is
    /// run; `None` where all of them come in the same. Rows that are equal by the keys of a sort
    /// count as being in the same.
    #[must_use]
    pub fn unordered(&self) -> Option<&Self> {
        match self {
            Self::Sort { .. } => None,
            Self::Aggregate { keys, .. } if keys.is_empty() => None,
            Self::Aggregate { .. }
            | Self::Join { .. }
            | Self::Exchange { .. }
            | Self::Relational { .. }
            // How batches are cut is decided as they come.
            | Self::Shuffle { scope: ShuffleScope::Batches, .. } => Some(self),
            _ => self.inputs().into_iter().find_map(|input| input.unordered()),
        }
    }

    /// The node itself, without its inputs: `Filter(price > 3)`.
    #[must_use]
    pub fn label(&self) -> String {
        match self {
            Self::Source(source) => source.to_string(),
            Self::Filter { predicate, .. } => format!("Filter({predicate})"),
            Self::Project { projection, .. } => projection.to_string(),
            Self::Udf { udf, .. } => udf.label(),
            Self::Limit { rows, .. } => format!("Limit({rows})"),
            Self::Skip { rows, .. } => format!("Skip({rows})"),
            Self::Sort { keys, .. } => format!("Sort({})", join(keys)),
            Self::Aggregate { keys, aggregates, .. } => {
                let names: Vec<_> = aggregates.iter().map(|one| one.name.as_str()).collect();
                format!("Aggregate(by=[{}], [{}])", keys.join(", "), names.join(", "))
            }
            Self::Join { spec, .. } => spec.to_string(),
            Self::Union { inputs } => format!("Union({} inputs)", inputs.len()),
            Self::Mix { spec, .. } => format!("Mix({})", join(&spec.weights)),
            Self::Zip { inputs } => format!("Zip({} inputs)", inputs.len()),
            Self::Relational { query, .. } => query.to_string(),
            Self::Repartition { cut, .. } => cut.to_string(),
            Self::Exchange { spec, .. } => spec.to_string(),
            Self::Download { spec, .. } => spec.to_string(),
            Self::RowColumn { name, values, .. } => format!("RowColumn({name} = {values})"),
            Self::Shuffle { seed, scope, .. } => match scope {
                ShuffleScope::Rows => format!("RandomShuffle(seed={seed})"),
                ShuffleScope::Window { rows } => {
                    format!("RandomShuffle(window={rows}, seed={seed})")
                }
                ShuffleScope::Batches => format!("RandomizeBlockOrder(seed={seed})"),
            },
            Self::Write { spec, .. } => format!("Write({})", spec.path),
        }
    }

    fn write_tree(&self, depth: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match depth {
            0 => writeln!(f, "{}", self.label())?,
            _ => writeln!(f, "{}+- {}", "   ".repeat(depth - 1), self.label())?,
        }
        self.inputs().into_iter().try_for_each(|input| input.write_tree(depth + 1, f))
    }
}

/// The tree, one node a line, inputs indented below.
impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_tree(0, f)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Range { rows } => write!(f, "Range({rows})"),
            Self::Memory { name, batches, .. } => {
                let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
                write!(f, "{name}({rows} rows)")
            }
            Self::Stored { name, rows, .. } | Self::Kept { name, rows, .. } => {
                write!(f, "{name}({rows} rows)")
            }
            Self::Files(scan) => {
                write!(f, "{}({}", scan.format.read_name(), scan.paths.join(", "))?;
                if let Some(columns) = scan.request.columns() {
                    write!(f, ", columns=[{}]", columns.join(", "))?;
                }
                if let Some(predicate) = &scan.request.predicate {
                    write!(f, ", filter={predicate}")?;
                }
                if let Some(limit) = scan.request.limit {
                    write!(f, ", limit={limit}")?;
                }
                if scan.request.only_bounds {
                    f.write_str(", only bounds")?;
                }
                f.write_str(")")
            }
        }
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parts(parts) => write!(f, "Repartition({parts})"),
            Self::Rows(rows) => write!(f, "Repartition(rows={rows})"),
            Self::RowsAtMost(rows) => write!(f, "Repartition(rows<={rows})"),
        }
    }
}

impl fmt::Display for Projection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Select(columns) => write!(f, "Select({})", columns.join(", ")),
            Self::Drop(columns) => write!(f, "Drop({})", columns.join(", ")),
            Self::Rename(names) => {
                let names: Vec<_> =
                    names.iter().map(|(old, new)| format!("{old}: {new}")).collect();
                write!(f, "Rename({})", names.join(", "))
            }
            Self::With { name, expr } => write!(f, "WithColumn({name} = {expr})"),
        }
    }
}

impl fmt::Display for SortKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.column, if self.descending { " desc" } else { "" })
    }
}

fn join(items: &[impl fmt::Display]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
