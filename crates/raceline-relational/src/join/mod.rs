//! Joins of two inputs by equal keys.
//!
//! The input that ends first is held and looked up in, the other one streams past it. When
//! neither ends within its share of the memory, both are partitioned on disk.

mod gather;
mod hash;
mod key;
mod layout;
mod layout_pair;
mod merge;
mod pair;
mod tight;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;
use raceline_exec::{Emit, PortStream, Region};
use raceline_plan::JoinSpec;
use raceline_types::{Batch, Failure, InternalError};

pub(crate) use self::gather::lookup_bytes;
use self::gather::{Input, gather};
use self::layout::Layout;
pub(crate) use self::pair::{PairJoin, Side};
pub(crate) use self::tight::Tight;
use crate::engine::Engine;
use crate::error::failure;
use crate::port::OpenPort;

/// Bytes of each input that are held back to know the types of its columns.
const LOOKAHEAD_BYTES: usize = 1 << 20;

/// Joins its two inputs, the left one first, by equal keys.
///
/// Null and NaN keys equal none. Keys may differ in width (int32 and int64, decimals, units of
/// time), not in kind. The output has the columns of the left side, then those of the right but
/// its keys; a key has the name of the left side and the value of the side that has the row. A
/// semi or anti join has the columns of its side. Rows come in any order, every field is nullable,
/// and there is no origin.
#[derive(Debug)]
pub struct JoinRegion {
    engine: Arc<Engine>,
    spec: Arc<JoinSpec>,
}

impl JoinRegion {
    /// A join. Columns are looked up when the first batches show the schemas.
    #[must_use]
    pub fn new(engine: Arc<Engine>, spec: Arc<JoinSpec>) -> Self {
        Self { engine, spec }
    }

    /// Schema of the output for inputs of these schemas.
    ///
    /// # Errors
    /// [`crate::RelationalError::ColumnNotFound`], [`crate::RelationalError::JoinKeys`],
    /// [`crate::RelationalError::JoinColumn`] or [`crate::RelationalError::Objects`].
    pub fn output_schema(
        left: &SchemaRef,
        right: &SchemaRef,
        spec: &JoinSpec,
    ) -> Result<SchemaRef, Failure> {
        Ok(Layout::new(left, right, spec)?.output)
    }

    /// Both ports, opened; `None` when neither has a batch.
    async fn open(&self, ports: Vec<PortStream>) -> Result<Option<[OpenPort; 2]>, Failure> {
        let two: Result<[PortStream; 2], _> = ports.try_into();
        let [left, right] = two.map_err(|_| InternalError::new("a join has two inputs"))?;
        let lookahead_bytes = self.engine.lookahead_bytes().min(LOOKAHEAD_BYTES);
        let (left, right) = tokio::try_join!(
            OpenPort::open(left, None, lookahead_bytes),
            OpenPort::open(right, None, lookahead_bytes)
        )?;
        if left.is_none() && right.is_none() {
            return Ok(None);
        }
        // An input of which nothing is known has the keys.
        let nothing = |names: Vec<&String>| {
            let fields = names.into_iter().map(|name| Field::new(name, DataType::Null, true));
            OpenPort::empty(Arc::new(Schema::new(fields.collect::<Vec<_>>())))
        };
        let keys = &self.spec.keys;
        let left = left.unwrap_or_else(|| nothing(keys.iter().map(|(left, _)| left).collect()));
        let right = right.unwrap_or_else(|| nothing(keys.iter().map(|(_, right)| right).collect()));
        Ok(Some([left, right]))
    }

    /// Rows of the wanted columns.
    async fn join(
        &self,
        engine: &Arc<Engine>,
        ports: [OpenPort; 2],
        layout: &Arc<Layout>,
    ) -> Result<SendableRecordBatchStream, Failure> {
        let batch_rows = engine.batch_rows(ports.iter().map(|port| port.row_bytes).sum());
        let [left, right] = ports;
        let mut left = Input::new(left, layout, Side::Left);
        let mut right = Input::new(right, layout, Side::Right);
        let mut lease = engine.lease("join");
        match gather(&mut left, &mut right, &mut lease).await? {
            Some(Side::Left) => hash::join(engine, layout, [left, right], batch_rows, lease),
            Some(Side::Right) => hash::join(engine, layout, [right, left], batch_rows, lease),
            None => {
                // Half as much more, so that fewer partitions are partitioned again.
                lease.resize(lease.share_bytes() / 2 * 3);
                let width = engine.partitions();
                let (engine, join) = (Arc::clone(engine), Arc::clone(layout) as _);
                let tight = Arc::new(Tight { engine, join, name: self.name(), batch_rows });
                tight.join([left.batches(), right.batches()], width, lease).await
            }
        }
    }
}

#[async_trait]
impl Region for JoinRegion {
    fn name(&self) -> Arc<str> {
        self.spec.to_string().into()
    }

    async fn run(&self, ports: Vec<PortStream>, out: &mut dyn Emit) -> Result<(), Failure> {
        let Some(ports) = self.open(ports).await? else { return Ok(()) };
        let layout = Layout::new(&ports[0].schema, &ports[1].schema, &self.spec)?;
        let layout = Arc::new(layout);
        // The schema goes on even when no row does.
        out.emit(Batch::without_origin(RecordBatch::new_empty(Arc::clone(&layout.output)))).await?;
        let accounts = out.accounts();
        let engine = self.engine.for_stage(&accounts)?;
        let ports = ports.map(|port| port.counted(&accounts.held));
        let mut joined = Box::pin(self.join(&engine, ports, &layout)).await?;
        while let Some(batch) = joined.next().await {
            let batch = layout.finish(&batch.map_err(failure)?)?;
            if batch.num_rows() > 0 {
                out.emit(Batch::without_origin(batch)).await?;
            }
        }
        Ok(())
    }
}
