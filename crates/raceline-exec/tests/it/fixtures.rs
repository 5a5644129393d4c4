//! Sources, operators and regions that tests put together.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use arrow::array::{AsArray, Float64Array, Int64Array};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use raceline_exec::{
    BatchShape, Emit, Execution, ExecutionOptions, Graph, Machine, MachineOptions, NodeId,
    Operator, PoolShape, PortStream, Region, Source, SplitReader, execute,
};
use raceline_types::{Batch, Diagnostic, ErrorKind, Failure, Resources, Span, Split, SplitId};

/// A machine with that many CPUs and a GPU.
pub(crate) fn machine(cpus: f64) -> Arc<Machine> {
    Machine::new(MachineOptions {
        resources: Resources::new(cpus, 1.0, 0).unwrap(),
        queue_bytes: 64 << 20,
        compute_threads: 2,
        io_threads: 1,
    })
    .unwrap()
}

pub(crate) fn ids(first: i64, rows: i64) -> RecordBatch {
    let schema = Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, false)]));
    let ids = Arc::new(Int64Array::from_iter_values(first..first + rows));
    RecordBatch::try_new(schema, vec![ids]).unwrap()
}

pub(crate) fn values(batch: &Batch) -> Vec<i64> {
    batch.data.column(0).as_primitive::<Int64Type>().values().to_vec()
}

/// `splits` splits of `batches` batches of `rows` rows; ids count through.
#[derive(Clone, Debug)]
pub(crate) struct Counting {
    pub(crate) splits: u64,
    pub(crate) batches: i64,
    pub(crate) rows: i64,
    pub(crate) read: Arc<AtomicUsize>,
    pub(crate) listing_fails: bool,
}

impl Counting {
    pub(crate) fn new(splits: u64, batches: i64, rows: i64) -> Self {
        Self { splits, batches, rows, read: Arc::default(), listing_fails: false }
    }

    pub(crate) fn all(&self) -> Vec<i64> {
        (0..i64::try_from(self.splits).unwrap() * self.batches * self.rows).collect()
    }
}

#[async_trait]
impl SplitReader for Counting {
    async fn read(&self, split: &Split, out: &mut dyn Emit) -> Result<(), Failure> {
        self.read.fetch_add(1, Ordering::SeqCst);
        let begin = i64::try_from(split.id.0).unwrap() * self.batches * self.rows;
        for batch in 0..self.batches {
            let first = batch * self.rows;
            let (first_row, rows) = (first.unsigned_abs(), self.rows.unsigned_abs());
            let span = Span { split: split.id, first_row, rows };
            out.emit(Batch::new(ids(begin + first, self.rows), vec![span])).await?;
        }
        Ok(())
    }
}

impl Source for Counting {
    fn name(&self) -> Arc<str> {
        "Counting".into()
    }

    fn splits(&self) -> BoxStream<'static, Result<Split, Failure>> {
        let split = |id| Split {
            id: SplitId(id),
            label: "counting".into(),
            rows: None,
            estimated_bytes: None,
            payload: Arc::new(()),
        };
        let failure = self.listing_fails.then(|| Err(Broken("listing").into()));
        stream::iter((0..self.splits).map(move |id| Ok(split(id))).chain(failure)).boxed()
    }
}

/// A failure of a test's own.
#[derive(Debug, thiserror::Error)]
#[error("the {0} broke")]
pub(crate) struct Broken(pub(crate) &'static str);

impl Diagnostic for Broken {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Source
    }
}

/// What an [`Each`] does with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Does {
    /// Hands it on, after a moment that differs from batch to batch.
    Jitter,
    /// Hands it on at once.
    Pass,
    /// Hands on no rows.
    Nothing,
    /// Hands on the batch this many times.
    Repeat(usize),
    /// Fails at the row.
    FailAt(i64),
    /// Panics at the row.
    PanicAt(i64),
    /// Never ends.
    Hang,
    /// Fails to open.
    FailOpen,
}

/// An operator that remembers how it was used.
#[derive(Debug)]
pub(crate) struct Each {
    pub(crate) does: Does,
    pub(crate) shape: BatchShape,
    pub(crate) cost: fn(i64) -> Option<f64>,
    pub(crate) pool: PoolShape,
    pub(crate) opened: AtomicUsize,
    pub(crate) closed: AtomicUsize,
    pub(crate) running: AtomicUsize,
    pub(crate) running_most: AtomicUsize,
    pub(crate) run_after_close: AtomicBool,
    pub(crate) units: std::sync::Mutex<Vec<usize>>,
    pub(crate) workers_max: AtomicUsize,
}

impl Each {
    pub(crate) fn new(does: Does) -> Self {
        Self {
            does,
            shape: BatchShape::AsIs,
            cost: |_| Some(0.0),
            pool: PoolShape::inline(),
            opened: AtomicUsize::new(0),
            closed: AtomicUsize::new(0),
            running: AtomicUsize::new(0),
            running_most: AtomicUsize::new(0),
            run_after_close: AtomicBool::new(false),
            units: std::sync::Mutex::default(),
            workers_max: AtomicUsize::new(0),
        }
    }

    pub(crate) fn cut(self, shape: BatchShape) -> Self {
        Self { shape, ..self }
    }

