//! The shell round the scheduler: it performs the scheduler's actions with tokio and reports
//! back what happened. All decisions are the scheduler's.
//!
//! One mutex holds the scheduler, the batches on their way to consumers and the splits found.
//! It is never held across an await, nor while a task is spawned or woken.

mod memory;
mod report;
mod stages;
mod workers;

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use raceline_types::{Batch, ColumnMemory, Failure, Split};
use tokio::sync::{Notify, Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::account::StageAccounts;
use crate::column_memories::memories_of_outputs;
use crate::error::ExecError;
use crate::graph::{Body, Compiled, Node};
use crate::machine::Machine;
use crate::port::Port;
use crate::scheduler::{Action, Event, Limits, Morsel, Outcome, Scheduler, WorkId};
use crate::sharing::Share;
use crate::weigh::Scale;
use crate::work::{self, Input, guard};

use self::memory::Order;

/// Everything that a running execution shares.
pub(crate) struct Shell {
    machine: Arc<Machine>,
    nodes: Vec<Arc<Node>>,
    names: Vec<Arc<str>>,
    root: usize,
    target_batch_bytes: u64,
    /// What weighs the output of each stage, where its consumer wants that.
    scales: Vec<Option<Scale>>,
    /// Where the output of each stage is best written.
    memories: Vec<Arc<dyn ColumnMemory>>,
    began: Instant,
    cancels: Vec<CancellationToken>,
    /// Splits that each listing may still find.
    listings: Vec<Semaphore>,
    /// Rows that came out of each reader, before fused operators.
    rows_read: Vec<AtomicU64>,
    /// What the work of each stage tells of what it holds.
    accounts: Vec<StageAccounts>,
    /// What queues may hold, where the execution said it itself.
    queue_bytes: Option<u64>,
    finished: watch::Sender<bool>,
    state: Mutex<State>,
}

struct State {
    scheduler: Scheduler<Batch>,
    slots: Vec<Slot>,
    splits: Vec<VecDeque<Split>>,
    running: HashMap<WorkId, Arc<Notify>>,
    /// Workers that are being started, by stage and number, with what gives the start up.
    starting: HashMap<(usize, usize), CancellationToken>,
    close_asked: Vec<bool>,
    /// Its part of the machine, until everything has ended.
    share: Option<Share>,
    failure: Option<Failure>,
    ended_at: Option<Duration>,
}

/// Where a stage's output waits for a consumer that takes batch by batch.
#[derive(Default)]
struct Slot {
    /// More than one only where they are small.
    batches: VecDeque<Batch>,
    asked: bool,
    ended: bool,
    waker: Option<Waker>,
}

/// What is to be done once the mutex is released.
enum Deed {
    Open(usize),
    List(usize, usize),
    StartWorker(usize, usize, CancellationToken),
    StopWorker(usize, usize),
    Order(usize, usize, Order),
    Start(WorkId, Input, Arc<Notify>),
    Resume(Arc<Notify>),
    Wake(Waker),
    Cancel(usize),
    Close(usize),
    Finish,
}

impl Shell {
    /// Starts the compiled graph.
    pub(crate) fn start(
        machine: Arc<Machine>,
        compiled: Compiled,
        limits: &Limits,
        queue_bytes: Option<u64>,
    ) -> Arc<Self> {
        let Compiled { nodes, plans, root } = compiled;
        let has_workers = plans.iter().any(|plan| plan.pool.is_some());
        let stages = nodes.len();
        let state = State {
            scheduler: Scheduler::new(plans, root, limits),
            slots: (0..stages).map(|_| Slot::default()).collect(),
            splits: vec![VecDeque::new(); stages],
            running: HashMap::new(),
            starting: HashMap::new(),
            close_asked: vec![false; stages],
            share: Some(machine.join()),
            failure: None,
            ended_at: None,
        };
        let shell = Arc::new(Self {
            machine,
            names: nodes.iter().map(Node::name).collect(),
            scales: Scale::of_outputs(&nodes),
            memories: memories_of_outputs(&nodes, limits.queue_bytes),
            nodes: nodes.into_iter().map(Arc::new).collect(),
            root,
            target_batch_bytes: limits.target_batch_bytes,
            began: Instant::now(),
            cancels: (0..stages).map(|_| CancellationToken::new()).collect(),
            listings: (0..stages).map(|_| Semaphore::new(0)).collect(),
            rows_read: (0..stages).map(|_| AtomicU64::new(0)).collect(),
            accounts: (0..stages).map(|_| StageAccounts::default()).collect(),
            queue_bytes,
            finished: watch::Sender::new(false),
            state: Mutex::new(state),
        });
        shell.on(Event::Began);
        if has_workers {
            shell.machine.io().spawn(Arc::clone(&shell).tick());
            shell.machine.io().spawn(Arc::clone(&shell).watch_memory());
        }
        for (stage, node) in shell.nodes.iter().enumerate() {
            if let Body::Source(source) = &node.body {
                shell.machine.io().spawn(Arc::clone(&shell).list(stage, Arc::clone(source)));
            }
        }
        shell
    }

    pub(crate) fn machine(&self) -> &Arc<Machine> {
        &self.machine
    }

    pub(crate) fn node(&self, stage: usize) -> &Arc<Node> {
        &self.nodes[stage]
    }

    pub(crate) fn target_batch_bytes(&self) -> u64 {
        self.target_batch_bytes
    }

    /// What weighs the output of `stage`, where its consumer wants that.
    pub(crate) fn scale(&self, stage: usize) -> Option<&Scale> {
        self.scales[stage].as_ref()
    }

    /// Where the output of `stage` is best written.
    pub(crate) fn memory(&self, stage: usize) -> &Arc<dyn ColumnMemory> {
        &self.memories[stage]
    }

    pub(crate) fn is_cancelled(&self, stage: usize) -> bool {
        self.cancels[stage].is_cancelled()
    }

    pub(crate) fn count_read(&self, stage: usize, rows: usize) {
        self.rows_read[stage].fetch_add(rows as u64, Ordering::Relaxed);
    }

    /// Where the work of `stage` tells of what it holds.
    pub(crate) fn accounts(&self, stage: usize) -> StageAccounts {
        self.accounts[stage].clone()
    }

    /// Waits for `true`: all work has ended and everything was closed.
    pub(crate) fn finished(&self) -> watch::Receiver<bool> {
        self.finished.subscribe()
    }

    /// Takes in an event.
    pub(crate) fn on(self: &Arc<Self>, event: Event<Batch>) {
        let deeds = {
            let mut held = self.lock();
            self.step(&mut held, event, None).0
        };
        self.perform(deeds);
    }

    /// Takes in outputs of running work; `rest_bytes` of the same batch follow. Returns whether the
    /// work may go on at once; otherwise it waits for its signal.
    pub(crate) fn emit(
        self: &Arc<Self>,
        work: WorkId,
        outputs: Vec<Morsel<Batch>>,
        rest_bytes: u64,
    ) -> bool {
        let (deeds, resumed) = {
            let mut held = self.lock();
            self.step(&mut held, Event::Emitted { work, outputs, rest_bytes }, Some(work))
        };
        self.perform(deeds);
        resumed
    }

    /// Takes the next batch of the stage `producer` for the region `consumer`, or asks for it.
    /// A region that is being cancelled is told so, and never that its input has ended.
    pub(crate) fn poll_port(
        self: &Arc<Self>,
        producer: usize,
        consumer: usize,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Batch, Failure>>> {
        let (polled, deeds) = {
            let mut held = self.lock();
            let (polled, deeds) = self.poll_slot(&mut held, producer, cx);
            if held.scheduler.is_live(consumer) && held.failure.is_none() {
                (polled.map(|batch| batch.map(Ok)), deeds)
            } else {
                (Poll::Ready(Some(Err(ExecError::Cancelled.into()))), deeds)
            }
        };
        self.perform(deeds);
        polled
    }

    /// Takes the next batch of the root, or the failure that ended the execution.
    pub(crate) fn poll_root(
        self: &Arc<Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Batch, Failure>>> {
        let (polled, deeds) = {
            let mut held = self.lock();
            let (polled, deeds) = self.poll_slot(&mut held, self.root, cx);
            match held.failure.clone() {
                Some(failure) => (Poll::Ready(Some(Err(failure))), deeds),
                None => (polled.map(|batch| batch.map(Ok)), deeds),
            }
        };
        self.perform(deeds);
        polled
    }

    fn poll_slot(
        self: &Arc<Self>,
        held: &mut State,
        stage: usize,
        cx: &mut Context<'_>,
    ) -> (Poll<Option<Batch>>, Vec<Deed>) {
        let mut deeds = Vec::new();
        let slot = &mut held.slots[stage];
        slot.waker = None;
        if slot.batches.is_empty() && !slot.ended && !slot.asked {
            slot.asked = true;
            deeds = self.step(held, Event::Pulled { stage }, None).0;
        }
        let slot = &mut held.slots[stage];
        let polled = match slot.batches.pop_front() {
            Some(batch) => Poll::Ready(Some(batch)),
            None if slot.ended => Poll::Ready(None),
            None => {
                slot.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        };
        (polled, deeds)
    }

    /// Ends the execution; unless its output was taken to the end, it fails as cancelled.
    pub(crate) fn cancel(self: &Arc<Self>) {
        let deeds = {
            let mut held = self.lock();
            if !held.slots[self.root].ended {
                held.failure.get_or_insert_with(|| ExecError::Cancelled.into());
            }
            self.step(&mut held, Event::Cancelled, None).0
        };
        self.perform(deeds);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the scheduler decide. Returns what is left to do without the lock, and whether
    /// `caller`, which is running, may go on.
    fn step(
        self: &Arc<Self>,
        held: &mut State,
        event: Event<Batch>,
        caller: Option<WorkId>,
    ) -> (Vec<Deed>, bool) {
        let now = self.began.elapsed();
        if let Event::WorkerStarted { stage, worker, .. } = &event {
            held.starting.remove(&(*stage, *worker));
        }
        self.limit_queues(held);
        let decided = catch_unwind(AssertUnwindSafe(|| held.scheduler.on(event, now)));
        let actions = match decided {
            Ok(actions) => actions,
            Err(panic) => return (self.give_up(held, work::panicked(panic.as_ref())), false),
        };
        if let Some(share) = &held.share {
            share.hold(held.scheduler.held_bytes());
        }
        let mut resumed = false;
        let mut deeds = Vec::with_capacity(actions.len());
        for action in actions {
            match action {
                Action::Resume { work } if Some(work) == caller => resumed = true,
                action => self.prepare(held, action, &mut deeds),
            }
        }
        (deeds, resumed)
    }

    /// Does the part of an action that needs the lock.
    fn prepare(self: &Arc<Self>, held: &mut State, action: Action<Batch>, deeds: &mut Vec<Deed>) {
        match action {
            Action::Open { stage } => deeds.push(Deed::Open(stage)),
            Action::List { stage, splits } => deeds.push(Deed::List(stage, splits)),
            Action::StartWorker { stage, worker } => {
                let stop = self.cancels[stage].child_token();
                held.starting.insert((stage, worker), stop.clone());
                deeds.push(Deed::StartWorker(stage, worker, stop));
            }
            Action::StopWorker { stage, worker } => match held.starting.get(&(stage, worker)) {
                Some(stop) => stop.cancel(),
                None => deeds.push(Deed::StopWorker(stage, worker)),
            },
            Action::Relieve { stage, worker, process, relief } => {
                deeds.push(Deed::Order(stage, worker, Order::Relieve(process, relief)));
            }
            Action::Readmit { stage, worker } => {
                deeds.push(Deed::Order(stage, worker, Order::Readmit));
            }
            Action::Start { work, input, seat } => {
                let input = match &self.nodes[work.stage].body {
                    Body::Operator(_) => Input::Unit(input, seat),
                    Body::Region(_) => Input::Ports(self.ports(work.stage)),
                    Body::Source(_) => {
                        let split = held.splits[work.stage].pop_front();
                        Input::Split(split.expect("a split was found for every start"))
                    }
                };
                let signal = Arc::new(Notify::new());
                held.running.insert(work, Arc::clone(&signal));
                deeds.push(Deed::Start(work, input, signal));
            }
            Action::Resume { work } => {
                deeds.extend(held.running.get(&work).map(Arc::clone).map(Deed::Resume));
            }
            Action::Hand { stage, outputs } => {
                let slot = &mut held.slots[stage];
                slot.batches.extend(outputs);
                slot.asked = false;
                deeds.extend(slot.waker.take().map(Deed::Wake));
            }
            Action::End { stage } => {
                let slot = &mut held.slots[stage];
                slot.ended = true;
                deeds.extend(slot.waker.take().map(Deed::Wake));
            }
            Action::Cancel { stage } => {
                deeds.push(Deed::Cancel(stage));
                for &input in &self.nodes[stage].inputs {
                    deeds.extend(held.slots[input].waker.take().map(Deed::Wake));
                }
            }
            Action::Close { stage } => {
                if !std::mem::replace(&mut held.close_asked[stage], true) {
                    deeds.push(Deed::Close(stage));
                }
            }
            Action::Finish => {
                held.ended_at = Some(self.began.elapsed());
                held.share = None;
                deeds.push(Deed::Finish);
            }
        }
    }

    fn ports(self: &Arc<Self>, stage: usize) -> Vec<crate::region::PortStream> {
        let inputs = self.nodes[stage].inputs.iter();
        inputs.map(|&input| Port::new(Arc::clone(self), input, stage).boxed()).collect()
    }

    /// The scheduler itself broke: fail, end everything, and still close every operator.
    fn give_up(&self, held: &mut State, failure: Failure) -> Vec<Deed> {
        held.failure.get_or_insert(failure);
        let mut deeds: Vec<Deed> = (0..self.nodes.len()).map(Deed::Cancel).collect();
        for slot in &mut held.slots {
            slot.ended = true;
            deeds.extend(slot.waker.take().map(Deed::Wake));
        }
        for (stage, asked) in held.close_asked.iter_mut().enumerate() {
            if !std::mem::replace(asked, true) {
                deeds.push(Deed::Close(stage));
            }
        }
        held.ended_at.get_or_insert(self.began.elapsed());
        held.share = None;
        deeds.push(Deed::Finish);
        deeds
    }

    fn perform(self: &Arc<Self>, deeds: Vec<Deed>) {
        for deed in deeds {
            match deed {
                Deed::Open(stage) => {
                    self.machine.io().spawn(Arc::clone(self).open(stage));
                }
                Deed::List(stage, splits) => self.listings[stage].add_permits(splits),
                Deed::StartWorker(stage, worker, stop) => {
                    self.machine.io().spawn(Arc::clone(self).start_worker(stage, worker, stop));
                }
                Deed::StopWorker(stage, worker) => {
                    self.machine.io().spawn(Arc::clone(self).stop_worker(stage, worker));
                }
                Deed::Order(stage, worker, order) => self.order(stage, worker, order),
                Deed::Start(work, input, signal) => {
                    let task = work::run(Arc::clone(self), work, input, signal);
                    self.machine.compute().spawn(Arc::clone(self).work(work, Box::pin(task)));
                }
                Deed::Resume(signal) => signal.notify_one(),
                Deed::Wake(waker) => waker.wake(),
                Deed::Cancel(stage) => self.cancels[stage].cancel(),
                Deed::Close(stage) => {
                    self.machine.io().spawn(Arc::clone(self).close(stage));
                }
                Deed::Finish => {
                    self.finished.send_replace(true);
                }
            }
        }
    }

    async fn work(
        self: Arc<Self>,
        work: WorkId,
        task: impl Future<Output = Result<(), Failure>> + Send,
    ) {
        let ended = guard(self.cancels[work.stage].clone(), task).await;
        self.end(work.stage, ended, |outcome| Event::WorkEnded { work, outcome }, Some(work));
    }

    /// Reports how something of `stage` ended; the first failure of a stage that somebody needs
    /// becomes the execution's.
    fn end(
        self: &Arc<Self>,
        stage: usize,
        ended: Result<(), Failure>,
        event: impl FnOnce(Outcome) -> Event<Batch>,
        work: Option<WorkId>,
    ) {
        let deeds = {
            let mut held = self.lock();
            let outcome = match ended {
                Ok(()) => Outcome::Done,
                Err(failure) if held.scheduler.is_live(stage) => {
                    let failure = failure.in_stage(&self.nodes[stage].body.name());
                    let failure = self.with_memory(&held, stage, failure);
                    held.failure.get_or_insert(failure);
                    Outcome::Failed
                }
                Err(_) => Outcome::Cancelled,
            };
            work.and_then(|work| held.running.remove(&work));
            self.step(&mut held, event(outcome), None).0
        };
        self.perform(deeds);
    }
}
