//! Shared memory: what one process writes and others read.
//!
//! A process that sends batches has [`SharedMemory`]: files without a name (memfd), sealed against
//! resizing and against writing by others, whose descriptors are passed once to each reader. What is
//! written takes a segment, a 64-byte-aligned range of one file, and becomes a buffer. Batches name
//! the parts of files that they lie in. The receiver maps the files read-only ([`PeerMemory`]) and
//! hands out buffers over such parts; when the last buffer of one is dropped, it is queued as
//! returned, and the owner, once it is told, lets go of its own buffer. A segment is used again when
//! nobody has a buffer over it any more, on either side. Files that are not needed any more are given
//! back: all ends unmap them.
//!
//! This module knows bytes only: what they mean is for `pack`, who is told is for `wire`.

mod arena;
mod gate;
mod mapping;
mod memory;
mod peer;

pub(crate) use arena::ArenaFile;
pub use gate::RateGate;
pub(crate) use memory::{SharedColumns, SharedMemory};
pub(crate) use peer::{Loan, PeerMemory};

/// Alignment of segments and of the buffers inside them: a cache line, and what Arrow advises.
pub(crate) const ALIGNMENT_BYTES: usize = 64;

/// Fewer bytes are copied sooner than somebody is told where they lie; and whoever gets fewer copies
/// them, so that many small batches that are kept do not each keep a piece of the peer's memory.
pub(crate) const PASSED_BYTES_MIN: usize = 32 << 10;
