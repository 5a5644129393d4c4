//! Batches reach the function and come back.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures::future::join_all;
use raceline_exec::{MovedBytes, Operator, PoolShape};
use raceline_types::{NANOS_PER_UNIT, Resources};
use raceline_worker::{GpuLedger, ProcessSpec};
use tokio::time::timeout;

use crate::harness::{
    Session, batch, batch_in, children, eventually, is_alive, parent_of, run, run_on, spec, values,
    worker_pid,
};

#[tokio::test]
async fn a_batch_comes_back_with_its_origin() {
    let session = Session::start();
    let operator = session.operator(spec("double"));
    let input = batch(10..15);
    let output = run(&operator, input.clone()).await.unwrap();
    assert_eq!(values(&output[0].data), [20, 22, 24, 26, 28]);
    assert_eq!(output[0].origin, input.origin);
    operator.close().await;
}

#[tokio::test]
async fn many_outputs_keep_their_order_and_their_bytes() {
    let session = Session::start();
    let operator = session.operator(spec("many"));
    // Kept together, so none of their segments may be written again.
    for _ in 0..2 {
        let outputs = run(&operator, batch(0..5)).await.unwrap();
        assert_eq!(outputs.len(), 100);
        for (part, output) in (0..).zip(&outputs) {
            assert_eq!(values(&output.data), vec![part; 1000]);
        }
    }
    operator.close().await;
}

#[tokio::test]
async fn what_either_side_keeps_never_changes() {
    let session = Session::start();
    let (keeper, echo) = (session.operator(spec("keep")), session.operator(spec("echo")));
    let (mut kept, mut sum) = (Vec::new(), 0);
    for round in 0..50 {
        // Large enough to stay in the segment on both sides.
        let input = batch(round * 10_000..(round + 1) * 10_000);
        let output = run(&keeper, input.clone()).await.unwrap();
        assert_eq!(values(&output[0].data), [sum]);
        sum += values(&input.data).iter().sum::<i64>();
        kept.push((run(&echo, input.clone()).await.unwrap(), input));
    }
    for (output, input) in &kept {
        assert_eq!(output[0].data, input.data);
    }
    keeper.close().await;
    echo.close().await;
}

#[tokio::test]
async fn what_was_written_to_the_memory_of_the_input_is_not_copied() {
    let session = Session::start();
    let operator = session.operator(spec("echo"));
    let memory = operator.input_memory(1 << 30).unwrap();
    let (mut kept, mut bytes) = (Vec::new(), 0);
    for round in 0..20 {
        let whole = batch_in(memory.as_ref(), round * 10_000..(round + 1) * 10_000);
        let slice = whole.slice(100, 5_000);
        for input in [slice, whole] {
            let output = run(&operator, input.clone()).await.unwrap();
            bytes += 2 * input.bytes() as u64;
            let expected: Vec<i64> = values(&input.data);
            kept.push((output, expected));
        }
    }
    for (output, expected) in &kept {
        assert_eq!(&values(&output[0].data), expected);
    }
    assert_eq!(operator.moved_bytes(), Some(MovedBytes { copied: 0, passed: bytes }));
    operator.close().await;
}

#[tokio::test]
async fn what_a_worker_keeps_of_such_memory_never_changes() {
    let session = Session::start();
    let operator = session.operator(spec("keep"));
    let memory = operator.input_memory(1 << 30).unwrap();
    let mut sum = 0;
    for round in 0..50 {
        let input = batch_in(memory.as_ref(), round * 10_000..(round + 1) * 10_000);
        let added: i64 = values(&input.data).iter().sum();
        // The engine's own batch is gone when the next one is written.
        assert_eq!(values(&run(&operator, input).await.unwrap()[0].data), [sum]);
        sum += added;
    }
    let moved = operator.moved_bytes().unwrap();
    assert_eq!(moved, MovedBytes { copied: 50 * 8, passed: 50 * 80_000 });
    operator.close().await;
}

