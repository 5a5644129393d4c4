//! What the random order of a run depends on beside the plan.

use std::hash::{BuildHasher, RandomState};

/// Numbers from which a run makes the random choices that differ from run to run. With the same
/// numbers a plan gives the same rows in the same order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunOrder {
    /// Runs of the dataset that came before.
    pub execution: u64,
    /// The seed of what was given none.
    pub new_seed: u64,
}

impl RunOrder {
    /// The order of the run that `execution` runs came before.
    #[must_use]
    pub fn of(execution: u64) -> Self {
        // The only random numbers of the standard library are the keys of its hashes.
        Self { execution, new_seed: RandomState::new().hash_one(()) }
    }
}
