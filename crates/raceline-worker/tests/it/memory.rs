//! Workers that the graph ends to have their memory back.
#![cfg(target_os = "linux")]

use std::sync::Arc;
use std::time::Duration;

use raceline_exec::{Operator as _, Relief, Then, WorkerMemory};
use raceline_types::{Batch, ErrorKind, Failure};
use raceline_worker::ProcessOperator;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::harness::{Session, batch, run_on, spec, values};

/// An operator whose worker 0 hands on a row of any batch of more than two, and then hangs.
async fn hanging(session: &Session) -> Arc<ProcessOperator> {
    let operator = Arc::new(session.operator(spec("hang_if_many 2")));
    assert!(operator.start_worker(0).await.unwrap());
    operator
}

fn begin(
    operator: &Arc<ProcessOperator>,
    turn: u64,
    rows: std::ops::Range<i64>,
) -> JoinHandle<Result<Vec<Batch>, Failure>> {
    let operator = Arc::clone(operator);
    Handle::current().spawn(async move { run_on(&operator, 0, turn, batch(rows)).await })
}

/// What the worker holds, once it is at a batch of `rows`.
async fn at_work(operator: &ProcessOperator, rows: usize) -> WorkerMemory {
    for _ in 0..1_000 {
        if let [memory] = operator.memory()[..]
            && memory.rows == Some(rows)
        {
            return memory;
        }
        sleep(Duration::from_millis(2)).await;
    }
    panic!("it is not at {rows} rows: {:?}", operator.memory())
}

fn relief(then: Then) -> Relief {
    Relief { bytes: 3 << 20, peak_bytes: 4 << 20, limit_bytes: 2 << 20, then }
}

fn rows(outputs: &[Batch]) -> Vec<i64> {
    outputs.iter().flat_map(|output| values(&output.data)).collect()
}

#[tokio::test]
async fn a_batch_is_run_again_in_pieces_and_no_row_comes_twice() {
    let session = Session::start();
    let operator = hanging(&session).await;
    let first = begin(&operator, 0, 0..7);
    let second = begin(&operator, 1, 7..10);
    let memory = at_work(&operator, 7).await;
    assert_eq!((memory.worker, memory.finished), (Some(0), 0));
    assert!(memory.bytes > 0);
    operator.relieve_worker(0, memory.process, relief(Then::Smaller(2)));
    assert_eq!(rows(&first.await.unwrap().unwrap()), (0..7).collect::<Vec<_>>());
    assert_eq!(rows(&second.await.unwrap().unwrap()), [7, 8, 9], "it is cut from the start");
    let lines = session.lines.lock().unwrap().clone();
    let told: Vec<&String> = lines.iter().filter(|line| !line.starts_with("(template")).collect();
    let expected = format!(
        "(MapBatches(test)) worker process {} held 3.0 MiB, of 2.0 MiB that there are for workers, \
         and was ended; its batch is run again in pieces of 2 rows, as are all from here on",
        memory.process
    );
    assert_eq!(told, [&expected], "and nobody speaks of a dead worker");
    operator.close().await;
}

#[tokio::test]
async fn a_batch_that_waits_for_memory_is_run_when_it_is_readmitted() {
    let session = Session::start();
    let operator = hanging(&session).await;
    let run = begin(&operator, 0, 0..3);
    let memory = at_work(&operator, 3).await;
    operator.relieve_worker(0, memory.process, relief(Then::Later));
    sleep(Duration::from_millis(200)).await;
    assert!(!run.is_finished() && operator.memory().is_empty());
    operator.relieve_worker(0, memory.process, relief(Then::Smaller(1)));
    operator.readmit_worker(0);
    assert_eq!(rows(&run.await.unwrap().unwrap()), [0, 1, 2]);
    operator.close().await;
}

#[tokio::test]
async fn only_the_process_that_is_meant_is_ended() {
    let session = Session::start();
    let operator = hanging(&session).await;
    let run = begin(&operator, 0, 0..2);
    operator.relieve_worker(0, 1, relief(Then::Again));
    assert_eq!(rows(&run.await.unwrap().unwrap()), [0, 1]);
    let [memory] = operator.memory()[..] else { panic!("it lives") };
    assert_eq!((memory.finished, memory.rows), (1, None));
    operator.close().await;
    assert!(operator.memory().is_empty());
}

#[tokio::test]
async fn one_that_cannot_be_smaller_is_an_error_that_tells_everything() {
    let session = Session::start();
    let operator = hanging(&session).await;
    let run = begin(&operator, 0, 0..3);
    let memory = at_work(&operator, 3).await;
    operator.relieve_worker(0, memory.process, relief(Then::Fail));
    let failure = run.await.unwrap().unwrap_err();
    assert_eq!(failure.kind(), ErrorKind::Resource);
    assert_eq!(
        failure.to_string(),
        "a worker of `MapBatches(test)` holds 3.0 MiB, of 2.0 MiB that there are for workers"
    );
    let text = failure.render();
    let detail = "it was working on a batch of 3 rows; the most that a worker of the stage has \
                  held is 4.0 MiB";
    assert!(text.contains(detail), "{text}");
    let hint = "lower `batch_size`, let the function hold less for each row, say by `memory=…` \
                what a worker may take, or give the session more: `raceline.init(memory=…)`";
    assert!(text.contains(hint), "{text}");
    operator.close().await;
}

#[tokio::test]
async fn one_that_somebody_kills_is_told_with_what_it_held() {
    let session = Session::start();
    let operator = Arc::new(session.operator(spec("kill_after_a_while")));
    assert!(operator.start_worker(0).await.unwrap());
    let run = begin(&operator, 0, 0..1);
    while !run.is_finished() {
        operator.memory();
        sleep(Duration::from_millis(10)).await;
    }
    let text = run.await.unwrap().unwrap_err().render();
    assert!(text.contains("row 0 of a batch of 1 rows kills the workers"), "{text}");
    assert!(text.contains("the last of them held "), "{text}");
    assert!(text.contains(" MiB of memory when it was last measured"), "{text}");
}

#[tokio::test]
async fn an_allocation_far_beyond_the_promise_fails() {
    let session = Session::start();
    let mut spec = spec("allocate 4096");
    spec.pool.resources.memory_bytes = 64 << 20;
    let operator = session.operator(spec);
    let outputs = crate::harness::run(&operator, batch(0..1)).await.unwrap();
    assert_eq!(rows(&outputs), [0], "there was no memory");
    let operator = session.operator(crate::harness::spec("allocate 4096"));
    let outputs = crate::harness::run(&operator, batch(0..1)).await.unwrap();
    assert_eq!(rows(&outputs), [1]);
}
