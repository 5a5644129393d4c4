//! What the tests share: a template of this binary, operators on it, and a look at `/proc`.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use arrow::array::{AsArray, Int64Array, RecordBatch};
use arrow::buffer::ScalarBuffer;
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use async_trait::async_trait;
use raceline_exec::{BatchShape, Emit, Operator, PoolShape, Seat};
use raceline_types::{Batch, ColumnMemory, Failure, Span, SplitId};
use raceline_worker::{GpuLedger, Launcher, ProcessOperator, ProcessSpec, Template};

/// A template and what it and its workers printed.
pub(crate) struct Session {
    pub(crate) template: Arc<Template>,
    pub(crate) lines: Arc<Mutex<Vec<String>>>,
}

pub(crate) fn launcher(lines: &Arc<Mutex<Vec<String>>>) -> Launcher {
    let mut launcher = Launcher::new(std::env::current_exe().unwrap());
    let arguments = ["child::template_entry", "--exact", "--nocapture", "--test-threads=1"];
    launcher.args = arguments.map(Into::into).to_vec();
    let lines = Arc::clone(lines);
    launcher.lines = Arc::new(move |line| lines.lock().unwrap().push(line.to_owned()));
    launcher
}

impl Session {
    pub(crate) fn start() -> Self {
        let lines = Arc::default();
        Self { template: Template::start(&launcher(&lines)).unwrap(), lines }
    }

    pub(crate) fn operator(&self, spec: ProcessSpec) -> ProcessOperator {
        let template = Arc::clone(&self.template);
        ProcessOperator::new(Arc::new(move || Ok(Arc::clone(&template))), spec)
    }

    pub(crate) async fn fails(&self, function: &str) -> Failure {
        let operator = self.operator(spec(function));
        run(&operator, batch(0..5)).await.unwrap_err()
    }
}

pub(crate) fn spec(function: &str) -> ProcessSpec {
    ProcessSpec {
        name: "MapBatches(test)".into(),
        chain: vec![function.as_bytes().into()],
        pool: PoolShape::inline(),
        input: BatchShape::AsIs,
        costs: None,
        note_batch_rows: None,
        gpus: GpuLedger::numbered(0),
        restarts_max: 1,
        call_timeout: None,
        is_rate_limited: false,
        preloads: BTreeSet::new(),
        errored: None,
        errored_batches: None,
        crossing: None,
    }
}

/// Rows `ids` of a split that holds 0, 1, 2, …
pub(crate) fn batch(ids: std::ops::Range<i64>) -> Batch {
    let schema = Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, false)]));
    let span = Span {
        split: SplitId(0),
        first_row: u64::try_from(ids.start).unwrap(),
        rows: u64::try_from(ids.end - ids.start).unwrap(),
    };
    let column = Arc::new(Int64Array::from_iter_values(ids));
    Batch::new(RecordBatch::try_new(schema, vec![column]).unwrap(), vec![span])
}

/// The same, written to `memory`.
pub(crate) fn batch_in(memory: &dyn ColumnMemory, ids: std::ops::Range<i64>) -> Batch {
    let Batch { data, origin } = batch(ids);
    let heap = data.column(0).to_data();
    let mut space = memory.space(heap.buffers()[0].len());
    space.bytes_mut()[..heap.buffers()[0].len()].copy_from_slice(&heap.buffers()[0]);
    let values = ScalarBuffer::<i64>::from(space.into_buffer(heap.buffers()[0].len()));
    let column = Arc::new(Int64Array::new(values, None));
    Batch::new(RecordBatch::try_new(data.schema(), vec![column]).unwrap(), origin)
}

/// The parent of process `pid`.
pub(crate) fn parent_of(pid: i64) -> u32 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap();
    parent.trim().parse().unwrap()
}

pub(crate) fn values(batch: &RecordBatch) -> Vec<i64> {
    batch.column(0).as_primitive::<Int64Type>().values().to_vec()
}

/// Keeps what is emitted.
#[derive(Default)]
pub(crate) struct Kept(pub(crate) Vec<Batch>);

#[async_trait]
impl Emit for Kept {
    async fn emit(&mut self, batch: Batch) -> Result<(), Failure> {
        self.0.push(batch);
        Ok(())
    }
}

pub(crate) async fn run(operator: &ProcessOperator, input: Batch) -> Result<Vec<Batch>, Failure> {
    let mut kept = Kept::default();
    operator.run(input, &mut kept).await?;
    Ok(kept.0)
}

/// Runs `input` as turn `turn` of worker `worker`.
pub(crate) async fn run_on(
    operator: &ProcessOperator,
    worker: usize,
    turn: u64,
    input: Batch,
) -> Result<Vec<Batch>, Failure> {
    let mut kept = Kept::default();
    operator.run_on(Seat { worker, turn }, input, &mut kept).await?;
    Ok(kept.0)
}

/// The process id of a worker of an operator of the function `pid`.
pub(crate) async fn worker_pid(operator: &ProcessOperator) -> i64 {
    values(&run(operator, batch(0..1)).await.unwrap()[0].data)[0]
}

/// Processes below process `pid`, dead ones that nobody reaped too.
pub(crate) fn children(pid: u32) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    tasks
        .filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok())
        .flat_map(|list| {
            list.split_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<_>>()
        })
        .collect()
}

pub(crate) fn is_alive(pid: impl std::fmt::Display) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

/// Waits up to two seconds.
pub(crate) fn eventually(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(2), "{what}");
        thread::sleep(Duration::from_millis(2));
    }
}
