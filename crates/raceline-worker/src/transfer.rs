//! Batches to and from the peer: what both halves do the same.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::{Arc, Weak};

use arrow::buffer::Buffer;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use raceline_types::ColumnSpace as _;

use crate::pack::{PackPlan, SchemaReader, SchemaWriter, unpack};
use crate::process::DESCRIPTORS_MAX;
use crate::segment::{ArenaFile, Loan, PASSED_BYTES_MIN, PeerMemory, SharedMemory};
use crate::wire::{NewFile, PackedBatch, Region};

/// A loan is sent back when at least so many per cent of it are: all of it stays in use.
const SENT_BACK_PERCENT_MIN: usize = 80;

/// One end's memory, its view of the peer's, and the schemas both know.
///
/// Buffers of a batch that lie in the one or the other are not copied: the peer is told where they
/// are. What is not, such as what lies on the heap, is copied to a segment of this end's memory.
#[derive(Debug)]
pub(crate) struct Transfer {
    memory: Arc<SharedMemory>,
    /// Whether buffers of the peer's own memory are sent back as such.
    sends_back: bool,
    /// Buffers of fewer bytes are copied at either end.
    bytes_min: usize,
    /// What the peer may read, by the number of the loan.
    loans: BTreeMap<u64, Buffer>,
    next_loan: u64,
    /// The files that the peer has.
    known: BTreeMap<u32, Weak<ArenaFile>>,
    peer: PeerMemory,
    schemas_out: SchemaWriter,
    schemas_in: SchemaReader,
}

/// Files whose descriptors must travel with a message.
#[derive(Debug)]
pub(crate) struct Attached(Vec<Arc<ArenaFile>>);

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
    /// Its memory cannot be viewed.
    Segment(io::Error),
}

/// Where a part of a batch lies before the peer is told of it.
enum Part {
    /// In a loan of the peer.
    Back(u64),
    /// In this end's memory.
    Own(Buffer, Arc<ArenaFile>, usize),
}

impl Attached {
    /// The descriptors, in order.
    pub(crate) fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        self.0.iter().map(|file| file.descriptor()).collect()
    }
}

impl Transfer {
    /// The engine's end, whose workers share `memory`.
    pub(crate) fn of_engine(memory: Arc<SharedMemory>) -> Self {
        Self::new(memory, false)
    }

    /// A worker's end.
    pub(crate) fn of_worker() -> Self {
        Self::new(SharedMemory::new(), true)
    }

    fn new(memory: Arc<SharedMemory>, sends_back: bool) -> Self {
        Self {
            memory,
            sends_back,
            bytes_min: PASSED_BYTES_MIN,
            loans: BTreeMap::new(),
            next_loan: 0,
            known: BTreeMap::new(),
            peer: PeerMemory::default(),
            schemas_out: SchemaWriter::default(),
            schemas_in: SchemaReader::default(),
        }
    }

    /// Has `batch` lie where the peer can read it: what does not yet is copied there.
    pub(crate) fn pack(
        &mut self,
        batch: &RecordBatch,
    ) -> Result<(PackedBatch, Attached), SendError> {
        let mut plan = PackPlan::new(batch).map_err(SendError::Arrow)?;
        let (mut parts, mut files) = (Vec::new(), Vec::new());
        let places = self.find(&plan, &mut parts, &mut files);
        if !places.is_empty() {
            plan.pass(&places, region_number(parts.len()));
        }
        let (bytes, moved_bytes) = (plan.bytes(), plan.moved_bytes());
        let layout = if bytes == 0 {
            plan.write(&mut [])
        } else {
            let no_memory = |source| SendError::Memory { bytes, source };
            let mut space = Box::new(self.memory.space(bytes).map_err(no_memory)?);
            let layout = plan.write(space.bytes_mut());
            let written = space.into_buffer(bytes);
            let location = self.memory.locate(&written).expect("it was just written there");
            self.introduce(&location.file, &mut files);
            parts.push(Part::Own(written, location.file, location.offset));
            layout
        };
        let given_back = self.forget_files();
        let new_files = files.iter().map(|file| {
            self.known.insert(file.number(), Arc::downgrade(file));
            NewFile { number: file.number(), bytes: file.bytes() as u64 }
        });
        let new_files = new_files.collect();
        let regions = parts.into_iter().map(|part| self.lend(part)).collect();
        let schema = self.schemas_out.name(batch.schema_ref());
        let batch = PackedBatch { regions, new_files, given_back, schema, layout, moved_bytes };
        Ok((batch, Attached(files)))
    }

