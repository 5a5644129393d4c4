//! Batches to and from the peer: what both halves do the same.

use std::io;
use std::os::fd::OwnedFd;

use arrow::buffer::Buffer;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

use crate::pack::{PackPlan, SchemaReader, SchemaWriter, unpack};
use crate::segment::{Arena, PeerArena};
use crate::wire::{PackedBatch, SegmentRef};

/// A batch up to this size is copied out of its segment, so that many small batches that are
/// kept do not each keep a piece of the peer's arena.
const COPIED_BYTES_MAX: usize = 32 << 10;

/// One end's arena, its view of the peer's, and the schemas both know.
#[derive(Debug, Default)]
pub(crate) struct Transfer {
    arena: Arena,
    peer: PeerArena,
    schemas_out: SchemaWriter,
    schemas_in: SchemaReader,
}

/// A batch could not be sent.
#[derive(Debug)]
pub(crate) enum SendError {
    /// It is not valid.
    Arrow(ArrowError),
    /// There is no shared memory for it.
    Memory {
        /// What it takes.
        bytes: usize,
        /// Why not.
        source: io::Error,
    },
}

/// A batch could not be taken in.
#[derive(Debug)]
pub(crate) enum ReceiveError {
    /// Its data are not valid.
    Arrow(ArrowError),
    /// Its segment cannot be viewed.
    Segment(io::Error),
}

impl Transfer {
    /// Writes `batch` to a segment. The descriptor, if any, must travel with the message.
    pub(crate) fn pack(
        &mut self,
        batch: &RecordBatch,
    ) -> Result<(PackedBatch, Option<OwnedFd>), SendError> {
        let plan = PackPlan::new(batch).map_err(SendError::Arrow)?;
        let bytes = plan.bytes();
        let allocated = self.arena.allocate(bytes);
        let (segment, new) = allocated.map_err(|source| SendError::Memory { bytes, source })?;
        let given_back = self.arena.give_back();
        let layout = plan.write(self.arena.bytes_mut(segment));
        let schema = self.schemas_out.name(batch.schema_ref());
        let new_file_bytes = new.as_ref().map(|new| new.bytes);
        let segment = segment.into();
        let packed = PackedBatch { segment, new_file_bytes, given_back, schema, layout };
        Ok((packed, new.map(|new| new.file)))
    }

    /// The batch of a message, over the peer's memory. `take_file` yields the descriptor that
    /// came with the message.
    pub(crate) fn unpack(
        &mut self,
        packed: &PackedBatch,
        take_file: impl FnOnce() -> io::Result<OwnedFd>,
    ) -> Result<RecordBatch, ReceiveError> {
        let PackedBatch { segment, new_file_bytes, given_back, schema, layout } = packed;
        self.peer.let_go(given_back);
        if let Some(bytes) = new_file_bytes {
            take_file()
                .and_then(|file| self.peer.add_file(file, *bytes))
                .map_err(ReceiveError::Segment)?;
        }
        let mut buffer = self.peer.view((*segment).into()).map_err(ReceiveError::Segment)?;
        if buffer.len() <= COPIED_BYTES_MAX {
            buffer = Buffer::from(buffer.as_slice());
        }
        let schema = self.schemas_in.resolve(schema).map_err(ReceiveError::Arrow)?;
        unpack(&schema, layout, &buffer).map_err(ReceiveError::Arrow)
    }

    /// The peer's segments that are no longer viewed, for the next message.
    pub(crate) fn released(&self) -> Vec<SegmentRef> {
        self.peer.take_released().into_iter().map(Into::into).collect()
    }

    /// Takes back the segments that the peer no longer views.
    ///
    /// # Errors
    /// When one of them is not in use.
    pub(crate) fn take_back(&mut self, released: Vec<SegmentRef>) -> io::Result<()> {
        released.into_iter().try_for_each(|segment| self.arena.release(segment.into()))
    }
}
