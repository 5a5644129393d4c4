//! Aggregations over groups or over a whole dataset.

use std::fmt;

/// What is computed. Null, NaN and `NaT` count as missing (Ray Data's rule).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
}

/// One aggregation with its output column.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Aggregate {
    /// What is computed.
    pub kind: AggregateKind,
    /// Over which column; `None` (for [`AggregateKind::Count`] only) counts rows.
    pub column: Option<String>,
    /// Whether missing values are left out. When they are not, one missing value makes the
    /// result null; `Count` then counts them.
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
