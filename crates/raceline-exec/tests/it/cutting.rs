//! Batches that are cut by what their rows weigh.

use std::sync::Arc;

use raceline_exec::{BatchBounds, BatchShape, Graph};
use raceline_types::{ErrorKind, Span, SplitId};

use crate::fixtures::{Counting, Does, Each, Union, drain, machine, start, values};

fn within(bounds: BatchBounds) -> Each {
    Each::new(Does::Pass).cut(BatchShape::Within(bounds))
}

/// The batches that `each` gets of `source`: their values and where they are from.
async fn batches(source: Counting, each: Each) -> Vec<(Vec<i64>, Vec<Span>)> {
    let machine = machine(2.0);
    let mut graph = Graph::new();
    let read = graph.source(Arc::new(source), vec![]);
    let root = graph.operator(read, Arc::new(each), vec![]);
    let mut execution = start(&machine, graph, root);
    let mut all = Vec::new();
    while let Some(batch) = execution.next().await {
        let batch = batch.expect("the port delivers");
        all.push((values(&batch), batch.origin));
    }
    all
}

#[tokio::test]
async fn batches_are_cut_by_bytes_across_splits_and_keep_their_spans() {
    let bounds = BatchBounds { bytes_max: Some(41), ..BatchBounds::default() };
    let batches = batches(Counting::new(2, 2, 3), within(bounds)).await;
    let span = |split, first_row, rows| Span { split: SplitId(split), first_row, rows };
    assert_eq!(
        batches,
        [
            (vec![0, 1, 2, 3, 4], vec![span(0, 0, 5)]),
            (vec![5, 6, 7, 8, 9], vec![span(0, 5, 1), span(1, 0, 4)]),
            (vec![10, 11], vec![span(1, 4, 2)]),
        ]
    );
}

#[tokio::test]
async fn a_row_beyond_the_bounds_is_a_batch() {
    let bounds = BatchBounds { bytes_max: Some(7), ..BatchBounds::default() };
    let batches = batches(Counting::new(2, 1, 3), within(bounds)).await;
    let rows: Vec<_> = batches.into_iter().map(|(values, _)| values).collect();
    assert_eq!(rows, [[0], [1], [2], [3], [4], [5]]);
}

#[tokio::test]
async fn batches_are_cut_by_rows_bytes_and_cost_together() {
    let bounds = BatchBounds { rows_max: Some(4), bytes_max: Some(1_000), cost_max: Some(10.0) };
    #[expect(clippy::cast_precision_loss, reason = "they are small")]
    let each = within(bounds).costing(|id| Some(id as f64));
    let batches = batches(Counting::new(3, 2, 2), each).await;
    let rows: Vec<_> = batches.into_iter().map(|(values, _)| values).collect();
    let alone = |id| vec![id];
    let expected = [vec![0, 1, 2, 3], vec![4, 5], alone(6), alone(7), alone(8)];
    assert_eq!(rows[..5], expected);
    assert_eq!(rows[5..], [9, 10, 11].map(alone));
}

#[tokio::test]
async fn what_a_region_puts_out_is_weighed_too() {
    let machine = machine(2.0);
    let mut graph = Graph::new();
    let inputs = vec![
        graph.source(Arc::new(Counting::new(2, 3, 5)), vec![]),
        graph.source(Arc::new(Counting::new(1, 1, 5)), vec![]),
    ];
    let united = graph.region(inputs, Arc::new(Union));
    let each = Arc::new(within(BatchBounds { bytes_max: Some(64), ..BatchBounds::default() }));
    let root = graph.operator(united, Arc::clone(&each) as Arc<_>, vec![]);
    let mut execution = start(&machine, graph, root);
    let (all, failure) = drain(&mut execution).await;
    assert!(failure.is_none());
    assert_eq!(all.len(), 35);
    let mut units = each.units.lock().unwrap().clone();
    units.sort_unstable();
    assert_eq!(units, [3, 8, 8, 8, 8]);
}

#[tokio::test]
async fn costs_that_cannot_be_added_up_are_refused_with_their_row() {
    type Cost = fn(i64) -> Option<f64>;
    let costs: [(Cost, &str); 4] = [
        (|id| (id != 7).then_some(1.0), "null"),
        (|id| Some(if id == 7 { -0.5 } else { 1.0 }), "-0.5"),
        (|id| Some(if id == 7 { f64::NAN } else { 1.0 }), "NaN"),
        (|id| Some(if id == 7 { f64::INFINITY } else { 1.0 }), "inf"),
    ];
    for (cost, text) in costs {
        let machine = machine(2.0);
        let mut graph = Graph::new();
        let read = graph.source(Arc::new(Counting::new(2, 1, 5)), vec![]);
        let bounds = BatchBounds { cost_max: Some(2.0), ..BatchBounds::default() };
        let root = graph.operator(read, Arc::new(within(bounds).costing(cost)), vec![]);
        let failure = drain(&mut start(&machine, graph, root)).await.1.unwrap();
        assert_eq!(failure.kind(), ErrorKind::Plan);
        assert_eq!(
            failure.render(),
            format!(
                "a row costs `{text}`\n  stage: Each\n  rows: 2\n  hint: batches can be cut by \
                 finite numbers of at least 0: leave such rows out before, or compute another cost"
            )
        );
    }
}
