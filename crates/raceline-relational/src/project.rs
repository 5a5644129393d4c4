//! Projections.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, FieldRef, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::physical_expr::PhysicalExpr;
use raceline_exec::{BatchShape, Emit, Operator, PoolShape};
use raceline_plan::Projection;
use raceline_types::{Batch, Failure, InternalError};

use crate::error::{RelationalError, carried};
use crate::resolve::{BySchema, resolve};

/// Changes columns and looks at no other row.
///
/// Columns that stay are handed on without a copy and keep their field with its metadata (tensor
/// shapes, plain values). Rows, their order and their origin stay.
#[derive(Debug)]
pub struct ProjectOperator {
    projection: Projection,
    resolved: BySchema<Resolved>,
}

/// A projection over the columns of one schema.
#[derive(Debug)]
struct Resolved {
    schema: SchemaRef,
    columns: Vec<Column>,
}

#[derive(Debug)]
enum Column {
    /// The input column at this position.
    Input(usize),
    /// A computed one.
    Computed(Arc<dyn PhysicalExpr>),
}

impl ProjectOperator {
    /// A projection. Columns are looked up when the first batch shows its schema.
    #[must_use]
    pub fn new(projection: Projection) -> Self {
        Self { projection, resolved: BySchema::new() }
    }

    /// Schema of the output for an input of `schema`.
    ///
    /// # Errors
    /// [`RelationalError::ColumnNotFound`], [`RelationalError::DuplicateColumn`], or
    /// [`RelationalError::Expression`] when types do not fit.
    pub fn output_schema(&self, schema: &SchemaRef) -> Result<SchemaRef, Failure> {
        Ok(Arc::clone(&self.resolve(schema)?.schema))
    }

    fn resolve(&self, schema: &SchemaRef) -> Result<Arc<Resolved>, Failure> {
        Ok(self.resolved.get(schema, || Resolved::new(&self.projection, schema))?)
    }

    fn apply(&self, batch: &RecordBatch) -> Result<RecordBatch, Failure> {
        let resolved = self.resolve(&batch.schema())?;
        let columns = resolved
            .columns
            .iter()
            .map(|column| match column {
                Column::Input(position) => Ok(Arc::clone(batch.column(*position))),
                Column::Computed(expr) => expr.evaluate(batch)?.into_array(batch.num_rows()),
            })
            .collect::<Result<Vec<_>, _>>()
            .map_err(|source| {
                carried(&source).unwrap_or_else(|| {
                    let expr = self.projection.to_string();
                    RelationalError::Evaluate { expr, source: Box::new(source) }.into()
                })
            })?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(&resolved.schema), columns, &options).map_err(
            |error| {
                InternalError::caused_by(format!("projection `{}`", self.projection), error).into()
            },
        )
    }
}

#[async_trait]
impl Operator for ProjectOperator {
    fn name(&self) -> Arc<str> {
        self.projection.to_string().into()
    }

    fn pool(&self) -> PoolShape {
        PoolShape::inline()
    }

    fn input(&self) -> BatchShape {
        BatchShape::AsIs
    }

    async fn run(&self, input: Batch, out: &mut dyn Emit) -> Result<(), Failure> {
        let Batch { data, origin } = input;
        let projected = self.apply(&data)?;
        drop(data);
        out.emit(Batch::new(projected, origin)).await
    }
}

impl Resolved {
    fn new(projection: &Projection, schema: &SchemaRef) -> Result<Self, RelationalError> {
        let position = |name: &String| {
            schema.index_of(name).map_err(|_| RelationalError::column_not_found(name, schema))
        };
        let input = |position: usize| (Arc::clone(&schema.fields()[position]), position);
        let chosen: Vec<(FieldRef, usize)> = match projection {
            Projection::Select(names) => {
                names.iter().map(|name| Ok(input(position(name)?))).collect::<Result<_, _>>()?
            }
            Projection::Drop(names) => {
                let dropped = names.iter().map(position).collect::<Result<Vec<_>, _>>()?;
                (0..schema.fields().len()).filter(|at| !dropped.contains(at)).map(input).collect()
            }
            Projection::Rename(names) => {
                let mut chosen: Vec<_> = (0..schema.fields().len()).map(input).collect();
                for (old, new) in names {
                    let at = position(old)?;
                    chosen[at].0 = Arc::new(schema.field(at).clone().with_name(new));
                }
                chosen
            }
            Projection::With { name, expr } => {
                return Self::with(name, resolve(expr, schema)?, schema, &expr.to_string());
            }
        };
        let mut names: Vec<&str> = chosen.iter().map(|(field, _)| field.name().as_str()).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(RelationalError::DuplicateColumn { name: pair[0].to_owned() });
        }
        let (fields, positions): (Vec<_>, Vec<_>) = chosen.into_iter().unzip();
        Ok(Self {
            schema: Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone())),
            columns: positions.into_iter().map(Column::Input).collect(),
        })
    }

    fn with(
        name: &str,
        expr: Arc<dyn PhysicalExpr>,
        schema: &SchemaRef,
        text: &str,
    ) -> Result<Self, RelationalError> {
        let field = expr.return_field(schema).map_err(|source| RelationalError::Expression {
            expr: text.to_owned(),
            source: Box::new(source),
        })?;
        let field: FieldRef = Arc::new(Field::clone(&field).with_name(name).with_nullable(true));
        let mut fields = schema.fields().to_vec();
        let mut columns: Vec<_> = (0..fields.len()).map(Column::Input).collect();
        if let Ok(position) = schema.index_of(name) {
            fields[position] = field;
            columns[position] = Column::Computed(expr);
        } else {
            fields.push(field);
            columns.push(Column::Computed(expr));
        }
        let schema = Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()));
        Ok(Self { schema, columns })
    }
}
