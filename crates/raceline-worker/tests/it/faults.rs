//! What goes wrong in a worker reaches the caller as a typed error, and nothing stays behind.

use std::time::Duration;

use async_trait::async_trait;
use raceline_exec::{Emit, Operator, PoolShape};
use raceline_types::{Batch, Diagnostic, ErrorKind, Failure, NANOS_PER_UNIT, Resources};
use raceline_worker::{Exit, Launcher, ProcessSpec, Template, UdfError, WorkerError};

use crate::harness::{Kept, Session, batch, launcher, run, run_on, spec, values};

#[tokio::test]
async fn an_exception_arrives_whole_and_the_worker_lives_on() {
    let session = Session::start();
    let operator = session.operator(spec("raise"));
    let failure = run(&operator, batch(100..105)).await.unwrap_err();
    assert_eq!(failure.kind(), ErrorKind::Udf);
    assert_eq!(
        failure.render(),
        "function `embed` raised ValueError: bad row\n  rows: 102\nrow 2 of the batch that the \
         function was given\n  File \"job.py\", line 3, in embed"
    );
    let error: &UdfError = failure.downcast_ref().unwrap();
    assert_eq!(error.error.exception.as_deref(), Some(&[1, 2, 3][..]));
    assert!(run(&operator, batch(0..5)).await.is_err());
    assert_eq!(operator.workers(), 1);
    operator.close().await;
}

#[tokio::test]
async fn a_constructor_that_raises_fails_the_start() {
    let session = Session::start();
    let operator = session.operator(spec("raise_in_constructor"));
    let failure = operator.start_worker(0).await.unwrap_err();
    assert_eq!(failure.to_string(), "function `embed` raised ValueError: no weights");
    assert!(failure.error().hint().unwrap().contains("constructor"));
    assert_eq!(operator.workers(), 0);
}

#[tokio::test]
async fn a_constructor_that_ends_its_process_is_told_with_its_code() {
    let session = Session::start();
    let failure = session.fails("die_in_constructor").await;
    let Some(WorkerError::Died { exit, rows: None, .. }) = failure.downcast_ref() else {
        panic!("{failure:?}")
    };
    assert_eq!(*exit, Exit::Code(7));
}

#[tokio::test]
async fn a_constructor_that_ended_its_process_once_is_run_again() {
    let session = Session::start();
    let folder = tempfile::tempdir().unwrap();
    let function = format!("die_in_constructor_once {}", folder.path().join("died").display());
    let operator = session.operator(spec(&function));
    assert_eq!(run(&operator, batch(0..5)).await.unwrap()[0].rows(), 5);
    operator.close().await;
}

#[tokio::test]
async fn a_batch_that_kills_by_its_size_is_named_and_no_row_blamed() {
    let session = Session::start();
    let failure = session.fails("kill_if_many").await;
    assert_eq!(failure.kind(), ErrorKind::Resource);
    let text = failure.render();
    assert!(text.contains("of `MapBatches(test)` died: signal SIGKILL"), "{text}");
    assert!(text.contains("it was working on a batch of 5 rows"), "{text}");
    assert!(text.contains("memory runs out"), "{text}");
}

#[tokio::test]
async fn a_row_that_kills_alone_is_found() {
    let session = Session::start();
    let operator = session.operator(spec("kill_at_three"));
    let failure = run(&operator, batch(0..100)).await.unwrap_err();
    assert_eq!(
        failure.to_string(),
        "row 3 of a batch of 100 rows kills the workers of `MapBatches(test)`: signal SIGSEGV"
    );
    assert_eq!(failure.kind(), ErrorKind::Udf);
    assert_eq!(failure.place().rows, Some((3, 3)));
    let lines = session.lines.lock().unwrap().join("\n");
    assert!(lines.contains("its batch of 100 rows is run again (1 of 1)"), "{lines}");
    assert!(lines.contains("looking for the row of 100"), "{lines}");
}

#[tokio::test]
async fn a_batch_whose_worker_was_killed_once_succeeds() {
    let session = Session::start();
    let folder = tempfile::tempdir().unwrap();
    let function = format!("kill_once {}", folder.path().join("killed").display());
    let operator = session.operator(spec(&function));
    assert_eq!(run(&operator, batch(0..5)).await.unwrap()[0].rows(), 5);
    operator.close().await;
}

#[tokio::test]
async fn a_batch_that_only_waited_in_a_dead_worker_is_run_again_and_not_blamed() {
    let session = Session::start();
    let operator = session.operator(spec("kill_at_three"));
    assert!(operator.start_worker(0).await.unwrap());
    // The first batch kills every worker that it gets; those behind it lose theirs each time.
    let batches = [0..5, 5..9, 9..12];
    let turns = (0_u64..).zip(batches).map(|(turn, ids)| run_on(&operator, 0, turn, batch(ids)));
    let mut ended = futures::future::join_all(turns).await.into_iter();
    let failure = ended.next().unwrap().unwrap_err();
    assert!(failure.to_string().starts_with("row 3 of a batch of 5 rows kills"), "{failure}");
    for (waited, ids) in ended.zip([5..9, 9..12]) {
        assert_eq!(values(&waited.unwrap()[0].data), ids.collect::<Vec<i64>>());
    }
    let lines = session.lines.lock().unwrap().join("\n");
    assert!(!lines.contains("batch of 4 rows") && !lines.contains("batch of 3 rows"), "{lines}");
    operator.close().await;
    assert_eq!(operator.workers(), 0);
}

