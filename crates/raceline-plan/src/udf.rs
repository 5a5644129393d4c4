//! User-defined functions in a plan.

use std::any::Any;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arrow::record_batch::RecordBatch;
use datafusion_expr::Expr;
use raceline_types::{Failure, Resources};

use crate::lambda::Program;

/// What a function takes and returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UdfKind {
    /// One row in, one row out.
    Map,
    /// One row in, any number of rows out.
    FlatMap,
    /// One row in, whether to keep it out.
    Filter,
    /// One batch in, one or more batches out.
    MapBatches,
    /// One row in, the value of a new key column out.
    Key,
    /// One group of rows in, one or more batches out. Of an input of
    /// [`crate::ExchangeForm::Groups`].
    MapGroups,
}

impl UdfKind {
    /// Whether the output has the columns of the input.
    #[must_use]
    pub fn keeps_schema(self) -> bool {
        match self {
            Self::Filter => true,
            Self::Map | Self::FlatMap | Self::MapBatches | Self::Key | Self::MapGroups => false,
        }
    }
}

/// How a batch function sees its batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum BatchFormat {
    /// A dict of column name to `numpy.ndarray`.
    #[default]
    Numpy,
    /// A `pandas.DataFrame` of Arrow-backed columns.
    Pandas,
    /// A `pyarrow.Table`.
    Arrow,
    /// A dict of column name to `torch.Tensor`.
    Torch,
}

/// How batches are cut beside by rows. Each batch holds one row at least.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BatchLimits {
    /// As many rows as turn out to be fastest, where there are no bounds.
    pub fastest: bool,
    /// Most bytes of its rows.
    pub bytes_max: Option<u64>,
    /// Most of what its rows cost.
    pub cost: Option<CostLimit>,
}

impl BatchLimits {
    /// Whether where a batch ends is not known from the number of rows alone.
    #[must_use]
    pub fn is_dynamic(&self) -> bool {
        self.fastest || self.is_weighed()
    }

    /// Whether rows count for more than one.
    #[must_use]
    pub fn is_weighed(&self) -> bool {
        self.bytes_max.is_some() || self.cost.is_some()
    }
}

/// A bound on what the rows of a batch cost.
#[derive(Clone, Debug, PartialEq)]
pub struct CostLimit {
    /// What a row costs: a number of at least 0.
    pub cost: Expr,
    /// Most of a batch; finite and positive.
    pub most: f64,
}

/// A function of this process: a Rust closure.
pub trait NativeFunction: Send + Sync + 'static {
    /// Maps one batch to one batch. For [`UdfKind::Filter`] the result has one boolean column.
    ///
    /// # Errors
    /// Whatever the closure fails with.
    fn call(&self, batch: &RecordBatch) -> Result<RecordBatch, Failure>;
}

/// What becomes of a row that a function fails for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnError {
    /// It ends the run.
    #[default]
    Raise,
    /// It is left out, and counted.
    Skip,
    /// It is left out, and kept with the error.
    DeadLetter,
}

/// Where the code of a function is.
#[derive(Clone)]
pub enum UdfBody {
    /// Code for a worker process, opaque to the engine.
    Foreign {
        /// What the worker's runtime loads: function, arguments, calling convention.
        payload: Arc<[u8]>,
        /// The function's body for the compiler, when the front end could translate it.
        program: Result<Arc<Program>, Arc<str>>,
    },
    /// An object of another language that the thread which waits for the run calls, as one that
    /// is debugged; opaque to the engine.
    Caller(Arc<dyn Any + Send + Sync>),
    /// A closure of this process.
    Native(Arc<dyn NativeFunction>),
}

/// The workers of a function, beside how many there may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UdfWorkers {
    /// Started before the first batch.
    pub start: usize,
    /// Kept while batches may come, also without work.
    pub least: usize,
    /// Batches that one of them may have at once; `None` leaves it to the engine.
    pub in_flight_max: Option<usize>,
}

