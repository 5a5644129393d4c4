//! The reader's side: views parts of the shared files of another process.
#![expect(unsafe_code, reason = "makes Arrow buffers over mapped memory")]

use std::collections::BTreeMap;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::OwnedFd;
use std::process;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::buffer::Buffer;

use super::mapping::Mapping;

/// Of loans over the same bytes, so many are looked at to find one that holds all of them.
const NESTED_MAX: usize = 4;

/// A part of a peer's file, on loan until it is returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Loan {
    /// The peer's number for it; none is given twice.
    pub(crate) number: u64,
    /// The file's number.
    pub(crate) file: u32,
    /// First byte in the file.
    pub(crate) offset: u64,
    /// Size in bytes.
    pub(crate) bytes: u64,
}

/// Where some bytes lie in what is on loan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LoanPart {
    /// Number of the loan.
    pub(crate) loan: u64,
    /// First byte in it.
    pub(crate) offset: usize,
    /// Size of the whole loan.
    pub(crate) loan_bytes: usize,
}

/// The mapped files of a peer, and the loans of them that nobody views any more.
#[derive(Debug, Default)]
pub(crate) struct PeerMemory {
    files: BTreeMap<u32, Arc<Mapping>>,
    loans: Arc<Loans>,
}

#[derive(Debug)]
struct Loans {
    state: Mutex<LoanState>,
    /// A fork of this process has a copy of the loans, and returns none.
    process: u32,
}

#[derive(Debug, Default)]
struct LoanState {
    /// Address and number of each loan that is viewed, to bytes.
    viewed: BTreeMap<(usize, u64), usize>,
    /// Numbers of those that are not viewed any more.
    returned: Vec<u64>,
}

/// Keeps a loan; dropped with the last buffer over it.
#[derive(Debug)]
struct View {
    loan: u64,
    address: usize,
    _mapping: Arc<Mapping>,
    loans: Arc<Loans>,
}

impl Drop for View {
    fn drop(&mut self) {
        // In a fork the lock may be held by a thread that is not there.
        if process::id() != self.loans.process {
            return;
        }
        let mut state = self.loans.state();
        state.viewed.remove(&(self.address, self.loan));
        state.returned.push(self.loan);
    }
}

impl Default for Loans {
    fn default() -> Self {
        Self { state: Mutex::default(), process: process::id() }
    }
}

impl Loans {
    /// What happens under this lock cannot panic halfway.
    fn state(&self) -> MutexGuard<'_, LoanState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PeerMemory {
    /// Maps the peer's file `number`.
    ///
    /// # Errors
    /// When the file is not what the peer says or cannot be mapped.
    pub(crate) fn add_file(&mut self, number: u32, file: OwnedFd, bytes: u64) -> io::Result<()> {
        let bytes = usize::try_from(bytes).ok().and_then(NonZeroUsize::new);
        let bytes = bytes.ok_or_else(|| io::Error::other("a shared file is empty"))?;
        self.files.insert(number, Arc::new(Mapping::open(file, bytes)?));
        Ok(())
    }

    /// Lets go of files that the peer has given back, once nobody views them.
    pub(crate) fn let_go(&mut self, files: &[u32]) {
        for file in files {
            self.files.remove(file);
        }
    }

    /// The bytes of a loan without copying. It is returned when the last clone and slice of the
    /// buffer is dropped, in whichever thread.
    ///
    /// The peer promises not to write to them until it is told of the return.
    ///
    /// # Errors
    /// When there is no such file, or the loan leaves it.
    pub(crate) fn view(&self, loan: Loan) -> io::Result<Buffer> {
        let Loan { number, file, offset, bytes } = loan;
        let place = self.files.get(&file).and_then(|mapping| {
            let bytes = usize::try_from(bytes).ok()?;
            let address = mapping.address_of(usize::try_from(offset).ok()?, bytes)?;
            Some((mapping, address, bytes))
        });
        let Some((mapping, pointer, bytes)) = place else {
            return Err(io::Error::other("a segment lies outside of its file"));
        };
        let address = pointer.addr().get();
        self.loans.state().viewed.insert((address, number), bytes);
        let (mapping, loans) = (Arc::clone(mapping), Arc::clone(&self.loans));
        let view = View { loan: number, address, _mapping: mapping, loans };
        // SAFETY: the range is mapped, and the view keeps the mapping until the buffer is gone.
        Ok(unsafe { Buffer::from_custom_allocation(pointer, bytes, Arc::new(view)) })
    }

    /// Where `bytes` lie in a loan that is viewed, if they do.
    pub(crate) fn locate(&self, bytes: &[u8]) -> Option<LoanPart> {
        let start = bytes.as_ptr().addr();
        let end = start.checked_add(bytes.len())?;
        let state = self.loans.state();
        let before = state.viewed.range(..=(start, u64::MAX)).rev().take(NESTED_MAX);
        let mut holding = before.filter(|((address, _), bytes)| address + **bytes >= end);
        holding.next().map(|(&(address, loan), &loan_bytes)| LoanPart {
            loan,
            offset: start - address,
            loan_bytes,
        })
    }