    /// The batch of a message, over the memory of both ends. `take_file` yields the descriptors
    /// that came with the message.
    pub(crate) fn unpack(
        &mut self,
        packed: &PackedBatch,
        mut take_file: impl FnMut() -> io::Result<OwnedFd>,
    ) -> Result<RecordBatch, ReceiveError> {
        let PackedBatch { regions, new_files, given_back, schema, layout, moved_bytes: _ } = packed;
        self.peer.let_go(given_back);
        for NewFile { number, bytes } in new_files {
            take_file()
                .and_then(|file| self.peer.add_file(*number, file, *bytes))
                .map_err(ReceiveError::Segment)?;
        }
        let regions = regions.iter().map(|region| self.region(*region));
        let regions = regions.collect::<io::Result<Vec<_>>>().map_err(ReceiveError::Segment)?;
        let schema = self.schemas_in.resolve(schema).map_err(ReceiveError::Arrow)?;
        unpack(&schema, layout, &regions).map_err(ReceiveError::Arrow)
    }

    /// The peer's loans that are no longer viewed, for the next message.
    pub(crate) fn returned(&self) -> Vec<u64> {
        self.peer.take_returned()
    }

    /// Takes back the loans that the peer no longer views. Batches that it sent before are to be
    /// unpacked before.
    ///
    /// # Errors
    /// When one of them is not on loan.
    pub(crate) fn take_back(&mut self, returned: Vec<u64>) -> io::Result<()> {
        returned.into_iter().try_for_each(|loan| match self.loans.remove(&loan) {
            Some(_) => Ok(()),
            None => Err(io::Error::other("memory was returned that is not on loan")),
        })
    }

    /// All that the peer has on loan, which may not be written to while the peer lives.
    pub(crate) fn take_loans(&mut self) -> Vec<Buffer> {
        std::mem::take(&mut self.loans).into_values().collect()
    }

    /// Finds the buffers of `plan` that lie where the peer can read them: adds where to `parts`,
    /// files that are new to it to `files`, and returns the places, by the number of the buffer.
    fn find(
        &self,
        plan: &PackPlan,
        parts: &mut Vec<Part>,
        files: &mut Vec<Arc<ArenaFile>>,
    ) -> BTreeMap<usize, (u32, u64)> {
        let large = plan.large(self.bytes_min);
        let back = |buffer: &Buffer| self.sends_back.then(|| self.peer.locate(buffer)).flatten();
        let mut back_bytes: BTreeMap<u64, usize> = BTreeMap::new();
        for (_, buffer) in &large {
            if let Some(part) = back(buffer) {
                *back_bytes.entry(part.loan).or_default() += buffer.len();
            }
        }
        let mut places = BTreeMap::new();
        for (at, buffer) in large {
            let region = region_number(parts.len());
            if let Some(part) = back(&buffer) {
                // Little of it would keep all of it for as long as the output lives.
                let sent_back = back_bytes.get(&part.loan).copied().unwrap_or_default();
                if sent_back.saturating_mul(100) >= part.loan_bytes * SENT_BACK_PERCENT_MIN {
                    places.insert(at, (region, part.offset as u64));
                    parts.push(Part::Back(part.loan));
                }
            } else if let Some(location) = self.memory.locate(&buffer)
                // One is left for the segment.
                && (self.knows(&location.file, files) || files.len() + 1 < DESCRIPTORS_MAX)
            {
                self.introduce(&location.file, files);
                places.insert(at, (region, 0));
                parts.push(Part::Own(buffer, location.file, location.offset));
            }
        }
        places
    }

    fn knows(&self, file: &Arc<ArenaFile>, files: &[Arc<ArenaFile>]) -> bool {
        self.known.contains_key(&file.number()) || files.iter().any(|new| Arc::ptr_eq(new, file))
    }

    fn introduce(&self, file: &Arc<ArenaFile>, files: &mut Vec<Arc<ArenaFile>>) {
        if !self.knows(file, files) {
            files.push(Arc::clone(file));
        }
    }

    /// The files that the peer has and that are no more.
    fn forget_files(&mut self) -> Vec<u32> {
        let gone = self.known.iter().filter(|(_, file)| file.strong_count() == 0);
        let gone: Vec<u32> = gone.map(|(number, _)| *number).collect();
        for number in &gone {
            self.known.remove(number);
        }
        gone
    }

    fn lend(&mut self, part: Part) -> Region {
        match part {
            Part::Back(loan) => Region::Yours { loan },
            Part::Own(buffer, file, offset) => {
                let (number, bytes) = (self.next_loan, buffer.len() as u64);
                self.next_loan += 1;
                self.loans.insert(number, buffer);
                Loan { number, file: file.number(), offset: offset as u64, bytes }.into()
            }
        }
    }

    fn region(&self, region: Region) -> io::Result<Buffer> {
        let loan = match region {
            Region::Lent { loan, file, offset, bytes } => {
                Loan { number: loan, file, offset, bytes }
            }
            Region::Yours { loan } => {
                let no_loan = || io::Error::other("memory was sent back that is not on loan");
                return self.loans.get(&loan).cloned().ok_or_else(no_loan);
            }
        };
        let view = self.peer.view(loan)?;
        Ok(if view.len() < self.bytes_min { Buffer::from(view.as_slice()) } else { view })
    }
}

fn region_number(parts: usize) -> u32 {
    u32::try_from(parts).expect("a batch has fewer buffers")
}

#[cfg(test)]
mod tests;