    pub(crate) fn costing(self, cost: fn(i64) -> Option<f64>) -> Self {
        Self { cost, ..self }
    }

    pub(crate) fn pooled(self, pool: PoolShape) -> Self {
        Self { pool, ..self }
    }

    pub(crate) fn closed(&self) -> usize {
        self.closed.load(Ordering::SeqCst)
    }

    async fn act(&self, input: Batch, out: &mut dyn Emit) -> Result<(), Failure> {
        let rows = if input.rows() > 0 { values(&input) } else { Vec::new() };
        match self.does {
            Does::Jitter => {
                let wait = rows.first().map_or(0, |first| first.unsigned_abs() * 7919 % 3);
                tokio::time::sleep(Duration::from_millis(wait)).await;
                out.emit(input).await
            }
            Does::Nothing => out.emit(input.slice(0, 0)).await,
            Does::Repeat(times) => {
                for _ in 0..times {
                    out.emit(input.clone()).await?;
                }
                Ok(())
            }
            Does::FailAt(row) if rows.contains(&row) => Err(Broken("operator").into()),
            Does::PanicAt(row) if rows.contains(&row) => panic!("row {row} is bad"),
            Does::Hang => std::future::pending().await,
            _ => out.emit(input).await,
        }
    }
}

/// Counts a run down, however it ends.
struct Running<'a>(&'a AtomicUsize);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Operator for Each {
    fn name(&self) -> Arc<str> {
        "Each".into()
    }

    fn pool(&self) -> PoolShape {
        self.pool.clone()
    }

    fn input(&self) -> BatchShape {
        self.shape
    }

    fn row_costs(&self, input: &Batch) -> Result<Float64Array, Failure> {
        Ok(values(input).into_iter().map(self.cost).collect())
    }

    fn limit_workers(&self, workers_max: usize) {
        self.workers_max.store(workers_max, Ordering::SeqCst);
    }

    async fn open(&self) -> Result<(), Failure> {
        self.opened.fetch_add(1, Ordering::SeqCst);
        if self.does == Does::FailOpen { Err(Broken("opening").into()) } else { Ok(()) }
    }

    async fn run(&self, input: Batch, out: &mut dyn Emit) -> Result<(), Failure> {
        if self.closed() > 0 {
            self.run_after_close.store(true, Ordering::SeqCst);
        }
        let now = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        let _running = Running(&self.running);
        self.running_most.fetch_max(now, Ordering::SeqCst);
        self.units.lock().unwrap().push(input.rows());
        self.act(input, out).await
    }

    async fn close(&self) {
        assert_eq!(self.running.load(Ordering::SeqCst), 0, "closed while it runs");
        self.closed.fetch_add(1, Ordering::SeqCst);
    }
}

/// All ports one after the other.
#[derive(Debug)]
pub(crate) struct Union;

#[async_trait]
impl Region for Union {
    fn name(&self) -> Arc<str> {
        "Union".into()
    }

    async fn run(&self, ports: Vec<PortStream>, out: &mut dyn Emit) -> Result<(), Failure> {
        for mut port in ports {
            while let Some(batch) = port.next().await {
                out.emit(batch?).await?;
            }
        }
        Ok(())
    }
}

/// Takes all of its input and remembers whether it came to the end.
#[derive(Debug, Default)]
pub(crate) struct Sink {
    pub(crate) complete: AtomicBool,
}

#[async_trait]
impl Region for Sink {
    fn name(&self) -> Arc<str> {
        "Sink".into()
    }

    async fn run(&self, mut ports: Vec<PortStream>, _out: &mut dyn Emit) -> Result<(), Failure> {
        while let Some(batch) = ports[0].next().await {
            drop(batch?);
        }
        self.complete.store(true, Ordering::SeqCst);
        Ok(())
    }
}

/// The first rows.
#[derive(Debug)]
pub(crate) struct Limit(pub(crate) usize);

#[async_trait]
impl Region for Limit {
    fn name(&self) -> Arc<str> {
        "Limit".into()
    }

    async fn run(&self, mut ports: Vec<PortStream>, out: &mut dyn Emit) -> Result<(), Failure> {
        let mut missing = self.0;
        let mut port = ports.remove(0);
        while missing > 0 {
            let Some(batch) = port.next().await else { break };
            let batch = batch?;
            let rows = batch.rows().min(missing);
            missing -= rows;
            out.emit(batch.slice(0, rows)).await?;
        }
        Ok(())
    }
}

pub(crate) fn start(machine: &Arc<Machine>, graph: Graph, root: NodeId) -> Execution {
    execute(machine, graph, root, &ExecutionOptions::default()).unwrap()
}

/// Everything that comes out, and the failure that ended it.
pub(crate) async fn drain(execution: &mut Execution) -> (Vec<i64>, Option<Failure>) {
    let mut all = Vec::new();
    let drained = async {
        while let Some(batch) = execution.next().await {
            match batch {
                Ok(batch) if batch.rows() == 0 => {}
                Ok(batch) => all.extend(values(&batch)),
                Err(failure) => return Some(failure),
            }
        }
        None
    };
    let failure = tokio::time::timeout(Duration::from_secs(30), drained).await;
    let failure = failure.expect("the execution stalled");
    assert!(execution.next().await.is_none(), "nothing comes after the end");
    (all, failure)
}
