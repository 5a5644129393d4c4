//! No worker outlives its operator, its template or the engine.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use raceline_exec::Operator;
use tokio::time::timeout;

use crate::harness::{
    Session, batch, children, eventually, is_alive, parent_of, run, spec, values, worker_pid,
};

/// The workers of a session, found as children of a child of this process.
fn workers_of(template: u32) -> Vec<u32> {
    children(template)
}

#[tokio::test]
async fn close_ends_workers_and_reaps_them() {
    let session = Session::start();
    let operator = session.operator(spec("pid"));
    let worker = worker_pid(&operator).await;
    let template = parent_of(worker);
    assert_eq!(workers_of(template).len(), 1);
    operator.close().await;
    assert!(!is_alive(worker), "close waits until the worker is reaped");
    assert!(workers_of(template).is_empty());
    session.template.shutdown();
    assert!(!is_alive(template));
}

#[tokio::test]
async fn a_dropped_run_kills_its_busy_worker() {
    let session = Session::start();
    let (pid, busy) = (session.operator(spec("pid")), session.operator(spec("sleep")));
    let template = parent_of(worker_pid(&pid).await);
    let cut = timeout(Duration::from_millis(300), run(&busy, batch(0..5))).await;
    assert!(cut.is_err());
    eventually("only the other operator's worker is left", || workers_of(template).len() == 1);
    assert_eq!(busy.workers(), 0);
    let start = Instant::now();
    busy.close().await;
    pid.close().await;
    assert!(start.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn a_dropped_operator_leaves_no_worker() {
    let session = Session::start();
    let operator = session.operator(spec("pid"));
    let worker = worker_pid(&operator).await;
    drop(operator);
    eventually("the worker is gone", || !is_alive(worker));
}

#[tokio::test]
async fn shutdown_ends_busy_workers() {
    let session = Session::start();
    let (pid, busy) = (session.operator(spec("pid")), session.operator(spec("sleep")));
    let template = parent_of(worker_pid(&pid).await);
    let mut out = crate::harness::Kept::default();
    let running = busy.run(batch(0..5), &mut out);
    let ending = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let workers = workers_of(template);
        assert_eq!(workers.len(), 2);
        let ended = std::sync::Arc::clone(&session.template);
        tokio::task::spawn_blocking(move || ended.shutdown()).await.unwrap();
        workers
    };
    let (result, workers) = tokio::join!(running, ending);
    assert!(result.is_err());
    assert!(!is_alive(template));
    eventually("the workers are gone", || workers.iter().all(|pid| !is_alive(pid)));
}

#[tokio::test]
async fn a_worker_killed_while_idle_is_replaced() {
    let session = Session::start();
    let operator = session.operator(spec("pid"));
    let first = worker_pid(&operator).await;
    assert!(Command::new("kill").args(["-9", &first.to_string()]).status().unwrap().success());
    eventually("it died", || {
        let stat = std::fs::read_to_string(format!("/proc/{first}/stat"));
        stat.map_or(true, |stat| stat.contains(") Z "))
    });
    assert_ne!(worker_pid(&operator).await, first);
    operator.close().await;
}

#[tokio::test]
async fn a_second_session_finds_no_trace_of_the_first() {
    for _ in 0..2 {
        let session = Session::start();
        let operator = session.operator(spec("pid"));
        let worker = worker_pid(&operator).await;
        let template = parent_of(worker);
        drop(operator);
        drop(session);
        eventually("both are gone", || !is_alive(worker) && !is_alive(template));
    }
}

/// The engine in a process of its own, which is killed in the middle of a call.
#[test]
fn engine_entry() {
    if std::env::var_os("TEST_ENGINE").is_none() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime
        .block_on(async {
            let session = Session::start();
            let (pid, busy) = (session.operator(spec("pid")), session.operator(spec("sleep")));
            let worker = worker_pid(&pid).await;
            let parent = session.operator(spec("start_sleep"));
            let started = worker_pid(&parent).await;
            println!("\nWORKER {worker} {started}");
            run(&busy, batch(0..5)).await.map(drop)
        })
        .unwrap();
}

#[test]
fn workers_end_with_an_engine_that_was_killed() {
    use std::io::{BufRead, BufReader};

    let mut engine = Command::new(std::env::current_exe().unwrap())
        .args(["life::engine_entry", "--exact", "--nocapture"])
        .env("TEST_ENGINE", "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(engine.stdout.take().unwrap()).lines();
    let line = lines.find_map(|line| line.unwrap().strip_prefix("WORKER ").map(str::to_owned));
    let line = line.unwrap();
    let (worker, started) = line.split_once(' ').unwrap();
    let template = parent_of(worker.parse().unwrap());
    eventually("a third worker is busy", || workers_of(template).len() == 3);
    let workers = workers_of(template);
    engine.kill().unwrap();
    engine.wait().unwrap();
    eventually("nothing is left", || {
        !is_alive(template) && !is_alive(started) && workers.iter().all(|pid| !is_alive(pid))
    });
}

#[tokio::test]
async fn a_template_loads_what_it_is_told_to_before_the_first_fork() {
    let session = Session::start();
    session.template.load(vec!["numpy".to_owned()]);
    let operator = session.operator(spec("loaded"));
    let outputs = run(&operator, batch(0..1)).await.unwrap();
    assert_eq!(values(&outputs[0].data), [5]);
}

#[tokio::test]
async fn a_template_that_is_gone_is_told_nothing() {
    let session = Session::start();
    session.template.shutdown();
    session.template.load(vec!["numpy".to_owned()]);
    assert!(!session.template.is_running());
}
