//! The writer's side: space in shared files, and Arrow buffers over it.
#![expect(unsafe_code, reason = "writes to mapped memory and makes Arrow buffers over it")]

use std::io;
use std::process;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::buffer::Buffer;
use raceline_types::{ColumnMemory, ColumnSpace, HeapMemory};

use super::PASSED_BYTES_MIN;
use super::arena::{Arena, ArenaFile, Segment};

/// Memory that this process writes and that others may be shown.
///
/// What is written becomes a [`Buffer`], which is nobody's special: it is sliced, kept and dropped
/// in any thread. When its last clone and slice is gone, its segment is used again.
#[derive(Debug)]
pub(crate) struct SharedMemory {
    arena: Mutex<Arena>,
    /// A fork of this process has a copy of the arena, and no say in it.
    process: u32,
}

/// Where some bytes lie in a shared file.
#[derive(Clone, Debug)]
pub(crate) struct Location {
    /// The file.
    pub(crate) file: Arc<ArenaFile>,
    /// First byte in it.
    pub(crate) offset: usize,
}

/// A segment that its owner alone sees.
#[derive(Debug)]
pub(crate) struct SharedSpace {
    lease: Lease,
}

/// A segment in use; free again on drop.
#[derive(Debug)]
struct Lease {
    segment: Segment,
    file: Arc<ArenaFile>,
    memory: Arc<SharedMemory>,
}

impl SharedMemory {
    /// Memory of which nothing is allocated.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { arena: Mutex::default(), process: process::id() })
    }

    /// Space for at least `bytes`, at a multiple of 64. What is in it is anything.
    ///
    /// # Errors
    /// When the system has no memory or no descriptor left.
    pub(crate) fn space(self: &Arc<Self>, bytes: usize) -> io::Result<SharedSpace> {
        let mut arena = self.arena();
        let (segment, file) = arena.allocate(bytes)?;
        let given_back = arena.give_back();
        drop(arena);
        // Readers are told with their next batch.
        drop(given_back);
        Ok(SharedSpace { lease: Lease { segment, file, memory: Arc::clone(self) } })
    }

    /// Where `bytes` lie in this memory, if they do.
    pub(crate) fn locate(&self, bytes: &[u8]) -> Option<Location> {
        let arena = self.arena();
        let (file, offset) = arena.locate(bytes)?;
        Some(Location { file: Arc::clone(file), offset })
    }

    /// Bytes in use.
    pub(crate) fn used_bytes(&self) -> usize {
        self.arena().used_bytes()
    }

    /// Every change of the arena is whole or an assertion about it failed, which it outlives.
    fn arena(&self) -> MutexGuard<'_, Arena> {
        self.arena.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ColumnSpace for SharedSpace {
    fn bytes_mut(&mut self) -> &mut [u8] {
        let Lease { segment, file, memory: _ } = &self.lease;
        let address = file.address_of(*segment);
        // SAFETY: the range is mapped for writing for as long as the lease holds the file, and
        // initialised, as a new file reads as zeros. Nobody else has it: the arena gives a segment
        // out once at a time, this value is its only owner and is borrowed for as long as the
        // slice, and readers are shown a segment only after it became a buffer.
        unsafe { std::slice::from_raw_parts_mut(address.as_ptr(), segment.bytes) }
    }

    fn into_buffer(self: Box<Self>, bytes: usize) -> Buffer {
        let mut lease = self.lease;
        assert!(bytes <= lease.segment.bytes, "a buffer ends where its space does");
        let memory = Arc::clone(&lease.memory);
        lease.segment = memory.arena().shrink(lease.segment, bytes);
        let address = lease.file.address_of(lease.segment);
        // SAFETY: the range is mapped for as long as the lease, which the buffer owns, holds the
        // file; from here on nobody writes to it.
        unsafe { Buffer::from_custom_allocation(address, bytes, Arc::new(lease)) }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // In a fork the lock may be held by a thread that is not there.
        if process::id() == self.memory.process {
            self.memory.arena().release(self.segment);
        }
    }
}

/// Shared memory for the columns that are about to go to workers.
///
/// Small columns are not worth a segment. Where many bytes are in use already, by batches that
/// wait or that workers keep, the heap takes the rest, and those columns are copied on their way.
#[derive(Debug)]
pub(crate) struct SharedColumns {
    /// Where large columns go.
    pub(crate) memory: Arc<SharedMemory>,
    /// Nothing is added when so many bytes are in use.
    pub(crate) bytes_max: u64,
}

impl ColumnMemory for SharedColumns {
    fn space(&self, bytes: usize) -> Box<dyn ColumnSpace> {
        let used_bytes = self.memory.used_bytes() as u64;
        if bytes < PASSED_BYTES_MIN || used_bytes.saturating_add(bytes as u64) > self.bytes_max {
            return HeapMemory.space(bytes);
        }
        match self.memory.space(bytes) {
            Ok(space) => Box::new(space),
            // What runs out is shared memory or descriptors; who needs them tells of it.
            Err(_) => HeapMemory.space(bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(memory: &Arc<SharedMemory>, bytes: usize, value: u8) -> Buffer {
        let mut space = Box::new(memory.space(bytes).unwrap());
        space.bytes_mut()[..bytes].fill(value);
        space.into_buffer(bytes)
    }

    #[test]
    fn a_segment_is_used_again_when_the_last_slice_is_gone() {
        let memory = SharedMemory::new();
        let buffer = filled(&memory, 1000, 1);
        let slice = buffer.slice_with_length(10, 5);
        let address = buffer.as_ptr();
        drop(buffer);
        assert_ne!(filled(&memory, 1000, 2).as_ptr(), address);
        assert_eq!(slice.as_slice(), [1; 5]);
        drop(slice);
        assert_eq!(memory.used_bytes(), 0);
        assert_eq!(filled(&memory, 1000, 3).as_ptr(), address);
    }

    #[test]
    fn a_buffer_outlives_its_memory() {
        let memory = SharedMemory::new();
        let buffer = filled(&memory, 1000, 7);
        drop(memory);
        assert_eq!(buffer.as_slice(), [7; 1000]);
    }

    #[test]
    fn what_lies_in_the_memory_is_found() {
        let memory = SharedMemory::new();
        let (first, second) = (filled(&memory, 100, 1), filled(&memory, 20 << 20, 2));
        let part = second.slice_with_length(77, 100);
        let location = memory.locate(&part).unwrap();
        assert_eq!((location.file.number(), location.offset), (1, 77));
        assert_eq!(memory.locate(&first).unwrap().offset, 0);
        assert!(memory.locate(&[0; 10]).is_none());
        assert!(SharedMemory::new().locate(&first).is_none());
    }

    #[test]
    fn columns_that_are_small_or_too_many_lie_on_the_heap() {
        let memory = SharedMemory::new();
        let columns = SharedColumns { memory: Arc::clone(&memory), bytes_max: 1 << 20 };
        let is_shared = |buffer: &Buffer| memory.locate(buffer).is_some();
        let small = columns.space(1000).into_buffer(1000);
        let large = columns.space(1 << 19).into_buffer(1 << 19);
        let over = columns.space((1 << 19) + 1).into_buffer(1 << 19);
        assert_eq!([&small, &large, &over].map(is_shared), [false, true, false]);
        drop(large);
        assert!(is_shared(&columns.space(1 << 20).into_buffer(PASSED_BYTES_MIN)));
    }
}
