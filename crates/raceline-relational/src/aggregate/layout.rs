//! What an aggregation asks of `DataFusion`, and where its answers are.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::functions_aggregate::expr_fn::{
    approx_percentile_cont, array_agg, avg, count, max, min, sum, var_pop,
};
use datafusion::logical_expr::{Expr, cast, ident, lit};
use raceline_plan::{Aggregate, AggregateKind};

use super::first::first;
use super::types::{is_null_of_null, looks_at_values, output_field, plain_type};
use super::value_counts::value_counts;
use crate::error::{RelationalError, check_comparable};

/// The plan of an aggregation over one schema.
///
/// Inside, key columns are `k0`, `k1`, … and aggregated columns `v0`, `v1`, …; the answers
/// (slots) stand behind the keys. One slot may serve several aggregates.
pub(super) struct Layout {
    /// Positions of the key columns in the input.
    pub(super) keys: Vec<usize>,
    /// The aggregated columns, each once in each form.
    pub(super) values: Vec<Value>,
    /// Schema of the keys and values.
    pub(super) input: SchemaRef,
    /// Schema of the result.
    pub(super) output: SchemaRef,
    /// How each aggregate comes from the slots, in output order.
    pub(super) finishes: Vec<Finish>,
    slots: Vec<Expr>,
}

/// A column that is aggregated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Value {
    /// Its position in the input.
    pub(super) at: usize,
    /// What of it is looked at.
    pub(super) form: Form,
}

