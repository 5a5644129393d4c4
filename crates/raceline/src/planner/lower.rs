//! From an optimized plan to a graph: what is fused, what is a stage of its own, and in which
//! lane each function runs.

mod query;
mod query_part;
mod region;
mod skip;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use arrow::datatypes::SchemaRef;
use datafusion::logical_expr::Expr;
use futures::FutureExt;
use futures::future::BoxFuture;
use raceline_connect::DownloadOperator;
use raceline_exec::{BatchShape, Graph, NodeId, Operator, PoolShape};
use raceline_plan::{DownloadSpec, Node, OnError, Projection, Source, UdfBody, UdfSpec};
use raceline_relational::{FilterOperator, ProjectOperator};
use raceline_types::{Failure, InternalError};
use raceline_worker::{CallerDesk, ErroredBatches, ErroredRows};

use super::files::file_source;
use super::foreign::{self, Errored, Lane};
use crate::batching::Batching;
use crate::crossing::{check_declared, columns_text};
use crate::kept::Kept;
use crate::letters::{Keeper, SplitLabels, StageErrors};
use crate::native::NativeOperator;
use crate::region::LimitRegion;
use crate::run_order::RunOrder;
use crate::session::Session;
use crate::source::{
    KeptSource, LabelledSource, MemorySource, RangeSource, StoredSource, range_schema,
};
use crate::tolerance::{Tolerance, TolerantSource};

/// Splits of a source in memory for each CPU, so that uneven work evens out.
const SPLITS_PER_CPU: u64 = 4;

/// A plan that is ready to run.
pub(crate) struct Lowered {
    /// The graph.
    pub(crate) graph: Graph,
    /// The node whose output is the plan's.
    pub(crate) root: NodeId,
    /// Schema of the output, when known.
    pub(crate) schema: Option<SchemaRef>,
    /// One line a stage, inputs before what consumes them.
    pub(crate) stages: Vec<String>,
    /// One line a function: its name and lane.
    pub(crate) lanes: Vec<String>,
    /// Queries, each its name and below it its plan.
    pub(crate) queries: Vec<String>,
    /// Functions that go on after rows that they fail for.
    pub(crate) errors: Vec<Arc<StageErrors>>,
    /// Where functions that are debugged leave their work.
    pub(crate) desk: Option<CallerDesk>,
    /// What it may lose.
    pub(crate) tolerance: Tolerance,
}

/// Lowers `plan`, which the rules have been over and of which `errored_batches_max` batches may
/// fail, for the run with the random order `order`.
pub(crate) async fn lower(
    session: &Session,
    plan: &Arc<Node>,
    errored_batches_max: u64,
    order: RunOrder,
) -> Result<Lowered, Failure> {
    let mut lowering = Lowering {
        session,
        order,
        row_columns: 0,
        graph: Graph::new(),
        stages: Vec::new(),
        lanes: Vec::new(),
        queries: Vec::new(),
        errors: Vec::new(),
        desk: None,
        tolerance: Tolerance::new(errored_batches_max, session.template().lines()),
        labels: keeps_letters(plan).then(Vec::new),
    };
    let Flow { open, schema } = lowering.node(plan).await?;
    let root = lowering.seal(open);
    let Lowering {
        session: _,
        order: _,
        row_columns: _,
        graph,
        stages,
        lanes,
        queries,
        errors,
        desk,
        tolerance,
        labels: _,
    } = lowering;
    Ok(Lowered { graph, root, schema, stages, lanes, queries, errors, desk, tolerance })
}

/// Whether a function of `plan` keeps the rows that it fails for.
fn keeps_letters(plan: &Node) -> bool {
    matches!(plan, Node::Udf { udf, .. } if udf.on_error == OnError::DeadLetter)
        || plan.inputs().into_iter().any(|input| keeps_letters(input))
}

/// A chain of operators that still takes more.
struct Flow {
    open: Open,
    /// Schema of its output, when known.
    schema: Option<SchemaRef>,
}

enum Open {
    /// A source and what runs fused in its fragments.
    Fragment { source: Arc<dyn raceline_exec::Source>, fused: Vec<Arc<dyn Operator>> },
    /// A stage and what runs fused behind its operator.
    Stage { input: NodeId, operator: Arc<dyn Operator>, fused: Vec<Arc<dyn Operator>> },
    /// Functions that run one after the other in one worker, and what takes the rows that the
    /// only one of them fails for.
    Foreign { input: NodeId, functions: Vec<Arc<UdfSpec>>, errored: Option<Arc<dyn ErroredRows>> },
    /// A node that takes nothing more.
    Sealed(NodeId),
}

