//! From a logical plan to a running graph: rules, schema, metadata, lowering.

mod count;
mod files;
mod foreign;
mod input_files;
mod lower;
mod rules;
mod schema;

pub(crate) use count::count_from_metadata;
pub(crate) use files::files_of;
pub(crate) use input_files::input_files;
pub(crate) use lower::{Lowered, lower};
pub(crate) use rules::optimize;
pub(crate) use schema::schema;