#[tokio::test]
async fn memory_is_used_again_when_the_worker_lets_go_of_it() {
    let session = Session::start();
    let operator = session.operator(spec("quarter"));
    let memory = operator.input_memory(1 << 30).unwrap();
    let mut places = BTreeSet::new();
    for round in 0..20 {
        let input = batch_in(memory.as_ref(), round * 10_000..(round + 1) * 10_000);
        places.insert(input.data.column(0).to_data().buffers()[0].as_ptr().addr());
        let output = run(&operator, input).await.unwrap();
        assert_eq!(values(&output[0].data)[0], round * 10_000 + 7_500);
    }
    assert!(places.len() <= 3, "{places:?}");
    operator.close().await;
}

#[tokio::test]
async fn memory_that_a_dropped_worker_may_read_is_kept_until_it_has_ended() {
    let session = Session::start();
    let pids = session.operator(spec("pid"));
    let template = parent_of(worker_pid(&pids).await);
    let others = children(template);
    let operator = session.operator(spec("sleep"));
    let memory = operator.input_memory(1 << 30).unwrap();
    let input = batch_in(memory.as_ref(), 0..10_000);
    let place = input.data.column(0).to_data().buffers()[0].as_ptr();
    let cut = timeout(Duration::from_millis(500), run(&operator, input)).await;
    assert!(cut.is_err());
    let is_free = || memory.space(80_000).bytes_mut().as_ptr() == place;
    let worker = children(template).into_iter().find(|pid| !others.contains(pid));
    assert!(worker.is_none_or(|worker| !is_free() || !is_alive(worker)));
    eventually("the memory is free again", is_free);
    pids.close().await;
    operator.close().await;
}

#[tokio::test]
async fn an_idle_worker_is_used_before_a_new_one_is_started() {
    let session = Session::start();
    let operator = session.operator(spec("pid"));
    let first = worker_pid(&operator).await;
    for _ in 0..5 {
        assert_eq!(worker_pid(&operator).await, first);
    }
    assert_eq!(operator.workers(), 1);
    operator.close().await;
    assert_eq!(operator.workers(), 0);
}

#[tokio::test]
async fn constructors_run_side_by_side() {
    let session = Session::start();
    let operator = session.operator(spec("slow_constructor"));
    let start = Instant::now();
    let starts = join_all((0..4).map(|worker| operator.start_worker(worker))).await;
    assert!(starts.into_iter().all(|started| started.unwrap()));
    assert!(start.elapsed().as_millis() < 900, "took {:?}", start.elapsed());
    assert_eq!(operator.workers(), 4);
    operator.close().await;
}

#[tokio::test]
async fn no_more_workers_than_the_concurrency() {
    let session = Session::start();
    let pool = PoolShape { concurrency_max: Some(2), ..PoolShape::inline() };
    let operator = session.operator(ProcessSpec { pool, ..spec("slow_constructor") });
    let runs = (0..6).map(|_| run(&operator, batch(0..3)));
    for output in join_all(runs).await {
        assert_eq!(output.unwrap()[0].rows(), 3);
    }
    assert_eq!(operator.workers(), 2);
    operator.close().await;
}

#[tokio::test]
async fn no_more_workers_than_the_graph_allows() {
    let session = Session::start();
    let pool = PoolShape { concurrency_max: Some(8), ..PoolShape::inline() };
    let operator = session.operator(ProcessSpec { pool, ..spec("slow_constructor") });
    operator.limit_workers(2);
    let runs = (0..6).map(|_| run(&operator, batch(0..3)));
    for output in join_all(runs).await {
        assert_eq!(output.unwrap()[0].rows(), 3);
    }
    assert_eq!(operator.workers(), 2);
    operator.close().await;
}

