//! Shared memory: an arena of segments that one process writes and another one reads.
//!
//! A process that sends batches owns an [`Arena`]: files without a name (memfd), sealed against
//! resizing and against writing by others, whose descriptors are passed once. Each batch takes
//! one segment: a 64-byte-aligned range of one file. The receiver maps the files read-only
//! ([`PeerArena`]) and hands out buffers over a segment; when the last buffer is dropped, the
//! segment is queued as released, and the owner reuses it once it is told. Files that are not
//! needed any more are given back: both ends unmap them.
//!
//! This module knows bytes only: what they mean is for `pack`, who is told is for `wire`.

mod arena;
mod gate;
mod mapping;
mod peer;

pub(crate) use arena::{Arena, Segment};
pub use gate::RateGate;
pub(crate) use peer::PeerArena;

/// Alignment of segments and of the buffers inside them: a cache line, and what Arrow advises.
pub(crate) const ALIGNMENT_BYTES: usize = 64;
