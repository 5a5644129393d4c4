//! The relational engine of a session: memory, spill files, stores.

use std::fmt;
use std::sync::Arc;

use datafusion::common::config::SpillCompression;
use datafusion::execution::TaskContext;
use datafusion::execution::config::SessionConfig;
use datafusion::execution::context::SessionContext;
use datafusion::execution::disk_manager::DiskManagerBuilder;
use datafusion::execution::memory_pool::{MemoryPool, UnboundedMemoryPool};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use object_store::ObjectStore;
use raceline_exec::{SpillStore, StageAccounts};
use raceline_types::{Failure, LOOKAHEAD_BYTES};
use url::Url;

use crate::cut::PieceSize;
use crate::error::{RelationalError, failure};
use crate::grants::{GrantingPool, Grants};
use crate::lease::Lease;
use crate::pool::{OverdraftPool, StagePool};
use crate::run_pool::RunPool;
use crate::spill::SpillFactory;

/// Part of its memory that `DataFusion` may reserve, in percent. The rest covers batches in
/// flight, which it does not track.
const RESERVABLE_PERCENT: usize = 85;

/// Target bytes of a batch inside `DataFusion`, when memory is ample.
const BATCH_BYTES: usize = 4 << 20;

/// Least target bytes of a batch.
const BATCH_BYTES_MIN: usize = 32 << 10;

/// Batches that one of the plans that run side by side can hold at least.
const BATCHES_HELD: usize = 16;

/// Most rows of a batch inside `DataFusion`.
const BATCH_ROWS_MAX: usize = 32_768;

/// Bytes that a sort keeps back for merging what it spilled, when memory is ample.
const SORT_MERGE_BYTES: usize = 10 << 20;

/// How large the engine is.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// Memory of all relational work together, in bytes.
    pub memory_bytes: usize,
    /// How wide one sort or aggregate runs.
    pub partitions: usize,
    /// Where what does not fit is spilled.
    pub spill: Arc<SpillStore>,
}

/// `DataFusion`'s runtime of one session: a memory pool of a fixed size, the session's spill files,
/// and the stores that paths lead to.
///
/// All work of one engine shares its memory. Sorts and aggregates spill to disk when their share
/// is used up.
pub struct Engine {
    runtime: Arc<RuntimeEnv>,
    pool: Arc<OverdraftPool>,
    limit_bytes: usize,
    partitions: usize,
    sort_merge_bytes: usize,
    share_bytes: usize,
    leased: Arc<RuntimeEnv>,
    spill: Arc<SpillStore>,
}

