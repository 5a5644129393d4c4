//! The reader's side: views segments of the arena of another process.
#![expect(unsafe_code, reason = "makes Arrow buffers over mapped memory")]

use std::io;
use std::num::NonZeroUsize;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::buffer::Buffer;

use super::arena::Segment;
use super::mapping::Mapping;

/// The mapped files of a peer's arena, and the segments of them that nobody views any more.
#[derive(Debug, Default)]
pub(crate) struct PeerArena {
    /// Those that the peer has given back leave their number.
    files: Vec<Option<Arc<Mapping>>>,
    released: Arc<Mutex<Vec<Segment>>>,
}

/// Keeps a segment alive; dropped with the last buffer over it.
#[derive(Debug)]
struct View {
    segment: Segment,
    _mapping: Arc<Mapping>,
    released: Arc<Mutex<Vec<Segment>>>,
}

impl Drop for View {
    fn drop(&mut self) {
        // Only pushes and takes happen under this lock, so a poisoned list is whole.
        self.released.lock().unwrap_or_else(PoisonError::into_inner).push(self.segment);
    }
}

impl PeerArena {
    /// Maps the peer's next file.
    ///
    /// # Errors
    /// When the file is not what the peer says or cannot be mapped.
    pub(crate) fn add_file(&mut self, file: OwnedFd, bytes: u64) -> io::Result<()> {
        let bytes = usize::try_from(bytes).ok().and_then(NonZeroUsize::new);
        let bytes = bytes.ok_or_else(|| io::Error::other("a shared file is empty"))?;
        self.files.push(Some(Arc::new(Mapping::open(file, bytes)?)));
        Ok(())
    }

    /// Lets go of files that the peer has given back, once nobody views them.
    pub(crate) fn let_go(&mut self, files: &[u32]) {
        for &file in files {
            self.files.get_mut(file as usize).and_then(Option::take);
        }
    }

    /// The bytes of a segment without copying. The segment counts as released when the last
    /// clone and slice of the buffer is dropped, in whichever thread.
    ///
    /// The peer promises not to write to the segment until it is told of the release.
    ///
    /// # Errors
    /// When there is no such file, or the segment leaves it.
    pub(crate) fn view(&self, segment: Segment) -> io::Result<Buffer> {
        let Segment { file, offset, bytes } = segment;
        let place = self.files.get(file as usize).and_then(Option::as_ref).and_then(|mapping| {
            let bytes = usize::try_from(bytes).ok()?;
            let address = mapping.address_of(usize::try_from(offset).ok()?, bytes)?;
            Some((mapping, address, bytes))
        });
        let Some((mapping, address, bytes)) = place else {
            return Err(io::Error::other("a segment lies outside of its file"));
        };
        let view =
            View { segment, _mapping: Arc::clone(mapping), released: Arc::clone(&self.released) };
        // SAFETY: the range is mapped, and the view keeps the mapping until the buffer is gone.
        Ok(unsafe { Buffer::from_custom_allocation(address, bytes, Arc::new(view)) })
    }

    /// The segments released since the last call, for telling the peer.
    pub(crate) fn take_released(&self) -> Vec<Segment> {
        std::mem::take(&mut *self.released.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::super::Arena;
    use super::super::arena::NewFile;
    use super::*;

    fn connected() -> (Arena, PeerArena, Segment) {
        let (mut arena, mut peer) = (Arena::default(), PeerArena::default());
        let (segment, new) = arena.allocate(1000).unwrap();
        let NewFile { file, bytes } = new.unwrap();
        peer.add_file(file, bytes).unwrap();
        (arena, peer, segment)
    }

    #[test]
    fn the_last_view_releases() {
        let (mut arena, peer, segment) = connected();
        arena.bytes_mut(segment)[..3].copy_from_slice(b"abc");
        let buffer = peer.view(segment).unwrap();
        let part = buffer.slice_with_length(1, 2);
        drop(buffer);
        assert!(peer.take_released().is_empty());
        assert_eq!(part.as_slice(), b"bc");
        drop(part);
        assert_eq!(peer.take_released(), vec![segment]);
    }

    #[test]
    fn a_file_that_was_let_go_is_viewed_no_more_and_views_of_it_stay() {
        let (mut arena, mut peer, segment) = connected();
        arena.bytes_mut(segment)[0] = 7;
        let buffer = peer.view(segment).unwrap();
        peer.let_go(&[segment.file, 99]);
        assert!(peer.view(segment).is_err());
        assert_eq!(buffer[0], 7);
    }

    #[test]
    fn a_view_outlives_both_arenas() {
        let (mut arena, peer, segment) = connected();
        arena.bytes_mut(segment)[0] = 7;
        let buffer = peer.view(segment).unwrap();
        drop((arena, peer));
        assert_eq!(buffer[0], 7);
    }

    #[test]
    fn segments_outside_of_the_file_are_refused() {
        let (_arena, peer, segment) = connected();
        for wrong in [
            Segment { file: 1, ..segment },
            Segment { offset: 16 << 20, ..segment },
            Segment { bytes: u64::MAX, ..segment },
            Segment { offset: u64::MAX, ..segment },
        ] {
            let error = peer.view(wrong).unwrap_err();
            assert_eq!(error.to_string(), "a segment lies outside of its file");
        }
        assert!(peer.take_released().is_empty());
    }

    #[test]
    fn a_file_that_could_shrink_is_refused() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(4096).unwrap();
        assert!(PeerArena::default().add_file(file.into(), 4096).is_err());
    }

    #[test]
    fn a_file_shorter_than_told_is_refused_and_the_peer_cannot_write() {
        let (_, new) = Arena::default().allocate(1).unwrap();
        let NewFile { file, bytes } = new.unwrap();
        let again = file.try_clone().unwrap();
        let error = PeerArena::default().add_file(file, bytes + 1).unwrap_err();
        assert_eq!(error.to_string(), "a shared file is shorter than its peer says");
        assert!(std::io::Write::write(&mut File::from(again), b"x").is_err());
    }
}
