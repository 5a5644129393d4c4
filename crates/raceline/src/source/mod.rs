//! The sources of a plan, as the machine runs them.

mod files;
mod kept;
mod labelled;
mod memory;
mod range;
mod skipping;
mod stored;

pub(crate) use files::FileSource;
pub(crate) use kept::KeptSource;
pub(crate) use labelled::LabelledSource;
pub(crate) use memory::MemorySource;
pub(crate) use range::{RangeSource, range_schema};
pub(crate) use skipping::{CountRows, SkippingSource, all_are_known};
pub(crate) use stored::StoredSource;

/// Cuts rows `0..rows` into at least `wanted` runs of nearly equal length, none longer than
/// `rows_max` and none empty.
fn even_cuts(rows: u64, wanted: u64, rows_max: u64) -> impl Iterator<Item = (u64, u64)> + Send {
    let pieces = wanted.max(rows.div_ceil(rows_max.max(1))).clamp(1, rows.max(1));
    (0..pieces)
        .map(move |piece| (cut(rows, piece, pieces), cut(rows, piece + 1, pieces)))
        .filter(|(first, last)| first < last)
}

/// Where piece `piece` of `pieces` begins.
fn cut(rows: u64, piece: u64, pieces: u64) -> u64 {
    let position = u128::from(rows) * u128::from(piece) / u128::from(pieces);
    u64::try_from(position).expect("a part of `rows` is at most `rows`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_cover_all_rows_once() {
        for (rows, wanted, rows_max) in
            [(0, 8, 10), (1, 8, 10), (10, 3, 100), (1_000_003, 8, 1 << 16)]
        {
            let cuts: Vec<_> = even_cuts(rows, wanted, rows_max).collect();
            assert_eq!(cuts.iter().map(|(first, last)| last - first).sum::<u64>(), rows);
            assert!(cuts.windows(2).all(|pair| pair[0].1 == pair[1].0));
            assert!(cuts.iter().all(|(first, last)| last - first <= rows_max));
            assert!(cuts.len() as u64 >= wanted.min(rows));
        }
    }
}
