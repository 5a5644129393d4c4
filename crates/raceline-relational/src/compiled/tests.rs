//! The operator: what it computes itself, and what it sends to its fallback.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use async_trait::async_trait;
use raceline_exec::{BatchShape, Emit, Operator, PoolShape};
use raceline_plan::lambda::{BinaryOp, CompareOp, Constant, Instruction, Program};
use raceline_plan::{UdfBody, UdfKind, UdfSpec};
use raceline_types::{Batch, Failure, InternalError, Span, SplitId};

use super::*;

/// Stands in for Python: hands batches on and counts what it is asked to do.
#[derive(Debug, Default)]
struct Python {
    opened: AtomicUsize,
    ran: AtomicUsize,
    closed: AtomicUsize,
    refuses_to_open: bool,
    workers_max: AtomicUsize,
    /// The only worker; a run keeps it until it ends.
    worker: tokio::sync::Mutex<()>,
}

impl Python {
    fn counts(&self) -> [usize; 3] {
        [&self.opened, &self.ran, &self.closed].map(|count| count.load(Ordering::Relaxed))
    }
}

#[async_trait]
impl Operator for Python {
    fn name(&self) -> Arc<str> {
        "Python".into()
    }

    fn pool(&self) -> PoolShape {
        PoolShape::inline()
    }

    fn input(&self) -> BatchShape {
        BatchShape::AsIs
    }

    fn limit_workers(&self, workers_max: usize) {
        self.workers_max.store(workers_max, Ordering::Relaxed);
    }

    async fn open(&self) -> Result<(), Failure> {
        self.opened.fetch_add(1, Ordering::Relaxed);
        if self.refuses_to_open {
            return Err(InternalError::new("no worker").into());
        }
        Ok(())
    }

    async fn run(&self, input: Batch, out: &mut dyn Emit) -> Result<(), Failure> {
        self.ran.fetch_add(1, Ordering::Relaxed);
        let _worker = self.worker.lock().await;
        out.emit(input).await
    }

    async fn close(&self) {
        self.closed.fetch_add(1, Ordering::Relaxed);
    }
}

/// Never has room.
struct Full;

#[async_trait]
impl Emit for Full {
    async fn emit(&mut self, _batch: Batch) -> Result<(), Failure> {
        std::future::pending().await
    }
}

#[derive(Default)]
struct Collected(Vec<Batch>);

#[async_trait]
impl Emit for Collected {
    async fn emit(&mut self, batch: Batch) -> Result<(), Failure> {
        self.0.push(batch);
        Ok(())
    }
}

fn udf(kind: UdfKind, program: Result<Program, &str>) -> Arc<UdfSpec> {
    let program = program.map(Arc::new).map_err(Arc::from);
    let body = UdfBody::Foreign { payload: Arc::from([]), program };
    Arc::new(UdfSpec::new("<lambda>", kind, body))
}

/// `row["a"] <instructions with the constant 10>`
fn of_a(rest: Vec<Instruction>) -> Program {
    let mut code =
        vec![Instruction::Load(0), Instruction::Column("a".into()), Instruction::Constant(0)];
    code.extend(rest);
    code.push(Instruction::Return);
    Program {
        slots: 1,
        constants: vec![Constant::Int(10)],
        code,
        row_is_value: false,
        int_roots: false,
        functions: vec![],
    }
}

/// `{"q": row["a"] + 10}`
fn added() -> Program {
    of_a(vec![
        Instruction::Binary { op: BinaryOp::Add, in_place: false },
        Instruction::DictOfKeys(vec!["q".into()]),
    ])
}

fn greater() -> Program {
    of_a(vec![Instruction::Compare(CompareOp::Greater)])
}

fn batch(values: &[i64]) -> Batch {
    let column: ArrayRef = Arc::new(Int64Array::from(values.to_vec()));
    let data = RecordBatch::try_from_iter([("a", column)]).unwrap();
    let rows = values.len() as u64;
    Batch::new(data, vec![Span { split: SplitId(3), first_row: 7, rows }])
}

fn column(batch: &Batch, index: usize) -> Vec<i64> {
    batch.data.column(index).as_primitive::<Int64Type>().values().to_vec()
}

async fn run(operator: &CompiledOperator, input: Batch) -> Vec<Batch> {
    let mut out = Collected::default();
    operator.run(input, &mut out).await.unwrap();
    out.0
}

#[tokio::test]
async fn compiled_batches_never_open_the_fallback() {
    let python = Arc::new(Python::default());
    let operator = CompiledOperator::new(
        udf(UdfKind::Map, Ok(added())),
        Arc::clone(&python) as Arc<dyn Operator>,
    );
    operator.open().await.unwrap();
    let out = run(&operator, batch(&[1, -2])).await;
    assert_eq!(column(&out[0], 0), [11, 8]);
    assert_eq!(out[0].origin, batch(&[1, -2]).origin);
    operator.close().await;
    assert_eq!(python.counts(), [0, 0, 0]);
}

#[tokio::test]
async fn one_row_in_trouble_sends_its_whole_batch_to_python_once() {
    let python = Arc::new(Python::default());
    let operator = CompiledOperator::new(
        udf(UdfKind::Map, Ok(added())),
        Arc::clone(&python) as Arc<dyn Operator>,
    );
    let out = run(&operator, batch(&[1, i64::MAX])).await;
    assert_eq!(column(&out[0], 0), [1, i64::MAX]);
    assert_eq!(run(&operator, batch(&[5])).await.len(), 1);
    run(&operator, batch(&[i64::MAX])).await;
    operator.close().await;
    assert_eq!(python.counts(), [1, 2, 1]);
}

