//! Which side of a join is held: the one that ends first.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use raceline_types::{Failure, batch_sliced_bytes};

use super::layout::Layout;
use super::pair::Side;
use crate::lease::Lease;
use crate::port::OpenPort;

/// Bytes of a row in the table of a hash join, besides the row itself.
const ENTRY_BYTES: usize = 44;

/// Bytes by which one side may be ahead of the other, so that a slow one does not hold up a side
/// that is about to end.
const AHEAD_BYTES: usize = 1 << 20;

/// One input of a join, as far as it was read.
pub(super) struct Input {
    /// Which one.
    pub(super) side: Side,
    /// Names and types of its batches.
    pub(super) schema: SchemaRef,
    /// What was read.
    pub(super) held: Vec<RecordBatch>,
    /// Bytes of what was read.
    pub(super) held_bytes: usize,
    held_rows: usize,
    rest: BoxStream<'static, Result<RecordBatch, Failure>>,
    has_ended: bool,
}

impl Input {
    /// The input of `side`, as its table in `layout` has it.
    pub(super) fn new(port: OpenPort, layout: &Arc<Layout>, side: Side) -> Self {
        let schema = Arc::clone(&layout.table(side).schema);
        let layout = Arc::clone(layout);
        let rest = port.batches().map(move |batch| layout.table(side).prepare(&batch?)).boxed();
        Self { side, schema, held: Vec::new(), held_bytes: 0, held_rows: 0, rest, has_ended: false }
    }

    /// Bytes that it takes to look up in what is held.
    pub(super) fn table_bytes(&self) -> usize {
        lookup_bytes(self.held_bytes, self.held_rows)
    }

    fn take(&mut self, batch: Option<RecordBatch>) {
        let Some(batch) = batch else {
            self.has_ended = true;
            return;
        };
        self.held_bytes += batch_sliced_bytes(&batch);
        self.held_rows += batch.num_rows();
        self.held.push(batch);
    }

    /// All batches, those that are held first.
    pub(super) fn batches(self) -> BoxStream<'static, Result<RecordBatch, Failure>> {
        let held = stream::iter(self.held.into_iter().map(Ok));
        if self.has_ended { held.boxed() } else { held.chain(self.rest).boxed() }
    }
}

/// Bytes that it takes to look up in rows: the rows, a copy of them, a table.
pub(crate) fn lookup_bytes(bytes: usize, rows: usize) -> usize {
    2 * bytes + ENTRY_BYTES * rows
}

/// Reads both inputs until one of them has ended and can be looked up in within a share of the
/// memory, which `lease` then holds; answers which. `None` when neither ends in time.
///
/// At first both are read alike, since the smaller one ends first. Then only the right one is read
/// on, which by custom is the smaller.
pub(super) async fn gather(
    left: &mut Input,
    right: &mut Input,
    lease: &mut Lease,
) -> Result<Option<Side>, Failure> {
    let share_bytes = lease.share_bytes();
    loop {
        if left.has_ended {
            lease.resize(left.table_bytes() + right.held_bytes);
            return Ok(Some(Side::Left));
        }
        if right.has_ended {
            lease.resize(right.table_bytes() + left.held_bytes);
            return Ok(Some(Side::Right));
        }
        let needed_bytes = left.held_bytes + right.table_bytes();
        if needed_bytes > share_bytes || !lease.try_resize(needed_bytes) {
            return Ok(None);
        }
        let takes_left = left.table_bytes() < share_bytes / 4
            && left.held_bytes <= right.held_bytes + AHEAD_BYTES;
        let takes_right = !takes_left || right.held_bytes <= left.held_bytes + AHEAD_BYTES;
        tokio::select! {
            batch = left.rest.try_next(), if takes_left => left.take(batch?),
            batch = right.rest.try_next(), if takes_right => right.take(batch?),
        }
    }
}
