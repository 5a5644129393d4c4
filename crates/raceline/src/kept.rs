//! Rows of a run that are kept: in memory up to a share of the session's, the rest on disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::datatypes::Schema;
use arrow::record_batch::RecordBatch;
use raceline_exec::{KeptRows, SpillBuffer};
use raceline_plan::{Node, Source};
use raceline_types::Failure;

use crate::dataset::Dataset;
use crate::session::Session;

/// What such datasets are called.
const NAME: &str = "Materialized";

/// Memory that all kept datasets of a session share.
#[derive(Debug)]
#[expect(clippy::struct_field_names, reason = "each has its unit")]
pub(crate) struct KeptMemory {
    limit_bytes: u64,
    /// Bytes that somebody may use.
    taken_bytes: AtomicU64,
    /// Bytes that are used.
    held_bytes: AtomicU64,
}

impl KeptMemory {
    pub(crate) fn new(limit_bytes: u64) -> Arc<Self> {
        Arc::new(Self {
            limit_bytes,
            taken_bytes: AtomicU64::new(0),
            held_bytes: AtomicU64::new(0),
        })
    }

    /// Bytes that are used now.
    pub(crate) fn held_bytes(&self) -> u64 {
        self.held_bytes.load(Ordering::Relaxed)
    }

    /// Takes all that is left.
    fn take_rest(self: &Arc<Self>) -> TakenMemory {
        let taken = self.taken_bytes.swap(self.limit_bytes, Ordering::Relaxed);
        TakenMemory { memory: Arc::clone(self), bytes: self.limit_bytes - taken, held_bytes: 0 }
    }
}

/// A part of the memory, which is given back when it is dropped.
#[derive(Debug)]
struct TakenMemory {
    memory: Arc<KeptMemory>,
    bytes: u64,
    held_bytes: u64,
}

impl TakenMemory {
    /// Uses so many bytes of it.
    fn hold(&mut self, bytes: usize) {
        let bytes = bytes as u64;
        self.memory.held_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.memory.held_bytes.fetch_sub(self.held_bytes, Ordering::Relaxed);
        self.held_bytes = bytes;
    }

    /// Gives back what is not used.
    fn shrink(&mut self) {
        let spare = self.bytes.saturating_sub(self.held_bytes);
        self.memory.taken_bytes.fetch_sub(spare, Ordering::Relaxed);
        self.bytes -= spare;
    }
}

impl Drop for TakenMemory {
    fn drop(&mut self) {
        self.hold(0);
        self.shrink();
    }
}

/// Rows that a dataset keeps, for as long as it or a dataset made of it is there.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) rows: KeptRows,
    batches: u64,
    _memory: TakenMemory,
}

/// Takes in the batches of a run, to be a dataset. Dropped before that, it leaves nothing behind.
#[derive(Debug)]
pub struct Keeping {
    session: Session,
    buffer: SpillBuffer,
    memory: TakenMemory,
    batches: u64,
}

/// How much a dataset keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeptSize {
    /// Number of batches that were kept.
    pub batches: u64,
    /// Bytes of all rows when they are in memory.
    pub bytes: u64,
}

impl Keeping {
    pub(crate) fn new(session: &Session) -> Self {
        let memory = session.kept_memory().take_rest();
        let share_bytes = usize::try_from(memory.bytes).unwrap_or(usize::MAX);
        let buffer = SpillBuffer::new(session.spill(), NAME, share_bytes);
        Self { session: session.clone(), buffer, memory, batches: 0 }
    }

    /// Adds a batch. Blocks the thread when it is written to disk.
    ///
    /// # Errors
    /// When its columns do not go together with those before it, or no spill folder takes it.
    pub fn push(&mut self, batch: RecordBatch) -> Result<(), Failure> {
        self.batches += 1;
        self.buffer.push(batch)?;
        self.memory.hold(self.buffer.held_bytes());
        Ok(())
    }

    /// A dataset of what was pushed.
    ///
    /// # Errors
    /// As of [`Keeping::push`].
    pub fn finish(self) -> Result<Dataset, Failure> {
        let Self { session, buffer, mut memory, batches } = self;
        let rows = buffer.finish()?;
        memory.hold(rows.held_bytes());
        memory.shrink();
        let schema = rows.schema().map_or_else(|| Arc::new(Schema::empty()), Arc::clone);
        let source = Source::Kept {
            name: NAME,
            schema,
            rows: rows.rows(),
            contents: Arc::new(Kept { rows, batches, _memory: memory }),
        };
        Ok(Dataset::new(session, Node::Source(source)))
    }
}

/// How much the dataset of `plan` keeps; `None` when it keeps nothing itself.
pub(crate) fn kept_size(plan: &Node) -> Option<KeptSize> {
    let Node::Source(Source::Kept { contents, .. }) = plan else { return None };
    let kept = contents.downcast_ref::<Kept>()?;
    Some(KeptSize { batches: kept.batches, bytes: kept.rows.memory_bytes() })
}
