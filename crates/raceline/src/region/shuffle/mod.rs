//! Random orders: of all rows, of all batches, and of rows in a window.

mod error;
mod gather;
mod order;
mod whole;
mod window;

pub(crate) use order::Unit;
pub(crate) use whole::ShuffleRegion;
pub(crate) use window::{WindowShuffleRegion, WindowStart};

#[cfg(test)]
mod tests;
