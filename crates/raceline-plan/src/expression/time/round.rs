//! Dates and times rounded to units.

use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::array::{ArrayRef, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimeUnit};
use chrono::{Datelike, NaiveDate, NaiveDateTime, Offset, TimeDelta, TimeZone};
use datafusion_common::{Result, exec_err};

use super::super::named::{FunctionError, Kernel, Parameters};
use super::{is_date, ticks_of, utc_of, zone_of};

/// A unit that times are rounded to.
#[derive(Clone, Copy, Debug)]
enum Unit {
    /// Of a fixed length, in nanoseconds.
    Length(i64),
    /// From Monday to Sunday.
    Week,
    /// So many months, counted from January.
    Months(u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Down,
    Up,
    /// Half goes up.
    Nearest,
}

const DAY_NANOS: i64 = 86_400_000_000_000;

/// The function that is asked for.
pub(super) fn kernel(given: &Parameters<'_>) -> Result<Kernel, FunctionError> {
    let direction = match given.function {
        "dt.floor" => Direction::Down,
        "dt.ceil" => Direction::Up,
        _ => Direction::Nearest,
    };
    let unit = match given.text("unit")?.as_str() {
        "nanosecond" => Unit::Length(1),
        "microsecond" => Unit::Length(1_000),
        "millisecond" => Unit::Length(1_000_000),
        "second" => Unit::Length(1_000_000_000),
        "minute" => Unit::Length(60_000_000_000),
        "hour" => Unit::Length(3_600_000_000_000),
        "day" => Unit::Length(DAY_NANOS),
        "week" => Unit::Week,
        "month" => Unit::Months(1),
        "quarter" => Unit::Months(3),
        "year" => Unit::Months(12),
        other => {
            let reason = format!(
                "must be one of nanosecond, microsecond, millisecond, second, minute, hour, day, \
                 week, month, quarter and year, got `{other}`"
            );
            return Err(given.error("unit", reason));
        }
    };
    Ok(Kernel::of_one(
        |data_type| is_date(data_type).then(|| data_type.clone()),
        move |array| rounded(array, unit, direction),
    ))
}

fn rounded(array: &ArrayRef, unit: Unit, direction: Direction) -> Result<ArrayRef> {
    let data_type = array.data_type();
    let (ticks, zone) = (ticks_of(array)?, zone_of(data_type)?);
    let tick = tick_nanos(data_type);
    let length = match unit {
        // No finer than the type, and then nothing is to be done.
        Unit::Length(length) if length <= tick => return Ok(Arc::clone(array)),
        Unit::Length(length) if zone.is_none() => Some(length / tick),
        _ => None,
    };
    let one = |value: i64| match length {
        Some(length) => nearest(value, value.div_euclid(length) * length, length, direction),
        None => on_calendar(value, data_type, zone, unit, direction),
    };
    let rounded: Int64Array =
        ticks.iter().map(|value| value.map(one).transpose()).collect::<Result<_>>()?;
    if data_type == &DataType::Date32 {
        return Ok(cast(&cast(&rounded, &DataType::Int32)?, data_type)?);
    }
    Ok(cast(&rounded, data_type)?)
}

/// Nanoseconds of a tick.
fn tick_nanos(data_type: &DataType) -> i64 {
    match data_type {
        DataType::Timestamp(TimeUnit::Second, _) => 1_000_000_000,
        DataType::Timestamp(TimeUnit::Microsecond, _) => 1_000,
        DataType::Timestamp(TimeUnit::Nanosecond, _) => 1,
        DataType::Date32 => DAY_NANOS,
        _ => 1_000_000,
    }
}

/// `value`, which lies between `floor` and `length` later, rounded.
fn nearest(value: i64, floor: i64, length: i64, direction: Direction) -> Result<i64> {
    let past = value - floor;
    let goes_up = match direction {
        Direction::Down => false,
        Direction::Up => past > 0,
        Direction::Nearest => past >= length - past,
    };
    let Some(rounded) = floor.checked_add(if goes_up { length } else { 0 }) else {
        return exec_err!("{value} cannot be rounded within its type");
    };
    Ok(rounded)
}

/// Rounds on the calendar and the clock of a zone.
fn on_calendar(
    value: i64,
    data_type: &DataType,
    zone: Option<Tz>,
    unit: Unit,
    direction: Direction,
) -> Result<i64> {
    let utc = utc_of(value, data_type)?;
    let local = match zone {
        Some(zone) => utc + TimeDelta::seconds(offset_seconds(zone, &utc)),
        None => utc,
    };
    let beyond = || datafusion_common::exec_datafusion_err!("{local} is at the calendar's end");
    let (floor, next) = bounds(local, unit).ok_or_else(beyond)?;
    let goes_up = match direction {
        Direction::Down => false,
        Direction::Up => local > floor,
        Direction::Nearest => local - floor >= next - local,
    };
    let chosen = if goes_up { next } else { floor };
    let utc = match zone {
        Some(zone) => match zone.from_local_datetime(&chosen).earliest() {
            Some(time) => time.naive_utc(),
            // A time that clocks leap over: as far before the leap as it is after it.
            None => chosen - TimeDelta::seconds(offset_seconds(zone, &chosen)),
        },
        None => chosen,
    };
    let since = utc.and_utc();
    let nanos =
        i128::from(since.timestamp()) * 1_000_000_000 + i128::from(since.timestamp_subsec_nanos());
    let ticks = nanos.div_euclid(i128::from(tick_nanos(data_type)));
    i64::try_from(ticks).map_err(|_| beyond())
}

fn offset_seconds(zone: Tz, utc: &NaiveDateTime) -> i64 {
    i64::from(zone.offset_from_utc_datetime(utc).fix().local_minus_utc())
}

/// Where the unit that has `local` in it begins, and where the next one does.
fn bounds(local: NaiveDateTime, unit: Unit) -> Option<(NaiveDateTime, NaiveDateTime)> {
    match unit {
        Unit::Length(length) => {
            let since = local.and_utc();
            let nanos = i128::from(since.timestamp()) * 1_000_000_000
                + i128::from(since.timestamp_subsec_nanos());
            let past = i64::try_from(nanos.rem_euclid(i128::from(length))).ok()?;
            let floor = local.checked_sub_signed(TimeDelta::nanoseconds(past))?;
            Some((floor, floor.checked_add_signed(TimeDelta::nanoseconds(length))?))
        }
        Unit::Week => {
            let days = i64::from(local.weekday().num_days_from_monday());
            let monday = local.date().checked_sub_signed(TimeDelta::days(days))?;
            let next = monday.checked_add_signed(TimeDelta::days(7))?;
            Some((monday.and_hms_opt(0, 0, 0)?, next.and_hms_opt(0, 0, 0)?))
        }
        Unit::Months(months) => {
            let first = local.month0() / months * months;
            let floor = NaiveDate::from_ymd_opt(local.year(), first + 1, 1)?;
            let next = floor.checked_add_months(chrono::Months::new(months))?;
            Some((floor.and_hms_opt(0, 0, 0)?, next.and_hms_opt(0, 0, 0)?))
        }
    }
}
