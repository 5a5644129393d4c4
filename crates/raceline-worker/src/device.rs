//! The session's GPUs, counted in logical shares.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use raceline_types::NANOS_PER_UNIT;

/// Which GPUs of a session are taken. One a session; declared GPUs need not exist.
#[derive(Debug)]
pub struct GpuLedger {
    ids: Vec<String>,
    free_nanos: Mutex<Vec<u64>>,
}

/// GPUs, or a share of one, held until dropped.
#[derive(Debug)]
pub(crate) struct GpuShare {
    ledger: Arc<GpuLedger>,
    /// Position in the ledger and billionths taken.
    taken: Vec<(usize, u64)>,
}

impl GpuLedger {
    /// GPUs with the given names, as `CUDA_VISIBLE_DEVICES` spells them.
    #[must_use]
    pub fn new(ids: Vec<String>) -> Arc<Self> {
        let free_nanos = Mutex::new(vec![NANOS_PER_UNIT; ids.len()]);
        Arc::new(Self { ids, free_nanos })
    }

    /// GPUs named `0` to `count - 1`.
    #[must_use]
    pub fn numbered(count: usize) -> Arc<Self> {
        Self::new((0..count).map(|index| index.to_string()).collect())
    }

    /// Takes `nanos` billionths: whole GPUs for the whole part, and a share of the fullest GPU
    /// that has room for the rest. `None` when not all of it is free.
    pub(crate) fn take(self: &Arc<Self>, nanos: u64) -> Option<GpuShare> {
        let mut free = self.free_nanos.lock().unwrap_or_else(PoisonError::into_inner);
        let (whole, rest) = (nanos / NANOS_PER_UNIT, nanos % NANOS_PER_UNIT);
        let mut taken: Vec<(usize, u64)> = Vec::new();
        for _ in 0..whole {
            let unused = |index: &usize| {
                free[*index] == NANOS_PER_UNIT && taken.iter().all(|(other, _)| other != index)
            };
            let index = (0..free.len()).find(unused)?;
            taken.push((index, NANOS_PER_UNIT));
        }
        if rest > 0 {
            let has_room = |index: &usize| {
                free[*index] >= rest && taken.iter().all(|(other, _)| other != index)
            };
            let index = (0..free.len()).filter(has_room).min_by_key(|index| free[*index])?;
            taken.push((index, rest));
        }
        for (index, nanos) in &taken {
            free[*index] -= nanos;
        }
        Some(GpuShare { ledger: Arc::clone(self), taken })
    }
}

impl fmt::Display for GpuShare {
    /// As `CUDA_VISIBLE_DEVICES` takes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<&str> =
            self.taken.iter().map(|(index, _)| self.ledger.ids[*index].as_str()).collect();
        f.write_str(&ids.join(","))
    }
}

impl Drop for GpuShare {
    fn drop(&mut self) {
        let mut free = self.ledger.free_nanos.lock().unwrap_or_else(PoisonError::into_inner);
        for (index, nanos) in &self.taken {
            free[*index] += nanos;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF: u64 = NANOS_PER_UNIT / 2;

    #[test]
    fn halves_share_a_gpu_and_whole_ones_do_not() {
        let ledger = GpuLedger::numbered(2);
        let first = ledger.take(HALF).unwrap();
        let second = ledger.take(HALF).unwrap();
        let whole = ledger.take(NANOS_PER_UNIT).unwrap();
        assert_eq!([&first, &second, &whole].map(ToString::to_string), ["0", "0", "1"]);
        assert!(ledger.take(1).is_none());
        drop(first);
        assert!(ledger.take(NANOS_PER_UNIT).is_none());
        assert_eq!(ledger.take(HALF).unwrap().to_string(), "0");
    }

    #[test]
    fn names_are_kept_and_several_are_joined() {
        let ledger = GpuLedger::new(vec!["4".to_owned(), "7".to_owned()]);
        let both = ledger.take(2 * NANOS_PER_UNIT).unwrap();
        assert_eq!(both.to_string(), "4,7");
        drop(both);
        assert!(ledger.take(3 * NANOS_PER_UNIT).is_none());
        assert_eq!(ledger.take(NANOS_PER_UNIT + HALF).unwrap().to_string(), "4,7");
    }
}
