//! Where the time of one operator goes and what it moves, added up by all that do some of its work.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use raceline_exec::{MovedBytes, WorkTimes};

/// Times in nanoseconds, and bytes; they only grow.
#[derive(Debug, Default)]
pub(crate) struct TimeLedger {
    entries: AtomicU64,
    queue_ns: AtomicU64,
    transfer_ns: AtomicU64,
    conversion_ns: AtomicU64,
    function_ns: AtomicU64,
    moved: AtomicU64,
    copied_bytes: AtomicU64,
    passed_bytes: AtomicU64,
}

impl TimeLedger {
    pub(crate) fn add(&self, times: WorkTimes) {
        let WorkTimes { queue, transfer, conversion, function } = times;
        self.entries.fetch_add(1, Ordering::Relaxed);
        for (sum, time) in [
            (&self.queue_ns, queue),
            (&self.transfer_ns, transfer),
            (&self.conversion_ns, conversion),
            (&self.function_ns, function),
        ] {
            // A time of more than 500 years is no time that passed.
            let time_ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
            sum.fetch_add(time_ns, Ordering::Relaxed);
        }
    }

    /// Adds what has passed since `start` in transferring a batch.
    pub(crate) fn transferred(&self, start: Instant) {
        self.add(WorkTimes { transfer: start.elapsed(), ..WorkTimes::default() });
    }

    /// Adds a batch that moved from one process to the other.
    pub(crate) fn moved(&self, (copied, passed): (u64, u64)) {
        self.moved.fetch_add(1, Ordering::Relaxed);
        self.copied_bytes.fetch_add(copied, Ordering::Relaxed);
        self.passed_bytes.fetch_add(passed, Ordering::Relaxed);
    }

    /// The bytes of all batches that moved so far; `None` where none did.
    pub(crate) fn moved_bytes(&self) -> Option<MovedBytes> {
        (self.moved.load(Ordering::Relaxed) > 0).then(|| MovedBytes {
            copied: self.copied_bytes.load(Ordering::Relaxed),
            passed: self.passed_bytes.load(Ordering::Relaxed),
        })
    }

    /// What was added so far; `None` where nothing was.
    pub(crate) fn times(&self) -> Option<WorkTimes> {
        let sum = |sum: &AtomicU64| Duration::from_nanos(sum.load(Ordering::Relaxed));
        (self.entries.load(Ordering::Relaxed) > 0).then(|| WorkTimes {
            queue: sum(&self.queue_ns),
            transfer: sum(&self.transfer_ns),
            conversion: sum(&self.conversion_ns),
            function: sum(&self.function_ns),
        })
    }
}
