//! From a program and the types of its input to expressions.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion_common::DFSchema;
use datafusion_expr::{Expr, ExprSchemable, cast, ident};
use raceline_types::{PLAIN_VALUE_COLUMN, is_plain_value_schema, plain_value_field};

use super::decline::Decline;
use super::function::Operation;
use super::interpreter::{Argument, Returned, Wanted, run};
use super::program::Program;
use super::term::{Kind, Term, array_kind, row_kind};
use crate::udf::{BatchFormat, UdfKind};

/// Name of the column that a [`UdfKind::Key`] function adds; input that has one is refused.
pub const GROUP_KEY_COLUMN: &str = "key";

/// Expressions that are equal to a function, over the columns of its input.
///
/// They fail with [`super::Trouble`] when any row needs Python.
#[derive(Clone, Debug, PartialEq)]
pub enum Compiled {
    /// The result's columns, in order.
    Columns(Vec<Output>),
    /// The result is one column of plain values. A null means that the function returned None.
    PlainValue(Output),
    /// Whether the row stays; never null.
    Predicate(Expr),
    /// The input with one more column. A null in it means that the function returned None.
    Key(Output),
}

/// One column of a compiled function's result.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// Its name and type; nullable.
    pub field: Field,
    /// Its values.
    pub expr: Expr,
}

impl Compiled {
    /// Schema of the result for input of the schema that the function was compiled for.
    #[must_use]
    pub fn output_schema(&self, input: &Schema) -> SchemaRef {
        Arc::new(match self {
            Self::Columns(outputs) => {
                Schema::new(outputs.iter().map(|output| output.field.clone()).collect::<Vec<_>>())
            }
            Self::PlainValue(output) => Schema::new(vec![output.field.clone()]),
            Self::Predicate(_) => input.clone(),
            Self::Key(output) => {
                let key: FieldRef = Arc::new(output.field.clone());
                let fields: Vec<_> = input.fields().iter().cloned().chain([key]).collect();
                Schema::new_with_metadata(fields, input.metadata().clone())
            }
        })
    }
}

/// Proves that `program` is pure and builds the expressions that are equal to it on input of
/// `schema`.
///
/// # Errors
/// [`Decline`] with the reason why the function has to run in Python.
pub fn compile(
    program: &Program,
    kind: UdfKind,
    format: BatchFormat,
    schema: &Schema,
) -> Result<Compiled, Decline> {
    let input = DFSchema::try_from(schema.clone())
        .map_err(|_| Decline::new("two of its columns have one name"))?;
    let output = |name: &str, term: Term| -> Result<Output, Decline> {
        let data_type = term.expr.get_type(&input);
        let data_type = data_type.map_err(|error| Decline::new(error.to_string()))?;
        Ok(Output { field: Field::new(name, data_type, true), expr: term.expr })
    };
    let outputs = |columns: Vec<(String, Term)>| -> Result<Compiled, Decline> {
        let columns = columns.into_iter().map(|(name, term)| output(&name, term));
        columns.collect::<Result<_, _>>().map(Compiled::Columns)
    };
    match kind {
        UdfKind::FlatMap => Err(Decline::new("it returns any number of rows")),
        UdfKind::MapBatches if format != BatchFormat::Numpy => {
            Err(Decline::new(format!("its batches are {format:?} and not NumPy arrays")))
        }
        UdfKind::MapBatches => outputs(batch_columns(run(program, batch(schema), Wanted::Any)?)?),
        UdfKind::Filter => value(run(program, row(program, schema)?, Wanted::Truth)?)
            .map(|truth| Compiled::Predicate(truth.expr)),
        UdfKind::Key if schema.column_with_name(GROUP_KEY_COLUMN).is_some() => {
            Err(Decline::new(format!("its input has a column `{GROUP_KEY_COLUMN}` already")))
        }
        UdfKind::Key => {
            let key = value(run(program, row(program, schema)?, Wanted::Value)?)?;
            output(GROUP_KEY_COLUMN, key).map(Compiled::Key)
        }
        UdfKind::Map => match run(program, row(program, schema)?, Wanted::Any)? {
            Returned::Columns(columns) => outputs(row_columns(columns)?),
            returned @ Returned::Value(_) => {
                let mut item = output(PLAIN_VALUE_COLUMN, value(returned)?)?;
                item.field = plain_value_field(&item.field);
                Ok(Compiled::PlainValue(item))
            }
        },
    }
}

/// What a row function's parameter is.
fn row(program: &Program, schema: &Schema) -> Result<Argument, Decline> {
    let fields = schema.fields();
    if is_plain_value_schema(schema) || program.row_is_value {
        let [field] = fields.as_ref() else {
            return Err(Decline::new(format!(
                "it uses the row as a value, and a row has {} columns",
                fields.len()
            )));
        };
        return row_column(field).map(Argument::Value);
    }
    let columns = fields.iter().map(|field| (field.name().clone(), row_column(field)));
    Ok(Argument::Columns(columns.collect()))
}

fn row_column(field: &Field) -> Result<Term, Decline> {
    let kind = row_kind(field).ok_or_else(|| unsupported(field))?;
    Ok(Term::column(typed(field, &kind.data_type()), kind, false))
}

/// What a NumPy batch function's parameter is.
fn batch(schema: &Schema) -> Argument {
    let columns = schema.fields().iter().map(|field| (field.name().clone(), batch_column(field)));
    Argument::Columns(columns.collect())
}

fn batch_column(field: &Field) -> Result<Term, Decline> {
    let kind = array_kind(field).ok_or_else(|| unsupported(field))?;
    let expr = if field.data_type().is_string() {
        typed(field, &DataType::Utf8)
    } else {
        Operation::NpColumn.call(vec![ident(field.name())])
    };
    Ok(Term::column(expr, kind, true))
}

/// A column, cast to a type that holds all its values.
fn typed(field: &Field, data_type: &DataType) -> Expr {
    let column = ident(field.name());
    if field.data_type() == data_type { column } else { cast(column, data_type.clone()) }
}

fn unsupported(field: &Field) -> Decline {
    let extension = field.extension_type_name().map(|name| format!(" ({name})"));
    Decline::new(format!(
        "column `{}` is {}{}",
        field.name(),
        field.data_type(),
        extension.unwrap_or_default()
    ))
}

fn value(returned: Returned) -> Result<Term, Decline> {
    match returned {
        Returned::Value(term) if term.kind == Kind::Null => Err(Decline::new("it returns None")),
        Returned::Value(term) => Ok(term),
        Returned::Columns(_) => Err(Decline::new("it returns a dict where a value is expected")),
    }
}

/// The columns of a dict of scalars.
fn row_columns(columns: Vec<(String, Term)>) -> Result<Vec<(String, Term)>, Decline> {
    if columns.is_empty() {
        return Err(Decline::new("its dict is empty"));
    }
    match columns.iter().find(|(_, term)| term.kind == Kind::Null) {
        Some((name, _)) => Err(Decline::new(format!("its column `{name}` is always None"))),
        None => Ok(columns),
    }
}

/// The columns of a dict of arrays.
fn batch_columns(returned: Returned) -> Result<Vec<(String, Term)>, Decline> {
    let Returned::Columns(columns) = returned else {
        return Err(Decline::new("it returns no dict"));
    };
    if columns.is_empty() {
        return Err(Decline::new("its dict is empty"));
    }
    match columns.iter().find(|(_, term)| !term.array) {
        Some((name, _)) => Err(Decline::new(format!("its column `{name}` is no array"))),
        None => Ok(columns),
    }
}
