//! What a user's function raised, as the child half reports it.

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
}
