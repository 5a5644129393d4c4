//! The memory of one attempt at a query: the engine's, with two rules for what queries are made of.

use std::fmt;
use std::sync::Arc;

use datafusion::error::Result;
use datafusion::execution::memory_pool::{
    MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation,
};

use crate::error::{RelationalError, carry};

/// Name (a prefix) of the consumers that are refused with an error of their own. A nested-loop join
/// that is refused memory as others are reads its left side a second time, and gives wrong rows with
/// several partitions (`DataFusion` 55.2).
const REFUSED_APART: &str = "NestedLoopJoinLoad";

/// Name (a prefix) of the consumers that hold what a sort has read, or needs to merge what it
/// spilled.
const SORT: &str = "ExternalSorter";

/// A view of the engine's pool.
///
/// A consumer that holds little is not refused, nor is a sort its first batch and what it keeps back
/// for merging. Of many sorts at a time the first take all there is, and one that begins later has
/// nothing that it could spill and fails. What is granted so is bounded by the number of operators,
/// and others see it as reserved.
#[derive(Debug)]
pub(super) struct QueryPool {
    inner: Arc<dyn MemoryPool>,
    little_bytes: usize,
    sort_bytes: usize,
}

impl QueryPool {
    /// A view of `inner` in which consumers that hold at most `little_bytes` are not refused, nor
    /// sorts that hold nothing up to `sort_bytes`.
    pub(super) fn new(inner: Arc<dyn MemoryPool>, little_bytes: usize, sort_bytes: usize) -> Self {
        Self { inner, little_bytes, sort_bytes }
    }

    /// Bytes in all that are not refused to who has `reservation`.
    fn granted_bytes(&self, reservation: &MemoryReservation) -> usize {
        if reservation.size() == 0 && reservation.consumer().name().starts_with(SORT) {
            self.little_bytes.max(self.sort_bytes)
        } else {
            self.little_bytes
        }
    }
}

impl MemoryPool for QueryPool {
    fn name(&self) -> &'static str {
        "query"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.inner.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.inner.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.inner.grow(reservation, additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.inner.shrink(reservation, shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        let granted = self.inner.try_grow(reservation, additional);
        if granted.is_ok() {
            return granted;
        }
        if reservation.size().saturating_add(additional) <= self.granted_bytes(reservation) {
            self.grow(reservation, additional);
            return Ok(());
        }
        if reservation.consumer().name().starts_with(REFUSED_APART) {
            return Err(carry(RelationalError::JoinTooLarge.into()));
        }
        granted
    }

    fn reserved(&self) -> usize {
        self.inner.reserved()
    }

    fn memory_limit(&self) -> MemoryLimit {
        self.inner.memory_limit()
    }
}

impl fmt::Display for QueryPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { inner, little_bytes, sort_bytes: _ } = self;
        write!(f, "query(of: {inner}, little: {little_bytes} bytes)")
    }
}

#[cfg(test)]
mod tests {
    use datafusion::execution::memory_pool::{FairSpillPool, GreedyMemoryPool};

    use super::*;
    use crate::error::carried;

    #[test]
    fn little_is_not_refused_and_counts() {
        let first_come: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(1000));
        let pool: Arc<dyn MemoryPool> = Arc::new(QueryPool::new(Arc::clone(&first_come), 100, 300));
        let sort = |name: &str| MemoryConsumer::new(name).with_can_spill(true).register(&pool);
        let first = sort("first");
        first.try_grow(1000).unwrap();
        let second = sort("second");
        second.try_grow(100).unwrap();
        assert!(second.try_grow(1).is_err());
        let merge = MemoryConsumer::new("ExternalSorterMerge[0]").register(&pool);
        merge.try_grow(300).unwrap();
        assert!(merge.try_grow(1).is_err());
        assert_eq!(first_come.reserved(), 1400);
        drop((first, second, merge));
        assert_eq!(first_come.reserved(), 0);
    }

    #[test]
    fn a_nested_loop_join_is_refused_apart() {
        let fair: Arc<dyn MemoryPool> = Arc::new(FairSpillPool::new(1000));
        let pool: Arc<dyn MemoryPool> = Arc::new(QueryPool::new(fair, 0, 0));
        let join = MemoryConsumer::new("NestedLoopJoinLoad[0]").register(&pool);
        let refused = carried(&join.try_grow(1001).unwrap_err()).unwrap();
        assert!(matches!(refused.downcast_ref(), Some(RelationalError::JoinTooLarge)));
    }
}
