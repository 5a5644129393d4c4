//! Random orders of rows and of batches that depend on a seed and on places in the input alone.
//!
//! A row goes to one of 65,536 buckets by a random number of its own, as do the rows of a deck that
//! is dealt; each bucket is put into a random order (Rao 1961, Sandelius 1962). As every row chooses
//! its bucket independently, and all orders of a bucket are equally likely, so are all orders of
//! the whole. Which buckets are brought together on disk or in memory does not matter to it.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, UInt16Array, UInt64Array};
use arrow::datatypes::{DataType, UInt16Type, UInt64Type};
use raceline_types::{Random, RandomStream};

/// Buckets, which come one after the other in the output.
pub(super) const BUCKETS: u32 = 1 << 16;

/// Rows that one block of random bits gives buckets to.
const ROWS_PER_BLOCK: u64 = 8;

/// Fewer rows than this are sorted by their buckets, more are counted.
const FEW_ROWS: usize = 4096;

/// What is put into a random order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Single rows.
    Rows,
    /// Batches as they come; rows of a batch stay together, in their order.
    Batches,
}

/// A row: which batch, and which row of it.
pub(super) type Place = (u32, u32);

impl Unit {
    /// Type of the keys by which rows are ordered.
    pub(super) fn key_type(self) -> DataType {
        match self {
            Self::Rows => DataType::UInt16,
            Self::Batches => DataType::UInt64,
        }
    }

    /// The keys of the rows of the batch at position `batch`, whose first row is the `first_row`th
    /// of all.
    pub(super) fn keys(self, random: Random, batch: u64, first_row: u64, rows: usize) -> ArrayRef {
        match self {
            Self::Rows => Arc::new(UInt16Array::from(row_buckets(random, first_row, rows))),
            Self::Batches => {
                let key = random.bits(RandomStream::Batches, batch);
                Arc::new(UInt64Array::from_value(key, rows))
            }
        }
    }

    /// The bucket of each row with these keys.
    pub(super) fn buckets(self, keys: &ArrayRef) -> Vec<u16> {
        match self {
            Self::Rows => keys.as_primitive::<UInt16Type>().values().to_vec(),
            Self::Batches => {
                let keys = keys.as_primitive::<UInt64Type>().values().iter();
                keys.map(|key| u16::try_from(key >> 48).expect("16 bits are left")).collect()
            }
        }
    }

    /// The order of the rows of batches with these keys. Batches stand in the order of the input,
    /// and hold all rows of each bucket that they hold any of.
    pub(super) fn order(self, random: Random, keys: &[ArrayRef]) -> Vec<Place> {
        match self {
            Self::Rows => {
                let keys = keys.iter().map(|keys| &keys.as_primitive::<UInt16Type>().values()[..]);
                order_of_rows(random, &keys.collect::<Vec<_>>())
            }
            Self::Batches => order_of_batches(keys),
        }
    }
}

/// The part of `parts` that `bucket` of `buckets` goes to; later buckets never go to earlier parts.
pub(super) fn part_of(bucket: u16, buckets: &Range<u32>, parts: u32) -> u32 {
    (u32::from(bucket) - buckets.start) / part_width(buckets, parts)
}

/// The buckets of part `part`.
pub(super) fn buckets_of(part: u32, buckets: &Range<u32>, parts: u32) -> Range<u32> {
    let width = part_width(buckets, parts);
    let start = buckets.start + part * width;
    start.min(buckets.end)..(start + width).min(buckets.end)
}

fn part_width(buckets: &Range<u32>, parts: u32) -> u32 {
    (buckets.end - buckets.start).div_ceil(parts)
}

fn row_buckets(random: Random, first_row: u64, rows: usize) -> Vec<u16> {
    let mut buckets = Vec::with_capacity(rows + 7);
    let skipped = usize::try_from(first_row % ROWS_PER_BLOCK).expect("it is below 8");
    let mut index = first_row / ROWS_PER_BLOCK;
    while buckets.len() < rows + skipped {
        for word in random.block(RandomStream::RowBuckets, index) {
            let [a, b, c, d] = word.to_le_bytes();
            buckets.extend([u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d])]);
        }
        index += 1;
    }
    buckets.drain(..skipped);
    buckets.truncate(rows);
    buckets
}

