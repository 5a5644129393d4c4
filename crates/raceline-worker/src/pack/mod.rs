//! Record batches to and from one segment of shared memory.
//!
//! [`PackPlan`] walks the arrays of a batch, lays their buffers out one behind another at
//! 64-byte offsets, and writes them with one copy each; a slice is packed at its own size.
//! [`unpack`] rebuilds the arrays over the segment without copying, and validates everything
//! that a wrong layout or wrong data could break. Both are safe code over byte slices.

mod plan;
mod schema;
#[cfg(test)]
mod tests;
mod unpack;

pub(crate) use plan::PackPlan;
pub(crate) use schema::{SchemaReader, SchemaWriter};
pub(crate) use unpack::unpack;
