//! Rows to partitions by a hash of their keys.

use std::sync::Arc;

use arrow::array::{Array, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use datafusion::common::hash_utils::{RandomState, create_hashes};
use raceline_types::{Failure, InternalError};

use crate::error::failure;

/// Tells the partition of each row: rows with equal keys are in one.
///
/// Partitioners of different levels are independent, so that what one of them puts together is
/// taken apart by the next, unless the keys are equal.
#[derive(Debug)]
pub(crate) struct HashPartitioner {
    keys: Arc<[usize]>,
    partitions: usize,
    level: u32,
    seed: RandomState,
    hashes: Vec<u64>,
}

impl HashPartitioner {
    /// By the columns at `keys`, into `partitions`.
    pub(crate) fn new(keys: Arc<[usize]>, partitions: usize, level: u32) -> Self {
        // Not the seed of `DataFusion`, whose tables would fill unevenly.
        let seed = RandomState::with_seed(0x5261_6365_6c69_6e65);
        Self { keys, partitions, level, seed, hashes: Vec::new() }
    }

    /// The partition of each row. Missing keys are equal.
    pub(crate) fn partition_of_row(&mut self, batch: &RecordBatch) -> Result<Vec<u32>, Failure> {
        self.hashes.clear();
        self.hashes.resize(batch.num_rows(), 0);
        let columns = self.keys.iter().map(|&at| batch.column(at));
        create_hashes(columns, &self.seed, &mut self.hashes).map_err(failure)?;
        let partitions = self.partitions as u128;
        let level = self.level;
        let place = |&hash: &u64| {
            let mixed = u128::from(mixed(hash, level));
            u32::try_from((mixed * partitions) >> 64).unwrap_or(u32::MAX)
        };
        Ok(self.hashes.iter().map(place).collect())
    }

    /// As [`HashPartitioner::partition_of_row`], but rows with a missing key, which have no
    /// partner anywhere, are spread evenly.
    pub(crate) fn partition_of_joined_row(
        &mut self,
        batch: &RecordBatch,
    ) -> Result<Vec<u32>, Failure> {
        let mut places = self.partition_of_row(batch)?;
        for &at in self.keys.iter() {
            let Some(nulls) =
                batch.column(at).logical_nulls().filter(|nulls| nulls.null_count() > 0)
            else {
                continue;
            };
            for (row, place) in places.iter_mut().enumerate().filter(|(row, _)| nulls.is_null(*row))
            {
                *place = u32::try_from(row % self.partitions).unwrap_or(0);
            }
        }
        Ok(places)
    }

    /// The rows of each partition, in order.
    pub(crate) fn split(&mut self, batch: &RecordBatch) -> Result<Vec<RecordBatch>, Failure> {
        if self.partitions == 1 {
            return Ok(vec![batch.clone()]);
        }
        let places = self.partition_of_row(batch)?;
        let mut rows: Vec<Vec<u32>> = vec![Vec::new(); self.partitions];
        for (row, place) in (0_u32..).zip(places) {
            rows[place as usize].push(row);
        }
        let taken = rows.into_iter().map(|rows| take_record_batch(batch, &UInt32Array::from(rows)));
        taken
            .collect::<Result<_, _>>()
            .map_err(|error| InternalError::caused_by("rows could not be taken", error).into())
    }
}

/// A hash that is independent of those of other levels, which the hashes of one key with other
/// seeds are not: their upper bits go together (the finalizer of `SplitMix64`).
fn mixed(hash: u64, level: u32) -> u64 {
    let mut mixed = hash.wrapping_add(u64::from(level).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, AsArray, Int64Array};
    use arrow::datatypes::Int64Type;

    use super::*;

    fn batch(keys: impl Iterator<Item = Option<i64>>) -> RecordBatch {
        let keys: ArrayRef = Arc::new(keys.collect::<Int64Array>());
        RecordBatch::try_from_iter_with_nullable([("k", keys, true)]).unwrap()
    }

    #[test]
    fn equal_keys_are_together_and_partitions_are_even() {
        let rows = batch((0..40_000).map(|row| Some(row % 10_000)));
        let parts = HashPartitioner::new([0].into(), 8, 0).split(&rows).unwrap();
        for part in &parts {
            assert!((4_000..6_000).contains(&part.num_rows()), "{}", part.num_rows());
            let mut keys = part.column(0).as_primitive::<Int64Type>().values().to_vec();
            keys.sort_unstable();
            assert!(keys.chunks(4).all(|four| four.iter().all(|key| *key == four[0])));
        }
    }

    #[test]
    fn the_next_level_takes_a_partition_apart() {
        let rows = batch((0..40_000).map(Some));
        let part = HashPartitioner::new([0].into(), 8, 0).split(&rows).unwrap().swap_remove(3);
        let parts = HashPartitioner::new([0].into(), 8, 1).split(&part).unwrap();
        let least = parts.iter().map(RecordBatch::num_rows).min().unwrap();
        assert!(least * 10 > part.num_rows(), "{least} of {}", part.num_rows());
    }

    #[test]
    fn missing_keys_are_one_group_and_no_partners() {
        let rows = batch((0..800).map(|_| None));
        let mut partitioner = HashPartitioner::new([0].into(), 4, 0);
        let groups = partitioner.partition_of_row(&rows).unwrap();
        assert!(groups.iter().all(|place| *place == groups[0]));
        let joined = partitioner.partition_of_joined_row(&rows).unwrap();
        for place in 0..4 {
            assert_eq!(joined.iter().filter(|one| **one == place).count(), 200);
        }
    }
}
