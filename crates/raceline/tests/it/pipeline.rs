//! Sources, closures, order, limits, errors.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::Int64Type;
use arrow::error::ArrowError;
use raceline::{
    CallerLoader, Cut, Dataset, ErrorKind, Projection, Session, SessionOptions, SortKey,
    SpillFolder, UdfBody, UdfSpec, col, lit,
};
use raceline_worker::{Answer, CallerFailure, CallerRuntime};

use crate::{ints, session};

/// Doubles the column `id`.
fn double(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let doubled: Int64Array = batch["id"].as_primitive::<Int64Type>().unary(|id| id * 2);
    RecordBatch::try_from_iter([("id", Arc::new(doubled) as ArrayRef)])
}

#[test]
fn rows_keep_their_order_through_closures_and_filters() {
    let rows = 300_000;
    let dataset =
        session().range(rows).map_batches("double", double).filter(col("id").gt(lit(9_i64)));
    let expected: Vec<i64> = (0..300_000).map(|id| id * 2).filter(|id| *id > 9).collect();
    assert_eq!(ints(&dataset.collect().unwrap(), "id"), expected);
}

#[test]
fn a_limit_stops_the_work_upstream() {
    let seen = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&seen);
    let dataset = session().range(500_000_000).map_batches("count", move |batch| {
        counter.fetch_add(batch.num_rows() as u64, Ordering::Relaxed);
        Ok::<_, ArrowError>(batch.clone())
    });
    assert_eq!(ints(&dataset.limit(7).collect().unwrap(), "id"), (0..7).collect::<Vec<_>>());
    assert!(seen.load(Ordering::Relaxed) < 50_000_000, "the whole range was read");
}

#[test]
fn a_union_is_one_input_after_the_other() {
    let session = session();
    let dataset = session.range(3).union(&[session.range(2)]);
    assert_eq!(ints(&dataset.collect().unwrap(), "id"), vec![0, 1, 2, 0, 1]);
    assert_eq!(dataset.count().unwrap(), 5);
}

#[test]
fn a_repartition_gives_exactly_the_partitions() {
    let batches = session().range(10).repartition(Cut::Parts(4)).collect().unwrap();
    let rows: Vec<_> = batches.iter().map(RecordBatch::num_rows).collect();
    assert_eq!(rows, vec![2, 3, 2, 3]);
    assert_eq!(ints(&batches, "id"), (0..10).collect::<Vec<_>>());
    let batches = session().range(2).repartition(Cut::Parts(5)).collect().unwrap();
    let rows: Vec<_> = batches.iter().map(RecordBatch::num_rows).collect();
    assert_eq!(rows, vec![1, 1]);
}

/// A session of 1 MiB that spills to `folder`.
fn tight_session(folder: &tempfile::TempDir) -> Session {
    let folder = SpillFolder { path: folder.path().to_owned(), bytes_max: None };
    let options = SessionOptions {
        memory_bytes: Some(1 << 20),
        spill_folders: vec![folder],
        ..SessionOptions::default()
    };
    Session::new(options).unwrap()
}

