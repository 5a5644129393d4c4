//! What does not fit into memory, on disk: the files of a session, and the exchange that sends
//! rows to partitions.
//!
//! A [`SpillStore`] owns everything that a session writes: its folders, their quotas, and the
//! locks by which the next session knows what a killed one left behind. Rows are written in
//! blocks, each compressed and with a checksum that is kept in memory, so that a block can be read
//! alone and a disk that returns other bytes than were written is found out. Nothing here knows
//! why rows are spilled.

mod codec;
mod compact;
mod error;
mod exchange;
mod file;
mod folder;
mod kept;
mod log;
mod refusal;
mod session_folder;
mod store;

pub use compact::compact;
pub use error::SpillError;
pub use exchange::{Exchange, ExchangePartition};
pub use file::{SpillFile, SpillReader, SpillWriter};
pub use kept::{KeptRows, SpillBuffer};
pub use log::{BlockReader, SpillBlock, SpillLog};
pub use refusal::{FolderRefusal, Refusal};
pub use session_folder::{SessionFolder, sweep_folders};
pub use store::{SpillFolder, SpillOptions, SpillStore};
