//! Writers: batches to files that appear all at once.

mod commit;
mod dictionary;
mod encode;
mod error;
mod fit;
mod manifest;
mod names;
mod partition;
mod roll;
mod sink;
mod stage;
mod writer;

pub use error::WriteError;
pub use sink::FileSink;
