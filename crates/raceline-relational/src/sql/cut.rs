//! Cuts a plan at the calls of users' functions, which run in stages of their own.
//!
//! A node whose expressions call functions comes to read a table in place of its input: the input's
//! columns and, for each call, one with its results. What makes that table is the input with the
//! arguments of the calls as further columns, and behind it the stages of the functions. Calls in
//! arguments are cut off that in turn.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema};
use datafusion::catalog::default_table_source::provider_as_source;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchemaRef};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{
    Expr, Filter, Join, JoinType, LogicalPlan, LogicalPlanBuilder, cast, lit,
};
use raceline_plan::QueryFunction;

use super::error::SqlError;
use super::function::{call_in, called, has_call};
use super::planned::plain_type;
use super::port_table::PortTable;
use crate::error::carry;

/// Where a call is that needs rows of another query for each of its own.
const AROUND: &str = "in a subquery that reads columns of the query around it";

/// Calls of functions whose results are columns of a table.
#[derive(Clone, Debug)]
pub struct FunctionCall {
    /// The function.
    pub function: Arc<QueryFunction>,
    /// The columns of its arguments; one whose rows are counted where it has none.
    pub arguments: Vec<String>,
    /// The column of its results.
    pub result: String,
}

/// A table that has the results of calls.
pub(super) struct CallTable {
    /// What the calls are made for.
    pub(super) input: LogicalPlan,
    /// The input's columns, named as in the table.
    pub(super) columns: Vec<Expr>,
    /// The arguments.
    pub(super) arguments: Vec<Expr>,
    /// The calls, in the order of their columns behind those of the input.
    pub(super) calls: Vec<FunctionCall>,
    /// The table.
    pub(super) table: Arc<PortTable>,
}

/// `plan` without calls, and the tables that it reads in their place.
///
/// # Errors
/// [`SqlError::MisplacedCall`] of a call whose results cannot be a column.
pub(super) fn cut(plan: LogicalPlan) -> Result<(LogicalPlan, Vec<CallTable>), DataFusionError> {
    let mut cutter = Cutter { tables: Vec::new() };
    let mut plan = plan;
    // A node may be left with calls that its new input has then.
    loop {
        let cut = plan.transform_down_with_subqueries(|node| cutter.node(node))?;
        plan = cut.data;
        if !cut.transformed {
            break;
        }
    }
    let settled = plan
        .transform_up_with_subqueries(|node| Ok(Transformed::yes(node.recompute_schema()?)))?
        .data;
    Ok((settled, cutter.tables))
}

struct Cutter {
    tables: Vec<CallTable>,
}

impl Cutter {
    fn node(&mut self, node: LogicalPlan) -> Result<Transformed<LogicalPlan>, DataFusionError> {
        if let LogicalPlan::RecursiveQuery(recursive) = &node
            && let Some(function) = call_below(&recursive.recursive_term)
        {
            return Err(misplaced(&function, "in the part of a query that repeats"));
        }
        let Some(function) = call_in(&node) else { return Ok(Transformed::no(node)) };
        let schema = Arc::clone(node.schema());
        let cut = match node {
            LogicalPlan::Filter(filter) => self.filter(filter)?.0,
            LogicalPlan::Join(join) => self.join(join)?,
            LogicalPlan::Projection(_)
            | LogicalPlan::Aggregate(_)
            | LogicalPlan::Sort(_)
            | LogicalPlan::Window(_) => self.single(&node)?,
            _ => return Err(misplaced(&function, "at its place")),
        };
        Ok(Transformed::yes(with_columns_of(&schema, cut)?))
    }

    /// A node of one input.
    fn single(&mut self, node: &LogicalPlan) -> Result<LogicalPlan, DataFusionError> {
        let [input] = node.inputs()[..] else { return Ok(node.clone()) };
        let (mut input, mut known) = (input.clone(), Vec::new());
        if let LogicalPlan::Filter(filter) = &input
            && share_a_call(node, &filter.predicate)
        {
            (input, known) = self.filter(filter.clone())?;
        }
        let mut calls = Calls::new(input.schema(), known);
        let names = (!matches!(node, LogicalPlan::Sort(_))).then(|| NamePreserver::new(node));
        let mut exprs = Vec::new();
        for expr in node.expressions() {
            let name = names.as_ref().map(|names| names.save(&expr));
            let expr = replaced(expr, &mut |call| Ok(calls.column(call)))?;
            exprs.push(match name {
                Some(name) => name.restore(expr),
                None => expr,
            });
        }
        let input = self.called(input, &calls.new)?;
        node.with_new_exprs(exprs, vec![input])
    }

