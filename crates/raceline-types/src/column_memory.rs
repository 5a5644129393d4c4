//! Where the values of large columns are written.
//!
//! Whoever makes a column asks for space before it has the values, so that they can be written
//! where their reader finds them: in memory that other processes see, or else on the heap. What
//! comes of it is an Arrow buffer like any other.

use std::fmt;
use std::sync::Arc;

use arrow::buffer::{Buffer, MutableBuffer};

/// Memory for the values of columns.
///
/// It never runs out: where it has no space of its own left, what it gives is of the heap.
pub trait ColumnMemory: fmt::Debug + Send + Sync + 'static {
    /// Space of `bytes`, at an address that suits any type of Arrow. What is in it is anything.
    fn space(&self, bytes: usize) -> Box<dyn ColumnSpace>;
}

/// Space that is being written.
pub trait ColumnSpace: fmt::Debug + Send + Sync {
    /// All of it.
    fn bytes_mut(&mut self) -> &mut [u8];

    /// The first `bytes` of it as a buffer, without a copy. The rest is given back.
    ///
    /// # Panics
    /// When the space is smaller.
    fn into_buffer(self: Box<Self>, bytes: usize) -> Buffer;
}

/// The heap.
#[derive(Clone, Copy, Debug, Default)]
pub struct HeapMemory;

impl HeapMemory {
    /// The heap for whoever does not care which memory it is.
    #[must_use]
    pub fn shared() -> Arc<dyn ColumnMemory> {
        Arc::new(Self)
    }
}

/// Space on the heap.
#[derive(Debug)]
struct HeapSpace(MutableBuffer);

impl ColumnMemory for HeapMemory {
    fn space(&self, bytes: usize) -> Box<dyn ColumnSpace> {
        // Of 16-byte integers, which no type needs a stricter alignment than. Zeros of the system
        // take no memory until they are written.
        let words = vec![0_i128; bytes.div_ceil(size_of::<i128>())];
        Box::new(HeapSpace(words.into()))
    }
}

impl ColumnSpace for HeapSpace {
    fn bytes_mut(&mut self) -> &mut [u8] {
        self.0.as_slice_mut()
    }

    fn into_buffer(mut self: Box<Self>, bytes: usize) -> Buffer {
        assert!(bytes <= self.0.len(), "a buffer ends where its space does");
        self.0.truncate(bytes);
        self.0.shrink_to_fit();
        self.0.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_holds_what_was_written_to_its_space() {
        let mut space = HeapMemory.space(1000);
        assert!(space.bytes_mut().len() >= 1000);
        assert_eq!(space.bytes_mut().as_ptr().align_offset(align_of::<i128>()), 0);
        space.bytes_mut()[..3].copy_from_slice(b"abc");
        let buffer = space.into_buffer(3);
        assert_eq!(buffer.as_slice(), b"abc");
        assert!(buffer.capacity() <= 64);
        assert!(HeapMemory.space(0).into_buffer(0).is_empty());
    }

    #[test]
    #[should_panic(expected = "a buffer ends where its space does")]
    fn a_buffer_is_no_larger_than_its_space() {
        HeapMemory.space(16).into_buffer(17);
    }
}