fn order_of_rows(random: Random, buckets: &[&[u16]]) -> Vec<Place> {
    let rows: usize = buckets.iter().map(|buckets| buckets.len()).sum();
    if rows < FEW_ROWS {
        return order_of_few_rows(random, buckets);
    }
    let mut starts = vec![0_usize; BUCKETS as usize + 1];
    for &bucket in buckets.iter().copied().flatten() {
        starts[usize::from(bucket) + 1] += 1;
    }
    for bucket in 0..BUCKETS as usize {
        starts[bucket + 1] += starts[bucket];
    }
    let mut next = starts.clone();
    let mut order = vec![(0, 0); rows];
    for (batch, buckets) in (0..).zip(buckets) {
        for (row, &bucket) in (0..).zip(buckets.iter()) {
            let place = &mut next[usize::from(bucket)];
            order[*place] = (batch, row);
            *place += 1;
        }
    }
    for (bucket, ends) in (0..).zip(starts.windows(2)) {
        shuffle_bucket(random, bucket, &mut order[ends[0]..ends[1]]);
    }
    order
}

/// The same order, without a look at each bucket.
fn order_of_few_rows(random: Random, buckets: &[&[u16]]) -> Vec<Place> {
    let places = (0..).zip(buckets).flat_map(|(batch, buckets)| {
        (0..).zip(buckets.iter()).map(move |(row, &bucket)| (bucket, (batch, row)))
    });
    let mut keyed: Vec<(u16, Place)> = places.collect();
    keyed.sort_by_key(|(bucket, _)| *bucket);
    let mut order: Vec<Place> = keyed.iter().map(|(_, place)| *place).collect();
    let mut first = 0;
    for group in keyed.chunk_by(|(a, _), (b, _)| a == b) {
        let end = first + group.len();
        shuffle_bucket(random, group[0].0.into(), &mut order[first..end]);
        first = end;
    }
    order
}

fn shuffle_bucket(random: Random, bucket: u32, rows: &mut [Place]) {
    if rows.len() > 1 {
        random.draws(RandomStream::WithinBucket(bucket)).shuffle(rows);
    }
}

fn order_of_batches(keys: &[ArrayRef]) -> Vec<Place> {
    let mut runs: Vec<(u64, u32, u32, u32)> = Vec::new();
    for (batch, keys) in (0..).zip(keys) {
        for (row, &key) in (0..).zip(keys.as_primitive::<UInt64Type>().values()) {
            match runs.last_mut() {
                Some((last, of, _, end)) if (*last, *of) == (key, batch) => *end = row + 1,
                _ => runs.push((key, batch, row, row + 1)),
            }
        }
    }
    runs.sort_by_key(|(key, ..)| *key);
    runs.into_iter()
        .flat_map(|(_, batch, first, end)| (first..end).map(move |row| (batch, row)))
        .collect()
}