    /// A filter, whose output has columns of calls beside its own, and these calls. The functions
    /// get only rows for which the conditions without calls are true.
    fn filter(&mut self, filter: Filter) -> Result<(LogicalPlan, Known), DataFusionError> {
        let parts = split_conjunction_owned(filter.predicate);
        let (with, without): (Vec<_>, Vec<_>) = parts.into_iter().partition(has_call);
        let mut input = Arc::unwrap_or_clone(filter.input);
        if let Some(predicate) = conjunction(without) {
            input = LogicalPlanBuilder::from(input).filter(predicate)?.build()?;
        }
        let mut calls = Calls::new(input.schema(), Vec::new());
        let with = with.into_iter().map(|part| replaced(part, &mut |call| Ok(calls.column(call))));
        let predicate = conjunction(with.collect::<Result<Vec<_>, _>>()?);
        let input = self.called(input, &calls.new)?;
        let plan = match predicate {
            Some(predicate) => LogicalPlanBuilder::from(input).filter(predicate)?.build()?,
            None => input,
        };
        Ok((plan, calls.known))
    }

    /// A join: calls over columns of one side become columns of that side.
    fn join(&mut self, join: Join) -> Result<LogicalPlan, DataFusionError> {
        let mut left = Calls::new(join.left.schema(), Vec::new());
        let mut right = Calls::new(join.right.schema(), Vec::new());
        let mut on = Vec::with_capacity(join.on.len());
        for (of_left, of_right) in join.on {
            on.push((
                replaced(of_left, &mut |call| Ok(left.column(call)))?,
                replaced(of_right, &mut |call| Ok(right.column(call)))?,
            ));
        }
        let (mut kept, mut behind) = (Vec::new(), Vec::new());
        for part in join.filter.map(split_conjunction_owned).unwrap_or_default() {
            let both = call_of_both(&part, join.left.schema(), join.right.schema())?;
            match both {
                Some(_) if join.join_type == JoinType::Inner => behind.push(part),
                Some(function) => {
                    return Err(misplaced(
                        &function,
                        "over columns of both sides of an outer join",
                    ));
                }
                None => kept.push(replaced(part, &mut |call| {
                    let is_right = is_over(call, join.right.schema()) && call.any_column_refs();
                    Ok(if is_right { right.column(call) } else { left.column(call) })
                })?),
            }
        }
        let joined = LogicalPlan::Join(Join {
            left: Arc::new(self.called(Arc::unwrap_or_clone(join.left), &left.new)?),
            right: Arc::new(self.called(Arc::unwrap_or_clone(join.right), &right.new)?),
            on,
            filter: conjunction(kept),
            ..join
        });
        let joined = joined.recompute_schema()?;
        match conjunction(behind) {
            // Its calls are cut off next.
            Some(predicate) => LogicalPlanBuilder::from(joined).filter(predicate)?.build(),
            None => Ok(joined),
        }
    }

    /// The rows of `input` with the results of `calls` as further columns.
    fn called(
        &mut self,
        input: LogicalPlan,
        calls: &[(Expr, Column)],
    ) -> Result<LogicalPlan, DataFusionError> {
        let Some((function, _)) = calls.first().and_then(|(call, _)| called(call)) else {
            return Ok(input);
        };
        if input.exists(|node| Ok(node.contains_outer_reference()))? {
            return Err(misplaced(function, AROUND));
        }
        let name = format!("__raceline_calls_{}", self.tables.len());
        let (mut fields, mut columns, mut seen) = (Vec::new(), Vec::new(), Vec::new());
        for (at, (qualifier, field)) in input.schema().iter().enumerate() {
            let (own, data_type) = (format!("c{at}"), plain_type(field.data_type()));
            columns.push(Expr::Column(Column::from((qualifier, field))).alias(&own));
            let mut column = Expr::Column(Column::new(Some(name.as_str()), &own));
            if &data_type != field.data_type() {
                column = cast(column, field.data_type().clone());
            }
            seen.push(column.alias_qualified(qualifier.cloned(), field.name()));
            let field = Field::clone(field).with_data_type(data_type);
            fields.push(field.with_name(own).with_nullable(true));
        }
        let mut made = Vec::with_capacity(calls.len());
        let mut arguments = Vec::new();
        for (at, (call, column)) in calls.iter().enumerate() {
            let Some((function, given)) = called(call) else { continue };
            let result = function.result_column(at);
            fields.push(Field::clone(&function.returns).with_name(&result).with_nullable(true));
            seen.push(Expr::Column(Column::new(Some(name.as_str()), &result)).alias(&column.name));
            let (given, names) = if given.is_empty() {
                (vec![lit(false)], vec![function.rows_column(at)])
            } else {
                let names = (0..given.len()).map(|number| function.argument_column(at, number));
                (given.to_vec(), names.collect())
            };
            arguments.extend(given.into_iter().zip(&names).map(|(one, name)| one.alias(name)));
            made.push(FunctionCall { function: Arc::clone(function), arguments: names, result });
        }
        let table = Arc::new(PortTable::new(Some(Arc::new(Schema::new(fields)))));
        let source = provider_as_source(Arc::clone(&table) as _);
        let plan = LogicalPlanBuilder::scan(name, source, None)?.project(seen)?.build()?;
        self.tables.push(CallTable { input, columns, arguments, calls: made, table });
        Ok(plan)
    }
}