struct Lowering<'a> {
    session: &'a Session,
    order: RunOrder,
    /// Columns of values by the place of the row so far.
    row_columns: u64,
    graph: Graph,
    stages: Vec<String>,
    lanes: Vec<String>,
    queries: Vec<String>,
    errors: Vec<Arc<StageErrors>>,
    desk: Option<CallerDesk>,
    tolerance: Tolerance,
    /// Labels of the splits of each source so far, where letters want them.
    labels: Option<Vec<Arc<SplitLabels>>>,
}

impl Lowering<'_> {
    fn node<'b>(&'b mut self, node: &'b Arc<Node>) -> BoxFuture<'b, Result<Flow, Failure>> {
        async move {
            match node.as_ref() {
                Node::Source(source) => self.source(source).await,
                Node::Filter { input, predicate } => {
                    let flow = self.node(input).await?;
                    self.filter(flow, predicate)
                }
                Node::Project { input, projection } => {
                    let flow = self.node(input).await?;
                    self.project(flow, projection)
                }
                Node::Udf { input, udf } => {
                    let sources = self.labels.as_ref().map_or(0, Vec::len);
                    let flow = self.node(input).await?;
                    let errored = self.errors_of(udf, sources);
                    self.checked_udf(flow, udf, errored).await
                }
                Node::Limit { input, rows } => {
                    if let Node::Sort { input, keys } = input.as_ref() {
                        return self.sort(input, keys, Some(*rows)).await;
                    }
                    if let Node::Relational { inputs, query } = input.as_ref() {
                        return self.query(inputs, query, Some(*rows)).await;
                    }
                    let region = Arc::new(LimitRegion::new(*rows));
                    self.region(input, region).await
                }
                Node::Skip { input, rows } => self.skip(input, *rows).await,
                Node::Sort { input, keys } => self.sort(input, keys, None).await,
                Node::Aggregate { input, keys, aggregates } => {
                    self.aggregate(input, keys, aggregates).await
                }
                Node::Join { left, right, spec } => self.join(left, right, spec).await,
                Node::Union { inputs } => self.union(inputs).await,
                Node::Mix { inputs, spec } => self.mix(inputs, spec).await,
                Node::Zip { inputs } => self.zip(inputs).await,
                Node::Relational { inputs, query } => self.query(inputs, query, None).await,
                Node::Repartition { input, cut } => self.repartition(input, *cut).await,
                Node::Exchange { input, spec } => self.exchange(input, spec).await,
                Node::RowColumn { input, name, values } => {
                    self.row_column(input, name, *values).await
                }
                Node::Download { input, spec } => {
                    let flow = self.node(input).await?;
                    self.download(flow, spec)
                }
                Node::Shuffle { input, seed, reseeds, scope } => {
                    self.shuffle(input, (*seed, *reseeds), *scope).await
                }
                Node::Write { input, spec } => self.write(input, spec).await,
            }
        }
        .boxed()
    }

    async fn source(&mut self, source: &Source) -> Result<Flow, Failure> {
        let splits_wanted = SPLITS_PER_CPU * self.session.threads() as u64;
        let (source, schema): (Arc<dyn raceline_exec::Source>, _) = match source {
            Source::Range { rows } => {
                (Arc::new(RangeSource::new(*rows, splits_wanted)), Some(range_schema()))
            }
            Source::Memory { name, schema, batches } => {
                let source = MemorySource::new(name, Arc::clone(batches), splits_wanted);
                (Arc::new(source), Some(Arc::clone(schema)))
            }
            Source::Stored { name, schema, path, rows } => {
                let source = StoredSource::new(name, Arc::clone(path), *rows);
                (Arc::new(source), Some(Arc::clone(schema)))
            }
            Source::Kept { name, schema, rows, contents } => {
                let kept = Arc::clone(contents).downcast::<Kept>();
                let kept = kept.map_err(|_| InternalError::new("a plan keeps foreign rows"))?;
                // Functions that made no row told no columns either.
                let is_known = *rows > 0 || !schema.fields().is_empty();
                let schema = is_known.then(|| Arc::clone(schema));
                if kept.rows.is_spilled() {
                    (Arc::new(KeptSource::new(name, kept)), schema)
                } else {
                    // What is in memory is cut so that every CPU finds work.
                    let batches = kept.rows.held().into();
                    (Arc::new(MemorySource::new(name, batches, splits_wanted)), schema)
                }
            }
            Source::Files(scan) => {
                let (source, schema) = file_source(self.session, scan, self.order).await?;
                (Arc::new(source), Some(schema))
            }
        };
        let source: Arc<dyn raceline_exec::Source> = match self.tolerance.of_stage(source.name()) {
            Some(tolerance) => Arc::new(TolerantSource { source, tolerance }),
            None => source,
        };
        let source = self.labelled(source);
        Ok(Flow { open: Open::Fragment { source, fused: Vec::new() }, schema })
    }

    fn filter(&mut self, flow: Flow, predicate: &Expr) -> Result<Flow, Failure> {
        let operator = FilterOperator::new(predicate.clone());
        let schema = flow.schema.clone();
        if let Some(schema) = &schema {
            operator.check(schema)?;
        }
        Ok(self.inline(flow, Arc::new(operator), schema))
    }

    fn project(&mut self, flow: Flow, projection: &Projection) -> Result<Flow, Failure> {
        let operator = ProjectOperator::new(projection.clone());
        let schema = match &flow.schema {
            Some(schema) => Some(operator.output_schema(schema)?),
            None => None,
        };
        Ok(self.inline(flow, Arc::new(operator), schema))
    }

    fn download(&mut self, flow: Flow, spec: &Arc<DownloadSpec>) -> Result<Flow, Failure> {
        let schema = match &flow.schema {
            Some(schema) => Some(DownloadOperator::output_schema(schema, spec)?),
            None => None,
        };
        let stores = Arc::clone(self.session.stores());
        let operator = Arc::new(DownloadOperator::new(stores, Arc::clone(spec))?);
        let input = self.seal(flow.open);
        Ok(Flow { open: Open::Stage { input, operator, fused: Vec::new() }, schema })
    }

    fn labelled(
        &mut self,
        source: Arc<dyn raceline_exec::Source>,
    ) -> Arc<dyn raceline_exec::Source> {
        let Some(all) = &mut self.labels else { return source };
        let labels = Arc::<SplitLabels>::default();
        all.push(Arc::clone(&labels));
        Arc::new(LabelledSource::new(source, labels))
    }

    /// Looks for the machine's GPUs, on a thread that may block.
    async fn find_gpus(&self) -> Result<(), Failure> {
        let session = self.session.clone();
        let found = self.session.machine().io().spawn_blocking(move || session.find_gpus());
        found
            .await
            .map_err(|error| InternalError::caused_by("the search for GPUs ended early", error))?
    }

    /// What takes the rows that `udf` fails for; its input has the sources from `first_source` on.
    fn errors_of(&mut self, udf: &UdfSpec, first_source: usize) -> Option<Arc<dyn ErroredRows>> {
        if udf.on_error == OnError::Raise {
            return None;
        }
        let stage: Arc<str> = udf.label().into();
        let labels = match self.labels.as_ref().map(|labels| &labels[first_source..]) {
            Some([labels]) => Some(Arc::clone(labels)),
            _ => None,
        };
        let keeper = (udf.on_error == OnError::DeadLetter)
            .then(|| Keeper::new(Arc::clone(&stage), Arc::clone(self.session.letters())));
        let errors = Arc::new(StageErrors {
            stage,
            rows_max: udf.errored_rows_max,
            lines: self.session.template().lines(),
            labels,
            keeper,
            taken: AtomicU64::new(0),
        });
        self.errors.push(Arc::clone(&errors));
        Some(errors)
    }

    /// `udf` behind `flow`, whose needs are checked first.
    async fn checked_udf(
        &mut self,
        flow: Flow,
        udf: &Arc<UdfSpec>,
        errored: Option<Arc<dyn ErroredRows>>,
    ) -> Result<Flow, Failure> {
        if let Some(schema) = &flow.schema {
            Batching::of(udf).check(schema)?;
        }
        if udf.resources.gpu_nanos > 0 {
            self.find_gpus().await?;
        }
        // A function that is compiled takes none of it, but the data may decide that.
        udf.resources.fits_into(self.session.resources(), &udf.label())?;
        check_declared(udf, flow.schema.as_ref())?;
        self.udf(flow, udf, errored)
    }

    fn udf(
        &mut self,
        flow: Flow,
        udf: &Arc<UdfSpec>,
        errored: Option<Arc<dyn ErroredRows>>,
    ) -> Result<Flow, Failure> {
        let (lane, text) = foreign::choose_lane(self.session, udf, flow.schema.as_deref());
        let columns = if matches!(lane, Lane::Process) { columns_text(udf) } else { String::new() };
        self.lanes.push(format!("{}: {text}{columns}", udf.label()));
        if matches!(lane, Lane::Caller) && self.desk.is_none() {
            self.desk = Some(self.session.caller_desk()?);
        }
        Ok(match (lane, &udf.body) {
            (Lane::Native, UdfBody::Native(function)) => {
                let operator = Arc::new(NativeOperator::new(Arc::clone(udf), Arc::clone(function)));
                let schema = flow.schema.clone().filter(|_| udf.kind.keeps_schema());
                if operator.input() == BatchShape::AsIs && operator.pool() == PoolShape::inline() {
                    return Ok(self.inline(flow, operator, schema));
                }
                let input = self.seal(flow.open);
                Flow { open: Open::Stage { input, operator, fused: Vec::new() }, schema }
            }
            (Lane::Compiled { schema }, _) => {
                let errored = Errored { rows: errored, batches: self.tolerance_of(udf.label()) };
                let operator = foreign::compiled_operator(self.session, udf, errored);
                self.inline(flow, operator, schema)
            }
            (Lane::Native | Lane::Process | Lane::Caller, _) => {
                let schema = flow.schema.clone().filter(|_| udf.kind.keeps_schema());
                Flow { open: self.foreign(flow.open, udf, errored), schema }
            }
        })
    }

    /// `udf` behind the functions that already run in the same worker, or in a new stage.
    fn foreign(
        &mut self,
        open: Open,
        udf: &Arc<UdfSpec>,
        errored: Option<Arc<dyn ErroredRows>>,
    ) -> Open {
        match open {
            Open::Foreign { input, mut functions, errored: None }
                // Where batches may be lost, each function loses its own.
                if self.tolerance.is_nothing()
                    && functions.iter().all(|one| foreign::share_a_worker(one, udf)) =>
            {
                functions.push(Arc::clone(udf));
                Open::Foreign { input, functions, errored: None }
            }
            other => {
                let input = self.seal(other);
                Open::Foreign { input, functions: vec![Arc::clone(udf)], errored }
            }
        }
    }

    /// What runs `functions`, one after the other.
    fn chain_operator(
        &mut self,
        functions: &[Arc<UdfSpec>],
        errored: Option<Arc<dyn ErroredRows>>,
    ) -> Arc<dyn Operator> {
        let name = foreign::chain_name(functions);
        let errored = Errored { rows: errored, batches: self.tolerance_of(name) };
        match (&functions[0].body, &mut self.desk) {
            (UdfBody::Caller(_), Some(desk)) => foreign::caller_operator(desk, functions, errored),
            _ => foreign::process_operator(self.session, functions, errored),
        }
    }

    /// What takes the batches that functions of a stage fail for.
    fn tolerance_of(&self, stage: impl Into<Arc<str>>) -> Option<Arc<dyn ErroredBatches>> {
        let tolerance = self.tolerance.of_stage(stage.into())?;
        Some(tolerance)
    }

    /// `operator` fused behind `flow`.
    fn inline(
        &mut self,
        flow: Flow,
        operator: Arc<dyn Operator>,
        schema: Option<SchemaRef>,
    ) -> Flow {
        let open = match flow.open {
            Open::Fragment { source, mut fused } => {
                fused.push(operator);
                Open::Fragment { source, fused }
            }
            Open::Stage { input, operator: first, mut fused } => {
                fused.push(operator);
                Open::Stage { input, operator: first, fused }
            }
            Open::Foreign { input, functions, errored } => {
                let first = self.chain_operator(&functions, errored);
                Open::Stage { input, operator: first, fused: vec![operator] }
            }
            Open::Sealed(input) => Open::Stage { input, operator, fused: Vec::new() },
        };
        Flow { open, schema }
    }

    /// Puts what is open into the graph.
    fn seal(&mut self, open: Open) -> NodeId {
        match open {
            Open::Fragment { source, fused } => {
                self.stages.push(stage_name(&source.name(), &fused));
                self.graph.source(source, fused)
            }
            Open::Stage { input, operator, fused } => {
                self.stages.push(stage_name(&operator.name(), &fused));
                self.graph.operator(input, operator, fused)
            }
            Open::Foreign { input, functions, errored } => {
                let operator = self.chain_operator(&functions, errored);
                self.stages.push(operator.name().to_string());
                self.graph.operator(input, operator, Vec::new())
            }
            Open::Sealed(node) => node,
        }
    }
}

fn stage_name(first: &str, fused: &[Arc<dyn Operator>]) -> String {
    let names = fused.iter().map(|operator| operator.name().to_string());
    std::iter::once(first.to_owned()).chain(names).collect::<Vec<_>>().join(" -> ")
}
