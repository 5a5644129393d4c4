//! Functions of another language: the lane each runs in, and what shares a worker.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use raceline_exec::{BatchShape, Operator, PoolShape, WorkerShape};
use raceline_plan::lambda;
use raceline_plan::{OnError, UdfBody, UdfKind, UdfSpec, UdfWorkers};
use raceline_relational::{CompiledOperator, RowCost};
use raceline_types::Batch;
use raceline_worker::{
    CallerDesk, CallerOperator, CallerSpec, ErroredBatches, ErroredRows, NoteBatchRows,
    ProcessOperator, ProcessSpec, RowCosts,
};

use crate::batching::{Batching, LearnedSize};
use crate::crossing::LiveColumns;
use crate::session::Session;

/// Rows of a unit of work when row functions come before a batch function, so that crossing
/// to the worker is paid for by many rows.
const UNIT_ROWS: usize = 8192;

/// Batches that a worker may have which makes several calls at once: of rows, of which one fills
/// all calls, so that the calls behind a slow one go on.
const ROW_BATCHES_AHEAD: usize = 8;
/// Of batches, for each call.
const BATCHES_AHEAD: usize = 4;

/// Where a function runs.
pub(super) enum Lane {
    /// As expressions, in the fragment, with worker processes for what they cannot do.
    Compiled {
        /// Schema of the output, when that of the input is known.
        schema: Option<SchemaRef>,
    },
    /// In worker processes.
    Process,
    /// In the thread that waits for the run.
    Caller,
    /// In this process.
    Native,
}

/// Where what functions fail for goes; `None` lets the first of it end the run.
pub(super) struct Errored {
    pub(super) rows: Option<Arc<dyn ErroredRows>>,
    pub(super) batches: Option<Arc<dyn ErroredBatches>>,
}

/// The lane of `udf` over input of `schema` (when known), and why, for people.
pub(super) fn choose_lane(
    session: &Session,
    udf: &UdfSpec,
    schema: Option<&Schema>,
) -> (Lane, String) {
    let program = match &udf.body {
        UdfBody::Native(_) => return (Lane::Native, "native".into()),
        UdfBody::Caller(_) => return (Lane::Caller, "caller: it is debugged".into()),
        UdfBody::Foreign { .. } if !session.options().compile_functions => {
            return (Lane::Process, "process: the compiler is off".into());
        }
        UdfBody::Foreign { .. } if udf.stateful => {
            return (Lane::Process, "process: constructed once a worker".into());
        }
        UdfBody::Foreign { .. } if udf.batch_limits.is_weighed() => {
            return (Lane::Process, "process: its batches are cut by weight".into());
        }
        UdfBody::Foreign { program: Err(reason), .. } => {
            return (Lane::Process, format!("process: {reason}"));
        }
        UdfBody::Foreign { program: Ok(program), .. } => program,
    };
    let Some(schema) = schema else {
        let text = "compiled, if the columns turn out to allow it".into();
        return (Lane::Compiled { schema: None }, text);
    };
    match lambda::compile(program, udf.kind, udf.batch_format, schema) {
        Ok(compiled) => {
            let schema = compiled.output_schema(schema);
            (Lane::Compiled { schema: Some(schema) }, "compiled".into())
        }
        Err(decline) => (Lane::Process, format!("process: {decline}")),
    }
}

/// Whether two neighbouring functions run in one worker, one after the other. They do not when
/// the batches of the second would not be cut as it asks, nor when one is timed, makes several
/// calls at once, keeps to a rate, gets declared columns only, or goes on after a row that fails.
/// Those that are debugged share the calling thread in the same way.
pub(super) fn share_a_worker(first: &UdfSpec, second: &UdfSpec) -> bool {
    let cuts = match second.batch_rows {
        _ if second.batch_limits.is_dynamic() => false,
        None => true,
        Some(rows) => match first.kind {
            UdfKind::Map | UdfKind::Key => true,
            UdfKind::MapBatches if first.batch_limits.is_dynamic() => false,
            UdfKind::MapBatches => first.batch_rows.is_some_and(|first| first % rows == 0),
            UdfKind::Filter | UdfKind::FlatMap | UdfKind::MapGroups => false,
        },
    };
    is_debugged(first) == is_debugged(second)
        && !first.columns.declared
        && !second.columns.declared
        && !first.stateful
        && !second.stateful
        && cuts
        && first.call_timeout.or(second.call_timeout).is_none()
        && first.calls_at_once.or(second.calls_at_once).is_none()
        && !first.is_rate_limited
        && !second.is_rate_limited
        && [first, second].iter().all(|udf| udf.on_error == OnError::Raise)
        && first.resources == second.resources
        && first.concurrency_max == second.concurrency_max
        && first.workers == second.workers
        && first.restarts_max == second.restarts_max
}

/// Whether the thread that waits for the run calls `udf`.
fn is_debugged(udf: &UdfSpec) -> bool {
    matches!(udf.body, UdfBody::Caller(_))
}

