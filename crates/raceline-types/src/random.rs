//! Random numbers that depend on a seed and a position alone, and uniform choices made of them.
//!
//! The generator is Philox 4x32-10 (Salmon, Moraes, Dror, Shaw: *Parallel random numbers: as easy
//! as 1, 2, 3*, 2011): a block of 128 bits is a function of the seed, a stream and an index. Who
//! needs the numbers of row one million need not draw those of the rows before it, so that what is
//! random does not depend on threads or on how batches are cut. Not for secrets.

const ROUNDS: usize = 10;
const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const KEY_STEPS: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];

/// What random numbers are used for. Numbers of different streams are independent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RandomStream {
    /// The bucket of each row of a shuffle.
    RowBuckets,
    /// The order of the rows in one bucket of a shuffle.
    WithinBucket(u32),
    /// The draws of a shuffle in a window.
    Window,
    /// The places of batches in a random order of batches.
    Batches,
    /// The order of files.
    Files,
    /// A number for each row.
    RowValues,
}

impl RandomStream {
    fn number(self) -> u64 {
        const BUCKETS: u64 = 1 << 32;
        match self {
            Self::WithinBucket(bucket) => u64::from(bucket),
            Self::RowBuckets => BUCKETS,
            Self::Window => BUCKETS + 1,
            Self::Batches => BUCKETS + 2,
            Self::Files => BUCKETS + 3,
            Self::RowValues => BUCKETS + 4,
        }
    }
}

/// Random bits of a seed, by stream and index.
#[derive(Clone, Copy, Debug)]
pub struct Random {
    seed: u64,
}

impl Random {
    /// The numbers of `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// The block of `stream` at `index`.
    #[must_use]
    pub fn block(self, stream: RandomStream, index: u64) -> [u32; 4] {
        let [a, b] = halves(index);
        let [c, d] = halves(stream.number());
        philox([a, b, c, d], halves(self.seed))
    }

    /// The first 64 bits of the block of `stream` at `index`.
    #[must_use]
    pub fn bits(self, stream: RandomStream, index: u64) -> u64 {
        let [low, high, ..] = self.block(stream, index);
        (u64::from(high) << 32) | u64::from(low)
    }

    /// The numbers of `stream`, one after the other.
    #[must_use]
    pub fn draws(self, stream: RandomStream) -> RandomDraws {
        RandomDraws { random: self, stream, next_index: 0, block: [0; 4], used: 4 }
    }
}

/// The numbers of one stream, one after the other.
#[derive(Clone, Debug)]
pub struct RandomDraws {
    random: Random,
    stream: RandomStream,
    next_index: u64,
    block: [u32; 4],
    used: usize,
}

impl RandomDraws {
    fn word(&mut self) -> u32 {
        if self.used == self.block.len() {
            self.block = self.random.block(self.stream, self.next_index);
            self.next_index += 1;
            self.used = 0;
        }
        let word = self.block[self.used];
        self.used += 1;
        word
    }

    /// A number below `bound`, each of them exactly as likely as any other (Lemire: *Fast random
    /// integer generation in an interval*, 2019).
    ///
    /// # Panics
    /// When `bound` is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        assert!(bound > 0, "there is no number below 0");
        let number = match u32::try_from(bound) {
            Ok(bound) => u64::from(self.below_32(bound)),
            Err(_) => self.below_64(bound as u64),
        };
        usize::try_from(number).expect("it is below a usize")
    }

    fn below_32(&mut self, bound: u32) -> u32 {
        let mut product = u64::from(self.word()) * u64::from(bound);
        let [mut low, _] = halves(product);
        if low < bound {
            let unfair = bound.wrapping_neg() % bound;
            while low < unfair {
                product = u64::from(self.word()) * u64::from(bound);
                [low, _] = halves(product);
            }
        }
        let [_, high] = halves(product);
        high
    }

    fn below_64(&mut self, bound: u64) -> u64 {
        // The greatest multiple of the bound that 64 bits hold; numbers from there on are unfair.
        let fair = u64::MAX - (u64::MAX % bound + 1) % bound;
        loop {
            let number = (u64::from(self.word()) << 32) | u64::from(self.word());
            if number <= fair {
                return number % bound;
            }
        }
    }

    /// Puts `items` into an order that is as likely as any other (Fisher-Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..ROUNDS {
        let [low0, high0] = halves(u64::from(MULTIPLIERS[0]) * u64::from(counter[0]));
        let [low1, high1] = halves(u64::from(MULTIPLIERS[1]) * u64::from(counter[2]));
        counter = [high1 ^ counter[1] ^ key[0], low1, high0 ^ counter[3] ^ key[1], low0];
        key = [key[0].wrapping_add(KEY_STEPS[0]), key[1].wrapping_add(KEY_STEPS[1])];
    }
    counter
}

/// The low and the high half.
#[expect(clippy::cast_possible_truncation, reason = "halves are what is wanted")]
fn halves(number: u64) -> [u32; 2] {
    [number as u32, (number >> 32) as u32]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn blocks_are_those_of_the_published_test_vectors() {
        assert_eq!(philox([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(
            philox([u32::MAX; 4], [u32::MAX; 2]),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
        assert_eq!(
            philox(
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0]
            ),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn streams_seeds_and_indices_give_different_blocks() {
        let streams = [
            RandomStream::RowBuckets,
            RandomStream::WithinBucket(0),
            RandomStream::WithinBucket(u32::MAX),
            RandomStream::Window,
            RandomStream::Batches,
            RandomStream::Files,
        ];
        let mut seen = BTreeMap::new();
        for seed in [0, 1, 1 << 32] {
            for stream in streams {
                for index in [0, 1, 1 << 32] {
                    let block = Random::new(seed).block(stream, index);
                    assert_eq!(
                        seen.insert(block, (seed, index)),
                        None,
                        "{seed} {stream:?} {index}"
                    );
                }
            }
        }
        assert_eq!(seen.len(), 54);
    }

    #[test]
    fn choices_are_about_equally_often() {
        for bound in [1, 3, 7, 1000] {
            let mut draws = Random::new(7).draws(RandomStream::Window);
            let mut counts = vec![0_i32; bound];
            for _ in 0..bound * 1000 {
                counts[draws.below(bound)] += 1;
            }
            // Five standard deviations around 1000.
            assert!(counts.iter().all(|count| (count - 1000).abs() < 160), "{bound}: {counts:?}");
        }
    }

    #[test]
    fn choices_beyond_32_bits_reach_all_of_the_range() {
        let bound = 3_usize << 40;
        let mut draws = Random::new(7).draws(RandomStream::Window);
        let mut thirds = [0_i32; 3];
        for _ in 0..3000 {
            thirds[draws.below(bound) >> 40] += 1;
        }
        assert!(thirds.iter().all(|count| (count - 1000).abs() < 130), "{thirds:?}");
    }

    #[test]
    fn all_orders_of_five_items_are_about_equally_often() {
        let mut counts = BTreeMap::<[u8; 5], i32>::new();
        for seed in 0..60_000 {
            let mut items = [0, 1, 2, 3, 4];
            Random::new(seed).draws(RandomStream::Files).shuffle(&mut items);
            *counts.entry(items).or_default() += 1;
        }
        assert_eq!(counts.len(), 120);
        // Five standard deviations around 500.
        assert!(counts.values().all(|count| (count - 500).abs() < 112), "{counts:?}");
    }
}
