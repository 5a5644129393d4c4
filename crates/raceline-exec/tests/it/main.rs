//! The machine with real threads and real batches.

mod fixtures;
mod order;
