//! The rates of a stage, which all of its workers keep to together.

use std::io;
use std::num::NonZeroUsize;
use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering;

use super::mapping::Mapping;

/// Things that are counted by themselves, such as requests and tokens.
const LANES: usize = 2;

/// Memory that the workers of a stage share, to take turns at a rate.
///
/// For each lane it holds the time from when on the next comer may go. Who comes moves that time
/// by what it costs, in one step, and waits for its own time: there is no message, and a worker
/// that dies leaves nothing behind but a turn that nobody takes.
#[derive(Debug)]
pub struct RateGate {
    mapping: Mapping,
}

impl RateGate {
    /// The memory of a gate.
    pub(crate) const BYTES: NonZeroUsize =
        NonZeroUsize::new(LANES * size_of::<u64>()).expect("there are lanes");

    /// The memory of a new gate, for [`Self::open`] in each worker.
    ///
    /// # Errors
    /// When the system has no memory or no descriptor left.
    pub(crate) fn create() -> io::Result<OwnedFd> {
        Mapping::shared_file(Self::BYTES)
    }

    /// The gate over memory of [`Self::create`].
    ///
    /// # Errors
    /// When it is none, or cannot be mapped.
    pub(crate) fn open(memory: OwnedFd) -> io::Result<Self> {
        Ok(Self { mapping: Mapping::open_shared(memory, Self::BYTES)? })
    }

    /// Takes the next turn of `lane`, at `now_ns` or later, after which nobody goes for
    /// `cost_ns`. Returns when the turn is, in nanoseconds of the clock that `now_ns` was read
    /// from, which must be the same for all processes.
    ///
    /// # Panics
    /// When there is no such lane: there are two.
    #[must_use]
    pub fn reserve(&self, lane: usize, now_ns: u64, cost_ns: u64) -> u64 {
        assert!(lane < LANES, "a gate has {LANES} lanes");
        let mut turn_ns = now_ns;
        // Each value stands for itself alone: nothing else is published with it.
        let moved = self.mapping.counter(lane).fetch_update(
            Ordering::Relaxed,
            Ordering::Relaxed,
            |free_ns| {
                turn_ns = free_ns.max(now_ns);
                Some(turn_ns.saturating_add(cost_ns))
            },
        );
        moved.expect("the closure never declines");
        turn_ns
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn turns_follow_each_other_at_the_cost_and_start_anew_after_a_pause() {
        let gate = RateGate::open(RateGate::create().unwrap()).unwrap();
        assert_eq!(gate.reserve(0, 1000, 10), 1000);
        assert_eq!(gate.reserve(0, 1001, 10), 1010);
        assert_eq!(gate.reserve(0, 1001, 30), 1020);
        assert_eq!(gate.reserve(1, 1001, 5), 1001);
        assert_eq!(gate.reserve(0, 2000, 10), 2000);
        assert_eq!(gate.reserve(0, 2000, u64::MAX), 2010);
        assert_eq!(gate.reserve(0, 2000, 1), u64::MAX);
    }

    #[test]
    fn no_turn_is_given_twice() {
        let memory = RateGate::create().unwrap();
        let turns_of =
            |gate: RateGate| -> Vec<u64> { (0..1000).map(|_| gate.reserve(0, 7, 1)).collect() };
        let mut turns: Vec<u64> = thread::scope(|threads| {
            let open = || RateGate::open(memory.try_clone().unwrap()).unwrap();
            let started: Vec<_> =
                (0..4).map(|_| open()).map(|gate| threads.spawn(move || turns_of(gate))).collect();
            started.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        turns.sort_unstable();
        assert_eq!(turns, (7..4007).collect::<Vec<_>>());
    }

    #[test]
    fn a_file_that_could_shrink_is_refused() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(4096).unwrap();
        assert!(RateGate::open(file.into()).is_err());
    }
}
