//! The base of all errors: what every typed error of every crate can tell, and the one type
//! that carries any of them across layers.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use thiserror::Error;

/// What went wrong, from the caller's side. It decides the Python class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The program asks for something that cannot be: a wrong argument, type or combination.
    Plan,
    /// A column that does not exist.
    ColumnNotFound,
    /// A path that does not exist.
    NotFound,
    /// Access was refused.
    PermissionDenied,
    /// Input or output failed, or holds something other than it should.
    Source,
    /// A user's function failed.
    Udf,
    /// Memory, disk, CPUs, GPUs or workers ran out or were never there.
    Resource,
    /// It took longer than it was given.
    Timeout,
    /// The execution was cancelled.
    Cancelled,
    /// A fault of the engine itself.
    Internal,
}

/// An error that carries its own advice.
///
/// `Display` is the primary line: lower case, no full stop, values in backticks, no cause
/// inside. Causes come from [`Error::source`] and are printed once by [`Failure::render`].
pub trait Diagnostic: Error + Send + Sync + 'static {
    /// What went wrong, from the caller's side.
    fn kind(&self) -> ErrorKind;

    /// More about the facts: a user's traceback, the schema that was found.
    fn detail(&self) -> Option<String> {
        None
    }

    /// What to do about it.
    fn hint(&self) -> Option<String> {
        None
    }
}

/// Where it went wrong. Every part is optional; the first layer that knows a part fills it in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Name of the stage.
    pub stage: Option<Arc<str>>,
    /// File, object or table.
    pub uri: Option<Arc<str>>,
    /// Column.
    pub column: Option<Arc<str>>,
    /// First and last row, counted from 0 in what `uri` holds (or in the split).
    pub rows: Option<(u64, u64)>,
    /// What the stage held at most, where something ran out, in words.
    pub memory: Option<Arc<str>>,
}

/// Any typed error of the engine, with the place where it happened. Cheap to clone.
#[derive(Clone)]
pub struct Failure {
    error: Arc<dyn Diagnostic>,
    place: Place,
}

impl Failure {
    /// Kind of the error inside.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.error.kind()
    }

    /// Where it happened.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The typed error inside.
    #[must_use]
    pub fn error(&self) -> &(dyn Diagnostic + 'static) {
        self.error.as_ref()
    }

    /// The typed error inside, when it is an `E`.
    #[must_use]
    pub fn downcast_ref<E: Diagnostic>(&self) -> Option<&E> {
        let error: &(dyn Error + 'static) = self.error.as_ref();
        error.downcast_ref::<E>()
    }

    /// Names the stage, unless a lower layer did.
    #[must_use]
    pub fn in_stage(mut self, stage: &str) -> Self {
        self.place.stage.get_or_insert_with(|| stage.into());
        self
    }

    /// Names the file or object, unless a lower layer did.
    #[must_use]
    pub fn at_uri(mut self, uri: &str) -> Self {
        self.place.uri.get_or_insert_with(|| uri.into());
        self
    }

    /// Names the column, unless a lower layer did.
    #[must_use]
    pub fn at_column(mut self, column: &str) -> Self {
        self.place.column.get_or_insert_with(|| column.into());
        self
    }

    /// Names the first and last row, unless a lower layer did.
    #[must_use]
    pub fn at_rows(mut self, first: u64, last: u64) -> Self {
        self.place.rows.get_or_insert((first, last));
        self
    }

    /// Tells what the stage held at most, unless a lower layer did.
    #[must_use]
    pub fn with_memory(mut self, memory: &str) -> Self {
        self.place.memory.get_or_insert_with(|| memory.into());
        self
    }

    /// The whole text for a person: primary line, place, causes, detail, hint. A cause whose
    /// text the line above it already holds is left out.
    #[must_use]
    pub fn render(&self) -> String {
        let mut lines = vec![self.error.to_string()];
        let Place { stage, uri, column, rows, memory } = &self.place;
        let rows =
            rows.map(
                |(first, last)| {
                    if first == last { first.to_string() } else { format!("{first}..={last}") }
                },
            );
        let parts = [
            ("stage", stage.as_deref()),
            ("file", uri.as_deref()),
            ("column", column.as_deref()),
            ("rows", rows.as_deref()),
            ("memory of the stage", memory.as_deref()),
        ];
        lines.extend(
            parts.into_iter().filter_map(|(name, value)| Some(format!("  {name}: {}", value?))),
        );
        let mut last = self.error.to_string();
        let mut cause = self.error.source();
        while let Some(error) = cause {
            let line = error.to_string();
            if !last.contains(&line) {
                lines.push(format!("  caused by: {line}"));
                last = line;
            }
            cause = error.source();
        }
        lines.extend(self.error.detail());
        lines.extend(self.error.hint().map(|hint| format!("  hint: {hint}")));
        lines.join("\n")
    }
}

impl<E: Diagnostic> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { error: Arc::new(error), place: Place::default() }
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.render())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.error)
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}

/// A fault of the engine itself: something that its own code promised cannot happen.
#[derive(Debug, Error)]
#[error("internal error: {what}")]
pub struct InternalError {
    /// What was found.
    pub what: String,
    /// The cause, when there is one.
    #[source]
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

impl InternalError {
    /// An internal error without a cause.
    #[must_use]
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), source: None }
    }

    /// An internal error with its cause.
    #[must_use]
    pub fn caused_by(
        what: impl Into<String>,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self { what: what.into(), source: Some(source.into()) }
    }
}

impl Diagnostic for InternalError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Internal
    }

    fn hint(&self) -> Option<String> {
        Some("this is a bug in Raceline: please report it with this text and the program".into())
    }
}

/// Up to three of `known` that are spelt most like `wanted`, best first.
#[must_use]
pub fn nearest_names<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let wanted_lower = wanted.to_lowercase();
    let mut scored: Vec<(usize, &str)> = known
        .into_iter()
        .map(|name| (edit_distance(&wanted_lower, &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= name.chars().count().max(wanted.len()) / 2)
        .collect();
    scored.sort_unstable();
    scored.into_iter().take(3).map(|(_, name)| name).collect()
}

/// Levenshtein distance in characters.
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &right) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(left != right);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Error)]
    #[error("no column `{0}`")]
    struct Missing(String, #[source] std::fmt::Error);

    impl Diagnostic for Missing {
        fn kind(&self) -> ErrorKind {
            ErrorKind::ColumnNotFound
        }
        fn hint(&self) -> Option<String> {
            Some("did you mean `price`?".into())
        }
    }

    #[test]
    fn a_failure_renders_place_cause_and_hint_once() {
        let failure = Failure::from(Missing("pric".into(), std::fmt::Error))
            .in_stage("filter")
            .in_stage("later layers do not overwrite")
            .at_uri("a.parquet")
            .at_rows(3, 3)
            .with_memory("at most 1.0 MiB held");
        assert_eq!(
            failure.render(),
            "no column `pric`\n  stage: filter\n  file: a.parquet\n  rows: 3\n  memory of the \
             stage: at most 1.0 MiB held\n  caused by: an error occurred when formatting an \
             argument\n  hint: did you mean `price`?"
        );
        assert!(failure.downcast_ref::<Missing>().is_some());
        assert!(failure.downcast_ref::<InternalError>().is_none());
    }

    #[test]
    fn nearest_names_prefers_small_typos() {
        let known = ["price", "product_id", "pride", "quantity"];
        assert_eq!(nearest_names("pricee", known), vec!["price", "pride"]);
        assert!(nearest_names("zzzzzz", known).is_empty());
    }
}
