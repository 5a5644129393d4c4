//! The vocabulary of the engine: batches and where their rows came from, splits, resources,
//! extension types, how columns of different batches become one, random numbers, and the base of
//! all errors.
//!
//! This crate knows Arrow and nothing else: no runtime, no I/O, no DataFusion, no Python.

mod batch;
mod column_memory;
mod error;
mod extension;
mod id;
mod lookahead;
mod memory;
mod random;
mod resources;
mod row_bytes;
mod split;
mod unite;

pub use batch::{Batch, Span};
pub use column_memory::{ColumnMemory, ColumnSpace, HeapMemory};
pub use error::{Diagnostic, ErrorKind, Failure, InternalError, Place, nearest_names};
pub use extension::{
    FLAGS_KEY, OBJECT_EXTENSION_NAME, PLAIN_VALUE_COLUMN, PLAIN_VALUE_KEY, TensorType,
    column_type_name, holds_objects, is_object_field, is_plain_value_schema, is_stand_in_field,
    object_field, plain_value_field, stand_in_field, without_objects,
};
pub use id::{PartitionId, SplitId, StageId};
pub use lookahead::{LOOKAHEAD_BYTES, Lookahead};
pub use memory::{array_sliced_bytes, batch_sliced_bytes};
pub use random::{Random, RandomDraws, RandomStream};
pub use resources::{NANOS_PER_UNIT, ResourceError, Resources};
pub use row_bytes::row_bytes;
pub use split::Split;
pub use unite::{UniteError, conform, unite_batches, unite_schemas};
