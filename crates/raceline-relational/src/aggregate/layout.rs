//! What an aggregation asks of `DataFusion`, and where its answers are.

use std::sync::Arc;

use arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DECIMAL256_MAX_PRECISION, DataType, Field, Schema, SchemaRef,
};
use datafusion::functions_aggregate::expr_fn::{avg, count, max, min, sum, var_pop};
use datafusion::logical_expr::{Expr, cast, ident, lit};
use raceline_plan::{Aggregate, AggregateKind};

use crate::error::{RelationalError, check_comparable};

/// Precision that `DataFusion` adds to the type of a decimal sum.
const DECIMAL_SUM_DIGITS: u8 = 10;

/// The plan of an aggregation over one schema.
///
/// Inside, key columns are `k0`, `k1`, … and aggregated columns `v0`, `v1`, …; the answers
/// (slots) stand behind the keys. One slot may serve several aggregates.
pub(super) struct Layout {
    /// Positions of the key columns in the input.
    pub(super) keys: Vec<usize>,
    /// Positions of the aggregated columns in the input, each once.
    pub(super) values: Vec<usize>,
    /// Schema of the keys and values.
    pub(super) input: SchemaRef,
    /// Schema of the result.
    pub(super) output: SchemaRef,
    /// How each aggregate comes from the slots, in output order.
    pub(super) finishes: Vec<Finish>,
    slots: Vec<Expr>,
}

/// How one aggregate comes from the slots.
pub(super) struct Finish {
    /// What to take.
    pub(super) answer: Answer,
    /// Slots of the number of values and of rows: null where they differ.
    pub(super) complete: Option<(usize, usize)>,
}

/// What to take from the slots.
pub(super) enum Answer {
    /// The slot as it is.
    Slot(usize),
    /// An integer sum, and the same sum as float64, from which an overflow shows.
    Sum {
        /// The slot of the integer sum.
        exact: usize,
        /// The slot of the float64 sum.
        approximate: usize,
    },
    /// A standard deviation from the population variance and the number of values.
    Std {
        /// The slot of the variance.
        variance: usize,
        /// The slot of the count.
        count: usize,
        /// Delta degrees of freedom.
        ddof: u32,
    },
}

