//! Aggregations over groups or over a whole dataset.

use std::fmt;

/// What is computed. Null, NaN and `NaT` count as missing (Ray Data's rule).
#[derive(Clone, Debug, PartialEq)]
pub enum AggregateKind {
    /// Rows (without a column) or values of a column.
    Count,
    /// Sum; of integers an int64.
    Sum,
    /// Least value.
    Min,
    /// Greatest value.
    Max,
    /// Arithmetic mean, float64.
    Mean,
    /// Standard deviation with `ddof` delta degrees of freedom, float64; NaN when the count is
    /// at most `ddof`.
    Std {
        /// Delta degrees of freedom.
        ddof: u32,
    },
    /// Greatest absolute value; of integers an int64.
    AbsMax,
    /// Exact quantile with linear interpolation, float64. All values of a group are held.
    Quantile {
        /// From 0 to 1.
        q: f64,
    },
    /// All values, a list in any order.
    List,
    /// The distinct values, a list in ascending order, missing ones as one null at its end.
    Unique {
        /// Whether the values are the items of a column of lists.
        flatten: bool,
    },
    /// How many distinct values there are, int64.
    CountDistinct,
    /// The distinct values and how often each is there: a struct of the lists `values` and
    /// `counts`.
    ValueCounts,
    /// Percentage of the rows whose value is missing, float64.
    MissingPercentage,
    /// Percentage of the values that are 0, float64: of all rows where missing values count.
    ZeroPercentage,
    /// Approximate quantiles, a list of float64 in their order.
    ApproxQuantiles {
        /// From 0 to 1, each.
        quantiles: Vec<f64>,
        /// Size of the digest; more are more precise.
        centroids: u32,
    },
    /// The values that are most frequent, as a list of structs of the value, under the column's
    /// name, and its `count`, the most frequent first. Exact as long as there are at most
    /// `capacity` distinct ones; then counts may be too high, and rare values are lost.
    ApproxTop {
        /// Most values of the list.
        k: usize,
        /// Most values that are counted at the same time.
        capacity: usize,
        /// As of [`AggregateKind::Unique`].
        flatten: bool,
    },
    /// Any of the values that are there.
    First,
}

/// One aggregation with its output column.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregate {
    /// What is computed.
    pub kind: AggregateKind,
    /// Over which column; `None` (for [`AggregateKind::Count`] only) counts rows.
    pub column: Option<String>,
    /// Whether missing values are left out. When they are not, one missing value makes the
    /// result null; `Count`, `List`, `Unique` and `CountDistinct` then count or hold them.
    pub ignore_nulls: bool,
    /// Name of the output column.
    pub name: String,
}

impl fmt::Display for AggregateKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Count => "count",
            Self::Sum => "sum",
            Self::Min => "min",
            Self::Max => "max",
            Self::Mean => "mean",
            Self::Std { .. } => "std",
            Self::AbsMax => "abs_max",
            Self::Quantile { .. } => "quantile",
            Self::List => "list",
            Self::Unique { .. } => "unique",
            Self::CountDistinct => "count_distinct",
            Self::ValueCounts => "value_counter",
            Self::MissingPercentage => "missing_pct",
            Self::ZeroPercentage => "zero_pct",
            Self::ApproxQuantiles { .. } => "approx_quantile",
            Self::ApproxTop { .. } => "approx_topk",
            Self::First => "first",
        })
    }
}

impl Aggregate {
    /// An aggregation under its default name: `sum(price)`, `count()`.
    #[must_use]
    pub fn new(kind: AggregateKind, column: Option<String>, ignore_nulls: bool) -> Self {
        let name = format!("{kind}({})", column.as_deref().unwrap_or_default());
        Self { kind, column, ignore_nulls, name }
    }
}
