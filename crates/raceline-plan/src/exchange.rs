//! Rows brought together by the values of their columns.

use std::fmt;

/// What becomes of rows that are together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExchangeForm {
    /// They stay rows, in so many partitions. A partition is one batch as far as it is small.
    Parts {
        /// Number of partitions; at least 1.
        parts: usize,
        /// Whether the rows of each are sorted by the keys.
        sorted: bool,
    },
    /// Each group is one row: a list of its rows, in the order of the input.
    Groups,
}

/// Sends rows with equal keys to one place. Null, NaN and `NaT` are one key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyedExchange {
    /// Key columns; none makes all rows equal.
    pub keys: Vec<String>,
    /// What becomes of the rows.
    pub form: ExchangeForm,
}

/// `Repartition(4, by=[k], sorted)`, `Groups(by=[k])`.
impl fmt::Display for KeyedExchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.keys.join(", ");
        match self.form {
            ExchangeForm::Parts { parts, sorted } => {
                let sorted = if sorted { ", sorted" } else { "" };
                write!(f, "Repartition({parts}, by=[{keys}]{sorted})")
            }
            ExchangeForm::Groups => write!(f, "Groups(by=[{keys}])"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exchange_tells_its_keys_and_form() {
        let shown = |form| KeyedExchange { keys: vec!["a".into(), "b".into()], form }.to_string();
        let parts = |sorted| shown(ExchangeForm::Parts { parts: 4, sorted });
        assert_eq!(parts(false), "Repartition(4, by=[a, b])");
        assert_eq!(parts(true), "Repartition(4, by=[a, b], sorted)");
        assert_eq!(shown(ExchangeForm::Groups), "Groups(by=[a, b])");
    }
}
