//! Dates and datetimes of the proleptic Gregorian calendar, from year 1 to 9999.

use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray, StringBuilder};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Int64Type, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampSecondType,
};
use datafusion_common::{DataFusionError, Result};

use super::{Input, Trouble, array_of};
use crate::lambda::function::Calendar;

const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;

/// Days since 1970-01-01 of the first and of the last date that Python has.
const DAY_MIN: i64 = -719_162;
const DAY_MAX: i64 = 2_932_896;

/// What is asked of each date or datetime.
pub(super) fn evaluate(calendar: Calendar, value: &Input) -> Result<ArrayRef> {
    match calendar {
        Calendar::Column => column(value),
        Calendar::Text => texts(value, ' '),
        Calendar::IsoFormat => {
            value.without_nulls()?;
            texts(value, 'T')
        }
        Calendar::Date => {
            let instants = instants(value)?;
            let days = instants.into_iter().map(|instant| day_number(instant.day));
            let days = days.collect::<Result<Vec<_>, Trouble>>()?;
            Ok(array_of::<Date32Type>(days))
        }
        part => {
            let parts = instants(value)?.into_iter().map(|instant| instant.part(part));
            Ok(array_of::<Int64Type>(parts.collect()))
        }
    }
}

fn day_number(day: i64) -> Result<i32, Trouble> {
    i32::try_from(day).map_err(|_| Trouble)
}

/// A date, with a time of the day when it is a datetime.
#[derive(Clone, Copy)]
struct Instant {
    /// Days since 1970-01-01.
    day: i64,
    /// Microseconds since midnight.
    micros: i64,
}

impl Instant {
    /// Year, month and day: the calendar of years that start in March, in cycles of 400 years.
    fn date(self) -> (i64, i64, i64) {
        let days = self.day + 719_468;
        let (cycle, of_cycle) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year =
            (of_cycle - of_cycle / 1_460 + of_cycle / 36_524 - of_cycle / 146_096).div_euclid(365);
        let of_year = of_cycle - (365 * year + year / 4 - year / 100);
        let month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        (year + 400 * cycle + i64::from(month <= 2), month, day)
    }

    fn part(self, part: Calendar) -> i64 {
        match part {
            Calendar::Year => self.date().0,
            Calendar::Month => self.date().1,
            Calendar::Day => self.date().2,
            Calendar::Hour => self.micros / (3_600 * MICROS_PER_SECOND),
            Calendar::Minute => self.micros / (60 * MICROS_PER_SECOND) % 60,
            Calendar::Second => self.micros / MICROS_PER_SECOND % 60,
            Calendar::Microsecond => self.micros % MICROS_PER_SECOND,
            // 1970-01-01 was a Thursday.
            Calendar::IsoWeekday => (self.day + 3).rem_euclid(7) + 1,
            _ => (self.day + 3).rem_euclid(7),
        }
    }
}

/// The dates or datetimes of an argument without nulls.
fn instants(value: &Input) -> Result<Vec<Instant>> {
    value.without_nulls()?;
    present_instants(value)
}

/// The dates or datetimes of an argument; whatever lies there where it is null.
fn present_instants(value: &Input) -> Result<Vec<Instant>> {
    if let Some(days) = value.array.as_primitive_opt::<Date32Type>() {
        let days = days.values().iter();
        return Ok(days.map(|&day| Instant { day: i64::from(day), micros: 0 }).collect());
    }
    let micros =
        value.array.as_primitive_opt::<TimestampMicrosecondType>().ok_or_else(|| value.misfit())?;
    let instant = |&micros: &i64| Instant {
        day: micros.div_euclid(MICROS_PER_DAY),
        micros: micros.rem_euclid(MICROS_PER_DAY),
    };
    Ok(micros.values().iter().map(instant).collect())
}

/// A column as Python's dates or datetimes.
fn column(value: &Input) -> Result<ArrayRef> {
    let array = &value.array;
    let of_unit = |per_unit: i64, counts: Vec<Option<i64>>| -> Result<ArrayRef> {
        let micros = counts.into_iter().map(|count| count.map(|count| micros(count, per_unit)));
        let micros = micros.map(Option::transpose).collect::<Result<Vec<_>, Trouble>>()?;
        Ok(Arc::new(PrimitiveArray::<TimestampMicrosecondType>::from(micros)))
    };
    match array.data_type() {
        DataType::Date32 => {
            let days = array.as_primitive::<Date32Type>();
            let fits = |day: i32| (DAY_MIN..=DAY_MAX).contains(&i64::from(day));
            if !days.iter().flatten().all(fits) {
                return Err(Trouble.into());
            }
            Ok(Arc::clone(array))
        }
        DataType::Timestamp(TimeUnit::Second, None) => {
            of_unit(MICROS_PER_SECOND, counts::<TimestampSecondType>(array))
        }
        DataType::Timestamp(TimeUnit::Millisecond, None) => {
            of_unit(1_000, counts::<TimestampMillisecondType>(array))
        }
        DataType::Timestamp(TimeUnit::Microsecond, None) => {
            of_unit(1, counts::<TimestampMicrosecondType>(array))
        }
        _ => Err(value.misfit()),
    }
}

fn counts<T: ArrowPrimitiveType<Native = i64>>(array: &ArrayRef) -> Vec<Option<i64>> {
    array.as_primitive::<T>().iter().collect()
}

/// Microseconds since 1970 of a datetime that Python has.
fn micros(count: i64, per_unit: i64) -> Result<i64, Trouble> {
    let micros = count.checked_mul(per_unit).ok_or(Trouble)?;
    let fits = (DAY_MIN..=DAY_MAX).contains(&micros.div_euclid(MICROS_PER_DAY));
    if fits { Ok(micros) } else { Err(Trouble) }
}

/// The dates, and times behind a separator, as ISO 8601 writes them; `None` where it is null.
fn texts(value: &Input, separator: char) -> Result<ArrayRef> {
    let has_time = *value.array.data_type() != DataType::Date32;
    let mut texts = StringBuilder::new();
    let mut text = String::new();
    let fault = |error| DataFusionError::External(Box::new(error));
    for (row, instant) in present_instants(value)?.into_iter().enumerate() {
        if value.is_null(row) {
            texts.append_value("None");
            continue;
        }
        text.clear();
        let (year, month, day) = instant.date();
        write!(text, "{year:04}-{month:02}-{day:02}").map_err(fault)?;
        if has_time {
            let [hour, minute, second, micros] =
                [Calendar::Hour, Calendar::Minute, Calendar::Second, Calendar::Microsecond]
                    .map(|part| instant.part(part));
            write!(text, "{separator}{hour:02}:{minute:02}:{second:02}").map_err(fault)?;
            if micros != 0 {
                write!(text, ".{micros:06}").map_err(fault)?;
            }
        }
        texts.append_value(&text);
    }
    Ok(Arc::new(texts.finish()))
}
