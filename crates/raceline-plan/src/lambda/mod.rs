//! The lambda compiler: proves that a small Python function is pure and equivalent to
//! expressions, and builds them.

/// The body of a Python function in a version-neutral form, with the values it captured.
#[derive(Clone, Debug, PartialEq)]
pub struct Program {}