#[tokio::test]
async fn a_schema_that_does_not_compile_goes_to_python() {
    let python = Arc::new(Python::default());
    let operator = CompiledOperator::new(
        udf(UdfKind::Map, Ok(added())),
        Arc::clone(&python) as Arc<dyn Operator>,
    );
    let data =
        RecordBatch::new_empty(Arc::new(Schema::new(vec![Field::new("b", DataType::Int64, true)])));
    run(&operator, Batch::without_origin(data)).await;
    assert_eq!(run(&operator, batch(&[1])).await.len(), 1);
    assert_eq!(python.counts(), [1, 1, 0]);
}

#[test]
fn the_fallback_is_told_how_many_workers_it_may_have() {
    let python = Arc::new(Python::default());
    let operator = CompiledOperator::new(
        udf(UdfKind::Map, Ok(added())),
        Arc::clone(&python) as Arc<dyn Operator>,
    );
    operator.limit_workers(3);
    assert_eq!(python.workers_max.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn output_that_waits_for_room_keeps_no_worker() {
    let python = Arc::new(Python::default());
    let operator = CompiledOperator::new(
        udf(UdfKind::Map, Ok(added())),
        Arc::clone(&python) as Arc<dyn Operator>,
    );
    let mut full = Full;
    let mut waiting = std::pin::pin!(operator.run(batch(&[i64::MAX]), &mut full));
    assert!(futures::poll!(&mut waiting).is_pending());
    let other = run(&operator, batch(&[1, i64::MAX]));
    let out = tokio::time::timeout(std::time::Duration::from_secs(10), other).await.unwrap();
    assert_eq!(column(&out[0], 0), [1, i64::MAX]);
    assert!(futures::poll!(&mut waiting).is_pending());
}

#[tokio::test]
async fn a_fallback_that_does_not_open_is_asked_once_and_closed() {
    let python = Arc::new(Python { refuses_to_open: true, ..Python::default() });
    let operator = CompiledOperator::new(
        udf(UdfKind::Map, Ok(added())),
        Arc::clone(&python) as Arc<dyn Operator>,
    );
    for _ in 0..2 {
        let mut out = Collected::default();
        let failure = operator.run(batch(&[i64::MAX]), &mut out).await.unwrap_err();
        assert_eq!(failure.to_string(), "internal error: no worker");
    }
    operator.close().await;
    assert_eq!(python.counts(), [1, 0, 1]);
}

#[tokio::test]
async fn filters_keep_rows_and_keys_add_a_column() {
    let python = Arc::new(Python::default());
    let filter = CompiledOperator::new(
        udf(UdfKind::Filter, Ok(greater())),
        Arc::clone(&python) as Arc<dyn Operator>,
    );
    let out = run(&filter, batch(&[5, 20, 30])).await;
    assert_eq!(column(&out[0], 0), [20, 30]);
    assert_eq!(out[0].origin[0].rows, 3);
    assert_eq!(run(&filter, batch(&[])).await[0].rows(), 0);

    let modulo = of_a(vec![Instruction::Binary { op: BinaryOp::Modulo, in_place: false }]);
    let key = CompiledOperator::new(udf(UdfKind::Key, Ok(modulo)), python);
    let out = run(&key, batch(&[-1, 25])).await;
    assert_eq!(out[0].data.schema().field(1).name(), "key");
    assert_eq!((column(&out[0], 0), column(&out[0], 1)), (vec![-1, 25], vec![9, 5]));
}

#[tokio::test]
async fn lists_become_rows_side_by_side() {
    let python = Arc::new(Python::default());
    // `[row["a"], 10]`
    let both = of_a(vec![Instruction::List(2)]);
    let operator = CompiledOperator::new(
        udf(UdfKind::FlatMap, Ok(both)),
        Arc::clone(&python) as Arc<dyn Operator>,
    );
    let out = run(&operator, batch(&[1, 2])).await;
    assert_eq!(column(&out[0], 0), [1, 10, 2, 10]);
    assert_eq!(run(&operator, batch(&[])).await[0].rows(), 0);
    // `[] if row["a"] else [10]`
    let mut some = of_a(vec![]);
    some.code = vec![
        Instruction::Load(0),
        Instruction::Column("a".into()),
        Instruction::JumpIf { target: 5, when: false },
        Instruction::List(0),
        Instruction::Return,
        Instruction::Constant(0),
        Instruction::List(1),
        Instruction::Return,
    ];
    let operator = CompiledOperator::new(
        udf(UdfKind::FlatMap, Ok(some)),
        Arc::clone(&python) as Arc<dyn Operator>,
    );
    let out = run(&operator, batch(&[1, 0, 2, 0])).await;
    assert_eq!(column(&out[0], 0), [10, 10]);
    assert_eq!(python.counts(), [0, 0, 0]);
}

#[tokio::test]
async fn a_mask_selects_rows_of_a_batch() {
    let python = Arc::new(Python::default());
    // `{"a": batch["a"][batch["a"] > 10]}`
    let mut masked = of_a(vec![]);
    masked.code = vec![
        Instruction::Load(0),
        Instruction::Column("a".into()),
        Instruction::Copy(1),
        Instruction::Constant(0),
        Instruction::Compare(CompareOp::Greater),
        Instruction::Item,
        Instruction::DictOfKeys(vec!["a".into()]),
        Instruction::Return,
    ];
    let operator = CompiledOperator::new(
        udf(UdfKind::MapBatches, Ok(masked)),
        Arc::clone(&python) as Arc<dyn Operator>,
    );
    let out = run(&operator, batch(&[5, 20, 30])).await;
    assert_eq!(column(&out[0], 0), [20, 30]);
    assert_eq!(python.counts(), [0, 0, 0]);
}
