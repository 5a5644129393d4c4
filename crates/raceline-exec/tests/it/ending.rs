//! How executions end: failures, panics, cancellation, drops, and what is closed then.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::FutureExt as _;
use raceline_exec::{
    BatchShape, Emit, Execution, ExecutionOptions, Graph, Machine, Operator, PoolShape, PortStream,
    Region, StageState, Waited, WorkerShape, execute,
};
use raceline_types::{Batch, ErrorKind, Failure, Resources};

use crate::fixtures::{Broken, Counting, Does, Each, Sink, Union, drain, machine, start};

/// Source → `inline` (fused) → `staged`; both operators come back for inspection.
fn two_stages(machine: &Arc<Machine>, inline: Does, staged: Does) -> (Execution, [Arc<Each>; 2]) {
    let each = [inline, staged].map(|does| Arc::new(Each::new(does)));
    let mut graph = Graph::new();
    let fused = vec![Arc::clone(&each[0]) as Arc<_>];
    let read = graph.source(Arc::new(Counting::new(50, 4, 10)), fused);
    let root = graph.operator(read, Arc::clone(&each[1]) as Arc<_>, vec![]);
    (start(machine, graph, root), each)
}

fn check_closed_once(each: &[Arc<Each>]) {
    for operator in each {
        assert_eq!(operator.closed(), 1);
        assert!(!operator.run_after_close.load(Ordering::SeqCst));
    }
}

#[tokio::test]
async fn the_first_failure_ends_everything_and_names_its_stage() {
    let machine = machine(2.0);
    for (inline, staged) in [(Does::Jitter, Does::FailAt(777)), (Does::FailAt(777), Does::Jitter)] {
        let (mut execution, each) = two_stages(&machine, inline, staged);
        let (all, failure) = drain(&mut execution).await;
        let failure = failure.expect("the operator fails");
        assert_eq!(failure.to_string(), "the operator broke");
        assert_eq!(failure.place().stage.as_deref(), Some("Each"));
        assert_eq!(all, (0..i64::try_from(all.len()).unwrap()).collect::<Vec<i64>>());
        execution.close().await.unwrap();
        check_closed_once(&each);
    }
}

#[tokio::test]
async fn a_panic_is_an_internal_error() {
    let machine = machine(2.0);
    let (mut execution, each) = two_stages(&machine, Does::Pass, Does::PanicAt(100));
    let failure = drain(&mut execution).await.1.unwrap();
    assert_eq!(failure.kind(), ErrorKind::Internal);
    assert_eq!(failure.to_string(), "internal error: a panic: row 100 is bad");
    let snapshot = execution.snapshot();
    assert_eq!(snapshot.stages[1].state, StageState::Failed);
    execution.close().await.unwrap();
    check_closed_once(&each);
}

#[tokio::test]
async fn failures_of_opening_and_listing_end_it_too() {
    let machine = machine(2.0);
    let (mut execution, each) = two_stages(&machine, Does::Pass, Does::FailOpen);
    assert_eq!(drain(&mut execution).await.1.unwrap().to_string(), "the opening broke");
    execution.close().await.unwrap();
    check_closed_once(&each);

    let mut graph = Graph::new();
    let source = Counting { listing_fails: true, ..Counting::new(200, 1, 1) };
    let read = graph.source(Arc::new(source), vec![]);
    let failure = drain(&mut start(&machine, graph, read)).await.1.unwrap();
    assert_eq!(failure.to_string(), "the listing broke");
    assert_eq!(failure.place().stage.as_deref(), Some("Counting"));
}

#[test]
fn cancelling_ends_hanging_work_at_once() {
    let machine = machine(2.0);
    let (mut execution, each) = two_stages(&machine, Does::Pass, Does::Hang);
    assert!(matches!(execution.blocking_next(Duration::from_millis(30)), Waited::TimedOut));
    let handle = execution.handle();
    let began = Instant::now();
    handle.cancel();
    let Waited::Batch(Err(failure)) = execution.blocking_next(Duration::from_secs(5)) else {
        panic!("a cancelled execution fails")
    };
    assert_eq!(failure.kind(), ErrorKind::Cancelled);
    assert!(matches!(execution.blocking_next(Duration::from_secs(5)), Waited::Ended));
    execution.blocking_close().unwrap();
    assert!(began.elapsed() < Duration::from_secs(1));
    assert!(handle.snapshot().finished);
    check_closed_once(&each);
}

#[test]
fn dropping_closes_before_it_returns() {
    let machine = machine(2.0);
    for staged in [Does::Hang, Does::Jitter] {
        let (mut execution, each) = two_stages(&machine, Does::Pass, staged);
        let waited = execution.blocking_next(Duration::from_millis(20));
        assert!(!matches!(waited, Waited::Ended));
        drop(execution);
        check_closed_once(&each);
    }
    let (execution, each) = two_stages(&machine, Does::Hang, Does::Hang);
    drop(execution);
    check_closed_once(&each);
}

