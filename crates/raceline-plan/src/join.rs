//! Joins of two datasets.

use std::fmt;

/// Which rows a join keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JoinKind {
    /// Pairs of rows with equal keys.
    Inner,
    /// As inner, and the rows of the left side without a partner.
    LeftOuter,
    /// As inner, and the rows of the right side without a partner.
    RightOuter,
    /// As inner, and the rows of both sides without a partner.
    FullOuter,
    /// Rows of the left side that have a partner, each once.
    LeftSemi,
    /// Rows of the right side that have a partner, each once.
    RightSemi,
    /// Rows of the left side without a partner.
    LeftAnti,
    /// Rows of the right side without a partner.
    RightAnti,
}

/// How two datasets are joined.
///
/// Rows are partners when all keys are equal; a missing key (null or NaN) equals none.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct JoinSpec {
    /// Which rows are kept.
    pub kind: JoinKind,
    /// Pairs of key columns: of the left side and of the right side.
    pub keys: Vec<(String, String)>,
    /// What is appended to names of the left side's columns, but the keys, that the right side
    /// has too.
    pub left_suffix: Option<String>,
    /// What is appended to names of the right side's columns, but the keys, that the left side
    /// has too.
    pub right_suffix: Option<String>,
}

impl JoinKind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Inner,
        Self::LeftOuter,
        Self::RightOuter,
        Self::FullOuter,
        Self::LeftSemi,
        Self::RightSemi,
        Self::LeftAnti,
        Self::RightAnti,
    ];

    /// The kind of a name: `left_outer`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.to_string() == name)
    }
}

impl fmt::Display for JoinKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inner => "inner",
            Self::LeftOuter => "left_outer",
            Self::RightOuter => "right_outer",
            Self::FullOuter => "full_outer",
            Self::LeftSemi => "left_semi",
            Self::RightSemi => "right_semi",
            Self::LeftAnti => "left_anti",
            Self::RightAnti => "right_anti",
        })
    }
}

/// As in `Join(inner, id = user)`.
impl fmt::Display for JoinSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Join({}", self.kind)?;
        for (left, right) in &self.keys {
            if left == right {
                write!(f, ", {left}")?;
            } else {
                write!(f, ", {left} = {right}")?;
            }
        }
        f.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_found_by_their_names() {
        for kind in JoinKind::ALL {
            assert_eq!(JoinKind::named(&kind.to_string()), Some(kind));
        }
        assert_eq!(JoinKind::named("outer"), None);
    }

    #[test]
    fn a_join_tells_its_keys() {
        let spec = JoinSpec {
            kind: JoinKind::LeftAnti,
            keys: vec![("id".into(), "id".into()), ("a".into(), "b".into())],
            left_suffix: None,
            right_suffix: None,
        };
        assert_eq!(spec.to_string(), "Join(left_anti, id, a = b)");
    }
}
