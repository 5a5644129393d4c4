//! Rows that a function fails for, where the run goes on without them.

use std::fmt;
use std::sync::Arc;

use raceline_types::{Batch, Failure};

use crate::error::UdfError;
use crate::user_error::UserError;

/// A row that a function failed for.
#[derive(Clone, Debug)]
pub struct ErroredRow {
    /// The row that the function was given; its origin covers it.
    pub input: Batch,
    /// Why: a [`crate::UdfError`], or [`crate::WorkerError::Poison`].
    pub failure: Failure,
}

/// Takes the rows that the function of one stage fails for.
///
/// # Contract
/// `take` is called once for each row that fails, also when batches are run again because a
/// worker died. It may be called from several threads at once.
///
/// # Order
/// Rows of one batch come in their order; batches come as they are worked on.
///
/// # Memory
/// The row shares the memory of its batch.
///
/// # Cancellation
/// `take` does not wait for other work. A run that is dropped has handed over some of its rows.
///
/// # Errors
/// A failure ends the run; so an implementation bounds the number of rows that may fail.
///
/// # Example
/// ```
/// use std::sync::Mutex;
/// use raceline_types::Failure;
/// use raceline_worker::{ErroredRow, ErroredRows};
///
/// /// Keeps at most three.
/// #[derive(Debug, Default)]
/// struct Three(Mutex<Vec<ErroredRow>>);
///
/// impl ErroredRows for Three {
///     fn take(&self, row: ErroredRow) -> Result<(), Failure> {
///         let mut kept = self.0.lock().unwrap_or_else(|poison| poison.into_inner());
///         if kept.len() == 3 {
///             return Err(row.failure);
///         }
///         kept.push(row);
///         Ok(())
///     }
///     fn taken(&self) -> u64 {
///         self.0.lock().unwrap_or_else(|poison| poison.into_inner()).len() as u64
///     }
/// }
/// ```
pub trait ErroredRows: fmt::Debug + Send + Sync + 'static {
    /// Takes a row.
    ///
    /// # Errors
    /// When the run is to end.
    fn take(&self, row: ErroredRow) -> Result<(), Failure>;

    /// Number of rows that were taken.
    fn taken(&self) -> u64;
}

/// Takes the batches that the functions of one stage fail for.
///
/// # Contract
/// `take` is called once for each batch whose functions failed, after all that is done for rows and
/// for workers that died. It may be called from several threads at once.
///
/// # Order
/// As batches are worked on.
///
/// # Memory
/// It gets no rows. What the functions returned of the batch before they failed stays.
///
/// # Cancellation
/// `take` does not wait.
///
/// # Errors
/// None: what it does not take ends the run.
///
/// # Example
/// ```
/// use raceline_types::Failure;
/// use raceline_worker::ErroredBatches;
///
/// /// Lets the run go on, whatever happens.
/// #[derive(Debug)]
/// struct All;
///
/// impl ErroredBatches for All {
///     fn take(&self, _rows: usize, _failure: &Failure) -> bool {
///         true
///     }
/// }
/// ```
pub trait ErroredBatches: fmt::Debug + Send + Sync + 'static {
    /// Whether the run goes on without a batch of `rows` rows, for which functions failed so.
    fn take(&self, rows: usize, failure: &Failure) -> bool;
}

impl ErroredRow {
    /// The row of `input` that a function of `stage` failed for; `None` where the error does not
    /// say which.
    pub(crate) fn of(stage: &Arc<str>, error: UserError, input: &Batch) -> Option<Self> {
        let row = usize::try_from(error.row?).ok().filter(|&row| row < input.rows())?;
        let failure = raised(stage, error, input);
        Some(Self { input: input.slice(row, 1), failure })
    }
}

/// The failure for what a function of `stage` raised over `input`, at its row where that is known.
pub(crate) fn raised(stage: &Arc<str>, error: UserError, input: &Batch) -> Failure {
    let row = error.row.and_then(|row| row_of_split(input, row));
    let failure = Failure::from(UdfError::new(stage, error, false));
    match row {
        Some(row) => failure.at_rows(row, row),
        None => failure,
    }
}

/// The row of its split that row `row` of `input` is, when rows map one to one.
pub(crate) fn row_of_split(input: &Batch, row: u64) -> Option<u64> {
    let covered: u64 = input.origin.iter().map(|span| span.rows).sum();
    if covered != input.rows() as u64 {
        return None;
    }
    let mut before = 0;
    for span in &input.origin {
        if row < before + span.rows {
            return Some(span.first_row + (row - before));
        }
        before += span.rows;
    }
    None
}
