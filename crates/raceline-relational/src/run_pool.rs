//! The memory account of a stage that is ended, not refused, when its share is used up.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use datafusion::error::Result;
use datafusion::execution::memory_pool::{
    MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation,
};

/// Grants everything, on the account of another pool, and tells when that is more than it should.
///
/// Who feeds the stage then ends its input, so that it hands out what it holds. The limit that the
/// stage sees is infinite: under a finite one, `DataFusion` 55.2 has a partial reduction sort its
/// groups to disk instead (<https://github.com/apache/datafusion/issues/22710>).
#[derive(Debug)]
pub(crate) struct RunPool {
    account: Arc<dyn MemoryPool>,
    share_bytes: usize,
    used_bytes: AtomicUsize,
    is_full: AtomicBool,
}

impl RunPool {
    /// A pool on the account of `account`, which should hold at most `share_bytes`.
    pub(crate) fn new(account: Arc<dyn MemoryPool>, share_bytes: usize) -> Arc<Self> {
        let (used_bytes, is_full) = (AtomicUsize::new(0), AtomicBool::new(false));
        Arc::new(Self { account, share_bytes, used_bytes, is_full })
    }

    /// Whether more was taken than it should.
    pub(crate) fn is_full(&self) -> bool {
        self.is_full.load(Ordering::Acquire)
    }

    fn took(&self, bytes: usize) {
        let used_bytes = self.used_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if used_bytes > self.share_bytes {
            self.is_full.store(true, Ordering::Release);
        }
    }
}

impl MemoryPool for RunPool {
    fn name(&self) -> &'static str {
        "run"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.account.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.account.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.account.grow(reservation, additional);
        self.took(additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.account.shrink(reservation, shrink);
        self.used_bytes.fetch_sub(shrink, Ordering::Relaxed);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        if self.account.try_grow(reservation, additional).is_err() {
            self.account.grow(reservation, additional);
            self.is_full.store(true, Ordering::Release);
        }
        self.took(additional);
        Ok(())
    }

    fn reserved(&self) -> usize {
        self.used_bytes.load(Ordering::Relaxed)
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Infinite
    }
}

impl fmt::Display for RunPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "run(share: {} bytes)", self.share_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::OverdraftPool;

    #[test]
    fn nothing_is_refused_and_too_much_is_told() {
        let account: Arc<dyn MemoryPool> = Arc::new(OverdraftPool::new(100));
        let run = RunPool::new(Arc::clone(&account), 50);
        let pool: Arc<dyn MemoryPool> = Arc::clone(&run) as _;
        let table = MemoryConsumer::new("table").register(&pool);
        table.try_grow(50).unwrap();
        assert!(!run.is_full());
        table.try_grow(1).unwrap();
        assert!(run.is_full());
        assert_eq!((account.reserved(), pool.reserved()), (51, 51));
        drop(table);
        assert_eq!((account.reserved(), pool.reserved()), (0, 0));
        let other = RunPool::new(Arc::clone(&account), 1_000);
        let pool: Arc<dyn MemoryPool> = Arc::clone(&other) as _;
        let table = MemoryConsumer::new("table").register(&pool);
        table.try_grow(101).unwrap();
        assert!(other.is_full(), "the account had no room");
    }
}