/// Columns that a function hands on as they are, without looking at them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Passed {
    /// None, as far as is known.
    #[default]
    Nothing,
    /// All that it does not read, in their places; what it adds comes behind them.
    Others,
    /// An output column and the input column that it is, for each.
    Named(Vec<(String, String)>),
}

/// What is known of the columns that a function looks at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UdfColumns {
    /// It reads, writes and removes these and no others; which of them there are is not known.
    /// `None` is any.
    pub reads: Option<BTreeSet<String>>,
    /// Those of `reads` that it writes and nothing else; this is for people.
    pub only_written: BTreeSet<String>,
    /// Whether the user said so: then it gets no others, and these must exist.
    pub declared: bool,
    /// What it hands on; never declared.
    pub passes: Passed,
}

/// A user-defined function as it stands in a plan.
#[derive(Clone, Debug)]
pub struct UdfSpec {
    /// What a person would call it: `<lambda>`, `embed`, `Classifier`.
    pub name: String,
    /// What it takes and returns.
    pub kind: UdfKind,
    /// Its code.
    pub body: UdfBody,
    /// Whether it is an object that is constructed once a worker.
    pub stateful: bool,
    /// Rows of a batch; `None` takes batches as they come.
    pub batch_rows: Option<usize>,
    /// How batches are cut beside by rows.
    pub batch_limits: BatchLimits,
    /// How a batch function sees its batch.
    pub batch_format: BatchFormat,
    /// What one worker takes.
    pub resources: Resources,
    /// At most this many workers; `None` is bounded by resources alone.
    pub concurrency_max: Option<usize>,
    /// Workers that live on between batches.
    pub workers: UdfWorkers,
    /// How often a batch is run again when its worker died.
    pub restarts_max: u64,
    /// How long a worker may compute for one batch.
    pub call_timeout: Option<Duration>,
    /// Calls that one worker has under way at once; `None` makes one after the other.
    pub calls_at_once: Option<usize>,
    /// Whether its workers keep to a rate together.
    pub is_rate_limited: bool,
    /// Modules that its workers are forked with, beside what all have.
    pub preloads: Vec<String>,
    /// What becomes of a row that it fails for.
    pub on_error: OnError,
    /// One more such row ends the run; `None` sets no limit.
    pub errored_rows_max: Option<u64>,
    /// The columns that it looks at.
    pub columns: UdfColumns,
}

impl UdfSpec {
    /// A function of which nothing else was said: it takes batches as they come and no
    /// resources, keeps no state, and ends the run where it fails.
    #[must_use]
    pub fn new(name: &str, kind: UdfKind, body: UdfBody) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            body,
            stateful: false,
            batch_rows: None,
            batch_limits: BatchLimits::default(),
            batch_format: BatchFormat::default(),
            resources: Resources::default(),
            concurrency_max: None,
            workers: UdfWorkers::default(),
            restarts_max: 0,
            call_timeout: None,
            calls_at_once: None,
            is_rate_limited: false,
            preloads: Vec::new(),
            on_error: OnError::default(),
            errored_rows_max: None,
            columns: UdfColumns::default(),
        }
    }

    /// The operator's name: `MapBatches(embed)`.
    #[must_use]
    pub fn label(&self) -> String {
        format!("{:?}({})", self.kind, self.name)
    }

    /// The only columns that decide what it computes; `None` is any. A function that hands on its
    /// row but leaves rows out gets all of it, as nothing tells which rows its answer has.
    #[must_use]
    pub fn reads(&self) -> Option<&BTreeSet<String>> {
        let adds_to_rows = self.columns.passes == Passed::Others;
        self.columns.reads.as_ref().filter(|_| !adds_to_rows || self.on_error == OnError::Raise)
    }
}

impl fmt::Debug for UdfBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign { payload, program } => f
                .debug_struct("Foreign")
                .field("payload_bytes", &payload.len())
                .field("program", program)
                .finish(),
            Self::Caller(_) => f.write_str("Caller"),
            Self::Native(_) => f.write_str("Native"),
        }
    }
}
