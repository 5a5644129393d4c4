//! Functions of dates and times: the namespace `.dt`.
//!
//! A time with a zone is read as the clock of that zone shows it.

mod round;

use std::fmt::Write;
use std::str::FromStr;
use std::sync::Arc;

use arrow::array::temporal_conversions::as_datetime;
use arrow::array::timezone::Tz;
use arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use arrow::compute::{DatePart, cast, date_part};
use arrow::datatypes::{
    DataType, Int64Type, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use chrono::format::{Item, StrftimeItems};
use chrono::{DateTime, FixedOffset, NaiveDateTime, Offset, TimeZone, Utc};
use datafusion_common::{Result, exec_err};

use super::named::{FunctionError, Kernel, Parameters};
use super::text::TextsBuilder;

/// Names of the functions.
pub(super) const NAMES: &[&str] = &[
    "dt.year",
    "dt.month",
    "dt.day",
    "dt.hour",
    "dt.minute",
    "dt.second",
    "dt.strftime",
    "dt.ceil",
    "dt.floor",
    "dt.round",
];

/// The function of this name; `None` when there is none.
pub(super) fn kernel(given: &Parameters<'_>) -> Result<Option<Kernel>, FunctionError> {
    Ok(Some(match given.function {
        "dt.year" => part(DatePart::Year, is_date),
        "dt.month" => part(DatePart::Month, is_date),
        "dt.day" => part(DatePart::Day, is_date),
        "dt.hour" => part(DatePart::Hour, is_clock),
        "dt.minute" => part(DatePart::Minute, is_clock),
        "dt.second" => part(DatePart::Second, is_clock),
        "dt.strftime" => strftime(given)?,
        "dt.ceil" | "dt.floor" | "dt.round" => round::kernel(given)?,
        _ => return Ok(None),
    }))
}

/// Whether values of this type have a date.
fn is_date(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Timestamp(..) | DataType::Date32 | DataType::Date64)
}

/// Whether values of this type have an hour.
fn is_clock(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Timestamp(..) | DataType::Time32(_) | DataType::Time64(_))
}

fn part(part: DatePart, is_defined: fn(&DataType) -> bool) -> Kernel {
    Kernel::of_one(
        move |data_type| is_defined(data_type).then_some(DataType::Int64),
        move |array| Ok(cast(&date_part(array, part)?, &DataType::Int64)?),
    )
}

/// Values of a type with dates, as ticks since 1970 of the type's own unit.
fn ticks_of(array: &ArrayRef) -> Result<Int64Array> {
    let data_type = match array.data_type() {
        // A date counts days, which do not become ticks by one cast.
        DataType::Date32 => {
            return Ok(cast(&cast(array, &DataType::Int32)?, &DataType::Int64)?
                .as_primitive::<Int64Type>()
                .clone());
        }
        _ => DataType::Int64,
    };
    Ok(cast(array, &data_type)?.as_primitive::<Int64Type>().clone())
}

/// The zone of a type; `None` when it has none.
fn zone_of(data_type: &DataType) -> Result<Option<Tz>> {
    match data_type {
        DataType::Timestamp(_, Some(zone)) => Ok(Some(Tz::from_str(zone)?)),
        _ => Ok(None),
    }
}

/// The date and time of ticks, as UTC shows it.
fn utc_of(ticks: i64, data_type: &DataType) -> Result<NaiveDateTime> {
    let time = match data_type {
        DataType::Timestamp(TimeUnit::Second, _) => as_datetime::<TimestampSecondType>(ticks),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            as_datetime::<TimestampMicrosecondType>(ticks)
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            as_datetime::<TimestampNanosecondType>(ticks)
        }
        DataType::Date32 => ticks.checked_mul(86_400).and_then(as_datetime::<TimestampSecondType>),
        _ => as_datetime::<TimestampMillisecondType>(ticks),
    };
    let Some(time) = time else {
        return exec_err!("{ticks} of {data_type} is beyond the calendar");
    };
    Ok(time)
}

fn strftime(given: &Parameters<'_>) -> Result<Kernel, FunctionError> {
    let format = given.text("format")?;
    if StrftimeItems::new(&format).any(|item| item == Item::Error) {
        return Err(given.error("format", format!("is no format of dates: `{format}`")));
    }
    let output = |data_type: &DataType| is_date(data_type).then_some(DataType::Utf8);
    Ok(Kernel::of_one(output, move |array| {
        let data_type = array.data_type();
        let (ticks, zone) = (ticks_of(array)?, zone_of(data_type)?);
        let format = with_fraction(&format, data_type);
        let items: Vec<_> = StrftimeItems::new(&format).collect();
        let mut made = TextsBuilder::of(ticks.len());
        for value in &ticks {
            if let Some(value) = value {
                let utc = utc_of(value, data_type)?;
                let offset = match zone {
                    Some(zone) => zone.offset_from_utc_datetime(&utc).fix(),
                    None => Utc.fix(),
                };
                let time = DateTime::<FixedOffset>::from_naive_utc_and_offset(utc, offset);
                let text = time.format_with_items(items.iter());
                if write!(made.open(), "{text}").is_err() {
                    return exec_err!("`{format}` does not fit {data_type}");
                }
            }
            made.close()?;
        }
        Ok(Arc::new(made.finish(ticks.nulls().cloned())))
    }))
}

/// `format` in which seconds have as many digits behind the point as the type tells apart.
fn with_fraction(format: &str, data_type: &DataType) -> String {
    let seconds = match data_type {
        DataType::Timestamp(TimeUnit::Millisecond, _) | DataType::Date64 => "%S%.3f",
        DataType::Timestamp(TimeUnit::Microsecond, _) => "%S%.6f",
        DataType::Timestamp(TimeUnit::Nanosecond, _) => "%S%.9f",
        _ => return format.to_owned(),
    };
    let clock = format!("%H:%M:{seconds}");
    let mut out = String::with_capacity(format.len());
    let mut rest = format.chars();
    while let Some(one) = rest.next() {
        let next = if one == '%' { rest.next() } else { None };
        match next {
            Some('S') => out.push_str(seconds),
            Some('T') => out.push_str(&clock),
            next => {
                out.push(one);
                out.extend(next);
            }
        }
    }
    out
}