impl Engine {
    /// An engine. Touches no disk.
    ///
    /// # Errors
    /// [`RelationalError::Options`] when there are no partitions or no memory.
    pub fn new(options: EngineOptions) -> Result<Arc<Self>, Failure> {
        let EngineOptions { memory_bytes, partitions, spill } = options;
        if memory_bytes == 0 || partitions == 0 {
            return Err(RelationalError::Options { memory_bytes, partitions }.into());
        }
        let limit_bytes = memory_bytes / 100 * RESERVABLE_PERCENT;
        let pool = Arc::new(OverdraftPool::new(limit_bytes));
        let files = Arc::new(SpillFactory::new(Arc::clone(&spill)));
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::clone(&pool) as _)
            .with_disk_manager_builder(DiskManagerBuilder::default().with_temp_file_factory(files))
            .build_arc()
            .map_err(failure)?;
        let sort_merge_bytes = SORT_MERGE_BYTES.min(limit_bytes / (8 * partitions));
        let leased = RuntimeEnvBuilder::from_runtime_env(&runtime)
            .with_memory_pool(Arc::new(UnboundedMemoryPool::default()))
            .build_arc()
            .map_err(failure)?;
        Ok(Arc::new(Self {
            runtime,
            pool,
            limit_bytes,
            partitions,
            sort_merge_bytes,
            share_bytes: limit_bytes / 2,
            leased,
            spill,
        }))
    }

    /// Makes `store` answer for locations below `url` (scheme and host, as in
    /// [`raceline_plan::FileSplit::store_url`]). A store that was there is replaced.
    pub fn register_store(&self, url: &Url, store: Arc<dyn ObjectStore>) {
        self.runtime.register_object_store(url, store);
    }

    /// Most bytes that repartitioning ever took beyond the pool's size.
    #[must_use]
    pub fn overdraft_bytes_peak(&self) -> usize {
        self.pool.overdraft_bytes_peak()
    }

    /// Bytes of the pool that are taken now.
    #[must_use]
    pub fn reserved_bytes(&self) -> u64 {
        self.pool.reserved() as u64
    }

    /// Bytes that were taken beyond the pool's size and not given back.
    #[must_use]
    pub fn debt_bytes(&self) -> u64 {
        self.pool.debt_bytes() as u64
    }

    /// The engine as one stage uses it: what its plans reserve counts in the stage's account.
    pub(crate) fn for_stage(&self, accounts: &StageAccounts) -> Result<Arc<Self>, Failure> {
        self.on_pool(Arc::new(StagePool::new(Arc::clone(&self.pool), accounts.reserved.clone())))
    }

    /// The engine with `grants` to what cannot spill.
    pub(crate) fn granting(&self, grants: Grants) -> Result<Arc<Self>, Failure> {
        let pool = Arc::clone(&self.runtime.memory_pool);
        self.on_pool(Arc::new(GrantingPool::new(pool, grants)))
    }

    /// The engine with `pool`, which stands before its own.
    fn on_pool(&self, pool: Arc<dyn MemoryPool>) -> Result<Arc<Self>, Failure> {
        let runtime = RuntimeEnvBuilder::from_runtime_env(&self.runtime)
            .with_memory_pool(pool)
            .build_arc()
            .map_err(failure)?;
        Ok(Arc::new(Self {
            runtime,
            pool: Arc::clone(&self.pool),
            limit_bytes: self.limit_bytes,
            partitions: self.partitions,
            sort_merge_bytes: self.sort_merge_bytes,
            share_bytes: self.share_bytes,
            leased: Arc::clone(&self.leased),
            spill: Arc::clone(&self.spill),
        }))
    }

    /// A context whose batches hold rows of `row_bytes` each.
    pub(crate) fn context(&self, row_bytes: usize) -> SessionContext {
        let config = SessionConfig::new()
            .with_target_partitions(self.partitions)
            .with_batch_size(self.batch_rows(row_bytes))
            .with_sort_spill_reservation_bytes(self.sort_merge_bytes)
            .with_spill_compression(SpillCompression::Lz4Frame);
        SessionContext::new_with_config_rt(config, Arc::clone(&self.runtime))
    }

    /// How wide one plan runs.
    pub(crate) fn partitions(&self) -> usize {
        self.partitions
    }

    /// Bytes that all plans together may reserve.
    pub(crate) fn limit_bytes(&self) -> usize {
        self.limit_bytes
    }

    /// Bytes that a sort keeps back for merging what it spilled.
    pub(crate) fn sort_merge_bytes(&self) -> usize {
        self.sort_merge_bytes
    }

    /// Bytes of an input that are held back to know the types of its columns.
    pub(crate) fn lookahead_bytes(&self) -> usize {
        LOOKAHEAD_BYTES.min(self.limit_bytes / 8)
    }

    /// What a single plan runs in, with batches of `batch_rows` rows.
    pub(crate) fn task_context(&self, batch_rows: usize) -> Arc<TaskContext> {
        self.context_of(&self.runtime, batch_rows)
    }

    /// As [`Engine::task_context`], for a plan whose memory a [`Lease`] covers.
    pub(crate) fn leased_context(&self, batch_rows: usize) -> Arc<TaskContext> {
        self.context_of(&self.leased, batch_rows)
    }

    fn context_of(&self, runtime: &Arc<RuntimeEnv>, batch_rows: usize) -> Arc<TaskContext> {
        let config = SessionConfig::new()
            .with_target_partitions(1)
            .with_batch_size(batch_rows)
            .with_sort_spill_reservation_bytes(self.sort_merge_bytes)
            .with_spill_compression(SpillCompression::Lz4Frame);
        let context = TaskContext::default();
        Arc::new(context.with_session_config(config).with_runtime(Arc::clone(runtime)))
    }

    /// Rows of a batch whose rows weigh `row_bytes`.
    pub(crate) fn batch_rows(&self, row_bytes: usize) -> usize {
        (self.batch_bytes() / row_bytes.max(1)).clamp(1, BATCH_ROWS_MAX)
    }

    fn batch_bytes(&self) -> usize {
        let held = self.limit_bytes / (BATCHES_HELD * self.partitions);
        held.clamp(BATCH_BYTES_MIN, BATCH_BYTES)
    }

    /// How large batches may be that are sorted.
    pub(crate) fn piece_size(&self) -> PieceSize {
        // `DataFusion` reserves twice what a batch weighs, and merges two of them at least.
        let held_bytes = self.limit_bytes / self.partitions - self.sort_merge_bytes;
        let row_bytes_max = (held_bytes / 4).max(1);
        PieceSize { bytes_max: self.batch_bytes(), row_bytes_max }
    }

    /// Memory that one region takes for itself; nothing yet.
    pub(crate) fn lease(&self, name: &str) -> Lease {
        Lease::new(name, &self.runtime.memory_pool, self.share_bytes)
    }

    /// The account of one of `tables` tables of a region, which is ended when its share is used up.
    pub(crate) fn run_pool(&self, tables: usize) -> Arc<RunPool> {
        RunPool::new(Arc::clone(&self.runtime.memory_pool), self.share_bytes / tables)
    }

    /// As [`Engine::task_context`], on another account.
    pub(crate) fn run_context(
        &self,
        account: Arc<RunPool>,
        batch_rows: usize,
    ) -> Result<Arc<TaskContext>, Failure> {
        let runtime = RuntimeEnvBuilder::from_runtime_env(&self.runtime)
            .with_memory_pool(account)
            .build_arc()
            .map_err(failure)?;
        Ok(self.context_of(&runtime, batch_rows))
    }

    /// The same, whose regions take at most `share_bytes` each.
    #[cfg(test)]
    pub(crate) fn with_share_bytes(self: Arc<Self>, share_bytes: usize) -> Arc<Self> {
        let engine = Arc::into_inner(self).expect("nobody else has it");
        Arc::new(Self { share_bytes, ..engine })
    }

    /// Where what does not fit is spilled.
    #[must_use]
    pub fn spill(&self) -> &Arc<SpillStore> {
        &self.spill
    }

    /// The runtime environment.
    pub(crate) fn runtime(&self) -> &Arc<RuntimeEnv> {
        &self.runtime
    }

    /// The registered store of a split, by its url.
    pub(crate) fn store(
        &self,
        store_url: &str,
    ) -> Result<(ObjectStoreUrl, Arc<dyn ObjectStore>), Failure> {
        let url = ObjectStoreUrl::parse(store_url).map_err(failure)?;
        let store = self.runtime.object_store(&url).map_err(failure)?;
        Ok((url, store))
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pool, partitions, .. } = self;
        f.debug_struct("Engine")
            .field("pool", pool)
            .field("partitions", partitions)
            .finish_non_exhaustive()
    }
}
