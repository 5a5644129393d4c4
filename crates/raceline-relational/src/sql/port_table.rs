//! An input port of a region as a table of a query.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::TableType;
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use raceline_exec::PortStream;
use raceline_types::{Failure, batch_sliced_bytes, conform};

use super::spool::Spool;
use super::statement::unexpected;
use crate::engine::Engine;
use crate::error::carry;
use crate::port::OpenPort;

/// A table whose rows come from an input port.
///
/// Its columns are known when the query is planned, or else found from the port's first batches.
/// Only some of the columns may come: those that the plan reads.
pub struct PortTable {
    inner: Arc<Inner>,
}

struct Inner {
    schema: OnceLock<SchemaRef>,
    /// Positions of the columns that come; all when it is not set.
    columns: OnceLock<Vec<usize>>,
    content: Mutex<Content>,
}

/// Where the rows are.
enum Content {
    /// Nowhere yet, or already read.
    Nowhere,
    /// On their way.
    Coming(BoxStream<'static, Result<RecordBatch, Failure>>),
    /// Kept, to be read any number of times.
    Kept(Arc<Spool>),
}

impl PortTable {
    /// A port with the columns of `schema`; `None` where they are not known before rows come.
    #[must_use]
    pub fn new(schema: Option<SchemaRef>) -> Self {
        let known = OnceLock::new();
        if let Some(schema) = schema {
            known.get_or_init(|| schema);
        }
        let content = Mutex::new(Content::Nowhere);
        Self { inner: Arc::new(Inner { schema: known, columns: OnceLock::new(), content }) }
    }

    /// Another port with the columns that are known of this one.
    pub(super) fn anew(&self) -> Self {
        Self::new(self.inner.schema.get().cloned())
    }

    /// Whether the columns are known.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.inner.schema.get().is_some()
    }

    /// Whether it is known to have no columns, as of an input that ended without a batch.
    pub(super) fn has_no_columns(&self) -> bool {
        self.inner.schema.get().is_some_and(|schema| schema.fields().is_empty())
    }

    /// Says that only the columns at `positions`, which ascend, will come.
    pub fn expect_columns(&self, positions: Vec<usize>) {
        self.inner.columns.get_or_init(|| positions);
    }

    /// Takes the port's rows; mean bytes of a row of its first batches.
    ///
    /// # Errors
    /// The port's, and [`raceline_types::UniteError`].
    pub(super) async fn open(&self, port: PortStream, engine: &Engine) -> Result<usize, Failure> {
        let (batches, row_bytes) = if self.is_known() {
            let schema = self.inner.expected();
            let mut port = port.fuse();
            let first = port.next().await;
            let row_bytes = match &first {
                Some(Ok(batch)) => batch_sliced_bytes(&batch.data) / batch.data.num_rows().max(1),
                _ => 0,
            };
            let batches = stream::iter(first).chain(port);
            (batches.map(move |batch| conform(&batch?.data, &schema)).boxed(), row_bytes)
        } else if let Some(port) = OpenPort::open(port, None, engine.lookahead_bytes()).await? {
            let (schema, row_bytes) = (Arc::clone(&port.schema), port.row_bytes);
            self.inner.schema.get_or_init(|| schema);
            (port.batches(), row_bytes)
        } else {
            self.inner.schema.get_or_init(|| Arc::new(Schema::empty()));
            (stream::empty().boxed(), 0)
        };
        *self.inner.lock() = Content::Coming(batches);
        Ok(row_bytes)
    }

    /// Reads the whole port and keeps it, of that `bytes_max` in memory, so that it can be read
    /// any number of times.
    ///
    /// # Errors
    /// The port's, and [`crate::RelationalError::Spill`].
    pub(super) async fn keep(&self, engine: &Engine, bytes_max: usize) -> Result<(), Failure> {
        let taken = std::mem::replace(&mut *self.inner.lock(), Content::Nowhere);
        let kept = match taken {
            Content::Coming(batches) => {
                let schema = self.inner.expected();
                Content::Kept(Arc::new(Spool::gather(engine, schema, batches, bytes_max).await?))
            }
            other => other,
        };
        *self.inner.lock() = kept;
        Ok(())
    }

    /// Lets the port go: the plan does not read it.
    pub(super) fn close(&self) {
        *self.inner.lock() = Content::Nowhere;
    }
}

impl Inner {
    fn lock(&self) -> std::sync::MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn all(&self) -> SchemaRef {
        self.schema.get().map_or_else(|| Arc::new(Schema::empty()), Arc::clone)
    }

    /// The columns that come.
    fn expected(&self) -> SchemaRef {
        let all = self.all();
        let Some(positions) = self.columns.get() else { return all };
        let fields = positions.iter().map(|&at| Arc::clone(&all.fields()[at]));
        Arc::new(Schema::new_with_metadata(fields.collect::<Vec<_>>(), all.metadata().clone()))
    }
}

#[async_trait]
impl TableProvider for PortTable {
    fn schema(&self) -> SchemaRef {
        self.inner.all()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        let wanted: Vec<usize> = match projection {
            Some(positions) => positions.clone(),
            None => (0..self.inner.all().fields().len()).collect(),
        };
        let position = |at: usize| match self.inner.columns.get() {
            Some(columns) => columns.binary_search(&at).ok(),
            None => Some(at),
        };
        let positions: Option<Vec<usize>> = wanted.into_iter().map(position).collect();
        let positions =
            positions.ok_or_else(|| unexpected("a column is read that was not asked for"))?;
        let schema = self.inner.expected();
        let partition =
            PortPartition { schema: Arc::clone(&schema), inner: Arc::clone(&self.inner) };
        let scan = StreamingTableExec::try_new(
            schema,
            vec![Arc::new(partition)],
            Some(&positions),
            [],
            false,
            limit,
        );
        Ok(Arc::new(scan?))
    }
}

impl fmt::Debug for PortTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PortTable").field("schema", &self.inner.schema).finish_non_exhaustive()
    }
}

/// The one partition of a port.
struct PortPartition {
    schema: SchemaRef,
    inner: Arc<Inner>,
}

impl PartitionStream for PortPartition {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _ctx: Arc<TaskContext>) -> SendableRecordBatchStream {
        let mut content = self.inner.lock();
        let batches = match &*content {
            Content::Kept(spool) => spool.batches(),
            _ => match std::mem::replace(&mut *content, Content::Nowhere) {
                Content::Coming(batches) => batches.map(|batch| batch.map_err(carry)).boxed(),
                _ => stream::iter([Err(unexpected("an input was read twice"))]).boxed(),
            },
        };
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), batches))
    }
}

impl fmt::Debug for PortPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PortPartition").field("schema", &self.schema).finish_non_exhaustive()
    }
}
