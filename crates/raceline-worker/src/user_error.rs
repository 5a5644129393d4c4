//! What a user's function raised, as the child half reports it.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

/// An exception of a user's function. The text is for people; `exception` is for the language
/// half alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserError {
    /// Name of the exception's type: `ValueError`.
    pub type_name: String,
    /// Its message.
    pub message: String,
    /// Formatted traceback, user's frames first; empty when there is none.
    pub traceback: String,
    /// The exception in the language's own serialised form, when it could be serialised.
    pub exception: Option<Vec<u8>>,
    /// Row inside the input batch, counted from 0, when the function saw one row at a time.
    pub row: Option<u64>,
    /// Name of the function of the chain that raised, when it is known.
    pub function: Option<String>,
    /// The exception itself, of a function that ran in this process.
    pub original: Option<Original>,
}

/// An exception as an object of its language.
#[derive(Clone)]
pub struct Original(pub Arc<dyn Any + Send + Sync>);

impl PartialEq for Original {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Original {}

impl fmt::Debug for Original {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Original")
    }
}
