//! A split: the unit of source work.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use crate::id::SplitId;

/// A piece of a source that one fragment reads from start to end, and the unit of checkpoint
/// and placement.
#[derive(Clone)]
pub struct Split {
    /// Position in source order.
    pub id: SplitId,
    /// What a person would call it: a file's URI, `range 0..1000`, `item list`.
    pub label: Arc<str>,
    /// Rows, when known exactly without reading.
    pub rows: Option<u64>,
    /// Estimate of the Arrow bytes that reading will produce.
    pub estimated_bytes: Option<u64>,
    /// What the source's reader needs; only the source that made the split looks inside.
    pub payload: Arc<dyn Any + Send + Sync>,
}

impl fmt::Debug for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, label, rows, estimated_bytes, payload: _ } = self;
        f.debug_struct("Split")
            .field("id", id)
            .field("label", label)
            .field("rows", rows)
            .field("estimated_bytes", estimated_bytes)
            .finish_non_exhaustive()
    }
}
