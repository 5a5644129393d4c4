//! The memory of this process: what it has of the system, and how it gives back what is free.

use std::fs::File;

use crate::memory::anonymous_bytes;
use crate::process::release_free_pages;

/// Measures this process.
#[derive(Debug)]
pub struct OwnMemory {
    statm: File,
}

impl OwnMemory {
    /// `None` where the system does not tell.
    #[must_use]
    pub fn open() -> Option<Self> {
        Some(Self { statm: File::open("/proc/self/statm").ok()? })
    }

    /// Bytes of its anonymous memory that are resident. Shared memory does not count.
    #[must_use]
    pub fn private_bytes(&self) -> Option<u64> {
        anonymous_bytes(&self.statm)
    }

    /// Gives pages back to the system that lie whole in memory that was freed: the C library's
    /// allocator keeps them wherever something behind them is still in use. Takes some
    /// milliseconds for a gigabyte. Nothing happens with another C library than GNU's.
    pub fn release_free(&self) {
        release_free_pages();
    }
}

#[cfg(all(test, target_os = "linux", target_env = "gnu"))]
mod tests {
    use super::*;

    #[test]
    fn memory_that_was_freed_between_what_is_in_use_goes_back() {
        const PIECE_BYTES: usize = 64 << 10;
        const PIECES: usize = 2048;
        let memory = OwnMemory::open().unwrap();
        let pieces: Vec<_> = (0..PIECES).map(|_| vec![1_u8; PIECE_BYTES]).collect();
        let full = memory.private_bytes().unwrap();
        // Every 16th stays.
        let rest: Vec<_> = pieces.into_iter().step_by(16).collect();
        memory.release_free();
        let left = memory.private_bytes().unwrap();
        let freed = PIECES * PIECE_BYTES / 2;
        assert!(left + freed as u64 <= full, "{left} of {full}");
        assert!(rest.iter().flatten().all(|&byte| byte == 1));
    }
}
