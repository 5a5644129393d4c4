//! What functions return, and how the results of two ways are joined.

use datafusion_expr::Expr;

use super::decline::Decline;
use super::program::Constant;
use super::term::Term;

/// What a function returns.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Returned {
    /// A dict.
    Columns(Vec<(String, Term)>),
    /// A scalar or array.
    Value(Term),
    /// A list of dicts or of values.
    Rows(Vec<RowOut>),
}

/// A row of a list, which may be there for some inputs only.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RowOut {
    /// Whether it is there.
    pub(super) present: Term,
    pub(super) content: Returned,
}

impl Returned {
    /// All expressions that it consists of.
    pub(super) fn exprs(&self) -> Vec<&Expr> {
        match self {
            Self::Columns(columns) => columns.iter().flat_map(|(_, term)| term.exprs()).collect(),
            Self::Value(term) => term.exprs().collect(),
            Self::Rows(rows) => rows
                .iter()
                .flat_map(|row| row.content.exprs().into_iter().chain(row.present.exprs()))
                .collect(),
        }
    }

    /// The same, once `operations`, whose values are not used, have been evaluated: they may raise.
    ///
    /// # Errors
    /// When there is no value that could evaluate them, or one grows out of bounds.
    pub(super) fn after(mut self, operations: Vec<Expr>) -> Result<Self, Decline> {
        if operations.is_empty() {
            return Ok(self);
        }
        let first = match &mut self {
            Self::Columns(columns) => columns.first_mut().map(|(_, term)| term),
            Self::Value(term) => Some(term),
            Self::Rows(rows) => rows.first_mut().map(|row| &mut row.present),
        };
        let first =
            first.ok_or_else(|| Decline::new("it computes a value that it does not use"))?;
        *first = first.after(operations)?;
        Ok(self)
    }

    /// What is returned when `condition` decides which of the two it is.
    ///
    /// # Errors
    /// When no column could hold both.
    pub(super) fn choose(condition: &Term, then: Self, otherwise: Self) -> Result<Self, Decline> {
        match (then, otherwise) {
            (Self::Value(then), Self::Value(otherwise)) => {
                Term::choose(condition, &then, &otherwise).map(Self::Value)
            }
            (Self::Columns(then), Self::Columns(otherwise)) => {
                choose_columns(condition, then, otherwise).map(Self::Columns)
            }
            (Self::Rows(then), Self::Rows(otherwise)) => {
                choose_rows(condition, then, otherwise).map(Self::Rows)
            }
            _ => Err(Decline::new("its result is a dict for some rows and a value for others")),
        }
    }
}

fn choose_columns(
    condition: &Term,
    then: Vec<(String, Term)>,
    otherwise: Vec<(String, Term)>,
) -> Result<Vec<(String, Term)>, Decline> {
    let names = |columns: &[(String, Term)]| -> Vec<String> {
        columns.iter().map(|(name, _)| name.clone()).collect()
    };
    if names(&then) != names(&otherwise) {
        return Err(Decline::new("its dicts have different keys"));
    }
    // The condition itself can raise, so at least one column evaluates it.
    let all_equal = then == otherwise;
    let joined = then.into_iter().zip(otherwise).enumerate().map(
        |(index, ((name, then), (_, otherwise)))| {
            if then == otherwise && !(all_equal && index == 0) {
                return Ok((name, then));
            }
            Ok((name, Term::choose(condition, &then, &otherwise)?))
        },
    );
    joined.collect()
}

/// Joins lists row by row: a row that only one of them has is there when the condition says so.
fn choose_rows(
    condition: &Term,
    then: Vec<RowOut>,
    otherwise: Vec<RowOut>,
) -> Result<Vec<RowOut>, Decline> {
    if then.is_empty() && otherwise.is_empty() {
        return Err(Decline::new("its list is empty"));
    }
    let (mut then, mut otherwise) = (then.into_iter(), otherwise.into_iter());
    let mut joined = Vec::new();
    loop {
        let (present, content) = match (then.next(), otherwise.next()) {
            (None, None) => return Ok(joined),
            (Some(row), None) => {
                let absent = row.content.absent();
                (
                    Term::choose(condition, &row.present, &Term::truth(false))?,
                    Returned::choose(condition, row.content, absent)?,
                )
            }
            (None, Some(row)) => {
                let absent = row.content.absent();
                (
                    Term::choose(condition, &Term::truth(false), &row.present)?,
                    Returned::choose(condition, absent, row.content)?,
                )
            }
            (Some(then), Some(otherwise)) => (
                Term::choose(condition, &then.present, &otherwise.present)?,
                Returned::choose(condition, then.content, otherwise.content)?,
            ),
        };
        joined.push(RowOut { present, content });
    }
}

impl Returned {
    /// The same columns without values, which evaluates nothing.
    fn absent(&self) -> Self {
        let none = || Term::scalar(&Constant::None);
        match self {
            Self::Columns(columns) => {
                Self::Columns(columns.iter().map(|(name, _)| (name.clone(), none())).collect())
            }
            Self::Value(_) | Self::Rows(_) => Self::Value(none()),
        }
    }
}