impl Layout {
    pub(super) fn new(
        schema: &SchemaRef,
        keys: &[String],
        aggregates: &[Aggregate],
    ) -> Result<Self, RelationalError> {
        let position = |name: &str| {
            schema.index_of(name).map_err(|_| RelationalError::column_not_found(name, schema))
        };
        let keys = keys.iter().map(|key| position(key)).collect::<Result<Vec<_>, _>>()?;
        for &at in &keys {
            check_comparable(schema.field(at), "group by")?;
        }
        let mut fields: Vec<Field> = keys
            .iter()
            .map(|&at| {
                let field = schema.field(at);
                let data_type = plain_type(field.data_type());
                field.clone().with_data_type(data_type).with_nullable(true)
            })
            .collect();
        let mut layout = Self {
            keys,
            values: Vec::new(),
            input: Arc::clone(schema),
            output: Arc::clone(schema),
            finishes: Vec::new(),
            slots: Vec::new(),
        };
        for aggregate in aggregates {
            let value = match &aggregate.column {
                Some(column) => Some(position(column)?),
                None => None,
            };
            fields.push(layout.add(aggregate, value, schema)?);
        }
        let mut names: Vec<&String> = fields.iter().map(Field::name).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(RelationalError::DuplicateColumn { name: pair[0].clone() });
        }
        let inside = |prefix: &str, positions: &[usize]| -> Vec<Field> {
            let data_types = positions.iter().map(|&at| plain_type(schema.field(at).data_type()));
            let numbered = data_types.enumerate();
            numbered
                .map(|(i, data_type)| Field::new(format!("{prefix}{i}"), data_type, true))
                .collect()
        };
        let input = [inside("k", &layout.keys), inside("v", &layout.values)].concat();
        layout.input = Arc::new(Schema::new(input));
        layout.output = Arc::new(Schema::new(fields));
        Ok(layout)
    }

    /// The answers.
    pub(super) fn slot_exprs(&self) -> Vec<Expr> {
        let named = self.slots.iter().enumerate();
        named.map(|(at, expr)| expr.clone().alias(format!("s{at}"))).collect()
    }

    /// Bytes of a row of the keys and values, of which a row of the input weighs `row_bytes`.
    pub(super) fn row_bytes(&self, row_bytes: usize) -> usize {
        let widths = self.input.fields().iter().map(|field| field.data_type().primitive_width());
        widths.sum::<Option<usize>>().unwrap_or(row_bytes)
    }

    /// Plans one aggregate over the input column at `value`; returns its output field.
    fn add(
        &mut self,
        aggregate: &Aggregate,
        value: Option<usize>,
        schema: &Schema,
    ) -> Result<Field, RelationalError> {
        let counts_rows =
            aggregate.kind == AggregateKind::Count && (value.is_none() || !aggregate.ignore_nulls);
        if counts_rows {
            let answer = Answer::Slot(self.slot(count(lit(1_i64))));
            self.finishes.push(Finish { answer, complete: None });
            return Ok(Field::new(&aggregate.name, DataType::Int64, true));
        }
        let Some(at) = value else {
            return Err(RelationalError::AggregateColumn { name: aggregate.name.clone() });
        };
        if aggregate.kind != AggregateKind::Count {
            check_comparable(schema.field(at), &format!("compute `{}` of", aggregate.kind))?;
        }
        let data_type = plain_type(schema.field(at).data_type());
        let Some(output) = output_type(aggregate.kind, &data_type) else {
            return Err(RelationalError::AggregateType {
                aggregate: aggregate.kind.to_string(),
                column: schema.field(at).name().clone(),
                data_type,
            });
        };
        let column = self.value(at);
        let answer = self.answer(aggregate.kind, &column, &data_type, &output);
        let complete = if aggregate.kind == AggregateKind::Count || aggregate.ignore_nulls {
            None
        } else {
            Some((self.slot(count(column)), self.slot(count(lit(1_i64)))))
        };
        self.finishes.push(Finish { answer, complete });
        Ok(Field::new(&aggregate.name, output, true))
    }

    fn answer(
        &mut self,
        kind: AggregateKind,
        column: &Expr,
        data_type: &DataType,
        output: &DataType,
    ) -> Answer {
        let float = || cast(column.clone(), DataType::Float64);
        match kind {
            AggregateKind::Count => Answer::Slot(self.slot(count(column.clone()))),
            AggregateKind::Min => Answer::Slot(self.slot(min(column.clone()))),
            AggregateKind::Max => Answer::Slot(self.slot(max(column.clone()))),
            AggregateKind::Mean => Answer::Slot(self.slot(avg(float()))),
            AggregateKind::Std { ddof } => Answer::Std {
                variance: self.slot(var_pop(float())),
                count: self.slot(count(column.clone())),
                ddof,
            },
            AggregateKind::Sum => match data_type {
                // Fewer than 2³¹ rows of 32 bits cannot leave 64; beyond, 64-bit values can.
                DataType::Int64 | DataType::UInt64 => Answer::Sum {
                    exact: self.slot(sum(column.clone())),
                    approximate: self.slot(sum(float())),
                },
                DataType::Decimal128(..) | DataType::Decimal256(..) => {
                    Answer::Slot(self.slot(sum(column.clone())))
                }
                _ => Answer::Slot(self.slot(sum(cast(column.clone(), output.clone())))),
            },
        }
    }

    /// The name inside of the input column at `at`.
    fn value(&mut self, at: usize) -> Expr {
        let known = self.values.iter().position(|&value| value == at);
        let position = known.unwrap_or_else(|| {
            self.values.push(at);
            self.values.len() - 1
        });
        ident(format!("v{position}"))
    }

    /// The slot that answers `expr`.
    fn slot(&mut self, expr: Expr) -> usize {
        let known = self.slots.iter().position(|slot| *slot == expr);
        known.unwrap_or_else(|| {
            self.slots.push(expr);
            self.slots.len() - 1
        })
    }
}

/// The type that aggregates see: dictionaries unpacked, all-null columns as integers.
fn plain_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Dictionary(_, value) => value.as_ref().clone(),
        DataType::Null => DataType::Int64,
        other => other.clone(),
    }
}

/// The type of an aggregate over `data_type`, or `None` when there is none.
fn output_type(kind: AggregateKind, data_type: &DataType) -> Option<DataType> {
    let is_decimal = matches!(data_type, DataType::Decimal128(..) | DataType::Decimal256(..));
    let is_number = data_type.is_integer()
        || data_type.is_floating()
        || is_decimal
        || data_type == &DataType::Boolean;
    match kind {
        AggregateKind::Count => Some(DataType::Int64),
        AggregateKind::Mean | AggregateKind::Std { .. } => is_number.then_some(DataType::Float64),
        AggregateKind::Min | AggregateKind::Max => {
            let is_ordered = is_number || data_type.is_temporal() || is_text(data_type);
            is_ordered.then(|| data_type.clone())
        }
        AggregateKind::Sum => match data_type {
            DataType::UInt64 => Some(DataType::UInt64),
            DataType::Decimal128(precision, scale) => Some(DataType::Decimal128(
                (precision + DECIMAL_SUM_DIGITS).min(DECIMAL128_MAX_PRECISION),
                *scale,
            )),
            DataType::Decimal256(precision, scale) => Some(DataType::Decimal256(
                (precision + DECIMAL_SUM_DIGITS).min(DECIMAL256_MAX_PRECISION),
                *scale,
            )),
            floating if floating.is_floating() => Some(DataType::Float64),
            _ => is_number.then_some(DataType::Int64),
        },
    }
}

fn is_text(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Utf8
            | DataType::LargeUtf8
            | DataType::Utf8View
            | DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
    )
}