/// What of a column is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// NaN is null, and both zeros are one.
    Key,
    /// NaN is null.
    Value,
    /// All of it.
    AsIs,
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
    /// The greatest absolute value.
    AbsMax {
        /// The slot of the least value.
        least: usize,
        /// The slot of the greatest value.
        greatest: usize,
    },
    /// A share in percent.
    Percentage {
        /// The slot of the number of some.
        part: usize,
        /// The slot of the number of all.
        of: usize,
        /// Whether it is the share of the others.
        is_rest: bool,
    },
    /// A quantile of a list of float64.
    Quantile {
        /// The slot of the list.
        values: usize,
        /// From 0 to 1.
        q: f64,
    },
    /// A list as it is, or without nulls.
    List {
        /// The slot of the list.
        values: usize,
        /// Whether nulls stay.
        keeps_nulls: bool,
    },
    /// The values of counts.
    Unique {
        /// The slot of the counts.
        counts: usize,
        /// Whether a null stays.
        keeps_nulls: bool,
    },
    /// The number of values of counts.
    Distinct {
        /// The slot of the counts.
        counts: usize,
        /// Whether null is one of them.
        counts_null: bool,
    },
    /// The values of counts that are most frequent.
    Top {
        /// The slot of the counts.
        counts: usize,
        /// How many.
        k: usize,
    },
    /// The numbers of these slots, as a list.
    Beside(Vec<usize>),
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
        let inside = |prefix: &str, positions: Vec<usize>| -> Vec<Field> {
            let data_types = positions.into_iter().map(|at| schema.field(at).data_type());
            let numbered = data_types.map(plain_type).enumerate();
            numbered
                .map(|(i, data_type)| Field::new(format!("{prefix}{i}"), data_type, true))
                .collect()
        };
        let values = layout.values.iter().map(|value| value.at).collect();
        let input = [inside("k", layout.keys.clone()), inside("v", values)].concat();
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
        let kind = &aggregate.kind;
        let counts_rows =
            *kind == AggregateKind::Count && (value.is_none() || !aggregate.ignore_nulls);
        if counts_rows {
            let answer = Answer::Slot(self.rows());
            self.finishes.push(Finish { answer, complete: None });
            return Ok(Field::new(&aggregate.name, DataType::Int64, true));
        }
        let Some(at) = value else {
            return Err(RelationalError::AggregateColumn { name: aggregate.name.clone() });
        };
        let field = schema.field(at);
        if looks_at_values(kind) {
            check_comparable(field, &format!("compute `{kind}` of"))?;
        }
        let data_type = plain_type(field.data_type());
        let Some(output) = output_field(aggregate, field, &data_type) else {
            return Err(RelationalError::AggregateType {
                aggregate: kind.to_string(),
                column: field.name().clone(),
                data_type,
            });
        };
        let answer = self.answer(aggregate, at, &data_type, output.data_type());
        let complete = if is_null_of_null(kind) && !aggregate.ignore_nulls {
            let column = self.value(at, Form::Value);
            Some((self.slot(count(column)), self.rows()))
        } else {
            None
        };
        self.finishes.push(Finish { answer, complete });
        Ok(output)
    }

    fn answer(
        &mut self,
        aggregate: &Aggregate,
        at: usize,
        data_type: &DataType,
        output: &DataType,
    ) -> Answer {
        let ignore_nulls = aggregate.ignore_nulls;
        let form = match aggregate.kind {
            AggregateKind::First => Form::AsIs,
            AggregateKind::List if !ignore_nulls => Form::AsIs,
            _ => Form::Value,
        };
        let column = self.value(at, form);
        let float = || cast(column.clone(), DataType::Float64);
        match &aggregate.kind {
            AggregateKind::Count => Answer::Slot(self.slot(count(column))),
            AggregateKind::Min => Answer::Slot(self.slot(min(column))),
            AggregateKind::Max => Answer::Slot(self.slot(max(column))),
            AggregateKind::Mean => Answer::Slot(self.slot(avg(float()))),
            AggregateKind::First => Answer::Slot(self.slot(first(column))),
            AggregateKind::Std { ddof } => Answer::Std {
                variance: self.slot(var_pop(float())),
                count: self.slot(count(column)),
                ddof: *ddof,
            },
            AggregateKind::Sum => self.sum(column, data_type, output),
            AggregateKind::AbsMax => Answer::AbsMax {
                least: self.slot(min(cast(column.clone(), output.clone()))),
                greatest: self.slot(max(cast(column, output.clone()))),
            },
            AggregateKind::Quantile { q } => {
                Answer::Quantile { values: self.slot(array_agg(float())), q: *q }
            }
            AggregateKind::List => {
                Answer::List { values: self.slot(array_agg(column)), keeps_nulls: !ignore_nulls }
            }
            AggregateKind::Unique { flatten } => Answer::Unique {
                counts: self.slot(value_counts(column, *flatten, usize::MAX)),
                keeps_nulls: !ignore_nulls,
            },
            AggregateKind::CountDistinct => Answer::Distinct {
                counts: self.slot(value_counts(column, false, usize::MAX)),
                counts_null: !ignore_nulls,
            },
            AggregateKind::ValueCounts => {
                Answer::Slot(self.slot(value_counts(column, false, usize::MAX)))
            }
            AggregateKind::ApproxTop { k, capacity, flatten } => {
                Answer::Top { counts: self.slot(value_counts(column, *flatten, *capacity)), k: *k }
            }
            AggregateKind::MissingPercentage => {
                let part = self.slot(count(column));
                Answer::Percentage { part, of: self.rows(), is_rest: true }
            }
            AggregateKind::ZeroPercentage => {
                let is_zero = cast(float().eq(lit(0.0)), DataType::Int64);
                let of = if ignore_nulls { self.slot(count(column)) } else { self.rows() };
                Answer::Percentage { part: self.slot(sum(is_zero)), of, is_rest: false }
            }
            AggregateKind::ApproxQuantiles { quantiles, centroids } => {
                let slots = quantiles.iter().map(|&q| {
                    let sorted = float().sort(true, true);
                    self.slot(approx_percentile_cont(sorted, lit(q), Some(lit(*centroids))))
                });
                Answer::Beside(slots.collect())
            }
        }
    }

    fn sum(&mut self, column: Expr, data_type: &DataType, output: &DataType) -> Answer {
        match data_type {
            // Fewer than 2³¹ rows of 32 bits cannot leave 64; beyond, 64-bit values can.
            DataType::Int64 | DataType::UInt64 => Answer::Sum {
                exact: self.slot(sum(column.clone())),
                approximate: self.slot(sum(cast(column, DataType::Float64))),
            },
            DataType::Decimal128(..) | DataType::Decimal256(..) => {
                Answer::Slot(self.slot(sum(column)))
            }
            _ => Answer::Slot(self.slot(sum(cast(column, output.clone())))),
        }
    }

    /// The name inside of the input column at `at`.
    fn value(&mut self, at: usize, form: Form) -> Expr {
        let value = Value { at, form };
        let known = self.values.iter().position(|one| *one == value);
        let position = known.unwrap_or_else(|| {
            self.values.push(value);
            self.values.len() - 1
        });
        ident(format!("v{position}"))
    }

    /// The slot of the number of rows.
    fn rows(&mut self) -> usize {
        self.slot(count(lit(1_i64)))
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
