//! The memory account of `DataFusion`: a fair share for everything that can spill, and room that
//! is never refused for `RepartitionExec`.
//!
//! A `RepartitionExec` that is refused memory can wait for a reader that waits for it
//! (`DataFusion` 55.2, <https://github.com/apache/datafusion/issues/24883>). Its queues are
//! gated, so granting it always is bounded; what it takes beyond the limit is debt that the other
//! consumers see, because it counts as reserved.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::error::Result;
use datafusion::execution::memory_pool::{
    FairSpillPool, MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation,
};

/// Name (a prefix) of the consumers that are never refused.
const NEVER_REFUSED: &str = "RepartitionExec";

/// A fair pool that never refuses a repartition.
#[derive(Debug)]
pub(crate) struct OverdraftPool {
    inner: FairSpillPool,
    limit_bytes: usize,
    overdraft_bytes_peak: AtomicUsize,
}

impl OverdraftPool {
    /// A pool of `limit_bytes`.
    pub(crate) fn new(limit_bytes: usize) -> Self {
        Self {
            inner: FairSpillPool::new(limit_bytes),
            limit_bytes,
            overdraft_bytes_peak: AtomicUsize::new(0),
        }
    }

    /// Most bytes that were ever reserved beyond the limit.
    pub(crate) fn overdraft_bytes_peak(&self) -> usize {
        self.overdraft_bytes_peak.load(Ordering::Relaxed)
    }
}

impl MemoryPool for OverdraftPool {
    fn name(&self) -> &'static str {
        "overdraft"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.inner.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.inner.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.inner.grow(reservation, additional);
        let overdraft_bytes = self.inner.reserved().saturating_sub(self.limit_bytes);
        self.overdraft_bytes_peak.fetch_max(overdraft_bytes, Ordering::Relaxed);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.inner.shrink(reservation, shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        if reservation.consumer().name().starts_with(NEVER_REFUSED) {
            self.grow(reservation, additional);
            return Ok(());
        }
        self.inner.try_grow(reservation, additional)
    }

    fn reserved(&self) -> usize {
        self.inner.reserved()
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.limit_bytes)
    }
}

impl fmt::Display for OverdraftPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { inner: _, limit_bytes, overdraft_bytes_peak: _ } = self;
        write!(f, "overdraft(limit: {limit_bytes} bytes)")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_repartition_is_never_refused_and_its_debt_is_seen_by_others() {
        let overdraft = Arc::new(OverdraftPool::new(1000));
        let pool: Arc<dyn MemoryPool> = Arc::clone(&overdraft) as _;
        let repartition = MemoryConsumer::new("RepartitionExec[0]").register(&pool);
        repartition.try_grow(1500).unwrap();
        assert_eq!(overdraft.overdraft_bytes_peak(), 500);
        let sort = MemoryConsumer::new("ExternalSorter[0]").with_can_spill(true).register(&pool);
        assert!(sort.try_grow(1).is_err());
        drop(repartition);
        sort.try_grow(1000).unwrap();
        assert!(sort.try_grow(1).is_err());
    }
}
