//! Accounts of memory: who holds how many bytes now, and the most that were ever held.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes now, and the most there ever were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Level {
    /// Bytes now.
    pub bytes: u64,
    /// The most bytes so far.
    pub bytes_peak: u64,
}

impl Level {
    /// `bytes` more.
    pub(crate) fn grow(&mut self, bytes: u64) {
        self.set(self.bytes + bytes);
    }

    /// `bytes` fewer.
    pub(crate) fn shrink(&mut self, bytes: u64) {
        assert!(bytes <= self.bytes, "more bytes were given back than taken");
        self.bytes -= bytes;
    }

    /// `bytes` from now on.
    pub(crate) fn set(&mut self, bytes: u64) {
        self.bytes = bytes;
        self.bytes_peak = self.bytes_peak.max(bytes);
    }
}

/// An account that many can add to at the same time. Clones are the same account.
///
/// ```
/// use raceline_exec::MemoryAccount;
///
/// let account = MemoryAccount::default();
/// let held = account.hold(100);
/// assert_eq!(account.level().bytes, 100);
/// drop(held);
/// assert_eq!((account.level().bytes, account.level().bytes_peak), (0, 100));
/// ```
#[derive(Clone, Debug, Default)]
pub struct MemoryAccount {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    bytes: AtomicU64,
    bytes_peak: AtomicU64,
}

impl MemoryAccount {
    /// Counts `bytes` until what is returned is dropped.
    #[must_use]
    pub fn hold(&self, bytes: u64) -> Held {
        self.grow(bytes);
        Held { account: self.clone(), bytes }
    }

    /// Counts `bytes` more; [`Self::hold`] gives them back by itself.
    pub fn grow(&self, bytes: u64) {
        let now = self.shared.bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        self.shared.bytes_peak.fetch_max(now, Ordering::Relaxed);
    }

    /// Counts `bytes` fewer, which were counted before.
    pub fn shrink(&self, bytes: u64) {
        let before = self.shared.bytes.fetch_sub(bytes, Ordering::Relaxed);
        debug_assert!(bytes <= before, "more bytes were given back than taken");
    }

    /// What is held.
    #[must_use]
    pub fn level(&self) -> Level {
        let bytes = self.shared.bytes.load(Ordering::Relaxed);
        Level { bytes, bytes_peak: self.shared.bytes_peak.load(Ordering::Relaxed) }
    }
}

/// Bytes that count in an account until this is dropped.
#[derive(Debug)]
pub struct Held {
    account: MemoryAccount,
    bytes: u64,
}

impl Held {
    /// Counts `bytes` from now on.
    pub fn set(&mut self, bytes: u64) {
        match bytes.checked_sub(self.bytes) {
            Some(more) => self.account.grow(more),
            None => self.account.shrink(self.bytes - bytes),
        }
        self.bytes = bytes;
    }

    /// What counts.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.account.shrink(self.bytes);
    }
}

/// The accounts that the work of a stage adds to itself: what it holds beside the batches that the
/// graph gave it and took from it.
#[derive(Clone, Debug, Default)]
pub struct StageAccounts {
    /// Batches that are kept, buffers.
    pub held: MemoryAccount,
    /// Bytes that were reserved of a share that is kept apart for it.
    pub reserved: MemoryAccount,
}

/// The memory of a stage, account by account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StageMemory {
    /// Granted by the graph: queued outputs, inputs and outputs of its running work, and permits
    /// for outputs to come.
    pub queues: Level,
    /// What its work keeps beside that, see [`StageAccounts::held`].
    pub held: Level,
    /// What its work reserved, see [`StageAccounts::reserved`].
    pub reserved: Level,
    /// Private resident memory of its workers, as measured last.
    pub workers: Level,
}

impl StageMemory {
    /// Bytes that it holds now, in all accounts.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.levels().iter().map(|(_, level)| level.bytes).sum()
    }

    /// Its accounts, each with the words that go behind its bytes.
    #[must_use]
    pub fn levels(&self) -> [(&'static str, Level); 4] {
        let Self { queues, held, reserved, workers } = *self;
        [("in queues", queues), ("held", held), ("reserved", reserved), ("in workers", workers)]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Hold(u64),
        Set(usize, u64),
        Drop(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..1_000_u64).prop_map(Step::Hold),
            (any::<usize>(), 0..1_000_u64).prop_map(|(at, bytes)| Step::Set(at, bytes)),
            any::<usize>().prop_map(Step::Drop),
        ]
    }

    proptest! {
        #[test]
        fn what_is_held_is_given_back_in_any_order(steps in prop::collection::vec(step(), 0..60)) {
            let account = MemoryAccount::default();
            let (mut held, mut peak): (Vec<Held>, u64) = (Vec::new(), 0);
            for step in steps {
                match step {
                    Step::Hold(bytes) => held.push(account.hold(bytes)),
                    Step::Set(at, bytes) if !held.is_empty() => {
                        let at = at % held.len();
                        held[at].set(bytes);
                    }
                    Step::Drop(at) if !held.is_empty() => {
                        let at = at % held.len();
                        drop(held.swap_remove(at));
                    }
                    Step::Set(..) | Step::Drop(_) => {}
                }
                let all = held.iter().map(Held::bytes).sum();
                peak = peak.max(all);
                prop_assert_eq!(account.level(), Level { bytes: all, bytes_peak: peak });
            }
            drop(held);
            prop_assert_eq!(account.level(), Level { bytes: 0, bytes_peak: peak });
        }
    }

    #[test]
    fn many_threads_leave_nothing_behind() {
        let account = MemoryAccount::default();
        std::thread::scope(|scope| {
            for thread in 1..=4_u64 {
                let account = account.clone();
                scope.spawn(move || {
                    for bytes in 0..1_000 {
                        let mut held = account.hold(bytes * thread);
                        held.set(bytes);
                    }
                });
            }
        });
        assert_eq!(account.level().bytes, 0);
        assert!((3_996..=4 * 3_996).contains(&account.level().bytes_peak));
    }
}
