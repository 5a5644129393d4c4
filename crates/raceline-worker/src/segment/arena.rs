//! Which parts of its shared files an arena has in use.

use std::collections::BTreeMap;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::Arc;

use super::ALIGNMENT_BYTES;
use super::mapping::Mapping;

/// Size of a shared file, unless a segment is larger. Pages that were never written take no
/// memory.
const FILE_BYTES: usize = 16 << 20;

/// A new file has at least one part in so many of what there is already, since each of them takes
/// a descriptor for as long as it lives.
const FILES_SHARE: usize = 8;

/// So many segments are allocated before what was in use until then is forgotten.
const PEAK_SEGMENTS: u64 = 64;

/// A range of one shared file of an arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Segment {
    /// Position of the file in the order in which the arena made them.
    pub(super) file: u32,
    /// Byte at which the segment starts; a multiple of 64.
    pub(super) offset: usize,
    /// Size in bytes; a multiple of 64, never 0.
    pub(super) bytes: usize,
}

/// A shared file of an arena, mapped for writing.
#[derive(Debug)]
pub(crate) struct ArenaFile {
    number: u32,
    mapping: Mapping,
    descriptor: OwnedFd,
}

/// Shared files with their free ranges.
#[derive(Debug, Default)]
pub(super) struct Arena {
    /// Those that were given back leave their number.
    files: Vec<Option<SharedFile>>,
    file_bytes: usize,
    used_bytes: usize,
    /// The most that was in use lately, and before.
    peaks: [usize; 2],
    /// Segments that were ever allocated.
    allocated: u64,
}

#[derive(Debug)]
struct SharedFile {
    file: Arc<ArenaFile>,
    /// Free ranges, offset to bytes; neighbours are joined.
    free: BTreeMap<usize, usize>,
    /// Segments in use, offset to bytes.
    used: BTreeMap<usize, usize>,
    /// Segments that the arena had allocated when this one was last used.
    used_at: u64,
}

impl ArenaFile {
    /// Which of the arena's files it is; no number is given twice.
    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    /// Its size in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.mapping.bytes()
    }

    /// What another process maps it by.
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }

    /// Where `segment`, which is of this file, lies in this process.
    pub(super) fn address_of(&self, segment: Segment) -> NonNull<u8> {
        let address = self.mapping.address_of(segment.offset, segment.bytes);
        address.expect("a segment is inside of its file")
    }

    /// Where `bytes` begin in the file, if they are a part of it.
    pub(super) fn offset_of(&self, bytes: &[u8]) -> Option<usize> {
        let offset = bytes.as_ptr().addr().checked_sub(self.mapping.start().addr())?;
        (offset.checked_add(bytes.len())? <= self.bytes()).then_some(offset)
    }
}

impl Arena {
    /// A segment of at least `bytes`, and its file. The lowest fitting offset is taken, so that
    /// pages that are already in memory are used again.
    ///
    /// # Errors
    /// When the system has no memory or no descriptor left.
    pub(super) fn allocate(&mut self, bytes: usize) -> io::Result<(Segment, Arc<ArenaFile>)> {
        let bytes = bytes
            .max(1)
            .checked_next_multiple_of(ALIGNMENT_BYTES)
            .ok_or_else(|| io::Error::from(io::ErrorKind::OutOfMemory))?;
        self.allocated += 1;
        for file in self.files.iter_mut().flatten() {
            if let Some(segment) = file.take(bytes) {
                file.used_at = self.allocated;
                let file = Arc::clone(&file.file);
                self.count_use(bytes);
                return Ok((segment, file));
            }
        }
        let file_bytes = bytes.max(FILE_BYTES).max(self.file_bytes / FILES_SHARE);
        let file_bytes = NonZeroUsize::new(file_bytes).expect("it is at least a file");
        let (mapping, descriptor) = Mapping::create(file_bytes)?;
        let number = u32::try_from(self.files.len()).expect("a process has fewer mappings");
        let file = Arc::new(ArenaFile { number, mapping, descriptor });
        let free = BTreeMap::from([(0, file_bytes.get())]);
        let (used, used_at) = (BTreeMap::new(), self.allocated);
        let mut shared = SharedFile { file: Arc::clone(&file), free, used, used_at };
        let segment = shared.take(bytes).expect("a new file holds the segment it was made for");
        self.files.push(Some(shared));
        self.file_bytes += file_bytes.get();
        self.count_use(bytes);
        Ok((segment, file))
    }

    /// Bytes of the segments in use.
    pub(super) fn used_bytes(&self) -> usize {
        self.used_bytes
    }