/// A run that is over lets go of what it read a moment later.
fn nothing_is_spilled(session: &Session) {
    for _ in 0..500 {
        if session.spill().used_bytes() == 0 {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{} bytes are still there", session.spill().used_bytes());
}

#[test]
fn a_repartition_beyond_its_memory_spills_and_gives_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let session = tight_session(&folder);
    let (rows, parts) = (1_000_003, 200);
    let batches = session.range(rows).repartition(Cut::Parts(parts)).collect().unwrap();
    let wanted =
        (0..parts as u64).map(|part| rows * (part + 1) / parts as u64 - rows * part / parts as u64);
    let found = batches.iter().map(|batch| batch.num_rows() as u64);
    assert!(found.eq(wanted));
    assert!(ints(&batches, "id").into_iter().eq(0..1_000_003));
    // A large batch comes in several.
    let batches = session.range(rows).repartition(Cut::Parts(2)).collect().unwrap();
    assert!(batches.len() > 2);
    assert!(batches.iter().all(|batch| raceline_types::batch_sliced_bytes(batch) < 1 << 20));
    assert!(ints(&batches, "id").into_iter().eq(0..1_000_003));
    nothing_is_spilled(&session);
}

#[test]
fn rows_are_cut_by_number_and_joined_only_if_asked() {
    let session = session();
    let rows = |first, rows| {
        let ids = Int64Array::from_iter_values(first..first + rows);
        RecordBatch::try_from_iter([("id", Arc::new(ids) as ArrayRef)]).unwrap()
    };
    let parts = vec![rows(0, 3), rows(3, 0), rows(3, 5), rows(8, 1)];
    let lengths = |cut: Cut| {
        let kept = Dataset::from_batches(&session, "Parts", parts.clone()).unwrap();
        // Sources cut batches for each CPU; one that gathers them does not.
        let batches = kept.repartition(Cut::Rows(9)).repartition(cut).collect().unwrap();
        assert!(ints(&batches, "id").into_iter().eq(0..9));
        batches.iter().map(RecordBatch::num_rows).collect::<Vec<_>>()
    };
    assert_eq!(lengths(Cut::Rows(4)), vec![4, 4, 1]);
    assert_eq!(lengths(Cut::Rows(9)), vec![9]);
    assert_eq!(lengths(Cut::RowsAtMost(5)), vec![5, 4]);
    assert_eq!(lengths(Cut::RowsAtMost(100)), vec![9]);
    let two = session.range(7).repartition(Cut::Rows(5)).repartition(Cut::RowsAtMost(3));
    let lengths: Vec<_> = two.collect().unwrap().iter().map(RecordBatch::num_rows).collect();
    assert_eq!(lengths, vec![3, 2, 2]);
}

#[test]
fn a_zip_pairs_rows_however_they_are_cut() {
    let session = session();
    let range = session.range(100_000);
    let (cut, few) = (range.repartition(Cut::Rows(777)), range.repartition(Cut::Parts(3)));
    let zipped = cut.zip(&[few.map_batches("double", double), range.clone()]);
    let batches = zipped.collect().unwrap();
    assert!(ints(&batches, "id").into_iter().eq(0..100_000));
    assert!(ints(&batches, "id_1").into_iter().eq((0..100_000).map(|id| id * 2)));
    assert!(ints(&batches, "id_2").into_iter().eq(0..100_000));
    let names = |dataset: &Dataset| -> Vec<String> {
        let schema = dataset.schema().unwrap().unwrap();
        schema.fields().iter().map(|field| field.name().clone()).collect()
    };
    assert_eq!(names(&range.zip(std::slice::from_ref(&range))), ["id", "id_1"]);
    assert_eq!(range.zip(std::slice::from_ref(&range)).count().unwrap(), 100_000);
    let none = range.limit(0);
    let empty = none.zip(std::slice::from_ref(&none)).collect().unwrap();
    assert!(empty.iter().all(|batch| batch.num_rows() == 0));
}

#[test]
fn a_zip_of_different_lengths_is_refused() {
    let session = session();
    let zipped = session.range(10).zip(&[session.range(7), session.range(10)]);
    let failure = zipped.collect().unwrap_err();
    assert_eq!(failure.kind(), ErrorKind::Plan);
    assert_eq!(
        failure.render(),
        "`zip` pairs rows, and dataset 2 has 7 of them while dataset 1 has more\n  stage: \
         Zip\n  hint: zip datasets of the same number of rows, as `limit` makes them"
    );
    assert_eq!(zipped.count().unwrap_err().kind(), ErrorKind::Plan);
}

#[test]
fn kept_rows_beyond_their_memory_are_on_disk_until_the_last_dataset_of_them_goes() {
    let folder = tempfile::tempdir().unwrap();
    let session = tight_session(&folder);
    let kept = session.range(500_000).repartition(Cut::Rows(1000)).materialize().unwrap();
    let size = kept.kept_size().unwrap();
    assert_eq!((size.batches, size.bytes), (500, 4_000_000));
    assert!(session.spill().used_bytes() > 0);
    assert_eq!(kept.count().unwrap(), 500_000);
    let doubled = kept.map_batches("double", double);
    for _ in 0..2 {
        assert!(ints(&kept.collect().unwrap(), "id").into_iter().eq(0..500_000));
    }
    drop(kept);
    assert!(ints(&doubled.collect().unwrap(), "id").into_iter().eq((0..500_000).map(|id| id * 2)));
    drop(doubled);
    nothing_is_spilled(&session);

    // All of them share the memory: the second finds none.
    let first = session.range(16_000).materialize().unwrap();
    assert_eq!(session.spill().used_bytes(), 0);
    let second = session.range(16_000).materialize().unwrap();
    assert!(session.spill().used_bytes() > 0);
    assert_eq!(second.collect().unwrap().iter().map(RecordBatch::num_rows).sum::<usize>(), 16_000);
    drop((first, second));
    nothing_is_spilled(&session);
}

#[test]
fn a_sort_with_a_limit_is_the_greatest_rows() {
    let keys = vec![SortKey { column: "id".into(), descending: true }];
    let dataset = session().range(100_000).sort(keys).limit(3);
    assert_eq!(ints(&dataset.collect().unwrap(), "id"), vec![99_999, 99_998, 99_997]);
}

#[test]
fn a_failing_closure_ends_the_run_with_its_error() {
    let dataset = session().range(1_000_000).map_batches("refuse", |batch| {
        if batch["id"].as_primitive::<Int64Type>().values().contains(&700_000) {
            return Err("row 700000 is cursed");
        }
        Ok(batch.clone())
    });
    let failure = dataset.collect().unwrap_err();
    assert_eq!(failure.kind(), ErrorKind::Udf);
    let text = failure.render();
    assert!(text.starts_with("function `refuse` failed"), "{text}");
    assert!(text.contains("caused by: row 700000 is cursed"), "{text}");
}

#[test]
fn an_unknown_column_names_its_neighbours() {
    let failure = session().range(10).filter(col("idd").gt(lit(1_i64))).collect().unwrap_err();
    assert_eq!(failure.kind(), ErrorKind::ColumnNotFound);
    assert!(failure.render().contains("`id`"), "{}", failure.render());
}

#[test]
fn a_request_beyond_the_session_is_refused_at_once() {
    let session =
        raceline::Session::new(SessionOptions { cpus: Some(1.0), ..SessionOptions::default() });
    let dataset = session.unwrap().range(10).map_batches("wide", double);
    let raceline::Node::Udf { udf, .. } = dataset.plan().as_ref() else { panic!("no function") };
    let mut wide = udf.as_ref().clone();
    wide.resources.cpu_nanos *= 4;
    let failure = dataset.udf(wide).collect().unwrap_err();
    assert_eq!(failure.kind(), ErrorKind::Resource);
    assert!(failure.render().contains("num_cpus"), "{}", failure.render());
}

/// `dataset` behind a function of which a session knows nothing but that it calls it itself.
fn called(dataset: &Dataset) -> Dataset {
    let plan = dataset.map_batches("called", double);
    let raceline::Node::Udf { udf, .. } = plan.plan().as_ref() else { panic!("no function") };
    dataset.udf(UdfSpec { body: UdfBody::Caller(Arc::new(())), ..udf.as_ref().clone() })
}

/// Calls `double` in the thread that waits.
struct Doubles(Option<RecordBatch>);

impl CallerRuntime for Doubles {
    fn begin(&mut self, input: RecordBatch) -> Result<(), CallerFailure> {
        self.0 = Some(input);
        Ok(())
    }

    fn next(&mut self) -> Result<Option<Answer>, CallerFailure> {
        Ok(self.0.take().map(|input| Answer::Rows(double(&input).unwrap())))
    }
}

#[test]
fn a_function_runs_in_the_thread_that_waits_for_the_run() {
    let home = std::thread::current().id();
    let caller: CallerLoader = Arc::new(move |_| {
        assert_eq!(std::thread::current().id(), home);
        Ok(Box::new(Doubles(None)))
    });
    let options = SessionOptions { caller: Some(caller), ..SessionOptions::default() };
    let session = Session::new(options).unwrap();
    let twice = called(&called(&session.range(1000)).map_batches("double", double));
    let expected: Vec<_> = (0..1000).map(|id| id * 8).collect();
    assert_eq!(ints(&twice.collect().unwrap(), "id"), expected);
    assert_eq!(twice.count().unwrap(), 1000);
}

#[test]
fn a_session_that_cannot_call_functions_says_so() {
    let failure = called(&session().range(3)).collect().unwrap_err();
    assert_eq!(
        failure.render(),
        "this session cannot call foreign functions in the thread that waits for them\n  \
         hint: set `SessionOptions::caller`"
    );
}

#[test]
fn a_closed_session_cancels_its_runs_and_refuses_new_ones() {
    let session = session();
    let dataset = session.range(1 << 40);
    let mut run = dataset.run().unwrap();
    run.next_batch().unwrap().unwrap();
    session.close();
    let failure = run.collect().unwrap_err();
    assert_eq!(failure.kind(), ErrorKind::Cancelled);
    let failure = dataset.limit(1).collect().unwrap_err();
    assert_eq!(failure.to_string(), "the session of this dataset was shut down");
}

#[test]
fn explain_shows_the_plans_and_the_lanes() {
    let dataset = session()
        .range(10)
        .map_batches("double", double)
        .project(Projection::Rename(vec![("id".into(), "twice".into())]));
    assert_eq!(
        dataset.explain().unwrap(),
        "-------- Logical Plan --------\n\
         Rename(id: twice)\n\
         +- MapBatches(double)\n   \
            +- Range(10)\n\n\
         -------- Logical Plan (Optimized) --------\n\
         Rename(id: twice)\n\
         +- MapBatches(double)\n   \
            +- Range(10)\n\n\
         -------- Physical Plan --------\n\
         stage 0: Range -> MapBatches(double) -> Rename(id: twice)\n\n\
         -------- Functions --------\n\
         MapBatches(double): native\n"
    );
}
