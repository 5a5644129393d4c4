//! Stores: where files are, and how they are reached.

mod contact;
mod glob;
mod location;
mod registry;
mod s3;

pub(crate) use contact::{METADATA_HOSTS, NoContact};
pub(crate) use glob::{Coverage, Glob};
pub use registry::{Located, Stores};
