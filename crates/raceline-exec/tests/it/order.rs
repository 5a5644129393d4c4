//! What comes out: all of it, in order, cut as asked.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use raceline_exec::{BatchShape, ExecutionOptions, Graph, PoolShape, WorkerShape, execute};
use raceline_types::{Resources, Span, SplitId};

use crate::fixtures::{Counting, Does, Each, Limit, Union, drain, machine, start};

#[tokio::test]
async fn order_is_kept_through_jittering_stages() {
    let machine = machine(2.0);
    let source = Counting::new(20, 5, 10);
    let mut graph = Graph::new();
    let read =
        graph.source(Arc::new(source.clone()), vec![Arc::new(Each::new(Does::Jitter)) as Arc<_>]);
    let first = graph.operator(read, Arc::new(Each::new(Does::Jitter)), vec![]);
    let last = graph.operator(first, Arc::new(Each::new(Does::Jitter)), vec![]);
    let mut execution = start(&machine, graph, last);
    let (all, failure) = drain(&mut execution).await;
    assert!(failure.is_none());
    assert_eq!(all, source.all());
    execution.close().await.unwrap();
}

#[tokio::test]
async fn without_order_nothing_is_lost() {
    let machine = machine(2.0);
    let source = Counting::new(20, 5, 10);
    let mut graph = Graph::new();
    let read =
        graph.source(Arc::new(source.clone()), vec![Arc::new(Each::new(Does::Jitter)) as Arc<_>]);
    let options = ExecutionOptions { preserve_order: false, ..ExecutionOptions::default() };
    let mut execution = execute(&machine, graph, read, &options).unwrap();
    let (mut all, failure) = drain(&mut execution).await;
    assert!(failure.is_none());
    all.sort_unstable();
    assert_eq!(all, source.all());
}

#[tokio::test]
async fn units_have_the_rows_asked_for() {
    let machine = machine(2.0);
    let source = Counting::new(7, 3, 11);
    let exact = (BatchShape::Rows(25), vec![6, 25, 25, 25, 25, 25, 25, 25, 25, 25]);
    for (shape, expected) in [exact, (BatchShape::AtLeastRows(25), vec![33; 7])] {
        let each = Arc::new(Each::new(Does::Pass).cut(shape));
        let mut graph = Graph::new();
        let read = graph.source(Arc::new(source.clone()), vec![]);
        let root = graph.operator(read, Arc::clone(&each) as Arc<_>, vec![]);
        let mut execution = start(&machine, graph, root);
        let (all, _) = drain(&mut execution).await;
        assert_eq!(all, source.all());
        let mut units = each.units.lock().unwrap().clone();
        units.sort_unstable();
        assert_eq!(units, expected);
    }
}

#[tokio::test]
async fn spans_follow_rows_across_cuts() {
    let machine = machine(2.0);
    let mut graph = Graph::new();
    let read = graph.source(Arc::new(Counting::new(2, 2, 3)), vec![]);
    let each = Each::new(Does::Pass).cut(BatchShape::Rows(5));
    let root = graph.operator(read, Arc::new(each), vec![]);
    let mut execution = start(&machine, graph, root);
    let mut origins = Vec::new();
    while let Some(batch) = execution.next().await {
        origins.push(batch.unwrap().origin);
    }
    let span = |split, first_row, rows| Span { split: SplitId(split), first_row, rows };
    assert_eq!(
        origins,
        [vec![span(0, 0, 5)], vec![span(0, 5, 1), span(1, 0, 4)], vec![span(1, 4, 2)]]
    );
}

#[tokio::test]
async fn a_schema_survives_when_no_row_does() {
    let machine = machine(2.0);
    let mut graph = Graph::new();
    let nothing = Arc::new(Each::new(Does::Nothing));
    let read = graph.source(Arc::new(Counting::new(5, 5, 3)), vec![nothing]);
    let each = Arc::new(Each::new(Does::Pass).cut(BatchShape::Rows(4)));
    let root = graph.operator(read, Arc::clone(&each) as Arc<_>, vec![]);
    let mut execution = start(&machine, graph, root);
    let batch = execution.next().await.unwrap().unwrap();
    assert_eq!((batch.rows(), batch.data.schema().field(0).name().as_str()), (0, "id"));
    assert!(execution.next().await.is_none());
    assert_eq!(*each.units.lock().unwrap(), [0]);
}

#[tokio::test]
async fn a_union_takes_its_ports_in_order() {
    let machine = machine(1.0);
    let (left, right) = (Counting::new(10, 3, 5), Counting::new(8, 2, 4));
    let mut graph = Graph::new();
    let inputs = vec![
        graph.source(Arc::new(left.clone()), vec![]),
        graph.source(Arc::new(right.clone()), vec![]),
    ];
    let root = graph.region(inputs, Arc::new(Union));
    let mut execution = start(&machine, graph, root);
    let (all, _) = drain(&mut execution).await;
    assert_eq!(all, [left.all(), right.all()].concat());
}

#[tokio::test]
async fn a_limit_ends_the_source_early() {
    let machine = machine(2.0);
    let source = Counting::new(1_000_000, 1, 10);
    let each = Arc::new(Each::new(Does::Pass));
    let mut graph = Graph::new();
    let read = graph.source(Arc::new(source.clone()), vec![]);
    let mapped = graph.operator(read, Arc::clone(&each) as Arc<_>, vec![]);
    let root = graph.region(vec![mapped], Arc::new(Limit(25)));
    let mut execution = start(&machine, graph, root);
    let (all, failure) = drain(&mut execution).await;
    assert!(failure.is_none());
    assert_eq!(all, (0..25).collect::<Vec<i64>>());
    execution.close().await.unwrap();
    assert!(source.read.load(Ordering::SeqCst) < 100_000);
    assert_eq!(each.closed(), 1);
}

#[tokio::test]
async fn more_workers_than_cpus_run_all_the_same() {
    let machine = machine(2.0);
    let source = Counting::new(30, 1, 10);
    let pool = |cpus, gpus, workers| PoolShape {
        resources: Resources::new(cpus, gpus, 0).unwrap(),
        concurrency_max: Some(workers),
        workers: Some(WorkerShape { start: workers, least: workers, in_flight_max: Some(1) }),
    };
    for (pool, workers) in [(pool(1.0, 0.0, 8), 2), (pool(2.0, 0.0, 8), 1), (pool(0.0, 1.0, 8), 1)]
    {
        let each = Arc::new(Each::new(Does::Jitter).pooled(pool));
        let mut graph = Graph::new();
        let read = graph.source(Arc::new(source.clone()), vec![]);
        let root = graph.operator(read, Arc::clone(&each) as Arc<_>, vec![]);
        let mut execution = start(&machine, graph, root);
        assert_eq!(drain(&mut execution).await.0, source.all());
        assert_eq!(each.workers_max.load(Ordering::SeqCst), workers);
        assert!(each.running_most.load(Ordering::SeqCst) <= workers);
    }
}
