//! What the accounts say is held against what the allocator handed out, and the process has of the
//! system. A gap of more than 10 % fails, beside a floor for what every run has: threads' buffers,
//! plans, a batch in the hands of each stage.
//!
//! A binary of its own, as it has an allocator of its own.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod allocator;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::Int64Type;
use arrow::error::ArrowError;
use raceline::{Aggregate, AggregateKind, Run, Session, SessionOptions, Snapshot, SortKey};

use self::allocator::{Counting, allocated_bytes};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const MIB: u64 = 1 << 20;

/// Memory of the sessions: batches of 8 MiB, and 256 MiB for queues.
const MEMORY_BYTES: u64 = 1 << 30;

/// What may be unaccounted for beside the 10 %, while nothing runs.
const FLOOR_AT_REST: u64 = 6 * MIB;

/// The same where `DataFusion` puts out what it has: batches inside of its plans are not reserved,
/// and 15 % of its half are kept for them.
const FLOOR_OF_PLANS: u64 = MEMORY_BYTES / 2 / 100 * 15;

/// The same while everything runs: batches of 20 MiB that two threads are making of others, and
/// those of which a slice is left.
const FLOOR_AT_WORK: u64 = 80 * MIB;

/// What the process may have of the system beside what was allocated.
const FLOOR_OF_SYSTEM: u64 = 96 * MIB;

/// One at a time, as all of them are counted.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn session() -> Session {
    let memory_bytes = Some(MEMORY_BYTES);
    let options = SessionOptions { cpus: Some(2.0), memory_bytes, ..SessionOptions::default() };
    Session::new(options).unwrap()
}

fn tracked_bytes(snapshot: &Snapshot) -> u64 {
    snapshot.stages.iter().map(|stage| stage.memory.bytes()).sum()
}

/// Bytes allocated since it was made.
#[derive(Clone, Copy)]
struct Since(usize);

impl Since {
    fn now() -> Self {
        Self(allocated_bytes())
    }

    fn allocated(self) -> u64 {
        allocated_bytes().saturating_sub(self.0) as u64
    }
}

/// Waits until nothing moves any more: what is tracked, and what was allocated by then.
fn at_rest(run: &Run, since: Since) -> (u64, u64) {
    let deadline = Instant::now() + Duration::from_mins(1);
    let look = || (tracked_bytes(&run.snapshot().unwrap()), since.allocated());
    let (mut last, mut same) = (look(), 0);
    while same < 10 {
        assert!(Instant::now() < deadline, "it does not come to rest: {last:?}");
        std::thread::sleep(Duration::from_millis(50));
        let now = look();
        let is_same = now.0 == last.0 && now.1.abs_diff(last.1) < MIB / 4;
        same = if is_same { same + 1 } else { 0 };
        last = now;
    }
    last
}

fn assert_covered(what: &str, (tracked, allocated): (u64, u64), floor: u64) {
    assert!(
        allocated <= tracked + tracked / 10 + floor,
        "{what}: {allocated} bytes allocated, only {tracked} tracked"
    );
}

/// In both directions.
fn assert_reconciled(what: &str, (tracked, allocated): (u64, u64), floor: u64) {
    assert_covered(what, (tracked, allocated), floor);
    assert!(tracked > 32 * MIB, "{what}: {tracked} bytes are no load");
    assert!(
        tracked <= allocated + allocated / 10 + floor,
        "{what}: {tracked} bytes tracked, only {allocated} allocated"
    );
}

/// Four new columns in place of the input's.
fn widen(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let ids = batch.column(0).as_primitive::<Int64Type>();
    let column = |by: i64| -> ArrayRef {
        Arc::new(ids.values().iter().map(|id| id.wrapping_mul(by)).collect::<Int64Array>())
    };
    RecordBatch::try_from_iter([
        ("a", column(3)),
        ("b", column(0x9e37_79b9_7f4a_7c15_u64.cast_signed())),
        ("c", column(7)),
        ("d", column(1)),
    ])
}

fn tenfold(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    concat_batches(batch.schema_ref(), &vec![batch.clone(); 10])
}