    /// The file that `bytes` are a part of, and where in it.
    pub(super) fn locate(&self, bytes: &[u8]) -> Option<(&Arc<ArenaFile>, usize)> {
        let files = self.files.iter().flatten();
        files.map(|shared| &shared.file).find_map(|file| Some((file, file.offset_of(bytes)?)))
    }

    /// What is left of a segment whose bytes from `bytes` on are not needed.
    ///
    /// # Panics
    /// When the segment is not in use.
    pub(super) fn shrink(&mut self, segment: Segment, bytes: usize) -> Segment {
        let bytes = bytes.max(1).next_multiple_of(ALIGNMENT_BYTES).min(segment.bytes);
        if bytes == segment.bytes {
            return segment;
        }
        self.release(segment);
        let kept = Segment { bytes, ..segment };
        let file = self.files[segment.file as usize].as_mut().expect("it was released above");
        file.keep(kept);
        self.used_bytes += bytes;
        kept
    }

    /// Takes a segment back that nobody views any more.
    ///
    /// # Panics
    /// When the segment is not in use.
    pub(super) fn release(&mut self, segment: Segment) {
        let file = self.files.get_mut(segment.file as usize).and_then(Option::as_mut);
        let freed = file.and_then(|file| file.put_back(segment.offset, segment.bytes));
        assert!(freed.is_some(), "a segment is released once");
        self.used_bytes -= segment.bytes;
    }

    /// Gives files without a segment in use back to the system, those first that were not used
    /// for long, until there is half as much again as was lately in use. Returns them: readers must
    /// let go of them too.
    pub(super) fn give_back(&mut self) -> Vec<Arc<ArenaFile>> {
        let lately = self.peaks[0].max(self.peaks[1]);
        let most = lately + (lately / 2).max(FILE_BYTES);
        let mut given_back = Vec::new();
        while self.file_bytes > most {
            let files = self.files.iter().enumerate();
            let unused = files
                .filter_map(|(at, file)| Some((at, file.as_ref()?)))
                .filter(|(_, file)| file.used.is_empty());
            let Some((oldest, _)) = unused.min_by_key(|(_, file)| file.used_at) else { break };
            let file = self.files[oldest].take().expect("it was found above");
            self.file_bytes -= file.file.bytes();
            given_back.push(file.file);
        }
        given_back
    }

    fn count_use(&mut self, bytes: usize) {
        self.used_bytes += bytes;
        if self.allocated.is_multiple_of(PEAK_SEGMENTS) {
            self.peaks = [0, self.peaks[0]];
        }
        self.peaks[0] = self.peaks[0].max(self.used_bytes);
    }
}

impl SharedFile {
    fn take(&mut self, bytes: usize) -> Option<Segment> {
        let (&offset, _) = self.free.iter().find(|(_, free)| **free >= bytes)?;
        let segment = Segment { file: self.file.number, offset, bytes };
        self.keep(segment);
        Some(segment)
    }

    /// Takes `segment`, all of which is free.
    fn keep(&mut self, Segment { file: _, offset, bytes }: Segment) {
        // A range that was released may have become a part of a larger one, which begins earlier.
        let (&start, &free) = self.free.range(..=offset).next_back().expect("it is free");
        let end = start + free;
        self.free.remove(&start);
        if start < offset {
            self.free.insert(start, offset - start);
        }
        if offset + bytes < end {
            self.free.insert(offset + bytes, end - offset - bytes);
        }
        self.used.insert(offset, bytes);
    }

