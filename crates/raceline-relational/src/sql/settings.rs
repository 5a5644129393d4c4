//! How wide a query runs, and which joins it takes.

use std::sync::Arc;

use datafusion::config::SpillCompression;
use datafusion::execution::config::SessionConfig;
use datafusion::execution::context::SessionContext;
use raceline_types::Failure;

use crate::engine::Engine;
use crate::grants::Grants;

/// Most rows of a batch of a query.
const BATCH_ROWS_MAX: usize = 16_384;

/// Bytes of a side of a join up to which one partition makes a table of it for all of them, times
/// the partitions: else rows of both sides are sent to their partitions first, which costs more the
/// fewer there are.
const SHARED_TABLE_BYTES: usize = 128 << 20;

/// Part of the engine's memory that such a table takes at most.
const SHARED_TABLE_SHARE: usize = 16;

/// Bytes of its rows when nothing but their number is known.
const SHARED_ROW_BYTES: usize = 16;

/// Most places of a table of a join that is looked up by the key itself, wherever keys are.
const DIRECT_KEYS: usize = 4 << 20;

/// Bytes of a place.
const DIRECT_KEY_BYTES: usize = 4;

/// Rows of a batch when memory is short.
const BATCH_ROWS_TIGHT: usize = 2048;

/// Bytes that a sort keeps back for merging what it spilled, and that it is never refused for its
/// first batch, when memory is short: a query whose joins sort has many sorts at a time.
const SORT_BYTES_TIGHT: usize = 1 << 20;

/// Part of the engine's memory that is little, when memory is short.
const LITTLE_SHARE: usize = 128;

/// Bytes that are little in any case: sorts merge two batches at least, and reserve twice as much.
const LITTLE_BYTES: usize = 4 << 20;

/// Part of the engine's memory that is never little, however small the engine.
const LITTLE_SHARE_MAX: usize = 16;

/// Part of the engine's memory that merges of sorts are granted together beyond what there is room
/// for, when memory is short.
const MERGES_SHARE: usize = 4;

/// What one attempt at a query runs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    partitions: usize,
    batch_rows: usize,
    sort_merge_bytes: usize,
    /// What is granted that there is no room for.
    grants: Grants,
    joins: Joins,
}

/// What joins do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Joins {
    /// They hold one side in a table, which must fit.
    Held,
    /// They hold one side in a table, and go to disk in parts where they are large and do not fit.
    Partitioned,
    /// They sort both sides, on disk where they do not fit.
    Sorted,
}

impl Settings {
    /// While everything fits. Rows of inputs weigh `row_bytes` each.
    pub(super) fn ample(engine: &Engine, row_bytes: usize) -> Self {
        Self {
            partitions: engine.partitions(),
            batch_rows: engine.batch_rows(row_bytes).min(BATCH_ROWS_MAX),
            sort_merge_bytes: engine.sort_merge_bytes(),
            grants: Grants::default(),
            joins: Joins::Held,
        }
    }

    /// What to run with when memory ran out; `None` when nothing is left to try.
    pub(super) fn tighter(self, engine: &Engine) -> Option<Self> {
        let joins = match self.joins {
            Joins::Held => Joins::Partitioned,
            Joins::Partitioned => Joins::Sorted,
            Joins::Sorted => return None,
        };
        Some(Self {
            // A plan of one partition never sorts for a join, nor partitions for one.
            partitions: self.partitions.max(2),
            batch_rows: self.batch_rows.min(BATCH_ROWS_TIGHT),
            sort_merge_bytes: self.sort_merge_bytes.min(SORT_BYTES_TIGHT),
            grants: Grants {
                little_bytes: little_bytes(engine.limit_bytes()),
                sort_bytes: SORT_BYTES_TIGHT,
                merges_bytes: engine.limit_bytes() / MERGES_SHARE,
            },
            joins,
        })
    }

    /// What joins do.
    pub(super) fn joins(self) -> Joins {
        self.joins
    }

    /// `engine` with the memory of one attempt.
    pub(super) fn engine(self, engine: &Engine) -> Result<Arc<Engine>, Failure> {
        engine.granting(self.grants)
    }

    /// Bytes of a side of a join that one partition makes a table of for all of them.
    fn shared_table_bytes(self, limit_bytes: usize) -> usize {
        match self.joins {
            Joins::Held => shared_table_bytes(self.partitions, limit_bytes),
            // Such a table does not spill.
            Joins::Partitioned | Joins::Sorted => self.grants.little_bytes / 2,
        }
    }

    /// A context of `engine`, which is that of [`Settings::engine`], with these settings.
    pub(super) fn context(self, engine: &Engine) -> SessionContext {
        let mut config = SessionConfig::new()
            .with_target_partitions(self.partitions)
            .with_batch_size(self.batch_rows)
            .with_sort_spill_reservation_bytes(self.sort_merge_bytes)
            .with_spill_compression(SpillCompression::Lz4Frame);
        let options = config.options_mut();
        options.optimizer.prefer_hash_join = self.joins != Joins::Sorted;
        let shared_bytes = self.shared_table_bytes(engine.limit_bytes());
        options.optimizer.hash_join_single_partition_threshold = shared_bytes;
        options.optimizer.hash_join_single_partition_threshold_rows =
            shared_bytes / SHARED_ROW_BYTES;
        options.execution.perfect_hash_join_small_build_threshold =
            DIRECT_KEYS.min(engine.limit_bytes() / SHARED_TABLE_SHARE / DIRECT_KEY_BYTES);
        SessionContext::new_with_config_rt(config, Arc::clone(engine.runtime()))
    }
}

/// Bytes of a side of a join that one of `partitions` makes a table of for all of them.
fn shared_table_bytes(partitions: usize, limit_bytes: usize) -> usize {
    (SHARED_TABLE_BYTES / partitions).min(limit_bytes / SHARED_TABLE_SHARE)
}

/// Bytes of which no operator is refused, of an engine of `limit_bytes`.
fn little_bytes(limit_bytes: usize) -> usize {
    (limit_bytes / LITTLE_SHARE).max(LITTLE_BYTES.min(limit_bytes / LITTLE_SHARE_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::engine;

    #[test]
    fn joins_are_partitioned_and_then_sorted() {
        let engine = engine(1, 64 << 20);
        let tight = Settings::ample(&engine, 0).tighter(&engine).unwrap();
        assert_eq!((tight.partitions, tight.batch_rows), (2, BATCH_ROWS_TIGHT));
        assert_eq!(tight.joins(), Joins::Partitioned);
        let tighter = tight.tighter(&engine).unwrap();
        assert_eq!(tighter, Settings { joins: Joins::Sorted, ..tight });
        assert_eq!(tighter.tighter(&engine), None);
    }

    #[test]
    fn the_larger_the_machine_the_smaller_are_tables_that_one_partition_makes() {
        assert_eq!(shared_table_bytes(2, 1 << 40), 64 << 20);
        assert_eq!(shared_table_bytes(64, 1 << 40), 2 << 20);
        assert_eq!(shared_table_bytes(2, 64 << 20), 4 << 20);
    }

    #[test]
    fn little_is_a_few_batches_and_no_large_part() {
        assert_eq!(little_bytes(16 << 20), 1 << 20);
        assert_eq!(little_bytes(128 << 20), 4 << 20);
        assert_eq!(little_bytes(1 << 30), 8 << 20);
    }
}
