//! What stages hold, account by account, and what executions leave each other.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt as _;
use raceline_exec::{
    Emit, Execution, Graph, Held, Machine, MachineOptions, PortStream, Region, StageMemory,
};
use raceline_types::{Diagnostic, ErrorKind, Failure, Resources};

use crate::fixtures::{Counting, Does, Each, drain, machine, start};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// Holds so many batches, each as a mebibyte, and reserves half of that; then fails.
#[derive(Debug)]
struct Hoard(usize);

#[derive(Debug, thiserror::Error)]
#[error("there is no more")]
struct NoMore;

impl Diagnostic for NoMore {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Resource
    }
}

#[async_trait]
impl Region for Hoard {
    fn name(&self) -> Arc<str> {
        "Hoard".into()
    }

    async fn run(&self, mut ports: Vec<PortStream>, out: &mut dyn Emit) -> Result<(), Failure> {
        let accounts = out.accounts();
        let mut kept: Vec<Held> = Vec::new();
        while let Some(batch) = ports[0].next().await {
            drop(batch?);
            kept.push(accounts.held.hold(MIB));
            kept.push(accounts.reserved.hold(MIB / 2));
            if kept.len() == 2 * self.0 {
                return Err(NoMore.into());
            }
        }
        Ok(())
    }
}

fn memory(execution: &Execution, stage: usize) -> StageMemory {
    execution.snapshot().stages[stage].memory
}

#[tokio::test]
async fn an_error_about_memory_tells_what_the_stage_held() {
    let mut graph = Graph::new();
    let read = graph.source(Arc::new(Counting::new(4, 4, 1024)), vec![]);
    let root = graph.region(vec![read], Arc::new(Hoard(3)));
    let mut execution = start(&machine(2.0), graph, root);
    let failure = drain(&mut execution).await.1.expect("it fails");
    assert_eq!(
        failure.render(),
        "there is no more\n  stage: Hoard\n  memory of the stage: at most 3.0 MiB held, 1.5 MiB \
         reserved"
    );
    let StageMemory { held, reserved, .. } = memory(&execution, 1);
    assert_eq!((held.bytes, held.bytes_peak), (0, 3 * MIB));
    assert_eq!((reserved.bytes, reserved.bytes_peak), (0, 3 * MIB / 2));
    execution.close().await.unwrap();
}

#[tokio::test]
async fn an_output_counts_whole_as_soon_as_it_is_there() {
    let mut graph = Graph::new();
    // A batch of 4 MiB, where a queue holds 8 pieces of 64 KiB.
    let read = graph.source(Arc::new(Counting::new(8, 1, 512 * 1024)), vec![]);
    let machine = small_machine(MIB);
    let mut execution = start(&machine, graph, read);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let snapshot = execution.snapshot();
    let queues = snapshot.stages[0].memory.queues.bytes;
    assert!(snapshot.queued_bytes < MIB, "{snapshot:?}");
    // Two may begin before it is known how large they are.
    assert!((4 * MIB..9 * MIB).contains(&queues), "{queues} bytes");
    assert_eq!(drain(&mut execution).await.0.len(), 8 * 512 * 1024);
    assert_eq!(memory(&execution, 0).queues.bytes, 0);
}

fn small_machine(queue_bytes: u64) -> Arc<Machine> {
    Machine::new(MachineOptions {
        resources: Resources::new(2.0, 0.0, 0).unwrap(),
        queue_bytes,
        compute_threads: 2,
        io_threads: 1,
    })
    .unwrap()
}

fn counting(machine: &Arc<Machine>, source: &Counting) -> Execution {
    let mut graph = Graph::new();
    let read = graph.source(Arc::new(source.clone()), vec![]);
    start(machine, graph, read)
}

#[tokio::test]
async fn executions_at_the_same_time_share_the_queues() {
    let machine = small_machine(512 * KIB);
    let source = Counting::new(400, 1, 2 * 1024);
    let queued = |execution: &Execution| execution.snapshot().queued_bytes;
    let alone = counting(&machine, &source);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(queued(&alone) > 380 * KIB, "{}", queued(&alone));
    alone.close().await.unwrap();
    let mut both = [counting(&machine, &source), counting(&machine, &source)];
    tokio::time::sleep(Duration::from_millis(100)).await;
    // A half, and a batch; the first may have begun with all.
    assert!(queued(&both[1]) <= 256 * KIB + 20 * KIB, "{}", queued(&both[1]));
    for execution in &mut both {
        assert_eq!(drain(execution).await.0, source.all());
    }
}

#[tokio::test]
async fn what_others_owe_keeps_new_work_from_starting() {
    let machine = small_machine(MIB);
    machine.measure_debt(|| 2 * MIB);
    let source = Counting::new(50, 1, 1024);
    let mut graph = Graph::new();
    let read = graph.source(Arc::new(source.clone()), vec![]);
    let root = graph.operator(read, Arc::new(Each::new(Does::Pass)), vec![]);
    let mut execution = start(&machine, graph, root);
    tokio::time::sleep(Duration::from_millis(100)).await;
    let begun = source.read.load(Ordering::SeqCst);
    // Each stage has its head, and a batch for it.
    assert!(begun <= 5, "{begun} splits were read ahead");
    assert_eq!(drain(&mut execution).await.0, source.all());
}
