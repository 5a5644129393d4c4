//! Values that a row has by its place in the whole input.

use std::fmt;

use crate::scan::FileShuffle;

/// What the rows of a column are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RowValues {
    /// 0, 1, 2, …, int64.
    Ordinals,
    /// Numbers of [0, 1), float64, that depend on the seed and the row's place.
    Random {
        /// `None` gives other numbers in each run.
        seed: Option<u64>,
        /// Whether each run has numbers of its own, which depend on its number as well.
        reseeds: bool,
    },
    /// UUIDs of version 4, strings; others in each run.
    Uuids,
}

impl RowValues {
    /// The seed of the run that so many ran before; `None` is any.
    #[must_use]
    pub fn seed_of(self, execution: u64) -> Option<u64> {
        match self {
            Self::Random { seed, reseeds } => FileShuffle { seed, reseeds }.seed_of(execution),
            Self::Ordinals | Self::Uuids => None,
        }
    }
}

impl fmt::Display for RowValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ordinals => f.write_str("ordinals"),
            Self::Random { seed: None, .. } => f.write_str("random"),
            Self::Random { seed: Some(seed), .. } => write!(f, "random(seed={seed})"),
            Self::Uuids => f.write_str("uuids"),
        }
    }
}