#[tokio::test]
async fn a_limit_never_raises_the_concurrency_and_leaves_one_worker() {
    let session = Session::start();
    for (limit, workers) in [(5, 2), (0, 1)] {
        let pool = PoolShape { concurrency_max: Some(2), ..PoolShape::inline() };
        let operator = session.operator(ProcessSpec { pool, ..spec("echo") });
        operator.limit_workers(limit);
        let starts = join_all((0..3).map(|worker| operator.start_worker(worker))).await;
        let started = starts.into_iter().filter(|started| *started.as_ref().unwrap());
        assert_eq!((started.count(), operator.workers()), (workers, workers));
        operator.close().await;
    }
}

#[tokio::test]
async fn a_worker_gets_its_calls_in_the_order_of_their_turns() {
    let session = Session::start();
    let operator = session.operator(spec("many"));
    assert!(operator.start_worker(0).await.unwrap());
    // The later turn is called for first; each returns more than may be on its way at once.
    let turns = [2, 0, 1].map(|turn| run_on(&operator, 0, turn, batch(0..1)));
    for outputs in join_all(turns).await {
        let firsts: Vec<i64> =
            outputs.unwrap().iter().map(|output| values(&output.data)[0]).collect();
        assert_eq!(firsts, (0..100).collect::<Vec<i64>>());
    }
    operator.stop_worker(0).await;
    assert_eq!(operator.workers(), 0);
    assert!(operator.start_worker(0).await.unwrap(), "it can be started anew");
    assert_eq!(run_on(&operator, 0, 3, batch(0..1)).await.unwrap().len(), 100);
    operator.close().await;
    assert_eq!(operator.workers(), 0);
}

#[tokio::test]
async fn the_next_batch_waits_in_the_worker() {
    let session = Session::start();
    let operator = session.operator(spec("time"));
    assert!(operator.start_worker(0).await.unwrap());
    let turns = (0..20).map(|turn| run_on(&operator, 0, turn, batch(0..1)));
    let times: Vec<Vec<i64>> = join_all(turns)
        .await
        .into_iter()
        .map(|outputs| values(&outputs.unwrap()[0].data))
        .collect();
    let mut gaps: Vec<i64> = times.windows(2).map(|pair| pair[1][0] - pair[0][1]).collect();
    gaps.sort_unstable();
    assert!(gaps[0] >= 0, "one after the other");
    assert!(gaps[gaps.len() / 2] < 2_000_000, "{gaps:?} ns between two batches");
    operator.close().await;
}

#[tokio::test]
async fn two_stages_share_the_gpus() {
    let session = Session::start();
    let gpus = GpuLedger::numbered(2);
    let resources = Resources { gpu_nanos: NANOS_PER_UNIT, ..Resources::default() };
    let pool = PoolShape { resources, concurrency_max: None, workers: None };
    let stage = || {
        let (pool, gpus) = (pool.clone(), std::sync::Arc::clone(&gpus));
        let operator = session.operator(ProcessSpec { pool, gpus, ..spec("gpus") });
        operator.limit_workers(1);
        operator
    };
    let (first, second) = (stage(), stage());
    assert!(first.start_worker(0).await.unwrap() && second.start_worker(0).await.unwrap());
    let mut seen = Vec::new();
    for operator in [&first, &second] {
        seen.extend(values(&run_on(operator, 0, 0, batch(0..1)).await.unwrap()[0].data));
    }
    seen.sort_unstable();
    assert_eq!(seen, [0, 1]);
    first.close().await;
    second.close().await;
}

