//! Rows that a function fails for, where the run goes on without them.

use std::sync::{Arc, Mutex};

use raceline_exec::Operator;
use raceline_types::{ErrorKind, Failure};
use raceline_worker::{ErroredRow, ErroredRows, ProcessSpec, WorkerError};

use crate::harness::{Session, batch, run, spec, values};

/// Keeps the first so many rows.
#[derive(Debug)]
struct Few {
    most: usize,
    kept: Mutex<Vec<ErroredRow>>,
}

impl ErroredRows for Few {
    fn take(&self, row: ErroredRow) -> Result<(), Failure> {
        let mut kept = self.kept.lock().unwrap();
        if kept.len() == self.most {
            return Err(row.failure);
        }
        kept.push(row);
        Ok(())
    }

    fn taken(&self) -> u64 {
        self.kept.lock().unwrap().len() as u64
    }
}

fn few(most: usize) -> Arc<Few> {
    Arc::new(Few { most, kept: Mutex::default() })
}

fn tolerant(function: &str, few: &Arc<Few>) -> ProcessSpec {
    let errored: Arc<dyn ErroredRows> = Arc::<Few>::clone(few);
    ProcessSpec { errored: Some(errored), ..spec(function) }
}

#[tokio::test]
async fn rows_that_fail_are_handed_over_and_the_others_go_on() {
    let session = Session::start();
    let few = few(10);
    let operator = session.operator(tolerant("fail_odd", &few));
    let outputs = run(&operator, batch(100..105)).await.unwrap();
    let returned: Vec<i64> = outputs.iter().flat_map(|batch| values(&batch.data)).collect();
    assert_eq!(returned, [100, 102, 104]);
    assert_eq!(operator.errored_rows(), 2);
    let kept = few.kept.lock().unwrap();
    assert_eq!(kept.iter().map(|row| values(&row.input.data)).collect::<Vec<_>>(), [[101], [103]]);
    assert_eq!(kept[1].input.origin[0].first_row, 103);
    assert_eq!(kept[1].failure.to_string(), "function `embed` raised ValueError: odd");
}

#[tokio::test]
async fn neither_output_nor_errors_come_twice_when_a_worker_dies() {
    let session = Session::start();
    let folder = tempfile::tempdir().unwrap();
    let few = few(10);
    let function = format!("fail_odd {}", folder.path().join("died").display());
    let operator = session.operator(tolerant(&function, &few));
    let outputs = run(&operator, batch(0..8)).await.unwrap();
    let returned: Vec<i64> = outputs.iter().flat_map(|batch| values(&batch.data)).collect();
    assert_eq!(returned, [0, 2, 4, 6]);
    let kept = few.kept.lock().unwrap();
    let failed: Vec<i64> = kept.iter().flat_map(|row| values(&row.input.data)).collect();
    assert_eq!(failed, [1, 3, 5, 7]);
}

#[tokio::test]
async fn a_row_that_kills_is_handed_over_too() {
    let session = Session::start();
    let few = few(10);
    let operator = session.operator(tolerant("fail_odd", &few));
    let outputs = run(&operator, batch(10..17)).await.unwrap();
    let returned: Vec<i64> = outputs.iter().flat_map(|batch| values(&batch.data)).collect();
    assert_eq!(returned, [10, 12, 14, 16]);
    let kept = few.kept.lock().unwrap();
    let failed: Vec<i64> = kept.iter().flat_map(|row| values(&row.input.data)).collect();
    assert_eq!(failed, [11, 13, 15]);
    let poison = kept[1].failure.downcast_ref::<WorkerError>();
    assert!(matches!(poison, Some(WorkerError::Poison { row: 3, rows: 7, .. })), "{poison:?}");
}

#[tokio::test]
async fn a_refusal_ends_the_run() {
    let session = Session::start();
    let few = few(1);
    let operator = session.operator(tolerant("fail_odd", &few));
    let failure = run(&operator, batch(100..105)).await.unwrap_err();
    assert_eq!(failure.kind(), ErrorKind::Udf);
    assert_eq!(failure.to_string(), "function `embed` raised ValueError: odd");
}
