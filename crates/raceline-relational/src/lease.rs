//! Memory that a region takes off the engine's for itself.

use std::sync::Arc;

use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};

/// What one region has taken. It goes back when this is dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    reservation: MemoryReservation,
    share_bytes: usize,
}

impl Lease {
    /// Nothing yet, of at most `share_bytes` that one region should take.
    pub(crate) fn new(name: &str, pool: &Arc<dyn MemoryPool>, share_bytes: usize) -> Self {
        Self { reservation: MemoryConsumer::new(name).register(pool), share_bytes }
    }

    /// Most bytes that one region should take, so that others have room.
    pub(crate) fn share_bytes(&self) -> usize {
        self.share_bytes
    }

    /// Bytes taken.
    pub(crate) fn size(&self) -> usize {
        self.reservation.size()
    }

    /// Takes `bytes` in all; false, and as before, when there is no room.
    pub(crate) fn try_resize(&mut self, bytes: usize) -> bool {
        self.reservation.try_resize(bytes).is_ok()
    }

    /// Takes `bytes` in all; where there is no room, others see a debt.
    pub(crate) fn resize(&mut self, bytes: usize) {
        self.reservation.resize(bytes);
    }
}
