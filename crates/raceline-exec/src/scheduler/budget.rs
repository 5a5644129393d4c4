//! The shared byte budget of an execution's queues.
//!
//! A stage may hold twice what is still free: one stage alone gets two thirds of the budget,
//! several share it, and a stage that starts late always finds room (the "dynamic threshold"
//! of shared-memory switches, Choudhury and Hahne, 1998).

/// How much more than the free bytes one stage may hold.
const SHARE_OF_FREE: u64 = 2;

/// Bytes granted to permits, running inputs and queues, against their limit.
#[derive(Debug)]
pub(crate) struct Budget {
    limit_bytes: u64,
    used_bytes: u64,
}

impl Budget {
    /// Nothing used of `limit_bytes`.
    pub(crate) fn new(limit_bytes: u64) -> Self {
        Self { limit_bytes, used_bytes: 0 }
    }

    /// Whether a stage that holds `held_bytes` may have `bytes` more.
    pub(crate) fn admits(&self, held_bytes: u64, bytes: u64) -> bool {
        self.has_room(bytes) && {
            let free_after = self.limit_bytes - self.used_bytes - bytes;
            held_bytes.saturating_add(bytes) <= SHARE_OF_FREE.saturating_mul(free_after)
        }
    }

    /// Whether a stage that holds `held_bytes`, all of them counted as used, may keep them.
    pub(crate) fn keeps(&self, held_bytes: u64) -> bool {
        self.has_room(0)
            && held_bytes <= SHARE_OF_FREE.saturating_mul(self.limit_bytes - self.used_bytes)
    }

    /// Sets what may be used; what is used beyond it is overdraft.
    pub(crate) fn limit(&mut self, limit_bytes: u64) {
        self.limit_bytes = limit_bytes;
    }

    /// Whether there is room for `bytes` at all, whoever asks.
    pub(crate) fn has_room(&self, bytes: u64) -> bool {
        self.used_bytes.saturating_add(bytes) <= self.limit_bytes
    }

    /// Counts `bytes` as used; past the limit this is overdraft.
    pub(crate) fn grant(&mut self, bytes: u64) {
        self.used_bytes += bytes;
    }

    /// Frees `bytes`.
    pub(crate) fn free(&mut self, bytes: u64) {
        assert!(bytes <= self.used_bytes, "more bytes were freed than granted");
        self.used_bytes -= bytes;
    }

    /// Bytes used now.
    pub(crate) fn used_bytes(&self) -> u64 {
        self.used_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_stage_alone_gets_two_thirds_and_leaves_room_for_the_next() {
        let mut budget = Budget::new(900);
        let mut held = 0;
        while budget.admits(held, 100) {
            budget.grant(100);
            held += 100;
        }
        assert_eq!(held, 600);
        assert!(budget.admits(0, 100), "a stage that comes late finds room");
    }

    #[test]
    fn what_is_used_is_kept_as_it_would_have_been_admitted() {
        let mut budget = Budget::new(900);
        for (held, more) in [(0, 600), (0, 601), (500, 100), (500, 101), (0, 900)] {
            budget.grant(held);
            let admitted = budget.admits(held, more);
            budget.grant(more);
            assert_eq!(budget.keeps(held + more), admitted, "{more} beside {held}");
            budget.free(held + more);
        }
    }

    #[test]
    fn a_lower_limit_makes_overdraft_of_what_is_used() {
        let mut budget = Budget::new(100);
        budget.grant(50);
        budget.limit(40);
        assert!(!budget.admits(0, 1) && !budget.keeps(50));
        budget.free(20);
        assert!(budget.admits(0, 5));
    }

    #[test]
    fn overdraft_admits_nobody() {
        let mut budget = Budget::new(10);
        budget.grant(25);
        assert!(!budget.admits(0, 1));
        budget.free(25);
        assert!(budget.admits(0, 1));
    }
}
