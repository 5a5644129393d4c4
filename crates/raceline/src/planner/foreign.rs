//! Functions of another language: the lane each runs in, and what shares a worker.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use raceline_exec::{BatchShape, Operator, PoolShape, WorkerShape};
use raceline_plan::lambda;
use raceline_plan::{OnError, UdfBody, UdfKind, UdfSpec, UdfWorkers};
use raceline_relational::CompiledOperator;
use raceline_worker::{ErroredRows, ProcessOperator, ProcessSpec};

use crate::crossing::LiveColumns;
use crate::session::Session;

/// Rows of a unit of work when row functions come before a batch function, so that crossing
/// to the worker is paid for by many rows.
const UNIT_ROWS: usize = 8192;

/// Where a function runs.
pub(super) enum Lane {
    /// As expressions, in the fragment, with worker processes for what they cannot do.
    Compiled {
        /// Schema of the output, when that of the input is known.
        schema: Option<SchemaRef>,
    },
    /// In worker processes.
    Process,
    /// In this process.
    Native,
}

/// The lane of `udf` over input of `schema` (when known), and why, for people.
pub(super) fn choose_lane(
    session: &Session,
    udf: &UdfSpec,
    schema: Option<&Schema>,
) -> (Lane, String) {
    let program = match &udf.body {
        UdfBody::Native(_) => return (Lane::Native, "native".into()),
        UdfBody::Foreign { .. } if !session.options().compile_functions => {
            return (Lane::Process, "process: the compiler is off".into());
        }
        UdfBody::Foreign { .. } if udf.stateful => {
            return (Lane::Process, "process: constructed once a worker".into());
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
/// the second would never see batches as large as it asks for, nor when one is timed or goes on
/// after a row that fails.
pub(super) fn share_a_worker(first: &UdfSpec, second: &UdfSpec) -> bool {
    let narrows =
        matches!((first.batch_rows, second.batch_rows), (Some(few), Some(rows)) if few < rows);
    !first.stateful
        && !second.stateful
        && !narrows
        && first.call_timeout.or(second.call_timeout).is_none()
        && [first, second].iter().all(|udf| udf.on_error == OnError::Raise)
        && first.resources == second.resources
        && first.concurrency_max == second.concurrency_max
        && first.workers == second.workers
        && first.restarts_max == second.restarts_max
}

/// `udf` as expressions, with a worker for the batches that they cannot do.
pub(super) fn compiled_operator(
    session: &Session,
    udf: &Arc<UdfSpec>,
    errored: Option<Arc<dyn ErroredRows>>,
) -> Arc<dyn Operator> {
    let fallback = process_operator(session, std::slice::from_ref(udf), errored);
    Arc::new(CompiledOperator::new(Arc::clone(udf), fallback))
}

/// `functions`, one after the other in one worker; `errored` takes the rows that the only one of
/// them fails for.
pub(super) fn process_operator(
    session: &Session,
    functions: &[Arc<UdfSpec>],
    errored: Option<Arc<dyn ErroredRows>>,
) -> Arc<dyn Operator> {
    let names: Vec<_> = functions.iter().map(|udf| udf.label()).collect();
    let chain = functions.iter().filter_map(|udf| match &udf.body {
        UdfBody::Foreign { payload, .. } => Some(Arc::clone(payload)),
        UdfBody::Native(_) => None,
    });
    let first = &functions[0];
    let UdfWorkers { start, least, in_flight_max } = first.workers;
    let spec = ProcessSpec {
        name: names.join(" -> ").into(),
        chain: chain.collect(),
        pool: PoolShape {
            resources: first.resources.clone(),
            concurrency_max: first.concurrency_max,
            workers: Some(WorkerShape { start, least, in_flight_max }),
        },
        input: unit_shape(functions),
        gpus: session.gpus(),
        restarts_max: first.restarts_max,
        call_timeout: first.call_timeout,
        errored,
        crossing: LiveColumns::of_chain(functions),
    };
    let template = Arc::clone(session.template());
    Arc::new(ProcessOperator::new(Arc::new(move || template.get()), spec))
}

/// How the input of a chain is cut: exactly to the first batch size, when the functions before
/// it keep the number of rows.
fn unit_shape(functions: &[Arc<UdfSpec>]) -> BatchShape {
    let keeps_rows = |udf: &Arc<UdfSpec>| matches!(udf.kind, UdfKind::Map | UdfKind::Key);
    let before = functions.iter().take_while(|udf| keeps_rows(udf)).count();
    match functions.get(before).and_then(|udf| udf.batch_rows) {
        None => BatchShape::AsIs,
        Some(rows) if before == 0 => BatchShape::Rows(rows),
        Some(rows) => BatchShape::Rows(rows * UNIT_ROWS.div_ceil(rows)),
    }
}
