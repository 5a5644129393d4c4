//! Parts of texts: slices, and texts without what stands at their ends.

use std::iter::repeat_n;
use std::ops::Range;

use datafusion_common::Result;

use super::super::named::{FunctionError, Kernel, Parameters};
use super::class::Class;
use super::column::texts;

/// The function of this name; `None` when there is none.
pub(super) fn kernel(name: &str, given: &Parameters<'_>) -> Result<Option<Kernel>, FunctionError> {
    Ok(Some(match name {
        "slice" => slice(given)?,
        "replace_slice" => {
            let (start, stop) = (given.number("start")?, given.number("stop")?);
            let replacement = given.text("replacement")?;
            texts(move |value, out| {
                let range = bytes_between(value, start, stop);
                out.push_str(&value[..range.start]);
                out.push_str(&replacement);
                out.push_str(&value[range.end..]);
            })
        }
        "strip" => strip(given, true, true)?,
        "lstrip" => strip(given, true, false)?,
        "rstrip" => strip(given, false, true)?,
        _ => return Ok(None),
    }))
}

/// The bytes of the code points from `start` to `stop`, of which negative ones count from the end;
/// an empty range at `start` where `stop` comes before it.
fn bytes_between(value: &str, start: i64, stop: i64) -> Range<usize> {
    let first = byte_at(value, start);
    first..byte_at(value, stop).max(first)
}

/// The byte at which a code point begins; the nearest end of the text when there is none.
fn byte_at(value: &str, at: i64) -> usize {
    if at >= 0 {
        let at = usize::try_from(at).unwrap_or(usize::MAX);
        return value.char_indices().nth(at).map_or(value.len(), |(byte, _)| byte);
    }
    let before_last = usize::try_from(-(at + 1)).unwrap_or(usize::MAX);
    value.char_indices().rev().nth(before_last).map_or(0, |(byte, _)| byte)
}

fn slice(given: &Parameters<'_>) -> Result<Kernel, FunctionError> {
    let step = given.optional_number("step")?.unwrap_or(1);
    let (start, end) = (given.optional_number("start")?, given.optional_number("stop")?);
    if step == 0 {
        return Err(given.error("step", "must not be 0"));
    }
    if step == 1 {
        let (start, end) = (start.unwrap_or(0), end.unwrap_or(i64::MAX));
        return Ok(texts(move |value, out| {
            out.push_str(&value[bytes_between(value, start, end)]);
        }));
    }
    Ok(texts(move |value, out| {
        let all: Vec<char> = value.chars().collect();
        out.extend(positions(all.len(), start, end, step).map(|at| all[at]));
    }))
}

/// The positions that Python's `[start:stop:step]` takes of `len` things; `step` is not 0.
pub(in super::super) fn positions(
    len: usize,
    start: Option<i64>,
    end: Option<i64>,
    step: i64,
) -> impl Iterator<Item = usize> {
    let len = i64::try_from(len).unwrap_or(i64::MAX);
    // Where a position may lie: one before the first counts when going down.
    let (least, most) = if step > 0 { (0, len) } else { (-1, len - 1) };
    let within = |at: i64| {
        let at = if at < 0 { at.saturating_add(len) } else { at };
        at.clamp(least, most)
    };
    let start = start.map_or(if step > 0 { least } else { most }, within);
    let end = end.map_or(if step > 0 { most } else { least }, within);
    let distance = if step > 0 { end - start } else { start - end };
    let size = i64::try_from(step.unsigned_abs()).unwrap_or(i64::MAX);
    let count = usize::try_from((distance.max(0) - 1).div_euclid(size) + 1).unwrap_or(0);
    repeat_n((), count).scan(start, move |at, ()| {
        let here = usize::try_from(*at).ok();
        *at = at.saturating_add(step);
        here
    })
}

fn strip(given: &Parameters<'_>, left: bool, right: bool) -> Result<Kernel, FunctionError> {
    let letters = given.optional_text("characters")?.map(|text| text.chars().collect::<Vec<_>>());
    Ok(texts(move |value, out| {
        let goes = |one: char| match &letters {
            Some(letters) => letters.contains(&one),
            None => Class::Space.has(one),
        };
        let value = if left { value.trim_start_matches(goes) } else { value };
        out.push_str(if right { value.trim_end_matches(goes) } else { value });
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_those_of_python() {
        let of = |start, stop, step| positions(5, start, stop, step).collect::<Vec<_>>();
        assert_eq!(of(None, None, 2), [0, 2, 4]);
        assert_eq!(of(None, None, -1), [4, 3, 2, 1, 0]);
        assert_eq!(of(Some(-2), None, 1), [3, 4]);
        assert_eq!(of(Some(3), Some(1), -1), [3, 2]);
        assert_eq!(of(Some(3), Some(1), 1), [0; 0]);
        assert_eq!(of(Some(-9), Some(9), 3), [0, 3]);
        assert_eq!(of(Some(9), Some(-9), -4), [4, 0]);
        assert_eq!(of(Some(1), Some(4), i64::MAX), [1]);
        assert_eq!(of(Some(4), None, i64::MIN), [4]);
        assert_eq!(positions(0, None, None, -1).count(), 0);
    }

    #[test]
    fn a_slice_ends_between_code_points() {
        assert_eq!(&"aβc"[bytes_between("aβc", 1, 2)], "β");
        assert_eq!(&"aβc"[bytes_between("aβc", -2, 9)], "βc");
        assert_eq!(bytes_between("aβc", 2, 1), 3..3);
        assert_eq!(bytes_between("aβc", -9, i64::MIN), 0..0);
    }
}
