//! What queues hold, and what a batch costs on its way.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use raceline_exec::{BatchShape, Emit, ExecutionOptions, Graph, Operator, PoolShape, execute};
use raceline_types::{Batch, Failure, Resources};
use tokio::sync::Semaphore;

use crate::fixtures::{Counting, Does, Each, Union, drain, machine, start};

const KIB: u64 = 1024;

#[tokio::test]
async fn a_slow_consumer_holds_the_source_back() {
    let machine = machine(2.0);
    let source = Counting::new(200, 10, 1024);
    let mut graph = Graph::new();
    let read = graph.source(Arc::new(source.clone()), vec![]);
    let root = graph.operator(read, Arc::new(Each::new(Does::Pass)), vec![]);
    let options = ExecutionOptions { queue_bytes: Some(256 * KIB), ..ExecutionOptions::default() };
    let mut execution = execute(&machine, graph, root, &options).unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(source.read.load(Ordering::SeqCst) <= 6, "the source ran ahead");
    let (all, _) = drain(&mut execution).await;
    assert_eq!(all, source.all());
    let batch = 9 * KIB;
    let snapshot = execution.snapshot();
    assert!(snapshot.queued_bytes_peak <= 256 * KIB + 2 * batch, "{snapshot:?}");
}

/// However much the queues may hold together, one is not filled with all that there is.
#[tokio::test]
async fn a_queue_is_only_so_far_ahead() {
    let machine = machine(2.0);
    let mut graph = Graph::new();
    let read = graph.source(Arc::new(Counting::new(64, 16, 8 * 1024)), vec![]);
    let target_batch_bytes = 256 * KIB;
    let options = ExecutionOptions { target_batch_bytes, ..ExecutionOptions::default() };
    let mut execution = execute(&machine, graph, read, &options).unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let queued = execution.snapshot().queued_bytes;
    assert!((KIB * KIB..=2 * 4 * target_batch_bytes).contains(&queued), "{queued} bytes");
    assert_eq!(drain(&mut execution).await.0.len(), 64 * 16 * 8 * 1024);
}

#[tokio::test]
async fn a_thousandfold_output_stays_within_the_queue() {
    let machine = machine(2.0);
    let mut graph = Graph::new();
    let read = graph.source(Arc::new(Counting::new(8, 1, 1024)), vec![]);
    let root = graph.operator(read, Arc::new(Each::new(Does::Repeat(1_000))), vec![]);
    let options = ExecutionOptions { queue_bytes: Some(256 * KIB), ..ExecutionOptions::default() };
    let mut execution = execute(&machine, graph, root, &options).unwrap();
    assert_eq!(drain(&mut execution).await.0.len(), 8 * 1024 * 1_000);
    assert!(execution.snapshot().queued_bytes_peak <= 256 * KIB + 18 * KIB);
}

#[tokio::test]
async fn a_queue_of_a_byte_still_moves() {
    let machine = machine(2.0);
    let (left, right) = (Counting::new(20, 2, 100), Counting::new(10, 1, 10));
    let mut graph = Graph::new();
    let ports = [&left, &right].map(|source| {
        let read = graph.source(Arc::new(source.clone()), vec![]);
        graph.operator(read, Arc::new(Each::new(Does::Jitter)), vec![])
    });
    let root = graph.region(ports.to_vec(), Arc::new(Union));
    let options = ExecutionOptions { queue_bytes: Some(1), ..ExecutionOptions::default() };
    let mut execution = execute(&machine, graph, root, &options).unwrap();
    assert_eq!(drain(&mut execution).await.0, [left.all(), right.all()].concat());
}

/// Each run keeps a worker until its output has found room.
#[derive(Debug)]
struct KeepsWorkers {
    workers: Semaphore,
    limited_to: AtomicUsize,
}

#[async_trait]
impl Operator for KeepsWorkers {
    fn name(&self) -> Arc<str> {
        "KeepsWorkers".into()
    }

    fn pool(&self) -> PoolShape {
        let resources = Resources::new(0.0, 0.5, 0).unwrap();
        PoolShape { resources, concurrency_max: Some(8), workers: None }
    }

    fn input(&self) -> BatchShape {
        BatchShape::AsIs
    }

    fn limit_workers(&self, workers_max: usize) {
        self.workers.add_permits(workers_max);
        self.limited_to.store(workers_max, Ordering::SeqCst);
    }

    async fn run(&self, input: Batch, out: &mut dyn Emit) -> Result<(), Failure> {
        // Of work that runs at once, the later one is quicker to take a worker.
        let first = crate::fixtures::values(&input)[0].unsigned_abs();
        tokio::time::sleep(Duration::from_millis(8 - first / 128)).await;
        let worker = self.workers.acquire().await;
        for _ in 0..64 {
            out.emit(input.clone()).await?;
        }
        drop(worker);
        Ok(())
    }
}

#[tokio::test]
async fn workers_kept_by_later_work_never_stall_what_is_wanted_next() {
    let machine = machine(4.0);
    let mut graph = Graph::new();
    let read = graph.source(Arc::new(Counting::new(8, 1, 128)), vec![]);
    let [first, second] = [(); 2].map(|()| {
        let (workers, limited_to) = (Semaphore::new(0), AtomicUsize::new(0));
        Arc::new(KeepsWorkers { workers, limited_to })
    });
    let few = graph.operator(read, Arc::<KeepsWorkers>::clone(&first), vec![]);
    let root = graph.operator(few, second, vec![]);
    let options = ExecutionOptions {
        queue_bytes: Some(32 * KIB),
        target_batch_bytes: 2 * KIB,
        ..ExecutionOptions::default()
    };
    let mut execution = execute(&machine, graph, root, &options).unwrap();
    let all = tokio::time::timeout(Duration::from_secs(20), drain(&mut execution)).await;
    assert_eq!(all.expect("nothing stalls").0.len(), 8 * 128 * 64 * 64);
    assert_eq!(first.limited_to.load(Ordering::SeqCst), 1);
}

#[test]
fn ten_thousand_tiny_batches_take_no_time_to_speak_of() {
    const BATCHES: u32 = 10_000;
    let machine = machine(2.0);
    let mut graph = Graph::new();
    let read = graph.source(Arc::new(Counting::new(10, 1_000, 8)), vec![]);
    let root = graph.operator(read, Arc::new(Each::new(Does::Pass)), vec![]);
    let began = Instant::now();
    let mut execution = start(&machine, graph, root);
    let (all, _) = machine.io().block_on(drain(&mut execution));
    assert_eq!(all.len(), 80_000);
    println!("{:?} a batch", began.elapsed() / BATCHES);
}
