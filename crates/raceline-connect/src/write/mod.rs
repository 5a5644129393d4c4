//! Writers: batches to files that appear all at once.

mod commit;
mod dictionary;
mod encode;
mod error;
mod fit;
mod manifest;
mod partition;
mod roll;
mod sink;
mod stage;
mod writer;

use raceline_plan::WriteFormat;

pub use error::WriteError;
pub use sink::FileSink;

/// The name of the file number `index` of a write.
fn file_name(write_id: &str, index: usize, format: &WriteFormat) -> String {
    format!("{write_id}_{index:06}.{}", format.extension())
}
