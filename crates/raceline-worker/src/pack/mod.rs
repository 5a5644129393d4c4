//! Record batches to and from shared memory.
//!
//! [`PackPlan`] walks the arrays of a batch, lays their buffers out one behind another at
//! 64-byte offsets of one segment, and writes them with one copy each; a slice is packed at its own
//! size. Buffers that lie in shared memory already are left out: their place is told. [`unpack`]
//! rebuilds the arrays over the regions without copying, and validates everything that a wrong layout
//! or wrong data could break. Both are safe code over byte slices.

mod plan;
mod schema;
#[cfg(test)]
pub(crate) mod tests;
mod unpack;

pub(crate) use plan::PackPlan;
pub(crate) use schema::{SchemaReader, SchemaWriter};
pub(crate) use unpack::unpack;