#[tokio::test]
async fn the_machine_outlives_its_last_handle_while_work_ends() {
    let (execution, each) = two_stages(&machine(2.0), Does::Pass, Does::Jitter);
    let handle = execution.handle();
    drop(execution);
    while !handle.snapshot().finished {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    check_closed_once(&each);
}

/// An operator that fails, and the region that it feeds, which has left by then.
#[derive(Debug, Default)]
struct Leaves {
    runs: AtomicBool,
    left: AtomicBool,
    closed: AtomicUsize,
}

#[async_trait]
impl Operator for Leaves {
    fn name(&self) -> Arc<str> {
        "Leaves".into()
    }

    fn pool(&self) -> PoolShape {
        PoolShape::inline()
    }

    fn input(&self) -> BatchShape {
        BatchShape::AsIs
    }

    async fn run(&self, _: Batch, _: &mut dyn Emit) -> Result<(), Failure> {
        self.runs.store(true, Ordering::SeqCst);
        tokio::task::block_in_place(|| {
            while !self.left.load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
        });
        Err(Broken("operator").into())
    }

    async fn close(&self) {
        self.closed.fetch_add(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Region for Leaves {
    fn name(&self) -> Arc<str> {
        "Leaves".into()
    }

    async fn run(&self, ports: Vec<PortStream>, _: &mut dyn Emit) -> Result<(), Failure> {
        while !self.runs.load(Ordering::SeqCst) {
            tokio::task::yield_now().await;
        }
        drop(ports);
        self.left.store(true, Ordering::SeqCst);
        Ok(())
    }
}

#[tokio::test]
async fn a_failure_that_nobody_needs_is_not_told() {
    let machine = machine(2.0);
    let left = Arc::new(Leaves::default());
    let mut graph = Graph::new();
    let read = graph.source(Arc::new(Counting::new(1, 1, 10)), vec![]);
    let failing = graph.operator(read, Arc::clone(&left) as Arc<_>, vec![]);
    let root = graph.region(vec![failing], Arc::clone(&left) as Arc<_>);
    let mut execution = start(&machine, graph, root);
    assert!(drain(&mut execution).await.1.is_none());
    execution.close().await.unwrap();
    assert_eq!(left.closed.load(Ordering::SeqCst), 1);
}

/// A sink commits when its input ends, so a failure upstream must never look like an end.
#[tokio::test]
async fn a_failed_input_never_looks_complete() {
    let machine = machine(2.0);
    for round in 0..200 {
        let sink = Arc::new(Sink::default());
        let mut graph = Graph::new();
        let read = graph.source(Arc::new(Counting::new(20, 2, 5)), vec![]);
        let failing = Arc::new(Each::new(Does::FailAt(round)));
        let mapped = graph.operator(read, failing, vec![]);
        let root = graph.region(vec![mapped], Arc::clone(&sink) as Arc<_>);
        let mut execution = start(&machine, graph, root);
        assert!(drain(&mut execution).await.1.is_some());
        execution.close().await.unwrap();
        assert!(!sink.complete.load(Ordering::SeqCst), "round {round}");
    }
}

#[tokio::test]
async fn next_is_cancel_safe() {
    let machine = machine(2.0);
    let (mut execution, _) = two_stages(&machine, Does::Jitter, Does::Jitter);
    let mut rows = 0;
    loop {
        match execution.next().now_or_never() {
            Some(Some(batch)) => rows += batch.unwrap().rows(),
            Some(None) => break,
            None => tokio::task::yield_now().await,
        }
    }
    assert_eq!(rows, 2_000);
}

#[tokio::test]
async fn the_snapshot_counts_what_happened() {
    let machine = machine(2.0);
    let (mut execution, _) = two_stages(&machine, Does::Repeat(2), Does::Jitter);
    drain(&mut execution).await;
    let snapshot = execution.snapshot();
    let [read, mapped] = &snapshot.stages[..] else { panic!("two stages") };
    assert_eq!(&*read.name, "Counting->Each");
    assert_eq!((read.input_rows, read.output_rows), (2_000, 4_000));
    assert_eq!((read.tasks_finished, read.tasks_total), (50, Some(50)));
    assert_eq!((mapped.input_rows, mapped.output_rows), (4_000, 4_000));
    assert_eq!((mapped.tasks_finished, mapped.tasks_total), (400, Some(400)));
    assert!(mapped.busy > Duration::ZERO && mapped.elapsed <= snapshot.elapsed);
    assert_eq!(snapshot.queued_bytes, 0);
    assert!(snapshot.queued_bytes_peak > 0);
}

fn refusal(graph: Graph, root: raceline_exec::NodeId) -> Failure {
    execute(&machine(2.0), graph, root, &ExecutionOptions::default()).expect_err("it is refused")
}

#[test]
fn what_can_never_run_is_refused_before_anything_starts() {
    let each = Arc::new(Each::new(Does::Pass).pooled(PoolShape {
        resources: Resources::new(1.0, 2.0, 0).unwrap(),
        concurrency_max: None,
        workers: Some(WorkerShape { start: 1, ..WorkerShape::default() }),
    }));
    let mut graph = Graph::new();
    let read = graph.source(Arc::new(Counting::new(1, 1, 1)), vec![]);
    let root = graph.operator(read, Arc::clone(&each) as Arc<_>, vec![]);
    let failure = refusal(graph, root);
    assert_eq!(failure.kind(), ErrorKind::Resource);
    assert_eq!(
        failure.to_string(),
        "stage `Each` asks for 2 of `num_gpus` for each worker, the session has 1"
    );
    assert_eq!((each.opened.load(Ordering::SeqCst), each.closed()), (0, 0));
}

#[test]
fn a_graph_must_be_a_tree_and_fusion_must_be_possible() {
    let mut graph = Graph::new();
    let read = graph.source(Arc::new(Counting::new(1, 1, 1)), vec![]);
    let root = graph.region(vec![read, read], Arc::new(Union));
    assert_eq!(
        refusal(graph, root).to_string(),
        "internal error: node 0 of the graph is consumed 2 times, not once"
    );
    let mut graph = Graph::new();
    let cutting = Arc::new(Each::new(Does::Pass).cut(BatchShape::Rows(3)));
    let read = graph.source(Arc::new(Counting::new(1, 1, 1)), vec![cutting]);
    assert_eq!(
        refusal(graph, read).to_string(),
        "internal error: `Each` needs a stage of its own, it was fused"
    );
}