    /// The loans returned since the last call, for telling the peer.
    pub(crate) fn take_returned(&self) -> Vec<u64> {
        std::mem::take(&mut self.loans.state().returned)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use raceline_types::ColumnSpace as _;

    use super::super::SharedMemory;
    use super::*;

    /// 1000 bytes of `value` of a writer, and a reader that has their file.
    fn connected(value: u8) -> (Buffer, PeerMemory, Loan) {
        let memory = SharedMemory::new();
        let mut space = Box::new(memory.space(1000).unwrap());
        space.bytes_mut().fill(value);
        let written = space.into_buffer(1000);
        let location = memory.locate(&written).unwrap();
        let (number, bytes) = (location.file.number(), location.file.bytes() as u64);
        let mut peer = PeerMemory::default();
        let descriptor = location.file.descriptor().try_clone_to_owned().unwrap();
        peer.add_file(number, descriptor, bytes).unwrap();
        let loan = Loan { number: 3, file: number, offset: location.offset as u64, bytes: 1000 };
        (written, peer, loan)
    }

    fn file() -> (OwnedFd, u64) {
        let (written, memory) = (1, SharedMemory::new());
        let buffer = Box::new(memory.space(written).unwrap()).into_buffer(written);
        let file = memory.locate(&buffer).unwrap().file;
        (file.descriptor().try_clone_to_owned().unwrap(), file.bytes() as u64)
    }

    #[test]
    fn the_last_view_returns_the_loan() {
        let (_written, peer, loan) = connected(b'x');
        let buffer = peer.view(loan).unwrap();
        let part = buffer.slice_with_length(1, 2);
        drop(buffer);
        assert!(peer.take_returned().is_empty());
        assert_eq!(part.as_slice(), b"xx");
        drop(part);
        assert_eq!(peer.take_returned(), [3]);
    }

    #[test]
    fn what_lies_in_a_loan_is_found_while_it_is_viewed() {
        let (_written, peer, loan) = connected(1);
        let whole = peer.view(loan).unwrap();
        let inner = Loan { number: 4, offset: loan.offset + 100, bytes: 50, ..loan };
        let inner = peer.view(inner).unwrap();
        let part = |loan, offset, loan_bytes| Some(LoanPart { loan, offset, loan_bytes });
        assert_eq!(peer.locate(&whole[200..300]), part(3, 200, 1000));
        assert_eq!(peer.locate(&whole[90..110]), part(3, 90, 1000));
        assert_eq!(peer.locate(&inner[10..20]), part(4, 10, 50));
        assert_eq!(peer.locate(&whole[120..200]), part(3, 120, 1000));
        assert_eq!(peer.locate(&[0; 8]), None);
        drop(inner);
        assert_eq!(peer.locate(&whole[110..120]), part(3, 110, 1000));
    }

    #[test]
    fn a_file_that_was_let_go_is_viewed_no_more_and_views_of_it_stay() {
        let (_written, mut peer, loan) = connected(7);
        let buffer = peer.view(loan).unwrap();
        peer.let_go(&[loan.file, 99]);
        assert!(peer.view(loan).is_err());
        assert_eq!(buffer[0], 7);
    }

    #[test]
    fn a_view_outlives_both_ends() {
        let (written, peer, loan) = connected(7);
        let buffer = peer.view(loan).unwrap();
        drop((written, peer));
        assert_eq!(buffer[0], 7);
    }

    #[test]
    fn loans_outside_of_the_file_are_refused() {
        let (_written, peer, loan) = connected(0);
        for wrong in [
            Loan { file: 1, ..loan },
            Loan { offset: 16 << 20, ..loan },
            Loan { bytes: u64::MAX, ..loan },
            Loan { offset: u64::MAX, ..loan },
        ] {
            let error = peer.view(wrong).unwrap_err();
            assert_eq!(error.to_string(), "a segment lies outside of its file");
        }
        assert!(peer.take_returned().is_empty());
    }

    #[test]
    fn a_file_that_could_shrink_is_refused() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(4096).unwrap();
        assert!(PeerMemory::default().add_file(0, file.into(), 4096).is_err());
    }

    #[test]
    fn a_file_shorter_than_told_is_refused_and_the_peer_cannot_write() {
        let (file, bytes) = file();
        let again = file.try_clone().unwrap();
        let error = PeerMemory::default().add_file(0, file, bytes + 1).unwrap_err();
        assert_eq!(error.to_string(), "a shared file is shorter than its peer says");
        assert!(std::io::Write::write(&mut File::from(again), b"x").is_err());
    }
}