    fn put_back(&mut self, offset: usize, bytes: usize) -> Option<()> {
        self.used.get(&offset).filter(|used| **used == bytes)?;
        self.used.remove(&offset);
        let (mut start, mut end) = (offset, offset + bytes);
        if let Some((&before, &free)) = self.free.range(..offset).next_back()
            && before + free == offset
        {
            self.free.remove(&before);
            start = before;
        }
        if let Some(free) = self.free.remove(&end) {
            end += free;
        }
        self.free.insert(start, end - start);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_released_segment_is_used_again() {
        let mut arena = Arena::default();
        let (first, file) = arena.allocate(100).unwrap();
        assert_eq!(first, Segment { file: 0, offset: 0, bytes: 128 });
        let (second, same) = arena.allocate(1).unwrap();
        assert_eq!(second, Segment { file: 0, offset: 128, bytes: 64 });
        assert!(Arc::ptr_eq(&file, &same));
        arena.release(first);
        assert_eq!(arena.allocate(70).unwrap().0, first);
    }

    #[test]
    #[should_panic(expected = "a segment is released once")]
    fn a_segment_that_is_not_in_use_cannot_be_released() {
        let mut arena = Arena::default();
        let (segment, _) = arena.allocate(64).unwrap();
        arena.release(segment);
        arena.release(segment);
    }

    #[test]
    fn a_large_segment_gets_its_own_file() {
        let mut arena = Arena::default();
        arena.allocate(1).unwrap();
        let (large, file) = arena.allocate(FILE_BYTES * 2).unwrap();
        assert_eq!((large.file, large.offset), (1, 0));
        assert_eq!((file.number(), file.bytes()), (1, FILE_BYTES * 2));
    }

    #[test]
    fn files_grow_with_what_there_is() {
        let mut arena = Arena::default();
        for _ in 0..100 {
            arena.allocate(FILE_BYTES).unwrap();
        }
        assert!(arena.files.len() < 40, "{} files", arena.files.len());
        assert!(arena.file_bytes < 130 * FILE_BYTES, "{} bytes", arena.file_bytes);
    }

    #[test]
    fn what_a_segment_does_not_need_is_free_again() {
        let mut arena = Arena::default();
        let (before, _) = arena.allocate(64).unwrap();
        let (whole, _) = arena.allocate(1000).unwrap();
        let (behind, _) = arena.allocate(64).unwrap();
        arena.release(before);
        let kept = arena.shrink(whole, 100);
        assert_eq!(kept, Segment { bytes: 128, ..whole });
        assert_eq!(arena.shrink(kept, 65), kept);
        assert_eq!(arena.used_bytes(), 128 + 64);
        assert_eq!(arena.allocate(800).unwrap().0.offset, whole.offset + 128);
        assert_eq!(arena.allocate(64).unwrap().0, before);
        arena.release(behind);
        arena.release(kept);
    }

    #[test]
    fn what_lies_in_a_file_is_found() {
        let mut arena = Arena::default();
        arena.allocate(1).unwrap();
        let (segment, file) = arena.allocate(FILE_BYTES * 2).unwrap();
        let address = file.address_of(segment);
        let bytes = std::ptr::slice_from_raw_parts(address.as_ptr(), segment.bytes);
        assert_eq!(file.mapping.start().addr(), bytes.addr());
        assert!(arena.locate(&[0; 8]).is_none());
    }

    #[test]
    fn files_that_are_not_needed_any_more_are_given_back() {
        let mut arena = Arena::default();
        let many: Vec<Segment> = (0..8).map(|_| arena.allocate(FILE_BYTES).unwrap().0).collect();
        assert!(arena.give_back().is_empty());
        for segment in many {
            arena.release(segment);
        }
        assert!(arena.give_back().is_empty(), "they may be needed again at once");
        let mut given_back = Vec::new();
        for _ in 0..2 * PEAK_SEGMENTS {
            let (segment, file) = arena.allocate(FILE_BYTES).unwrap();
            assert_eq!(file.number(), 0, "what is used again and again is kept");
            given_back.extend(arena.give_back().iter().map(|file| file.number()));
            arena.release(segment);
        }
        assert_eq!(given_back, [1, 2, 3, 4, 5, 6]);
        let (segment, _) = arena.allocate(3 * FILE_BYTES).unwrap();
        assert_eq!(segment.file, 8);
    }

    proptest! {
        #[test]
        fn segments_never_overlap_and_everything_comes_back(
            steps in prop::collection::vec((1usize..6 << 20, any::<prop::sample::Index>()), 1..60)
        ) {
            let mut arena = Arena::default();
            let mut live: Vec<Segment> = Vec::new();
            for (bytes, pick) in steps {
                if bytes % 3 == 0 && !live.is_empty() {
                    arena.release(live.swap_remove(pick.index(live.len())));
                    continue;
                }
                let (mut segment, _) = arena.allocate(bytes).unwrap();
                for gone in arena.give_back() {
                    prop_assert!(live.iter().all(|other| other.file != gone.number()));
                    prop_assert_ne!(segment.file, gone.number());
                }
                prop_assert!(segment.bytes >= bytes);
                if bytes % 5 == 0 {
                    segment = arena.shrink(segment, bytes / 2);
                    prop_assert!(segment.bytes >= bytes / 2);
                }
                for other in live.iter().filter(|other| other.file == segment.file) {
                    prop_assert!(
                        other.offset + other.bytes <= segment.offset
                            || segment.offset + segment.bytes <= other.offset
                    );
                }
                live.push(segment);
            }
            for segment in live {
                arena.release(segment);
            }
            prop_assert_eq!(arena.used_bytes, 0);
            for shared in arena.files.iter().flatten() {
                prop_assert_eq!(&shared.free, &BTreeMap::from([(0, shared.file.bytes())]));
            }
        }
    }
}
