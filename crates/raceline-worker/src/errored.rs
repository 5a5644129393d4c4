//! Rows that a function fails for, where the run goes on without them.

use std::fmt;

use raceline_types::{Batch, Failure};

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
