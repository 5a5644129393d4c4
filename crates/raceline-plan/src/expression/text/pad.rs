//! Texts made longer: filled up to a width, or repeated.

use datafusion_common::Result;

use super::super::named::{FunctionError, Kernel, Parameters};
use super::column::{check_room, try_texts};

/// The function of this name; `None` when there is none.
pub(super) fn kernel(name: &str, given: &Parameters<'_>) -> Result<Option<Kernel>, FunctionError> {
    Ok(Some(match name {
        "repeat" => {
            let times = given.size("n")?;
            try_texts(move |value, out| {
                check_room(out, value.len().saturating_mul(times))?;
                (0..times).for_each(|_| out.push_str(value));
                Ok(())
            })
        }
        "lpad" => pad(given, |missing| (missing, 0))?,
        "rpad" => pad(given, |missing| (0, missing))?,
        "center" => pad(given, |missing| (missing / 2, missing - missing / 2))?,
        _ => return Ok(None),
    }))
}

/// Fills with as many code points on the left and on the right as `sides` tells.
fn pad(
    given: &Parameters<'_>,
    sides: impl Fn(usize) -> (usize, usize) + Send + Sync + 'static,
) -> Result<Kernel, FunctionError> {
    let width = given.size("width")?;
    let padding = given.optional_text("padding")?.unwrap_or_else(|| " ".to_owned());
    if padding.chars().count() != 1 {
        return Err(given.error("padding", "must be one character"));
    }
    Ok(try_texts(move |value, out| {
        let missing = width.saturating_sub(value.chars().count());
        check_room(out, missing.saturating_mul(padding.len()).saturating_add(value.len()))?;
        let (left, right) = sides(missing);
        (0..left).for_each(|_| out.push_str(&padding));
        out.push_str(value);
        (0..right).for_each(|_| out.push_str(&padding));
        Ok(())
    }))
}
