//! Attributes and methods of dates and of datetimes without a time zone.

use super::decline::Decline;
use super::function::{Calendar, Operation};
use super::python::call;
use super::term::{Kind, Term};

/// `term.name` of a date or datetime; `None` when it is no attribute that the compiler knows.
///
/// # Errors
/// When the expression grows out of bounds.
pub(super) fn attribute(term: &Term, name: &str) -> Result<Option<Term>, Decline> {
    let part = match (term.kind, name) {
        (Kind::Date | Kind::DateTime, "year") => Calendar::Year,
        (Kind::Date | Kind::DateTime, "month") => Calendar::Month,
        (Kind::Date | Kind::DateTime, "day") => Calendar::Day,
        (Kind::DateTime, "hour") => Calendar::Hour,
        (Kind::DateTime, "minute") => Calendar::Minute,
        (Kind::DateTime, "second") => Calendar::Second,
        (Kind::DateTime, "microsecond") => Calendar::Microsecond,
        _ => return Ok(None),
    };
    call(Operation::Calendar(part), Kind::Int, [term]).map(Some)
}

/// `term.name()` of a date or datetime; `None` when the compiler does not know it.
///
/// # Errors
/// As [`attribute`].
pub(super) fn method(term: &Term, name: &str) -> Result<Option<Term>, Decline> {
    let (part, kind) = match (term.kind, name) {
        (_, "weekday") => (Calendar::Weekday, Kind::Int),
        (_, "isoweekday") => (Calendar::IsoWeekday, Kind::Int),
        (_, "isoformat") => (Calendar::IsoFormat, Kind::Str),
        (Kind::DateTime, "date") => (Calendar::Date, Kind::Date),
        _ => return Ok(None),
    };
    call(Operation::Calendar(part), kind, [term]).map(Some)
}
