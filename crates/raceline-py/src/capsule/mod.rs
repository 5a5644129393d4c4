//! Arrow data in and out by Arrow's `PyCapsule` interface.
//!
//! Source: <https://arrow.apache.org/docs/format/CDataInterface/PyCapsuleInterface.html>

mod export;
mod import;
mod windows;

pub(crate) use export::{batch_capsules, schema_capsule};
pub(crate) use import::{ArrowChunks, exported_field};
