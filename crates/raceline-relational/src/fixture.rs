//! What the tests of this crate share: engines, ports, collected output.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use async_trait::async_trait;
use futures::{StreamExt, stream};
use raceline_exec::{Emit, PortStream, Region, SpillOptions, SpillStore};
use raceline_types::{Batch, Failure};

use crate::engine::{Engine, EngineOptions};

/// Keeps what is emitted.
#[derive(Default)]
pub(crate) struct Collected(pub(crate) Vec<Batch>);

#[async_trait]
impl Emit for Collected {
    async fn emit(&mut self, batch: Batch) -> Result<(), Failure> {
        self.0.push(batch);
        Ok(())
    }
}

impl Collected {
    /// All rows as one batch.
    pub(crate) fn rows(&self) -> RecordBatch {
        let batches: Vec<_> = self.0.iter().map(|batch| batch.data.clone()).collect();
        concat_batches(&batches[0].schema(), &batches).unwrap()
    }
}

pub(crate) fn engine(partitions: usize, memory_bytes: usize) -> Arc<Engine> {
    engine_with(memory_bytes, partitions, SpillStore::new(SpillOptions::default()))
}

/// An engine that spills to `spill`.
pub(crate) fn engine_with(
    memory_bytes: usize,
    partitions: usize,
    spill: Arc<SpillStore>,
) -> Arc<Engine> {
    Engine::new(EngineOptions { memory_bytes, partitions, spill }).unwrap()
}

pub(crate) fn port(batches: Vec<RecordBatch>) -> PortStream {
    let batches = batches.into_iter().map(|data| Ok(Batch::without_origin(data)));
    stream::iter(batches.collect::<Vec<_>>()).boxed()
}

/// Runs `work` on a runtime of two threads.
pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.unwrap().block_on(work)
}

/// What `region` emits for `batches`.
pub(crate) fn run(region: &dyn Region, batches: Vec<RecordBatch>) -> Result<Collected, Failure> {
    let mut out = Collected::default();
    block_on(region.run(vec![port(batches)], &mut out))?;
    Ok(out)
}
