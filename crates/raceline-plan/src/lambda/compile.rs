//! From a program and the types of its input to expressions.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion_common::DFSchema;
use datafusion_expr::{Expr, ExprSchemable, cast, ident};
use raceline_types::{PLAIN_VALUE_COLUMN, is_plain_value_schema, plain_value_field};

use super::decline::Decline;
use super::function::{Calendar, Operation};
use super::interpreter::{Argument, Wanted, run};
use super::program::{Constant, Program};
use super::returned::{Returned, RowOut};
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
    /// The result's columns, of which only some rows are in the result.
    Selected {
        /// The columns, in order.
        outputs: Vec<Output>,
        /// Whether a row is in the result; never null.
        mask: Expr,
    },
    /// Several rows for one, in order, all of the same fields.
    Rows {
        /// The rows that one row becomes.
        rows: Vec<OutputRow>,
        /// Whether they are plain values, of which a null means that the function returned None.
        are_values: bool,
    },
}

/// One of the rows that a row becomes.
#[derive(Clone, Debug, PartialEq)]
pub struct OutputRow {
    /// Whether it is there; never null. Without one it always is.
    pub present: Option<Expr>,
    /// Its columns, in order.
    pub outputs: Vec<Output>,
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
        let fields_of = |outputs: &[Output]| {
            Schema::new(outputs.iter().map(|output| output.field.clone()).collect::<Vec<_>>())
        };
        Arc::new(match self {
            Self::Columns(outputs) | Self::Selected { outputs, .. } => fields_of(outputs),
            Self::Rows { rows, .. } => fields_of(rows.first().map_or(&[], |row| &row.outputs)),
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
        UdfKind::MapGroups => Err(Decline::new("it is called for groups")),
        UdfKind::FlatMap => {
            let (rows, are_values) = rows(run(program, row(program, schema)?, Wanted::Rows)?)?;
            let rows = rows.into_iter().map(|(present, columns)| {
                let columns = columns.into_iter().map(|(name, term)| {
                    let mut item = output(&name, term)?;
                    if are_values {
                        item.field = plain_value_field(&item.field);
                    }
                    Ok(item)
                });
                Ok(OutputRow { present, outputs: columns.collect::<Result<_, _>>()? })
            });
            Ok(Compiled::Rows { rows: rows.collect::<Result<_, _>>()?, are_values })
        }
        UdfKind::MapBatches if format != BatchFormat::Numpy => {
            Err(Decline::new(format!("its batches are {format:?} and not NumPy arrays")))
        }
        UdfKind::MapBatches => {
            let columns = batch_columns(run(program, batch(schema), Wanted::Any)?)?;
            let mask = common_mask(&columns)?;
            Ok(match (outputs(columns)?, mask) {
                (Compiled::Columns(outputs), Some(mask)) => Compiled::Selected { outputs, mask },
                (columns, _) => columns,
            })
        }
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
            Returned::Rows(_) => Err(Decline::new("it returns a list")),
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
    let expr = match kind {
        Kind::Date | Kind::DateTime => {
            Operation::Calendar(Calendar::Column).call(vec![ident(field.name())])
        }
        _ => typed(field, &kind.data_type()),
    };
    Ok(Term::column(expr, kind, false))
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
        Returned::Value(term) if term.kind == Kind::Strings => {
            Err(Decline::new("it returns a list where a value is expected"))
        }
        Returned::Value(term) => Ok(term),
        Returned::Columns(_) | Returned::Rows(_) => {
            Err(Decline::new("it returns a dict where a value is expected"))
        }
    }
}

/// A row of a list: when it is there, and its columns.
type Row = (Option<Expr>, Vec<(String, Term)>);

/// The rows of a list, with columns of the same names and types, and whether they are values.
fn rows(returned: Returned) -> Result<(Vec<Row>, bool), Decline> {
    let Returned::Rows(rows) = returned else {
        return Err(Decline::new("it returns something other than a list of rows"));
    };
    let are_values = rows.iter().any(|row| matches!(row.content, Returned::Value(_)));
    let mut listed = Vec::with_capacity(rows.len());
    for RowOut { present, content } in rows {
        let columns = match content {
            Returned::Columns(columns) if !are_values => columns,
            Returned::Value(term) if term.kind == Kind::Strings => {
                return Err(Decline::new("its list has lists"));
            }
            Returned::Value(term) => vec![(PLAIN_VALUE_COLUMN.to_owned(), term)],
            _ => return Err(Decline::new("its list has dicts and values")),
        };
        let always = present.constant == Some(Constant::Bool(true));
        listed.push(((!always).then_some(present.expr), columns));
    }
    let Some((_, first)) = listed.first() else {
        return Err(Decline::new("its list is empty"));
    };
    if first.is_empty() {
        return Err(Decline::new("its dict is empty"));
    }
    let names = |row: &Row| row.1.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    if listed.iter().any(|row| names(row) != names(&listed[0])) {
        return Err(Decline::new("the dicts of its list have different keys"));
    }
    for column in 0..first.len() {
        unite_kinds(&mut listed, column)?;
    }
    Ok((listed, are_values))
}

/// Gives a column one type in all rows.
fn unite_kinds(rows: &mut [Row], column: usize) -> Result<(), Decline> {
    let name = rows[0].1[column].0.clone();
    let mut kinds = rows.iter().map(|(_, columns)| columns[column].1.kind);
    let Some(kind) = kinds.clone().find(|kind| *kind != Kind::Null) else {
        return Err(Decline::new(format!("its column `{name}` is always None")));
    };
    if let Some(other) = kinds.find(|other| *other != Kind::Null && *other != kind) {
        return Err(Decline::new(format!(
            "its column `{name}` is {} in some rows and {} in others",
            kind.name(),
            other.name()
        )));
    }
    for (_, columns) in rows {
        columns[column].1 = columns[column].1.as_kind(kind);
    }
    Ok(())
}

/// The rows that all columns consist of.
fn common_mask(columns: &[(String, Term)]) -> Result<Option<Expr>, Decline> {
    let mask = columns.first().and_then(|(_, term)| term.mask.clone());
    if columns.iter().any(|(_, term)| term.mask != mask) {
        return Err(Decline::new("its columns consist of different rows"));
    }
    Ok(mask.map(|mask| *mask))
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
