//! What a batch costs on its way, beside what is done with it: 10,000 batches of one row through
//! ten operators, against a plain loop over channels that does the same.
//!
//! `cargo run --release -p raceline-exec --example batch_overhead`

use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Int64Array, RecordBatch};
use async_trait::async_trait;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use raceline_exec::{
    BatchShape, Emit, ExecutionOptions, Graph, Machine, MachineOptions, Operator, PoolShape,
    Source, SplitReader, execute,
};
use raceline_types::{Batch, Failure, Resources, Span, Split, SplitId};
use tokio::sync::mpsc;

const BATCHES: i64 = 10_000;
const OPERATORS: usize = 10;
const SPLITS: u64 = 10;
/// Batches that a channel holds.
const CHANNEL: usize = 64;
/// The best of so many runs counts.
const RUNS: usize = 7;

fn one_row(id: i64) -> RecordBatch {
    let column = Arc::new(Int64Array::from_iter_values([id]));
    RecordBatch::try_from_iter([("id", column as _)]).expect("one column is a batch")
}

#[derive(Debug)]
struct Rows;

#[async_trait]
impl SplitReader for Rows {
    async fn read(&self, split: &Split, out: &mut dyn Emit) -> Result<(), Failure> {
        for row in 0..BATCHES / i64::try_from(SPLITS).expect("few") {
            let span = Span { split: split.id, first_row: row.unsigned_abs(), rows: 1 };
            out.emit(Batch::new(one_row(row), vec![span])).await?;
        }
        Ok(())
    }
}

impl Source for Rows {
    fn name(&self) -> Arc<str> {
        "Rows".into()
    }

    fn splits(&self) -> BoxStream<'static, Result<Split, Failure>> {
        let split = |id| Split {
            id: SplitId(id),
            label: "rows".into(),
            rows: None,
            estimated_bytes: None,
            payload: Arc::new(()),
        };
        stream::iter((0..SPLITS).map(move |id| Ok(split(id)))).boxed()
    }
}

#[derive(Debug)]
struct Pass;

#[async_trait]
impl Operator for Pass {
    fn name(&self) -> Arc<str> {
        "Pass".into()
    }

    fn pool(&self) -> PoolShape {
        PoolShape::inline()
    }

    fn input(&self) -> BatchShape {
        BatchShape::AsIs
    }

    async fn run(&self, input: Batch, out: &mut dyn Emit) -> Result<(), Failure> {
        out.emit(input).await
    }
}

/// Each operator a stage of its own, or all fused to the source.
fn graph(is_fused: bool) -> (Graph, raceline_exec::NodeId) {
    let pass = || Arc::new(Pass) as Arc<dyn Operator>;
    let mut graph = Graph::new();
    if is_fused {
        let root = graph.source(Arc::new(Rows), (0..OPERATORS).map(|_| pass()).collect());
        return (graph, root);
    }
    let mut root = graph.source(Arc::new(Rows), vec![]);
    for _ in 0..OPERATORS {
        root = graph.operator(root, pass(), vec![]);
    }
    (graph, root)
}

fn run_graph(machine: &Arc<Machine>, is_fused: bool) -> Duration {
    let began = Instant::now();
    let (graph, root) = graph(is_fused);
    let mut execution =
        execute(machine, graph, root, &ExecutionOptions::default()).expect("the graph is a tree");
    let rows = machine.io().block_on(async {
        let mut rows = 0;
        while let Some(batch) = execution.next().await {
            rows += batch.expect("nothing fails").rows();
        }
        rows
    });
    assert_eq!(rows, 10_000);
    began.elapsed()
}

/// Ten tasks, each with a channel before it.
fn run_channels(machine: &Arc<Machine>) -> Duration {
    let began = Instant::now();
    let (first, mut last) = mpsc::channel::<Batch>(CHANNEL);
    machine.compute().spawn(async move {
        for row in 0..BATCHES {
            let span = Span { split: SplitId(0), first_row: row.unsigned_abs(), rows: 1 };
            if first.send(Batch::new(one_row(row), vec![span])).await.is_err() {
                return;
            }
        }
    });
    for _ in 0..OPERATORS {
        let (send, receive) = mpsc::channel::<Batch>(CHANNEL);
        let mut input = std::mem::replace(&mut last, receive);
        machine.compute().spawn(async move {
            while let Some(batch) = input.recv().await {
                if send.send(batch).await.is_err() {
                    return;
                }
            }
        });
    }
    let rows = machine.io().block_on(async {
        let mut rows = 0;
        while let Some(batch) = last.recv().await {
            rows += batch.rows();
        }
        rows
    });
    assert_eq!(rows, 10_000);
    began.elapsed()
}

fn best(mut run: impl FnMut() -> Duration) -> Duration {
    (0..RUNS).map(|_| run()).min().expect("there are some runs")
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let machine = Machine::new(MachineOptions {
        resources: Resources::new(2.0, 0.0, 0)?,
        queue_bytes: 256 << 20,
        compute_threads: 2,
        io_threads: 1,
    })?;
    let channels = best(|| run_channels(&machine));
    let stages = best(|| run_graph(&machine, false));
    let fused = best(|| run_graph(&machine, true));
    let mut out = std::io::stdout();
    let per_batch = |time: Duration| {
        time.as_secs_f64() * 1e6 / f64::from(u16::try_from(BATCHES).unwrap_or(u16::MAX)) / 10.0
    };
    for (name, time) in [("channels", channels), ("ten stages", stages), ("ten fused", fused)] {
        writeln!(
            out,
            "{name:10} {:7.1} ms, {:5.2} us a batch and operator, ratio {:.2}",
            time.as_secs_f64() * 1e3,
            per_batch(time),
            time.as_secs_f64() / channels.as_secs_f64()
        )?;
    }
    Ok(())
}
