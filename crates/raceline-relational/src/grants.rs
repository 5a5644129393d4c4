//! Memory that is granted although there is no room for it, within bounds: to what cannot spill.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

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

/// Name (a prefix) of the consumers that merge what a sort holds or has spilled.
const MERGE: &str = "ExternalSorterMerge";

/// What is granted although there is no room for it, in bytes.
#[expect(clippy::struct_field_names, reason = "each has its unit")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Grants {
    /// To each consumer.
    pub(crate) little_bytes: usize,
    /// To each sort that holds nothing, and to each merge.
    pub(crate) sort_bytes: usize,
    /// To all merges of sorts together, beyond that and what there is room for.
    pub(crate) merges_bytes: usize,
}

/// A view of the engine's pool.
///
/// A consumer that holds little is not refused, nor is a sort its first batch and what it keeps back
/// for merging. Of many sorts at a time the first take all there is, and one that begins later has
/// nothing that it could spill and fails. Nor are merges refused, within a bound: a sort gives back
/// what it holds a batch at a time and its merge takes the same batch, so that another sort can come
/// between and the merge, which cannot spill, fails. What is granted so is bounded by the number of
/// operators, and others see it as reserved.
#[derive(Debug)]
pub(crate) struct GrantingPool {
    inner: Arc<dyn MemoryPool>,
    grants: Grants,
    /// What merges were granted without room for it and have not given back.
    merges_beyond_bytes: AtomicUsize,
}

impl GrantingPool {
    /// A view of `inner` in which `grants` are not refused.
    pub(crate) fn new(inner: Arc<dyn MemoryPool>, grants: Grants) -> Self {
        Self { inner, grants, merges_beyond_bytes: AtomicUsize::new(0) }
    }

    /// Whether `additional` bytes are not refused to who has `reservation`.
    fn is_granted(&self, reservation: &MemoryReservation, additional: usize) -> bool {
        let Grants { little_bytes, sort_bytes, merges_bytes } = self.grants;
        let name = reservation.consumer().name();
        let size = reservation.size();
        let is_merge = name.starts_with(MERGE);
        let each_bytes = if is_merge || (size == 0 && name.starts_with(SORT)) {
            little_bytes.max(sort_bytes)
        } else {
            little_bytes
        };
        if size.saturating_add(additional) <= each_bytes {
            return true;
        }
        let more = |beyond: usize| {
            beyond.checked_add(additional).filter(|&beyond_bytes| beyond_bytes <= merges_bytes)
        };
        let beyond = &self.merges_beyond_bytes;
        is_merge && beyond.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    /// Notes that a merge gave `bytes` back.
    fn repay(&self, bytes: usize) {
        let less = |beyond: usize| Some(beyond.saturating_sub(bytes));
        let repaid =
            self.merges_beyond_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        debug_assert!(repaid.is_ok(), "there is always a next value");
    }
}

impl MemoryPool for GrantingPool {
    fn name(&self) -> &'static str {
        "granting"
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
        if reservation.consumer().name().starts_with(MERGE) {
            self.repay(shrink);
        }
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        let granted = self.inner.try_grow(reservation, additional);
        if granted.is_ok() {
            return granted;
        }
        if self.is_granted(reservation, additional) {
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

impl fmt::Display for GrantingPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "granting(of: {}, little: {} bytes)", self.inner, self.grants.little_bytes)
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
        let grants = Grants { little_bytes: 100, sort_bytes: 300, merges_bytes: 0 };
        let pool: Arc<dyn MemoryPool> =
            Arc::new(GrantingPool::new(Arc::clone(&first_come), grants));
        let sort = |name: &str| MemoryConsumer::new(name).with_can_spill(true).register(&pool);
        let first = sort("first");
        first.try_grow(1000).unwrap();
        let second = sort("second");
        second.try_grow(100).unwrap();
        assert!(second.try_grow(1).is_err());
        let merge = MemoryConsumer::new("ExternalSorterMerge[0]").register(&pool);
        merge.try_grow(200).unwrap();
        merge.try_grow(100).unwrap();
        assert!(merge.try_grow(1).is_err());
        assert_eq!(first_come.reserved(), 1400);
        drop((first, second, merge));
        assert_eq!(first_come.reserved(), 0);
    }

    #[test]
    fn merges_share_what_they_are_granted_beyond_the_pool() {
        let first_come: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(1000));
        let grants = Grants { little_bytes: 0, sort_bytes: 0, merges_bytes: 500 };
        let pool: Arc<dyn MemoryPool> =
            Arc::new(GrantingPool::new(Arc::clone(&first_come), grants));
        let sort = MemoryConsumer::new("ExternalSorter[0]").with_can_spill(true).register(&pool);
        let merges: Vec<_> = (0..2)
            .map(|at| MemoryConsumer::new(format!("ExternalSorterMerge[{at}]")).register(&pool))
            .collect();
        merges[0].try_grow(700).unwrap();
        sort.try_grow(300).unwrap();
        merges[0].try_grow(300).unwrap();
        merges[1].try_grow(200).unwrap();
        assert!(merges[1].try_grow(1).is_err());
        assert!(sort.try_grow(1).is_err());
        merges[0].shrink(50);
        merges[1].try_grow(50).unwrap();
        assert!(merges[1].try_grow(1).is_err());
        drop((sort, merges));
        assert_eq!(first_come.reserved(), 0);
    }

    #[test]
    fn a_nested_loop_join_is_refused_apart() {
        let fair: Arc<dyn MemoryPool> = Arc::new(FairSpillPool::new(1000));
        let pool: Arc<dyn MemoryPool> = Arc::new(GrantingPool::new(fair, Grants::default()));
        let join = MemoryConsumer::new("NestedLoopJoinLoad[0]").register(&pool);
        let refused = carried(&join.try_grow(1001).unwrap_err()).unwrap();
        assert!(matches!(refused.downcast_ref(), Some(RelationalError::JoinTooLarge)));
    }
}
