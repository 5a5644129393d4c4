//! Listing: from paths, folders and patterns to splits.
//!
//! Files come in the order of the given paths and, inside each, sorted by path (byte order, as
//! object stores list). Entries of a folder whose path relative to it starts with `_` or `.` are
//! skipped, as Ray Data does; a folder `_column=value` is no such entry.

mod cut;
mod files;
mod filter;
mod hive;
mod local;
mod scan;

pub(crate) use files::list_from;
pub(crate) use filter::{STAGING_PREFIX, is_staging};
pub use hive::HIVE_NULL;
pub(crate) use hive::folder_name;
pub use scan::Listing;
