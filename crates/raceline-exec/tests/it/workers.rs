//! Operators with workers: which live, what each is given, and how they end.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use raceline_exec::{BatchShape, Emit, Graph, Operator, PoolShape, Seat, WorkerShape};
use raceline_types::{Batch, ErrorKind, Failure, Resources};

use crate::fixtures::{Broken, Counting, drain, machine, start};

/// Workers that know what they may be asked for.
#[derive(Debug)]
struct Staff {
    pool: PoolShape,
    /// How much longer all but the first take to start.
    late: Duration,
    /// Workers beyond this find no room.
    room: usize,
    fails: bool,
    /// The next turn of each worker that lives.
    alive: Mutex<BTreeMap<usize, u64>>,
    turns: Mutex<BTreeMap<usize, u64>>,
    most: AtomicUsize,
}

impl Staff {
    fn new(start: usize, most: usize) -> Self {
        let workers = WorkerShape { start, least: start, in_flight_max: None };
        let resources = Resources::new(0.0, 0.0, 0).unwrap();
        let pool = PoolShape { resources, concurrency_max: Some(most), workers: Some(workers) };
        Self {
            pool,
            late: Duration::ZERO,
            room: usize::MAX,
            fails: false,
            alive: Mutex::default(),
            turns: Mutex::default(),
            most: AtomicUsize::new(0),
        }
    }
}

#[async_trait]
impl Operator for Staff {
    fn name(&self) -> Arc<str> {
        "Staff".into()
    }

    fn pool(&self) -> PoolShape {
        self.pool.clone()
    }

    fn input(&self) -> BatchShape {
        BatchShape::AsIs
    }

    async fn start_worker(&self, worker: usize) -> Result<bool, Failure> {
        let late = if worker > 0 { self.late } else { Duration::ZERO };
        tokio::time::sleep(Duration::from_millis(5) + late).await;
        if self.fails {
            return Err(Broken("constructor").into());
        }
        if worker >= self.room {
            return Ok(false);
        }
        let mut alive = self.alive.lock().unwrap();
        assert_eq!(alive.insert(worker, 0), None, "it lives already");
        self.most.fetch_max(alive.len(), Ordering::SeqCst);
        Ok(true)
    }

    async fn stop_worker(&self, worker: usize) {
        self.alive.lock().unwrap().remove(&worker).expect("it lives");
    }

    async fn run(&self, _input: Batch, _out: &mut dyn Emit) -> Result<(), Failure> {
        panic!("the graph says which worker")
    }

    async fn run_on(&self, seat: Seat, input: Batch, out: &mut dyn Emit) -> Result<(), Failure> {
        assert!(self.alive.lock().unwrap().contains_key(&seat.worker), "{seat:?} is dead");
        loop {
            let turn = *self.turns.lock().unwrap().entry(seat.worker).or_default();
            assert!(turn <= seat.turn, "each turn comes once");
            if turn == seat.turn {
                break;
            }
            tokio::task::yield_now().await;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
        out.emit(input).await?;
        *self.turns.lock().unwrap().entry(seat.worker).or_default() += 1;
        Ok(())
    }

    async fn close(&self) {
        self.alive.lock().unwrap().clear();
    }
}

async fn run(staff: Staff) -> (Arc<Staff>, Option<Failure>) {
    let machine = machine(2.0);
    let staff = Arc::new(staff);
    let source = Counting::new(40, 5, 4);
    let mut graph = Graph::new();
    let read = graph.source(Arc::new(source.clone()), vec![]);
    let root = graph.operator(read, Arc::clone(&staff) as Arc<_>, vec![]);
    let mut execution = start(&machine, graph, root);
    let (all, failure) = drain(&mut execution).await;
    if failure.is_none() {
        assert_eq!(all, source.all());
    }
    execution.close().await.unwrap();
    assert_eq!(staff.alive.lock().unwrap().len(), 0);
    (staff, failure)
}

#[tokio::test]
async fn a_pool_grows_to_what_was_allowed_and_keeps_order() {
    let (staff, failure) = run(Staff::new(1, 4)).await;
    assert!(failure.is_none());
    assert_eq!(staff.most.load(Ordering::SeqCst), 4);
    assert_eq!(staff.turns.lock().unwrap().values().sum::<u64>(), 200);
}

#[tokio::test]
async fn workers_that_find_no_room_are_done_without() {
    let (staff, failure) = run(Staff { room: 2, ..Staff::new(1, 4) }).await;
    assert!(failure.is_none());
    assert_eq!(staff.most.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn starts_that_are_not_needed_any_more_are_given_up() {
    let mut staff = Staff::new(1, 2);
    staff.late = Duration::from_mins(1);
    let (staff, failure) = run(staff).await;
    assert!(failure.is_none());
    assert_eq!(staff.most.load(Ordering::SeqCst), 1, "the other would have taken a minute");
}

#[tokio::test]
async fn a_worker_that_cannot_start_ends_the_execution() {
    let (staff, failure) = run(Staff { fails: true, ..Staff::new(3, 4) }).await;
    let failure = failure.unwrap();
    assert_eq!(
        (failure.kind(), failure.to_string().as_str()),
        (ErrorKind::Source, "the constructor broke")
    );
    assert_eq!(failure.place().stage.as_deref(), Some("Staff"));
    assert_eq!(staff.most.load(Ordering::SeqCst), 0);
}