#[tokio::test]
async fn a_dropped_call_kills_its_worker_and_the_next_gets_another() {
    let session = Session::start();
    let operator = session.operator(spec("hang_at_three"));
    assert!(operator.start_worker(0).await.unwrap());
    let hangs = run_on(&operator, 0, 0, batch(0..5));
    assert!(tokio::time::timeout(Duration::from_millis(100), hangs).await.is_err());
    assert_eq!(run_on(&operator, 0, 1, batch(5..9)).await.unwrap()[0].rows(), 4);
    operator.close().await;
}

#[tokio::test]
async fn a_batch_whose_worker_died_after_some_rows_loses_and_doubles_none() {
    let session = Session::start();
    let folder = tempfile::tempdir().unwrap();
    let function = format!("kill_between_outputs {}", folder.path().join("killed").display());
    let operator = session.operator(spec(&function));
    let outputs = run(&operator, batch(0..5)).await.unwrap();
    let rows: Vec<i64> = outputs.iter().flat_map(|output| values(&output.data)).collect();
    assert_eq!(rows, [0, 1, 2, 3, 4, 0, 1, 2, 3, 4]);
    operator.close().await;
}

#[tokio::test]
async fn a_function_that_returns_fewer_rows_the_second_time_is_refused() {
    let session = Session::start();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("killed");
    let function = format!("kill_between_outputs less {}", path.display());
    let failure = session.fails(&function).await;
    let Some(WorkerError::Unrepeatable { rows: 2, .. }) = failure.downcast_ref() else {
        panic!("{failure:?}")
    };
}

#[tokio::test]
async fn a_function_that_hangs_is_ended_and_its_row_found() {
    let session = Session::start();
    let call_timeout = Some(Duration::from_millis(50));
    let operator = session.operator(ProcessSpec { call_timeout, ..spec("hang_at_three") });
    assert_eq!(run(&operator, batch(5..9)).await.unwrap()[0].rows(), 4);
    let failure = run(&operator, batch(0..5)).await.unwrap_err();
    assert_eq!(
        failure.to_string(),
        "row 3 of a batch of 5 rows kills the workers of `MapBatches(test)`: it took longer than \
         0.05 s for a batch"
    );
    assert_eq!(failure.kind(), ErrorKind::Udf);
    operator.close().await;
    assert_eq!(operator.workers(), 0);
}

#[tokio::test]
async fn time_that_an_output_waits_does_not_count() {
    let session = Session::start();
    let call_timeout = Some(Duration::from_millis(200));
    let operator = session.operator(ProcessSpec { call_timeout, ..spec("two_parts") });
    let mut slow = Slow(Kept::default());
    operator.run(batch(0..2), &mut slow).await.unwrap();
    assert_eq!(slow.0.0.len(), 2);
}

/// Takes longer for each output than the worker may.
struct Slow(Kept);

#[async_trait]
impl Emit for Slow {
    async fn emit(&mut self, batch: Batch) -> Result<(), Failure> {
        tokio::time::sleep(Duration::from_millis(300)).await;
        self.0.emit(batch).await
    }
}

#[tokio::test]
async fn a_crash_and_an_exit_blame_the_function() {
    let session = Session::start();
    for (function, end) in [("segfault", "signal SIGSEGV"), ("exit", "exit code 3")] {
        let failure = session.fails(function).await;
        assert_eq!(failure.kind(), ErrorKind::Udf);
        assert!(failure.to_string().ends_with(&format!("`MapBatches(test)`: {end}")), "{failure}");
    }
}

#[tokio::test]
async fn a_death_is_noticed_though_a_grandchild_holds_the_socket() {
    let session = Session::start();
    let failure = session.fails("fork_and_die").await;
    assert!(failure.to_string().ends_with("signal SIGKILL"), "{failure}");
}

#[tokio::test]
async fn invalid_output_is_refused() {
    let session = Session::start();
    let failure = session.fails("not_utf8").await;
    assert_eq!(failure.kind(), ErrorKind::Udf);
    assert_eq!(failure.to_string(), "`MapBatches(test)` returned data that is not valid Arrow");
    assert!(failure.render().contains("UTF8"), "{failure:?}");
}

#[tokio::test]
async fn a_gpu_that_nobody_declared_is_an_error() {
    let session = Session::start();
    let resources = Resources { gpu_nanos: NANOS_PER_UNIT, ..Resources::default() };
    let pool = PoolShape { resources, ..PoolShape::inline() };
    let operator = session.operator(ProcessSpec { pool, ..spec("gpus") });
    let failure = operator.start_worker(0).await.unwrap_err();
    assert_eq!(
        failure.to_string(),
        "no GPU is free for a worker of `MapBatches(test)`, which asks for 1"
    );
}

#[test]
fn a_program_that_is_not_there_is_named() {
    let error = Template::start(&Launcher::new("/nowhere/python")).unwrap_err();
    assert_eq!(error.to_string(), "cannot start the worker template `/nowhere/python`");
    assert_eq!(error.kind(), ErrorKind::Resource);
}

#[tokio::test]
async fn a_template_that_ends_early_shows_what_it_printed() {
    let lines = std::sync::Arc::default();
    let mut launcher = launcher(&lines);
    launcher.env.push(("TEST_TEMPLATE_FAILS".into(), "1".into()));
    let session = Session { template: Template::start(&launcher).unwrap(), lines };
    let failure = session.fails("echo").await;
    assert_eq!(failure.to_string(), "the worker template ended early: exit code 3");
    assert!(failure.render().contains("no module named `raceline`"), "{failure:?}");
    assert!(!session.template.is_running());
}