#[tokio::test]
async fn each_worker_sees_its_own_gpu() {
    let session = Session::start();
    let gpus = GpuLedger::numbered(2);
    let resources = Resources { gpu_nanos: NANOS_PER_UNIT, ..Resources::default() };
    let pool = PoolShape { resources, concurrency_max: None, workers: None };
    let operator = session.operator(ProcessSpec { pool, gpus, ..spec("gpus") });
    let starts = join_all((0..3).map(|worker| operator.start_worker(worker))).await;
    let started: Vec<bool> = starts.into_iter().map(Result::unwrap).collect();
    assert_eq!(started, [true, true, false], "two fit, the third has to wait");
    let runs = (0..2).map(|worker| run_on(&operator, worker, 0, batch(0..1)));
    let mut seen = Vec::new();
    for output in join_all(runs).await {
        seen.extend(values(&output.unwrap()[0].data));
    }
    seen.sort_unstable();
    assert_eq!(seen, [0, 1]);
    operator.close().await;
}

#[tokio::test]
async fn what_a_worker_prints_is_passed_on_with_its_stage() {
    let session = Session::start();
    let operator = session.operator(spec("print"));
    run(&operator, batch(0..1)).await.unwrap();
    operator.close().await;
    let lines = session.lines.lock().unwrap().clone();
    let text = |wanted: &str| {
        lines
            .iter()
            .any(|line| line.starts_with("(MapBatches(test) pid=") && line.ends_with(wanted))
    };
    assert!(text(") hello") && text(") the worker"), "{lines:?}");
}

#[tokio::test]
async fn what_a_worker_printed_is_passed_on_when_it_is_dropped() {
    let session = Session::start();
    let folder = tempfile::tempdir().unwrap();
    let there = |name: &str| folder.path().join(name);
    let operator = session.operator(spec(&format!("print {}", folder.path().display())));
    let mut call = Box::pin(run(&operator, batch(0..1)));
    while !there("called").exists() {
        let waited = timeout(Duration::from_millis(5), &mut call).await;
        assert!(waited.is_err(), "it does not end: {waited:?}");
    }
    // From here on the runtime sees nothing of what is printed.
    std::fs::write(there("go"), "").unwrap();
    eventually("it prints", || there("printed").exists());
    drop(call);
    let lines = session.lines.lock().unwrap().clone();
    assert!(lines.iter().any(|line| line.ends_with(") the worker")), "{lines:?}");
    operator.close().await;
}

#[tokio::test]
#[ignore = "a measurement: run it with --ignored --nocapture"]
async fn measure_the_round_trip_of_10_mb() {
    let session = Session::start();
    let operator = session.operator(spec("echo"));
    for rows in [1_000, 1_250_000] {
        let input = batch(0..rows);
        let rounds = 50_u32;
        run(&operator, input.clone()).await.unwrap();
        let start = Instant::now();
        for _ in 0..rounds {
            let output = run(&operator, input.clone()).await.unwrap();
            assert_eq!(output[0].rows(), input.rows());
        }
        let each = start.elapsed() / rounds;
        println!("{} bytes there and back: {each:?}", input.bytes());
    }
    operator.close().await;
}

#[tokio::test]
async fn a_worker_can_look_at_the_calls_that_come_next() {
    let session = Session::start();
    let operator = session.operator(spec("look_ahead"));
    assert!(operator.start_worker(0).await.unwrap());
    let turns = [(0, 1..2), (1, 2..5), (2, 5..9)];
    let turns = turns.map(|(turn, ids)| run_on(&operator, 0, turn, batch(ids)));
    // It was told of both before it answered the first, and of neither twice.
    for output in join_all(turns).await {
        assert_eq!(values(&output.unwrap()[0].data), [7]);
    }
    operator.close().await;
}

#[tokio::test]
async fn the_workers_of_a_stage_share_its_gate_and_those_of_another_do_not() {
    let session = Session::start();
    for _stage in 0..2 {
        let operator = session.operator(ProcessSpec { is_rate_limited: true, ..spec("turn") });
        let mut turns = Vec::new();
        for worker in 0..3 {
            assert!(operator.start_worker(worker).await.unwrap());
            let output = run_on(&operator, worker, 0, batch(0..1)).await.unwrap();
            turns.extend(values(&output[0].data));
        }
        assert_eq!(turns, [5, 12, 19]);
        operator.close().await;
    }
}
