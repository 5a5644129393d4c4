//! The vocabulary of the engine: batches and where their rows came from, splits, resources,
//! extension types and the base of all errors.
//!
//! This crate knows Arrow and nothing else: no runtime, no I/O, no DataFusion, no Python.

mod batch;
mod error;
mod extension;
mod id;
mod memory;
mod resources;
mod split;

pub use batch::{Batch, Span};
pub use error::{Diagnostic, ErrorKind, Failure, InternalError, Place, nearest_names};
pub use extension::{
    OBJECT_EXTENSION_NAME, PLAIN_VALUE_COLUMN, PLAIN_VALUE_KEY, TensorType, is_object_field,
    is_plain_value_schema, object_field, plain_value_field, without_objects,
};
pub use id::{PartitionId, SplitId, StageId};
pub use memory::{array_sliced_bytes, batch_sliced_bytes};
pub use resources::{NANOS_PER_UNIT, ResourceError, Resources};
pub use split::Split;
