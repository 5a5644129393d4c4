//! The writer's side: allocates segments and takes them back.

use std::collections::BTreeMap;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::OwnedFd;

use super::ALIGNMENT_BYTES;
use super::mapping::Mapping;

/// Size of a shared file; a larger segment gets a file of its own. Pages that were never
/// written take no memory.
const FILE_BYTES: usize = 16 << 20;

/// So many segments are allocated before what was in use until then is forgotten.
const PEAK_SEGMENTS: u64 = 64;

/// A range of one shared file of an arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Segment {
    /// Position of the file in the order in which the arena made them.
    pub(crate) file: u32,
    /// Byte at which the segment starts; a multiple of 64.
    pub(crate) offset: u64,
    /// Size in bytes; a multiple of 64, never 0.
    pub(crate) bytes: u64,
}

/// A shared file that the reader has not been sent yet.
#[derive(Debug)]
pub(crate) struct NewFile {
    /// Its descriptor.
    pub(crate) file: OwnedFd,
    /// Its size in bytes.
    pub(crate) bytes: u64,
}

/// Shared files with their free ranges.
#[derive(Debug, Default)]
pub(crate) struct Arena {
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
    mapping: Mapping,
    /// Free ranges, offset to bytes; neighbours are joined.
    free: BTreeMap<usize, usize>,
    /// Segments in use, offset to bytes.
    used: BTreeMap<usize, usize>,
    /// Segments that the arena had allocated when this one was last used.
    used_at: u64,
}

impl Arena {
    /// A segment of at least `bytes`, and its file when that is new. The lowest fitting offset
    /// is taken, so that pages that are already in memory are used again.
    ///
    /// # Errors
    /// When the system has no memory or no descriptor left.
    pub(crate) fn allocate(&mut self, bytes: usize) -> io::Result<(Segment, Option<NewFile>)> {
        let bytes = bytes
            .max(1)
            .checked_next_multiple_of(ALIGNMENT_BYTES)
            .ok_or_else(|| io::Error::from(io::ErrorKind::OutOfMemory))?;
        self.allocated += 1;
        for (index, file) in self.files.iter_mut().enumerate() {
            let Some(file) = file else { continue };
            if let Some(offset) = file.take(bytes) {
                file.used_at = self.allocated;
                self.count_use(bytes);
                return Ok((segment(index, offset, bytes), None));
            }
        }
        let file_bytes = NonZeroUsize::new(bytes.max(FILE_BYTES)).expect("it is at least a file");
        let (mapping, descriptor) = Mapping::create(file_bytes)?;
        let free = BTreeMap::from([(0, mapping.bytes())]);
        let (used, used_at) = (BTreeMap::new(), self.allocated);
        let mut file = SharedFile { mapping, free, used, used_at };
        let offset = file.take(bytes).expect("a new file holds the segment it was made for");
        self.files.push(Some(file));
        self.file_bytes += file_bytes.get();
        self.count_use(bytes);
        let new = NewFile { file: descriptor, bytes: file_bytes.get() as u64 };
        Ok((segment(self.files.len() - 1, offset, bytes), Some(new)))
    }

    /// The bytes of a segment in use, for writing before the reader is told of it.
    ///
    /// # Panics
    /// When the segment is not in use.
    pub(crate) fn bytes_mut(&mut self, segment: Segment) -> &mut [u8] {
        let (file, offset, bytes) = parts(segment).expect("the arena made the segment");
        let file = self.files[file].as_mut().expect("a file in use is not given back");
        assert_eq!(file.used.get(&offset), Some(&bytes), "the segment is in use");
        file.mapping.slice_mut(offset, bytes)
    }

    /// Takes a segment back that the reader no longer views.
    ///
    /// # Errors
    /// When no such segment is in use: the reader lies.
    pub(crate) fn release(&mut self, segment: Segment) -> io::Result<()> {
        let freed = parts(segment).and_then(|(file, offset, bytes)| {
            self.files.get_mut(file)?.as_mut()?.put_back(offset, bytes)?;
            Some(bytes)
        });
        let freed =
            freed.ok_or_else(|| io::Error::other("a segment was released that is not in use"))?;
        self.used_bytes -= freed;
        Ok(())
    }

