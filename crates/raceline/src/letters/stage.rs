//! What one stage does with the rows that its function fails for.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use raceline_types::{Batch, Diagnostic, ErrorKind, Failure};
use raceline_worker::{ErroredRow, ErroredRows, LineSink, UdfError};
use thiserror::Error;

use super::file::{Letter, LetterFile, Letters};
use super::folder::LetterFolder;
use super::labels::SplitLabels;

/// A dataset has no dead letters.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(crate) enum NoLettersError {
    /// It did not run.
    #[error("the dataset has not been run, so that nothing is known of its dead letters")]
    NotRun,
    /// None of its functions keeps any.
    #[error("no function of this dataset keeps dead letters")]
    NotKept,
}

impl Diagnostic for NoLettersError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Plan
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NotRun => "run it first: write it, count it, or take its rows",
            Self::NotKept => "pass `on_error=\"dead_letter\"` to the function",
        };
        Some(hint.to_owned())
    }
}

/// Counts the rows that the function of a stage fails for, and keeps them where it was told to.
pub(crate) struct StageErrors {
    pub(crate) stage: Arc<str>,
    /// One more row ends the run.
    pub(crate) rows_max: Option<u64>,
    /// Where it says that rows are left out.
    pub(crate) lines: Option<LineSink>,
    /// What the splits are called that its rows come from, where that is one source.
    pub(crate) labels: Option<Arc<SplitLabels>>,
    pub(crate) keeper: Option<Keeper>,
    pub(crate) taken: AtomicU64,
}

/// Keeps letters.
pub(crate) struct Keeper {
    folder: Arc<LetterFolder>,
    letters: Mutex<Letters>,
}

impl Keeper {
    /// Keeps letters of `stage` in `folder`.
    pub(crate) fn new(stage: Arc<str>, folder: Arc<LetterFolder>) -> Self {
        Self { folder, letters: Mutex::new(Letters::new(stage)) }
    }

    fn keep(&self, letter: Letter) -> Result<(), Failure> {
        let mut letters = self.letters.lock().unwrap_or_else(PoisonError::into_inner);
        letters.add(letter, &self.folder)
    }

    fn finish(&self) -> Result<Vec<LetterFile>, Failure> {
        let mut letters = self.letters.lock().unwrap_or_else(PoisonError::into_inner);
        letters.finish(&self.folder)
    }
}

impl StageErrors {
    /// Says how many rows were left out, when the run is over; the files of their letters, or
    /// `None` where they are not kept.
    pub(crate) fn finish(&self) -> Result<Option<Vec<LetterFile>>, Failure> {
        let taken = self.taken.load(Ordering::Relaxed);
        if taken > 0 {
            let rows = if taken == 1 { "row was" } else { "rows were" };
            self.tell(&format!("{taken} {rows} left out"));
        }
        self.keeper.as_ref().map(Keeper::finish).transpose()
    }

    fn tell(&self, text: &str) {
        if let Some(lines) = &self.lines {
            lines(&format!("({}) {text}", self.stage));
        }
    }

    fn letter(&self, row: ErroredRow) -> Letter {
        let ErroredRow { input, failure } = row;
        let (error_type, error, traceback) = match failure.downcast_ref::<UdfError>() {
            Some(UdfError { error, .. }) => (
                error.type_name.clone(),
                error.message.clone(),
                Some(error.traceback.clone()).filter(|text| !text.is_empty()),
            ),
            None => ("WorkerDied".to_owned(), failure.to_string(), None),
        };
        let (split, split_row) = self.place(&input);
        Letter { error_type, error, traceback, split, split_row, input: input.data }
    }

    /// The split of a row, and its position there where rows map one to one.
    fn place(&self, row: &Batch) -> (Option<Arc<str>>, Option<u64>) {
        let Some(first) = row.origin.first() else { return (None, None) };
        if row.origin.iter().any(|span| span.split != first.split) {
            return (None, None);
        }
        let label = self.labels.as_ref().and_then(|labels| labels.get(first.split));
        let position = (row.origin.len() == 1 && first.rows == 1).then_some(first.first_row);
        (label, position)
    }
}

impl ErroredRows for StageErrors {
    fn take(&self, row: ErroredRow) -> Result<(), Failure> {
        let before = self.taken.fetch_add(1, Ordering::Relaxed);
        if self.rows_max.is_some_and(|most| before >= most) {
            self.taken.fetch_sub(1, Ordering::Relaxed);
            self.tell(&format!("more than `max_errored_rows={before}` rows failed"));
            return Err(row.failure);
        }
        if before == 0 {
            self.tell(&format!(
                "{}; its row is left out, and so are others that fail",
                row.failure
            ));
        }
        match &self.keeper {
            Some(keeper) => keeper.keep(self.letter(row)),
            None => Ok(()),
        }
    }

    fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }
}

impl std::fmt::Debug for StageErrors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StageErrors")
            .field("stage", &self.stage)
            .field("rows_max", &self.rows_max)
            .field("taken", &self.taken)
            .finish_non_exhaustive()
    }
}