/// Calls, and the columns that they are.
type Known = Vec<(Expr, Column)>;

/// The calls of a node.
struct Calls {
    /// Those that others of the same function and arguments are equal to.
    known: Known,
    /// Those that are to become columns.
    new: Vec<(Expr, Column)>,
    taken: Vec<String>,
}

impl Calls {
    /// No calls over the columns of `schema`, among which are those of `known`.
    fn new(schema: &DFSchemaRef, known: Known) -> Self {
        let taken = schema.fields().iter().map(|field| field.name().clone()).collect();
        Self { known, new: Vec::new(), taken }
    }

    /// The column of `call`. It has the name of the call where that is free, so that what is made
    /// of it keeps its name.
    fn column(&mut self, call: &Expr) -> Expr {
        let is_shared = called(call).is_some_and(|(function, _)| function.is_deterministic);
        if is_shared && let Some((_, column)) = self.known.iter().find(|(known, _)| known == call) {
            return Expr::Column(column.clone());
        }
        let plain = call.schema_name().to_string();
        let mut names = std::iter::once(plain.clone())
            .chain((1..).map(|number: u32| format!("{plain} {number}")));
        let name = names.find(|name| !self.taken.contains(name)).unwrap_or(plain);
        let column = Column::new_unqualified(&name);
        self.taken.push(name);
        self.new.push((call.clone(), column.clone()));
        if is_shared {
            self.known.push((call.clone(), column.clone()));
        }
        Expr::Column(column)
    }
}

/// `expr` with its outermost calls replaced by what `column_of` gives for them.
fn replaced(
    expr: Expr,
    column_of: &mut dyn FnMut(&Expr) -> Result<Expr, DataFusionError>,
) -> Result<Expr, DataFusionError> {
    let replaced = expr.transform_down(|part| {
        let Some((function, _)) = called(&part) else { return Ok(Transformed::no(part)) };
        if part.contains_outer() {
            return Err(misplaced(function, AROUND));
        }
        Ok(Transformed::new(column_of(&part)?, true, TreeNodeRecursion::Jump))
    });
    Ok(replaced?.data)
}

/// `plan` with the columns of `schema` alone.
fn with_columns_of(
    schema: &DFSchemaRef,
    plan: LogicalPlan,
) -> Result<LogicalPlan, DataFusionError> {
    if plan.schema().fields().len() == schema.fields().len() {
        return Ok(plan);
    }
    let columns = schema.iter().map(|column| Expr::Column(Column::from(column)));
    LogicalPlanBuilder::from(plan).project(columns)?.build()
}

/// Whether `node` makes a call that `predicate` makes too and whose results it may have.
fn share_a_call(node: &LogicalPlan, predicate: &Expr) -> bool {
    let mut calls = Vec::new();
    let collected = predicate.apply(|part| {
        if called(part).is_some_and(|(function, _)| function.is_deterministic) {
            calls.push(part.clone());
        }
        Ok(TreeNodeRecursion::Continue)
    });
    debug_assert!(collected.is_ok(), "looking at an expression does not fail");
    let is_shared = |expr: &Expr| expr.exists(|part| Ok(calls.contains(part))).unwrap_or(false);
    node.expressions().iter().any(is_shared)
}

/// A function that `expr` calls over columns of both sides of a join.
fn call_of_both(
    expr: &Expr,
    left: &DFSchemaRef,
    right: &DFSchemaRef,
) -> Result<Option<Arc<QueryFunction>>, DataFusionError> {
    let mut found = None;
    expr.apply(|part| {
        let Some((function, _)) = called(part) else { return Ok(TreeNodeRecursion::Continue) };
        if !is_over(part, left) && !is_over(part, right) {
            found = Some(Arc::clone(function));
        }
        Ok(TreeNodeRecursion::Jump)
    })?;
    Ok(found)
}

/// Whether all columns of `expr` are in `schema`.
fn is_over(expr: &Expr, schema: &DFSchemaRef) -> bool {
    expr.column_refs().into_iter().all(|column| schema.has_column(column))
}

/// A function of a user that is called anywhere in `plan`.
pub(super) fn call_below(plan: &LogicalPlan) -> Option<Arc<QueryFunction>> {
    let mut found = None;
    let visited = plan.apply_with_subqueries(|node| {
        found = call_in(node);
        let is_found = found.is_some();
        Ok(if is_found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    debug_assert!(visited.is_ok(), "looking at a plan does not fail");
    found
}

fn misplaced(function: &QueryFunction, place: &'static str) -> DataFusionError {
    carry(SqlError::MisplacedCall { function: function.name.clone(), place }.into())
}