    /// Gives files without a segment in use back to the system, those first that were not used
    /// for long, until there is half as much again as was lately in use. Returns their numbers:
    /// the reader must let go of them too.
    pub(crate) fn give_back(&mut self) -> Vec<u32> {
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
            self.file_bytes -= file.mapping.bytes();
            given_back.push(u32::try_from(oldest).expect("a process has fewer than 2^32 mappings"));
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
    fn take(&mut self, bytes: usize) -> Option<usize> {
        let (&offset, &free) = self.free.iter().find(|(_, free)| **free >= bytes)?;
        self.free.remove(&offset);
        if free > bytes {
            self.free.insert(offset + bytes, free - bytes);
        }
        self.used.insert(offset, bytes);
        Some(offset)
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

fn segment(file: usize, offset: usize, bytes: usize) -> Segment {
    let file = u32::try_from(file).expect("a process has fewer than 2^32 mappings");
    Segment { file, offset: offset as u64, bytes: bytes as u64 }
}

fn parts(segment: Segment) -> Option<(usize, usize, usize)> {
    let Segment { file, offset, bytes } = segment;
    Some((file.try_into().ok()?, offset.try_into().ok()?, bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_released_segment_is_used_again() {
        let mut arena = Arena::default();
        let (first, new) = arena.allocate(100).unwrap();
        assert_eq!(first, Segment { file: 0, offset: 0, bytes: 128 });
        assert!(new.is_some());
        let (second, new) = arena.allocate(1).unwrap();
        assert_eq!(second, Segment { file: 0, offset: 128, bytes: 64 });
        assert!(new.is_none());
        arena.release(first).unwrap();
        assert_eq!(arena.allocate(70).unwrap().0, first);
    }

    #[test]
    fn a_segment_that_is_not_in_use_cannot_be_released() {
        let mut arena = Arena::default();
        let (segment, _) = arena.allocate(64).unwrap();
        arena.release(segment).unwrap();
        let error = arena.release(segment).unwrap_err();
        assert_eq!(error.to_string(), "a segment was released that is not in use");
        assert!(arena.release(Segment { file: 9, ..segment }).is_err());
    }

    #[test]
    fn a_large_segment_gets_its_own_file() {
        let mut arena = Arena::default();
        arena.allocate(1).unwrap();
        let (large, new) = arena.allocate(FILE_BYTES * 2).unwrap();
        assert_eq!((large.file, large.offset), (1, 0));
        assert_eq!(new.unwrap().bytes, FILE_BYTES as u64 * 2);
    }

    #[test]
    fn files_that_are_not_needed_any_more_are_given_back() {
        let mut arena = Arena::default();
        let many: Vec<Segment> = (0..8).map(|_| arena.allocate(FILE_BYTES).unwrap().0).collect();
        assert_eq!(arena.give_back(), [0_u32; 0]);
        for segment in many {
            arena.release(segment).unwrap();
        }
        assert_eq!(arena.give_back(), [0_u32; 0], "they may be needed again at once");
        let mut given_back = Vec::new();
        for _ in 0..2 * PEAK_SEGMENTS {
            let (segment, new) = arena.allocate(FILE_BYTES).unwrap();
            assert!(new.is_none(), "what is used again and again is kept");
            given_back.extend(arena.give_back());
            arena.release(segment).unwrap();
        }
        assert_eq!(given_back, [1, 2, 3, 4, 5, 6]);
        let (segment, new) = arena.allocate(3 * FILE_BYTES).unwrap();
        assert_eq!((segment.file, new.is_some()), (8, true));
        assert!(arena.release(Segment { file: 3, offset: 0, bytes: 64 }).is_err());
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
                    arena.release(live.swap_remove(pick.index(live.len()))).unwrap();
                    continue;
                }
                let (segment, _) = arena.allocate(bytes).unwrap();
                for gone in arena.give_back() {
                    prop_assert!(live.iter().all(|other| other.file != gone));
                    prop_assert_ne!(segment.file, gone);
                }
                prop_assert!(segment.bytes >= bytes as u64);
                for other in live.iter().filter(|other| other.file == segment.file) {
                    prop_assert!(
                        other.offset + other.bytes <= segment.offset
                            || segment.offset + segment.bytes <= other.offset
                    );
                }
                live.push(segment);
            }
            for segment in live {
                arena.release(segment).unwrap();
            }
            prop_assert_eq!(arena.used_bytes, 0);
            for file in arena.files.iter().flatten() {
                prop_assert_eq!(&file.free, &BTreeMap::from([(0, file.mapping.bytes())]));
            }
        }
    }
}
