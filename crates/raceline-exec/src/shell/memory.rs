//! Measuring what workers hold, and what the scheduler has done about it.

use std::sync::Arc;

use super::{Shell, State};
use crate::graph::Body;
use crate::scheduler::Event;
use crate::sharing::Share;
use crate::worker_memory::{Relief, WorkerMemory};

/// What is done with a worker for the sake of memory.
#[derive(Clone, Copy)]
pub(super) enum Order {
    /// End its process, if it still is this one.
    Relieve(u32, Relief),
    /// Let its work go on.
    Readmit,
}

impl Shell {
    /// Measures the workers again and again, the more often the less memory is left, until
    /// everything has ended.
    pub(super) async fn watch_memory(self: Arc<Self>) {
        let mut finished = self.finished();
        loop {
            let wait = self.lock().scheduler.measure_in();
            if tokio::time::timeout(wait, finished.wait_for(|&ended| ended)).await.is_ok() {
                return;
            }
            let workers = self.measure();
            let others = self.lock().share.as_ref().map_or(0, Share::others_bytes);
            let elsewhere_bytes = self.machine.elsewhere_bytes() + others;
            self.on(Event::Measured { workers, elsewhere_bytes });
        }
    }

    /// What all workers hold, each with its stage.
    pub(super) fn measure(&self) -> Vec<(usize, WorkerMemory)> {
        let mut workers = Vec::new();
        for (stage, node) in self.nodes.iter().enumerate() {
            for (position, operator) in node.chain.iter().enumerate() {
                let is_own = position == 0 && matches!(node.body, Body::Operator(_));
                workers.extend(operator.memory().into_iter().map(|memory| {
                    let worker = memory.worker.filter(|_| is_own);
                    (stage, WorkerMemory { worker, ..memory })
                }));
            }
        }
        workers
    }

    /// Sets what queues may hold to this execution's part of what the machine has, less what others
    /// owe.
    pub(super) fn limit_queues(&self, held: &mut State) {
        let Some(share) = &held.share else { return };
        let all = self.queue_bytes.unwrap_or_else(|| share.of(self.machine.options().queue_bytes));
        held.scheduler.limit_queues(all.saturating_sub(self.machine.debt_bytes()));
    }

    pub(super) fn order(&self, stage: usize, worker: usize, order: Order) {
        let operator = &self.nodes[stage].chain[0];
        match order {
            Order::Relieve(process, relief) => operator.relieve_worker(worker, process, relief),
            Order::Readmit => operator.readmit_worker(worker),
        }
    }
}
