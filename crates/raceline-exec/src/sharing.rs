//! What executions that run at the same time share of a session: bytes of queues, and what each of
//! them knows of the memory of the others.
//!
//! CPUs are not shared: tokens say how much of one execution runs at once, and a stage may ask for
//! all of them, so that a part of them could be too few for it for good.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Counts executions and what they hold.
#[derive(Debug, Default)]
pub(crate) struct Sharing {
    count: AtomicUsize,
    held_bytes: AtomicU64,
}

/// The part of one execution; dropping it leaves more to the others.
#[derive(Debug)]
pub(crate) struct Share {
    sharing: Arc<Sharing>,
    held_bytes: AtomicU64,
}

impl Sharing {
    /// One more execution.
    pub(crate) fn join(self: &Arc<Self>) -> Share {
        self.count.fetch_add(1, Ordering::Relaxed);
        Share { sharing: Arc::clone(self), held_bytes: AtomicU64::new(0) }
    }
}

impl Share {
    /// Of `bytes` that are there for all executions, those for this one.
    pub(crate) fn of(&self, bytes: u64) -> u64 {
        bytes / self.sharing.count.load(Ordering::Relaxed).max(1) as u64
    }

    /// Tells that this execution holds `bytes` now.
    pub(crate) fn hold(&self, bytes: u64) {
        let before = self.held_bytes.swap(bytes, Ordering::Relaxed);
        // Wraps round where it became less, and so does the sum.
        self.sharing.held_bytes.fetch_add(bytes.wrapping_sub(before), Ordering::Relaxed);
    }

    /// What the other executions hold.
    pub(crate) fn others_bytes(&self) -> u64 {
        let all = self.sharing.held_bytes.load(Ordering::Relaxed);
        all.saturating_sub(self.held_bytes.load(Ordering::Relaxed))
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.hold(0);
        self.sharing.count.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_leaves_the_others_have() {
        let sharing = Arc::new(Sharing::default());
        let first = sharing.join();
        assert_eq!(first.of(90), 90);
        let second = sharing.join();
        let third = sharing.join();
        assert_eq!(first.of(90), 30);
        second.hold(50);
        third.hold(7);
        second.hold(20);
        assert_eq!((first.others_bytes(), second.others_bytes()), (27, 7));
        drop(second);
        assert_eq!((first.of(90), first.others_bytes()), (45, 7));
    }
}