/// `functions`, one after the other in the thread that waits for the run, whose desk is `desk`.
pub(super) fn caller_operator(
    desk: &mut CallerDesk,
    functions: &[Arc<UdfSpec>],
    errored: Errored,
) -> Arc<dyn Operator> {
    let chain = functions.iter().filter_map(|udf| match &udf.body {
        UdfBody::Caller(function) => Some(Arc::clone(function)),
        UdfBody::Foreign { .. } | UdfBody::Native(_) => None,
    });
    let (name, chain) = (chain_name(functions), chain.collect());
    let Batching { shape: input, cost } = unit_batching(functions);
    let costs = cost.map(row_costs);
    let Errored { rows: errored, batches: errored_batches } = errored;
    let crossing = LiveColumns::of_chain(functions);
    let spec = CallerSpec { name, chain, input, costs, errored, errored_batches, crossing };
    Arc::new(CallerOperator::new(desk, spec))
}

/// What a stage of these functions is called.
pub(super) fn chain_name(functions: &[Arc<UdfSpec>]) -> Arc<str> {
    let names: Vec<_> = functions.iter().map(|udf| udf.label()).collect();
    names.join(" -> ").into()
}

/// `udf` as expressions, with a worker for the batches that they cannot do.
pub(super) fn compiled_operator(
    session: &Session,
    udf: &Arc<UdfSpec>,
    errored: Errored,
) -> Arc<dyn Operator> {
    let fallback = process_operator(session, std::slice::from_ref(udf), errored);
    Arc::new(CompiledOperator::new(Arc::clone(udf), fallback))
}

/// `functions`, one after the other in one worker; `errored` takes the rows that the only one of
/// them fails for.
pub(super) fn process_operator(
    session: &Session,
    functions: &[Arc<UdfSpec>],
    errored: Errored,
) -> Arc<dyn Operator> {
    let chain = functions.iter().filter_map(|udf| match &udf.body {
        UdfBody::Foreign { payload, .. } => Some(Arc::clone(payload)),
        UdfBody::Caller(_) | UdfBody::Native(_) => None,
    });
    let first = &functions[0];
    let UdfWorkers { start, least, .. } = first.workers;
    let in_flight_max = first.workers.in_flight_max.or(batches_ahead(first));
    let Batching { mut shape, cost } = unit_batching(functions);
    // How large groups are is known of no other run.
    let learns = matches!(shape, BatchShape::Fastest(_)) && first.kind != UdfKind::MapGroups;
    let learned = learns.then(|| session.batch_sizes().of(first));
    if let Some(rows) = learned.as_ref().and_then(LearnedSize::rows) {
        shape = BatchShape::Fastest(rows);
    }
    let spec = ProcessSpec {
        name: chain_name(functions),
        chain: chain.collect(),
        pool: PoolShape {
            resources: first.resources.clone(),
            concurrency_max: first.concurrency_max,
            workers: Some(WorkerShape { start, least, in_flight_max }),
        },
        input: shape,
        note_batch_rows: learned
            .map(|size| -> NoteBatchRows { Arc::new(move |rows| size.note(rows)) }),
        costs: cost.map(row_costs),
        gpus: session.gpus(),
        restarts_max: first.restarts_max,
        call_timeout: first.call_timeout,
        is_rate_limited: functions.iter().any(|udf| udf.is_rate_limited),
        preloads: functions.iter().flat_map(|udf| udf.preloads.iter().cloned()).collect(),
        errored: errored.rows,
        errored_batches: errored.batches,
        crossing: LiveColumns::of_chain(functions),
    };
    let template = Arc::clone(session.template());
    Arc::new(ProcessOperator::new(Arc::new(move || template.get()), spec))
}

fn row_costs(cost: Arc<RowCost>) -> RowCosts {
    Arc::new(move |batch: &Batch| cost.of(&batch.data))
}

/// Batches that a worker of `udf` may have, where more than the usual are of use.
fn batches_ahead(udf: &UdfSpec) -> Option<usize> {
    let calls = udf.calls_at_once?;
    let is_of_rows = udf.kind != UdfKind::MapBatches;
    Some(if is_of_rows { ROW_BATCHES_AHEAD } else { calls.saturating_mul(BATCHES_AHEAD) })
}

/// How the input of a chain is cut: exactly to the first batch size, when the functions before
/// it keep the number of rows.
fn unit_batching(functions: &[Arc<UdfSpec>]) -> Batching {
    if let Some(calls) = functions[0].calls_at_once
        && functions[0].kind != UdfKind::MapBatches
    {
        // Each of them keeps all calls busy.
        return Batching { shape: BatchShape::AtLeastRows(calls), cost: None };
    }
    let keeps_rows = |udf: &Arc<UdfSpec>| matches!(udf.kind, UdfKind::Map | UdfKind::Key);
    let before = functions.iter().take_while(|udf| keeps_rows(udf)).count();
    let shape = match functions.get(before).map(|udf| udf.batch_rows) {
        _ if before == 0 => return Batching::of(&functions[0]),
        Some(Some(rows)) => BatchShape::Rows(rows * UNIT_ROWS.div_ceil(rows)),
        Some(None) | None => BatchShape::AsIs,
    };
    Batching { shape, cost: None }
}
