//! Batches that are read more than once: in memory as far as they fit, the rest on disk.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::config::SpillCompression;
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::spill_file::SpillFile;
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, SpillMetrics};
use datafusion::physical_plan::spill::SpillManager;
use futures::stream::{self, BoxStream, StreamExt};
use raceline_types::{Failure, batch_sliced_bytes};

use crate::engine::Engine;
use crate::error::failure;

/// Batches of one schema, in order. Its memory and its file go with it.
pub(super) struct Spool {
    held: Vec<RecordBatch>,
    _reservation: MemoryReservation,
    rest: Option<(SpillManager, Arc<dyn SpillFile>)>,
}

impl Spool {
    /// Reads all of `batches`, which have `schema`; holds at most `bytes_max` bytes of them, and
    /// no more than the engine grants.
    ///
    /// # Errors
    /// That of `batches`, and [`crate::RelationalError::Spill`].
    pub(super) async fn gather(
        engine: &Engine,
        schema: SchemaRef,
        mut batches: BoxStream<'static, Result<RecordBatch, Failure>>,
        bytes_max: usize,
    ) -> Result<Self, Failure> {
        let runtime = engine.runtime();
        let reservation = MemoryConsumer::new("QueryInput").register(&runtime.memory_pool);
        let metrics = SpillMetrics::new(&ExecutionPlanMetricsSet::new(), 0);
        let manager = SpillManager::new(Arc::clone(runtime), metrics, schema)
            .with_compression_type(SpillCompression::Lz4Frame);
        let (mut held, mut file) = (Vec::new(), None);
        while let Some(batch) = batches.next().await {
            let batch = batch?;
            if batch.num_rows() == 0 {
                continue;
            }
            let bytes = batch_sliced_bytes(&batch);
            let fits = file.is_none()
                && reservation.size() + bytes <= bytes_max
                && reservation.try_grow(bytes).is_ok();
            if fits {
                held.push(batch);
                continue;
            }
            let open = match &mut file {
                Some(open) => open,
                None => {
                    file.insert(manager.create_in_progress_file("query input").map_err(failure)?)
                }
            };
            open.append_batch(&batch).map_err(failure)?;
        }
        let written = match file {
            Some(mut file) => file.finish().map_err(failure)?,
            None => None,
        };
        let rest = written.map(|file| (manager, file));
        Ok(Self { held, _reservation: reservation, rest })
    }

    /// All batches from the first.
    pub(super) fn batches(
        self: &Arc<Self>,
    ) -> BoxStream<'static, Result<RecordBatch, DataFusionError>> {
        let spool = Arc::clone(self);
        let held = stream::iter(0..self.held.len()).map(move |at| Ok(spool.held[at].clone()));
        let rest = match &self.rest {
            None => stream::empty().boxed(),
            Some((manager, file)) => match manager.read_spill_as_stream(Arc::clone(file), None) {
                Ok(rest) => rest.boxed(),
                Err(error) => stream::iter([Err(error)]).boxed(),
            },
        };
        held.chain(rest).boxed()
    }
}
