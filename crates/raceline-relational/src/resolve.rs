//! From expressions over names to expressions over the columns of a schema.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::DFSchema;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::execution_props::ExecutionProps;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::physical_expr::{PhysicalExpr, create_physical_expr};

use raceline_types::Failure;

use crate::error::RelationalError;

/// `expr` over the columns of `schema`, types coerced and constants folded.
///
/// # Errors
/// [`RelationalError::ColumnNotFound`], or [`RelationalError::Expression`] when types do not fit.
pub(crate) fn resolve(
    expr: &Expr,
    schema: &SchemaRef,
) -> Result<Arc<dyn PhysicalExpr>, RelationalError> {
    check_columns(expr, schema)?;
    physical(expr, schema).map_err(|source| RelationalError::Expression {
        expr: expr.to_string(),
        source: Box::new(source),
    })
}

/// The field that `expr` is over the columns of `schema`; its name means nothing.
///
/// # Errors
/// A column that `schema` lacks, or types that do not fit.
pub fn expression_field(expr: &Expr, schema: &SchemaRef) -> Result<Field, Failure> {
    let field = resolve(expr, schema)?.return_field(schema).map_err(|source| {
        RelationalError::Expression { expr: expr.to_string(), source: Box::new(source) }
    })?;
    Ok(Field::clone(&field))
}

/// As [`resolve`], for a condition; a literal null counts as one.
///
/// # Errors
/// As [`resolve`], and [`RelationalError::NotBoolean`].
pub(crate) fn resolve_predicate(
    expr: &Expr,
    schema: &SchemaRef,
) -> Result<Arc<dyn PhysicalExpr>, RelationalError> {
    let physical = resolve(expr, schema)?;
    match physical.data_type(schema) {
        Ok(DataType::Boolean | DataType::Null) => Ok(physical),
        Ok(data_type) => Err(RelationalError::NotBoolean { expr: expr.to_string(), data_type }),
        Err(source) => {
            Err(RelationalError::Expression { expr: expr.to_string(), source: Box::new(source) })
        }
    }
}

/// Checks that `schema` has every column that `expr` names.
pub(crate) fn check_columns(expr: &Expr, schema: &Schema) -> Result<(), RelationalError> {
    let mut missing: Vec<&str> = expr
        .column_refs()
        .into_iter()
        .map(|column| column.name.as_str())
        .filter(|name| schema.column_with_name(name).is_none())
        .collect();
    missing.sort_unstable();
    match missing.first() {
        Some(name) => Err(RelationalError::column_not_found(name, schema)),
        None => Ok(()),
    }
}

fn physical(
    expr: &Expr,
    schema: &SchemaRef,
) -> Result<Arc<dyn PhysicalExpr>, datafusion::error::DataFusionError> {
    let columns = Arc::new(DFSchema::try_from(Arc::clone(schema))?);
    let context = SimplifyContext::builder().with_schema(Arc::clone(&columns)).build();
    let simplifier = ExprSimplifier::new(context);
    // Functions that turn into bare operators leave their arguments to be coerced once more.
    let mut expr = expr.clone();
    for _ in 0..2 {
        expr = simplifier.simplify(simplifier.coerce(expr, &columns)?)?;
    }
    create_physical_expr(
        &expr,
        &columns,
        &ExecutionProps::new(),
        &PhysicalPlanningContext::default(),
    )
}

/// Something that depends on the schema of a batch, kept for the schema seen last.
#[derive(Debug)]
pub(crate) struct BySchema<T> {
    last: Mutex<Option<(SchemaRef, Arc<T>)>>,
}

impl<T> BySchema<T> {
    pub(crate) fn new() -> Self {
        Self { last: Mutex::new(None) }
    }

    /// What was made for `schema`, or else what `make` makes now.
    pub(crate) fn get<E>(
        &self,
        schema: &SchemaRef,
        make: impl FnOnce() -> Result<T, E>,
    ) -> Result<Arc<T>, E> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((seen, earlier)) = last.as_ref()
            && (Arc::ptr_eq(seen, schema) || seen == schema)
        {
            return Ok(Arc::clone(earlier));
        }
        let new = Arc::new(make()?);
        *last = Some((Arc::clone(schema), Arc::clone(&new)));
        Ok(new)
    }
}
