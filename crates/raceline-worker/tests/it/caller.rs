//! Functions in the thread that waits for the run: errands, answers, ends.

use std::any::Any;
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};

use arrow::array::RecordBatch;
use raceline_exec::{BatchShape, Operator};
use raceline_types::{Batch, ErrorKind, Failure};
use raceline_worker::{
    Answer, CallerDesk, CallerFailure, CallerOperator, CallerRuntime, CallerSpec, Interruption,
    Original, UdfError, UserError,
};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

use crate::harness::{Kept, batch, values};

/// Halves of each batch; the names of what else happens are the functions of the chain.
struct Halves {
    functions: Vec<&'static str>,
    left: Vec<RecordBatch>,
}

impl CallerRuntime for Halves {
    fn begin(&mut self, input: RecordBatch) -> Result<(), CallerFailure> {
        let half = input.num_rows() / 2;
        self.left = vec![input.slice(half, input.num_rows() - half), input.slice(0, half)];
        Ok(())
    }

    fn next(&mut self) -> Result<Option<Answer>, CallerFailure> {
        match self.functions[0] {
            "interrupt" => Err(CallerFailure::Interrupted(Interruption(Box::new("Ctrl-C")))),
            "raise" if self.left.len() == 1 => Err(CallerFailure::Raised(Box::new(UserError {
                type_name: "ValueError".into(),
                row: Some(3),
                original: Some(Original(Arc::new("the exception"))),
                ..UserError::default()
            }))),
            _ => Ok(self.left.pop().map(Answer::Rows)),
        }
    }
}

/// A desk that notes in which threads it loads functions.
fn desk(loads: &Arc<Mutex<Vec<ThreadId>>>) -> CallerDesk {
    let loads = Arc::clone(loads);
    CallerDesk::new(Arc::new(move |chain| {
        loads.lock().unwrap().push(thread::current().id());
        let functions: Vec<&'static str> =
            chain.iter().map(|function| *function.downcast_ref().unwrap()).collect();
        if functions[0] == "raise in constructor" {
            return Err(CallerFailure::Raised(Box::default()));
        }
        Ok(Box::new(Halves { functions, left: Vec::new() }))
    }))
}

fn operator(desk: &mut CallerDesk, function: &'static str) -> Arc<CallerOperator> {
    let function: Arc<dyn Any + Send + Sync> = Arc::new(function);
    let spec = CallerSpec {
        name: "MapBatches(test)".into(),
        chain: vec![function],
        input: BatchShape::AsIs,
        errored: None,
        costs: None,
        crossing: None,
        errored_batches: None,
    };
    Arc::new(CallerOperator::new(desk, spec))
}

type Ran = JoinHandle<Result<Vec<Batch>, Failure>>;

/// Runs a batch in a thread of the engine.
fn start(engine: &Runtime, operator: &Arc<CallerOperator>, input: Batch) -> Ran {
    let operator = Arc::clone(operator);
    engine.spawn(async move {
        let mut kept = Kept::default();
        operator.run(input, &mut kept).await?;
        Ok(kept.0)
    })
}

/// Attends to what is brought until `ran` ends.
fn attend(desk: &mut CallerDesk, ran: Ran) -> Result<Result<Vec<Batch>, Failure>, Interruption> {
    let caller = Builder::new_current_thread().build().unwrap();
    let mut ran = ran;
    loop {
        let errand = caller.block_on(async {
            tokio::select! {
                ended = &mut ran => Err(ended.unwrap()),
                errand = desk.next() => Ok(errand),
            }
        });
        match errand {
            Ok(errand) => desk.attend(errand)?,
            Err(ended) => return Ok(ended),
        }
    }
}

fn engine() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).build().unwrap()
}

#[test]
fn functions_are_loaded_once_and_run_where_the_desk_is() {
    let (engine, loads) = (engine(), Arc::default());
    let mut desk = desk(&loads);
    let operator = operator(&mut desk, "halve");
    for first in [0, 10] {
        let ran = start(&engine, &operator, batch(first..first + 4));
        let outputs = attend(&mut desk, ran).unwrap().unwrap();
        let rows: Vec<_> = outputs.iter().map(|output| values(&output.data)).collect();
        assert_eq!(rows, [[first, first + 1], [first + 2, first + 3]]);
        assert_eq!(outputs[1].origin, batch(first..first + 4).origin);
    }
    assert_eq!(*loads.lock().unwrap(), [thread::current().id()]);
}

#[test]
fn what_a_function_raises_has_its_row_and_the_exception() {
    let (engine, mut desk) = (engine(), desk(&Arc::default()));
    let operator = operator(&mut desk, "raise");
    let ran = start(&engine, &operator, batch(100..104));
    let failure = attend(&mut desk, ran).unwrap().unwrap_err();
    assert_eq!(failure.place().rows, Some((103, 103)));
    let raised = failure.downcast_ref::<UdfError>().unwrap();
    let original = raised.error.original.as_ref().unwrap();
    assert_eq!(original.0.downcast_ref(), Some(&"the exception"));
    assert!(!raised.in_constructor);
}

#[test]
fn a_constructor_that_fails_says_so() {
    let (engine, mut desk) = (engine(), desk(&Arc::default()));
    let operator = operator(&mut desk, "raise in constructor");
    let ran = start(&engine, &operator, batch(0..4));
    let failure = attend(&mut desk, ran).unwrap().unwrap_err();
    assert!(failure.downcast_ref::<UdfError>().unwrap().in_constructor);
}

#[test]
fn an_interruption_goes_to_who_waits_and_the_work_ends() {
    let (engine, mut desk) = (engine(), desk(&Arc::default()));
    let operator = operator(&mut desk, "interrupt");
    let mut ran = start(&engine, &operator, batch(0..4));
    let Err(Interruption(what)) = ({
        let caller = Builder::new_current_thread().build().unwrap();
        let errand = caller.block_on(desk.next());
        desk.attend(errand)
    }) else {
        panic!("it is interrupted")
    };
    assert_eq!(what.downcast_ref(), Some(&"Ctrl-C"));
    let failure = engine.block_on(&mut ran).unwrap().unwrap_err();
    assert_eq!(failure.kind(), ErrorKind::Cancelled);
}

#[test]
fn work_that_was_cancelled_is_not_done_and_a_desk_that_is_gone_ends_it() {
    let (engine, loads) = (engine(), Arc::default());
    let mut desk = desk(&loads);
    let operator = operator(&mut desk, "halve");
    let ran = start(&engine, &operator, batch(0..4));
    let errand = engine.block_on(desk.next());
    ran.abort();
    assert!(engine.block_on(ran).unwrap_err().is_cancelled());
    desk.attend(errand).unwrap();
    assert!(loads.lock().unwrap().is_empty(), "nobody waited for it");

    let ran = start(&engine, &operator, batch(0..4));
    drop(desk);
    let failure = engine.block_on(ran).unwrap().unwrap_err();
    assert_eq!(failure.kind(), ErrorKind::Cancelled);
}
