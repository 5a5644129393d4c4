//! Cuts large files into ranges and packs small ones into splits.

use raceline_plan::{FileFormat, FileSplit};

/// Files larger than this are cut, where their format allows.
const RANGE_BYTES: u64 = 64 << 20;
/// A split of several files is closed at this size.
const PACK_BYTES: u64 = 16 << 20;
/// A split has at most this many files.
const PACK_FILES_MAX: usize = 64;
/// After this many files, splits may have one file more: a few files are spread over all
/// workers, and many files do not become as many pieces of work.
const FILES_PER_STEP: usize = 16;

/// The pieces in which `file` is read: equal byte ranges of a large Parquet or uncompressed text
/// file, else the whole file.
pub(super) fn cut(format: &FileFormat, file: FileSplit) -> Vec<FileSplit> {
    let divisible = match format {
        FileFormat::Parquet => true,
        FileFormat::Text(_) => crate::read::Codec::of(&file.location).is_none(),
        FileFormat::Csv(_) | FileFormat::Json(_) | FileFormat::Binary | FileFormat::Image(_) => {
            false
        }
    };
    let size = file.size_bytes;
    if !divisible || size <= RANGE_BYTES {
        return vec![file];
    }
    let pieces = size.div_ceil(RANGE_BYTES);
    let piece_bytes = size.div_ceil(pieces);
    (0..pieces)
        .map(|piece| {
            let start = piece * piece_bytes;
            let end = (start + piece_bytes).min(size);
            FileSplit { range: Some(start..end), ..file.clone() }
        })
        .collect()
}

/// Gathers neighbouring files until they make a split.
#[derive(Debug)]
pub(super) struct Packer {
    packs: bool,
    files_seen: usize,
    files: Vec<FileSplit>,
    bytes: u64,
}

impl Packer {
    /// A packer for files of `format`: whole-file formats are packed, tables are not.
    pub(super) fn new(format: &FileFormat) -> Self {
        let packs =
            matches!(format, FileFormat::Text(_) | FileFormat::Binary | FileFormat::Image(_));
        Self { packs, files_seen: 0, files: Vec::new(), bytes: 0 }
    }

    /// Adds `piece`; what it makes whole comes back, at most two packs.
    pub(super) fn push(&mut self, piece: FileSplit) -> Vec<Vec<FileSplit>> {
        let mut whole = Vec::new();
        let bytes = piece.range.as_ref().map_or(piece.size_bytes, |range| range.end - range.start);
        if !self.files.is_empty() && self.bytes + bytes > PACK_BYTES {
            whole.extend(self.finish());
        }
        let files_max =
            if self.packs { (1 + self.files_seen / FILES_PER_STEP).min(PACK_FILES_MAX) } else { 1 };
        self.files_seen += 1;
        self.bytes += bytes;
        self.files.push(piece);
        if self.files.len() >= files_max || self.bytes >= PACK_BYTES {
            whole.extend(self.finish());
        }
        whole
    }

    /// What is left.
    pub(super) fn finish(&mut self) -> Option<Vec<FileSplit>> {
        self.bytes = 0;
        (!self.files.is_empty()).then(|| std::mem::take(&mut self.files))
    }
}

/// Estimate of the Arrow bytes that `bytes` of files of `format` become.
pub(super) fn estimated_bytes(format: &FileFormat, files: &[FileSplit]) -> u64 {
    let bytes: u64 = files
        .iter()
        .map(|file| file.range.as_ref().map_or(file.size_bytes, |range| range.end - range.start))
        .sum();
    match format {
        FileFormat::Parquet => bytes.saturating_mul(3),
        FileFormat::Csv(_) | FileFormat::Json(_) | FileFormat::Text(_) => {
            let compressed =
                files.iter().any(|file| crate::read::Codec::of(&file.location).is_some());
            bytes.saturating_mul(if compressed { 5 } else { 1 })
        }
        FileFormat::Binary => bytes,
        FileFormat::Image(options) => match options.size {
            Some((height, width)) => {
                let pixels = u64::from(height).saturating_mul(u64::from(width));
                pixels.saturating_mul(3).saturating_mul(files.len() as u64)
            }
            None => bytes.saturating_mul(10),
        },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use raceline_plan::TextReadOptions;

    use super::*;

    const TEXT: FileFormat = FileFormat::Text(TextReadOptions { drop_empty_lines: false });

    fn file(location: &str, size_bytes: u64) -> FileSplit {
        FileSplit {
            uri: location.into(),
            store_url: "memory://x".into(),
            location: location.into(),
            size_bytes,
            modified_ms: 0,
            range: None,
            partition_values: Vec::new(),
        }
    }

    #[test]
    fn only_formats_with_findable_rows_are_cut() {
        assert_eq!(cut(&TEXT, file("a.txt", RANGE_BYTES)).len(), 1);
        assert_eq!(cut(&TEXT, file("a.txt.gz", RANGE_BYTES * 3)).len(), 1);
        assert_eq!(cut(&FileFormat::Binary, file("a", RANGE_BYTES * 3)).len(), 1);
        assert_eq!(cut(&FileFormat::Parquet, file("a", RANGE_BYTES * 3)).len(), 3);
    }

    proptest! {
        #[test]
        fn ranges_cover_the_file_once(size in 1..u64::MAX / 4) {
            let size = size % (RANGE_BYTES * 50);
            let pieces = cut(&TEXT, file("a.txt", size));
            let mut position = 0;
            for piece in &pieces {
                let range = piece.range.clone().unwrap_or(0..size);
                prop_assert_eq!(range.start, position);
                prop_assert!(range.end > range.start || size == 0);
                position = range.end;
            }
            prop_assert_eq!(position, size);
        }

        #[test]
        fn packs_keep_every_file_in_order(sizes in prop::collection::vec(0..PACK_BYTES * 2, 0..300)) {
            let mut packer = Packer::new(&FileFormat::Binary);
            let mut packs = Vec::new();
            for (at, size) in sizes.iter().enumerate() {
                packs.extend(packer.push(file(&at.to_string(), *size)));
            }
            packs.extend(packer.finish());
            for pack in &packs {
                let bytes: u64 = pack.iter().map(|file| file.size_bytes).sum();
                prop_assert!(pack.len() == 1 || bytes <= PACK_BYTES);
                prop_assert!(!pack.is_empty() && pack.len() <= PACK_FILES_MAX);
            }
            let found: Vec<_> = packs.concat().iter().map(|file| file.size_bytes).collect();
            prop_assert_eq!(found, sizes);
        }
    }

    #[test]
    fn tables_are_never_packed() {
        let mut packer = Packer::new(&FileFormat::Parquet);
        assert_eq!(packer.push(file("a", 1)).len(), 1);
        assert_eq!(packer.finish(), None);
    }
}