#[cfg(test)]
mod tests {
    #![expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "the numbers are small"
    )]

    use proptest::prelude::*;

    use super::*;

    /// The order of `rows` rows that come in batches that are cut at `cuts`.
    fn order(seed: u64, rows: usize, cuts: &[usize]) -> Vec<usize> {
        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (rows + 1)).collect();
        ends.extend([0, rows]);
        ends.sort_unstable();
        let random = Random::new(seed);
        let keys: Vec<ArrayRef> = (0..)
            .zip(ends.windows(2))
            .map(|(at, ends)| Unit::Rows.keys(random, at, ends[0] as u64, ends[1] - ends[0]))
            .collect();
        let order = Unit::Rows.order(random, &keys);
        order.into_iter().map(|(batch, row)| ends[batch as usize] + row as usize).collect()
    }

    /// Of a uniform distribution over `counts`, this is less than `limit` nearly always.
    fn chi_square(counts: &[f64]) -> f64 {
        let expected = counts.iter().sum::<f64>() / counts.len() as f64;
        counts.iter().map(|count| (count - expected).powi(2) / expected).sum()
    }

    proptest! {
        #[test]
        fn the_order_depends_on_the_seed_and_not_on_how_batches_are_cut(
            seed: u64,
            rows in 0_usize..3000,
            cuts in prop::collection::vec(0_usize..3000, 0..20),
        ) {
            let whole = order(seed, rows, &[]);
            prop_assert_eq!(&order(seed, rows, &cuts), &whole);
            let mut sorted = whole;
            sorted.sort_unstable();
            prop_assert_eq!(sorted, (0..rows).collect::<Vec<_>>());
        }

        #[test]
        fn parts_cover_the_buckets_in_order(
            start in 0..BUCKETS, width in 1..BUCKETS, parts in 1_u32..400, bucket: u16,
        ) {
            let buckets = start..(start + width).min(BUCKETS);
            let mut position = buckets.start;
            for part in 0..parts {
                let of_part = buckets_of(part, &buckets, parts);
                prop_assert_eq!(of_part.start, position);
                position = of_part.end;
            }
            prop_assert_eq!(position, buckets.end);
            if buckets.contains(&u32::from(bucket)) {
                let part = part_of(bucket, &buckets, parts);
                prop_assert!(buckets_of(part, &buckets, parts).contains(&u32::from(bucket)));
            }
        }
    }

    #[test]
    fn few_rows_are_put_into_the_same_order_as_many() {
        let buckets: Vec<u16> = (0..FEW_ROWS).map(|row| (row * 7 % 900) as u16).collect();
        let (a, b) = buckets.split_at(1000);
        let random = Random::new(3);
        assert_eq!(order_of_few_rows(random, &[a, b]), order_of_rows(random, &[a, b]));
    }

    #[test]
    fn different_seeds_give_different_orders() {
        assert_ne!(order(1, 100, &[]), order(2, 100, &[]));
    }

    #[test]
    fn all_orders_of_five_rows_are_about_equally_often() {
        let mut counts = std::collections::BTreeMap::<Vec<usize>, f64>::new();
        for seed in 0..24_000 {
            *counts.entry(order(seed, 5, &[2])).or_default() += 1.0;
        }
        assert_eq!(counts.len(), 120);
        let counts: Vec<f64> = counts.into_values().collect();
        // 119 degrees of freedom: more than 178 comes once in 4,000 times.
        let chi_square = chi_square(&counts);
        assert!(chi_square < 178.0, "{chi_square}");
    }

    #[test]
    fn rows_of_one_bucket_come_in_all_orders() {
        let keys: ArrayRef = Arc::new(UInt16Array::from(vec![9_u16; 4]));
        let mut counts = std::collections::BTreeMap::<Vec<Place>, f64>::new();
        for seed in 0..4800 {
            let order = Unit::Rows.order(Random::new(seed), std::slice::from_ref(&keys));
            *counts.entry(order).or_default() += 1.0;
        }
        assert_eq!(counts.len(), 24);
        let counts: Vec<f64> = counts.into_values().collect();
        // 23 degrees of freedom: more than 55 comes once in 4,000 times.
        let chi_square = chi_square(&counts);
        assert!(chi_square < 55.0, "{chi_square}");
    }

    #[test]
    fn every_row_comes_to_every_place_and_behind_every_other_row_as_often() {
        const ROWS: usize = 30;
        let mut places = vec![0.0; ROWS * ROWS];
        let mut followers = vec![0.0; ROWS * ROWS];
        for seed in 0..30_000 {
            let order = order(seed, ROWS, &[11]);
            for (place, row) in order.iter().enumerate() {
                places[place * ROWS + row] += 1.0;
            }
            for pair in order.windows(2) {
                followers[pair[0] * ROWS + pair[1]] += 1.0;
            }
        }
        // (30 - 1)² = 841 degrees of freedom: more than 988 comes once in 4,000 times.
        let of_places = chi_square(&places);
        assert!(of_places < 988.0, "{of_places}");
        let mut pairs = followers;
        for row in (0..ROWS).rev() {
            assert!(pairs.remove(row * ROWS + row) < 0.5, "a row follows itself");
        }
        // 30 · 29 pairs, of which 29 stand in each order: about 869 degrees of freedom.
        let of_pairs = chi_square(&pairs);
        assert!(of_pairs < 1018.0, "{of_pairs}");
    }

    #[test]
    fn batches_stay_whole_in_any_order_of_batches() {
        let mut orders = std::collections::BTreeSet::new();
        for seed in 0..100 {
            let keys: Vec<ArrayRef> =
                (0..3).map(|at| Unit::Batches.keys(Random::new(seed), at, at * 2, 2)).collect();
            let order = Unit::Batches.order(Random::new(seed), &keys);
            assert!(order.chunks(2).all(|rows| rows[0].0 == rows[1].0 && rows[0].1 < rows[1].1));
            orders.insert(order.iter().map(|place| place.0).collect::<Vec<_>>());
        }
        assert_eq!(orders.len(), 6);
    }
}
