//! Aggregations as the Python face hands them over.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use raceline::{Aggregate, AggregateKind};

use crate::options::required;

/// Kind, column, ignore nulls, options of the kind, output name.
pub(crate) type AggregateTuple<'py> = (String, Option<String>, bool, Bound<'py, PyDict>, String);

/// An aggregation.
///
/// # Errors
/// When the kind is not known, or an option is missing.
pub(crate) fn read_aggregate(parts: AggregateTuple<'_>) -> PyResult<Aggregate> {
    let (kind, column, ignore_nulls, options, name) = parts;
    let options = &options;
    let kind = match kind.as_str() {
        "count" => AggregateKind::Count,
        "sum" => AggregateKind::Sum,
        "min" => AggregateKind::Min,
        "max" => AggregateKind::Max,
        "mean" => AggregateKind::Mean,
        "std" => AggregateKind::Std { ddof: required(options, "ddof")? },
        "abs_max" => AggregateKind::AbsMax,
        "quantile" => AggregateKind::Quantile { q: required(options, "q")? },
        "list" => AggregateKind::List,
        "unique" => AggregateKind::Unique { flatten: required(options, "flatten")? },
        "count_distinct" => AggregateKind::CountDistinct,
        "value_counter" => AggregateKind::ValueCounts,
        "missing_pct" => AggregateKind::MissingPercentage,
        "zero_pct" => AggregateKind::ZeroPercentage,
        "approx_quantile" => AggregateKind::ApproxQuantiles {
            quantiles: required(options, "quantiles")?,
            centroids: required(options, "centroids")?,
        },
        "approx_topk" => AggregateKind::ApproxTop {
            k: required(options, "k")?,
            capacity: required(options, "capacity")?,
            flatten: required(options, "flatten")?,
        },
        "first" => AggregateKind::First,
        other => return Err(PyValueError::new_err(format!("unknown aggregation `{other}`"))),
    };
    Ok(Aggregate { kind, column, ignore_nulls, name })
}
