//! The memory account of `DataFusion`: a fair share for everything that can spill, and room that
//! is never refused for `RepartitionExec`.
//!
//! A `RepartitionExec` that is refused memory can wait for a reader that waits for it
//! (`DataFusion` 55.2, <https://github.com/apache/datafusion/issues/24883>). Its queues are
//! gated, so granting it always is bounded; what it takes beyond the limit is debt that the other
//! consumers see, because it counts as reserved, and that keeps new work from starting.
//!
//! What the plans of one stage reserve is counted for that stage by a pool of its own in front.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::error::Result;
use datafusion::execution::memory_pool::{
    FairSpillPool, MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation,
};
use raceline_exec::MemoryAccount;

/// Name (a prefix) of the consumers that are never refused.
const NEVER_REFUSED: &str = "RepartitionExec";

/// A fair pool that never refuses a repartition.
#[derive(Debug)]
pub(crate) struct OverdraftPool {
    inner: FairSpillPool,
    limit_bytes: usize,
    reserved_bytes: AtomicUsize,
    overdraft_bytes_peak: AtomicUsize,
}

impl OverdraftPool {
    /// A pool of `limit_bytes`.
    pub(crate) fn new(limit_bytes: usize) -> Self {
        Self {
            inner: FairSpillPool::new(limit_bytes),
            limit_bytes,
            reserved_bytes: AtomicUsize::new(0),
            overdraft_bytes_peak: AtomicUsize::new(0),
        }
    }

    /// Bytes that are reserved beyond the limit now.
    pub(crate) fn debt_bytes(&self) -> usize {
        self.reserved_bytes.load(Ordering::Relaxed).saturating_sub(self.limit_bytes)
    }

    /// Notes that `additional` bytes were reserved.
    fn note(&self, additional: usize) {
        let reserved = self.reserved_bytes.fetch_add(additional, Ordering::Relaxed) + additional;
        let overdraft_bytes = reserved.saturating_sub(self.limit_bytes);
        self.overdraft_bytes_peak.fetch_max(overdraft_bytes, Ordering::Relaxed);
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
        self.note(additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.inner.shrink(reservation, shrink);
        self.reserved_bytes.fetch_sub(shrink, Ordering::Relaxed);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        if reservation.consumer().name().starts_with(NEVER_REFUSED) {
            self.grow(reservation, additional);
            return Ok(());
        }
        self.inner.try_grow(reservation, additional)?;
        self.note(additional);
        Ok(())
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
        let Self { inner: _, limit_bytes, reserved_bytes: _, overdraft_bytes_peak: _ } = self;
        write!(f, "overdraft(limit: {limit_bytes} bytes)")
    }
}

/// The pool as the plans of one stage see it: what they reserve counts in the stage's account.
#[derive(Debug)]
pub(crate) struct StagePool {
    inner: Arc<OverdraftPool>,
    account: MemoryAccount,
}

impl StagePool {
    /// What is reserved through it comes from `inner` and counts in `account`.
    pub(crate) fn new(inner: Arc<OverdraftPool>, account: MemoryAccount) -> Self {
        Self { inner, account }
    }
}

impl MemoryPool for StagePool {
    fn name(&self) -> &'static str {
        "stage"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.inner.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.inner.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.inner.grow(reservation, additional);
        self.account.grow(additional as u64);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.inner.shrink(reservation, shrink);
        self.account.shrink(shrink as u64);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        self.inner.try_grow(reservation, additional)?;
        self.account.grow(additional as u64);
        Ok(())
    }

    fn reserved(&self) -> usize {
        self.inner.reserved()
    }

    fn memory_limit(&self) -> MemoryLimit {
        self.inner.memory_limit()
    }
}

impl fmt::Display for StagePool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.inner, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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
        assert_eq!(overdraft.debt_bytes(), 500);
        drop(repartition);
        assert_eq!(overdraft.debt_bytes(), 0);
        sort.try_grow(1000).unwrap();
        assert!(sort.try_grow(1).is_err());
    }

    proptest! {
        /// Stages add up to the pool, whatever was refused, and nothing is left at the end.
        #[test]
        fn what_stages_reserve_adds_up(
            steps in prop::collection::vec((0..3_usize, 0..4_usize, 0..700_usize), 0..80),
        ) {
            let overdraft = Arc::new(OverdraftPool::new(1_000));
            let accounts: Vec<MemoryAccount> = (0..3).map(|_| MemoryAccount::default()).collect();
            let names = ["RepartitionExec[0]", "ExternalSorter[0]", "GroupedHash[0]"];
            let mut reservations: Vec<_> = accounts.iter().zip(names).map(|(account, name)| {
                let pool = StagePool::new(Arc::clone(&overdraft), account.clone());
                let pool: Arc<dyn MemoryPool> = Arc::new(pool);
                MemoryConsumer::new(name).with_can_spill(name != names[0]).register(&pool)
            }).collect();
            for (at, what, bytes) in steps {
                let reservation = &mut reservations[at];
                match what {
                    0 => drop(reservation.try_grow(bytes)),
                    1 => reservation.grow(bytes),
                    2 => reservation.shrink(bytes.min(reservation.size())),
                    _ => {
                        let size = reservation.size();
                        prop_assert_eq!(reservation.free(), size);
                    }
                }
                let sum: u64 = accounts.iter().map(|account| account.level().bytes).sum();
                prop_assert_eq!(sum, overdraft.reserved() as u64);
                prop_assert_eq!(accounts[at].level().bytes, reservations[at].size() as u64);
                prop_assert_eq!(overdraft.debt_bytes(), overdraft.reserved().saturating_sub(1_000));
            }
            drop(reservations);
            prop_assert!(accounts.iter().all(|account| account.level().bytes == 0));
            prop_assert_eq!(overdraft.reserved(), 0);
        }
    }
}