#[test]
fn queues_before_a_consumer_that_stops() {
    let _alone = alone();
    let session = session();
    let since = Since::now();
    let mut run = session.range(80_000_000).map_batches("widen", widen).run().unwrap();
    drop(run.next_batch().unwrap().unwrap());
    assert_reconciled("map", at_rest(&run, since), FLOOR_AT_REST);
    drop(run);
    let left = since.allocated();
    assert!(left < FLOOR_AT_REST, "{left} bytes are left behind");
}

#[test]
fn outputs_ten_times_their_input() {
    let _alone = alone();
    let session = session();
    let since = Since::now();
    let resident_before = resident_bytes();
    let wide = session.range(80_000_000).map_batches("widen", widen);
    let mut run = wide.map_batches("tenfold", tenfold).run().unwrap();
    drop(run.next_batch().unwrap().unwrap());
    let (tracked, allocated) = at_rest(&run, since);
    assert_reconciled("inflate", (tracked, allocated), FLOOR_AT_REST);
    if let (Some(before), Some(now)) = (resident_before, resident_bytes()) {
        let resident = now.saturating_sub(before);
        assert_covered("inflate, of the system", (tracked, resident), FLOOR_OF_SYSTEM);
    }
}

#[test]
fn a_sort_that_holds_its_input() {
    let _alone = alone();
    let session = session();
    let since = Since::now();
    let key = SortKey { column: "b".into(), descending: false };
    let wide = session.range(4_000_000).map_batches("widen", widen);
    let mut run = wide.sort(vec![key]).run().unwrap();
    drop(run.next_batch().unwrap().unwrap());
    let (tracked, allocated) = at_rest(&run, since);
    assert!(allocated > 64 * MIB, "{allocated} bytes are no load");
    assert_covered("sort", (tracked, allocated), FLOOR_AT_REST);
}

#[test]
fn an_aggregate_of_many_groups() {
    let _alone = alone();
    let session = session();
    let since = Since::now();
    let sum = Aggregate::new(AggregateKind::Sum, Some("a".into()), true);
    let wide = session.range(3_000_000).map_batches("widen", widen);
    let mut run = wide.aggregate(vec!["b".into()], vec![sum]).run().unwrap();
    drop(run.next_batch().unwrap().unwrap());
    assert_covered("aggregate", at_rest(&run, since), FLOOR_OF_PLANS);
}

/// All the time, and not only at rest.
#[test]
fn whatever_runs_is_covered_by_what_was_granted() {
    let _alone = alone();
    let session = session();
    let since = Since::now();
    let wide = session.range(40_000_000).map_batches("widen", widen);
    let dataset = wide.map_batches("tenfold", tenfold).limit(100_000_000);
    let mut run = dataset.run().unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let watcher = {
        let (over, dataset) = (Arc::clone(&over), dataset.clone());
        std::thread::Builder::new()
            .spawn(move || {
                let mut worst: Option<(u64, u64)> = None;
                while !over.load(Ordering::Relaxed) {
                    // What is freed between the two looks is no gap.
                    let before = dataset.last_run().map(|now| tracked_bytes(&now));
                    let allocated = since.allocated();
                    let after = dataset.last_run().map(|now| tracked_bytes(&now));
                    if let (Some(before), Some(after)) = (before, after) {
                        let tracked = before.max(after);
                        let gap = |(tracked, allocated): (u64, u64)| {
                            allocated.saturating_sub(tracked + tracked / 10)
                        };
                        let now = (tracked, allocated);
                        worst =
                            Some(worst.map_or(now, |worst| {
                                if gap(now) > gap(worst) { now } else { worst }
                            }));
                    }
                    std::thread::sleep(Duration::from_millis(1));
                }
                worst
            })
            .unwrap()
    };
    let mut rows = 0;
    while let Some(batch) = run.next_batch() {
        rows += batch.unwrap().num_rows();
    }
    over.store(true, Ordering::Relaxed);
    assert_eq!(rows, 100_000_000);
    let worst = watcher.join().unwrap().expect("it was looked at while it ran");
    assert_covered("at work", worst, FLOOR_AT_WORK);
}

/// Resident memory of this process, where the system tells.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes << 10)
}
