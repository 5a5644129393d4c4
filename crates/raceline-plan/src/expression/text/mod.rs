//! Functions of texts: the namespace `.str`.
//!
//! Positions and lengths are in code points, except those of `byte_len`, `find` and `find_regex`,
//! which are in bytes, as PyArrow has them.

mod case;
mod class;
mod column;
mod cut;
mod pad;
mod pattern;
mod re2;
mod split;

use self::case::{capitalize, lower, swap_case, title, upper};
use self::class::Class;
use self::column::{bytes_len, conditions, numbers, texts};
use super::named::{FunctionError, Kernel, Parameters};

pub(super) use self::column::{Texts, TextsBuilder, is_text};
pub(super) use self::cut::positions;

/// Names of the functions.
pub(super) const NAMES: &[&str] = &[
    "str.len",
    "str.byte_len",
    "str.upper",
    "str.lower",
    "str.capitalize",
    "str.title",
    "str.swapcase",
    "str.reverse",
    "str.is_alpha",
    "str.is_alnum",
    "str.is_digit",
    "str.is_decimal",
    "str.is_numeric",
    "str.is_space",
    "str.is_lower",
    "str.is_upper",
    "str.is_title",
    "str.is_printable",
    "str.is_ascii",
    "str.starts_with",
    "str.ends_with",
    "str.contains",
    "str.match",
    "str.match_regex",
    "str.find",
    "str.find_regex",
    "str.count",
    "str.count_regex",
    "str.slice",
    "str.replace",
    "str.replace_regex",
    "str.replace_slice",
    "str.split",
    "str.split_regex",
    "str.split_whitespace",
    "str.extract",
    "str.repeat",
    "str.center",
    "str.lpad",
    "str.rpad",
    "str.strip",
    "str.lstrip",
    "str.rstrip",
];

/// The function of this name; `None` when there is none.
pub(super) fn kernel(given: &Parameters<'_>) -> Result<Option<Kernel>, FunctionError> {
    let name = given.function.trim_start_matches("str.");
    let kernel = match name {
        "len" => numbers(|value| value.chars().count()),
        "byte_len" => bytes_len(),
        "upper" => texts(upper),
        "lower" => texts(lower),
        "capitalize" => texts(capitalize),
        "title" => texts(title),
        "swapcase" => texts(swap_case),
        "reverse" => texts(|value, out| out.extend(value.chars().rev())),
        "is_ascii" => conditions(str::is_ascii),
        "is_lower" => conditions(case::is_lower),
        "is_upper" => conditions(case::is_upper),
        "is_title" => conditions(case::is_title),
        "is_alpha" => all_of(Class::Letter, false),
        "is_alnum" => all_of(Class::LetterOrNumber, false),
        "is_digit" => all_of(Class::Digit, false),
        "is_decimal" => all_of(Class::Decimal, false),
        "is_numeric" => all_of(Class::Number, false),
        "is_space" => all_of(Class::Space, false),
        "is_printable" => all_of(Class::Printable, true),
        "starts_with" | "ends_with" | "contains" | "match" | "match_regex" | "find"
        | "find_regex" | "count" | "count_regex" | "replace" | "replace_regex" | "extract" => {
            return pattern::kernel(name, given);
        }
        "slice" | "replace_slice" | "strip" | "lstrip" | "rstrip" => {
            return cut::kernel(name, given);
        }
        "repeat" | "center" | "lpad" | "rpad" => return pad::kernel(name, given),
        "split" | "split_regex" | "split_whitespace" => return split::kernel(name, given),
        _ => return Ok(None),
    };
    Ok(Some(kernel))
}

/// Whether all code points are of a class; `of_empty` is the answer for the empty text.
fn all_of(class: Class, of_empty: bool) -> Kernel {
    conditions(
        move |value| {
            if value.is_empty() { of_empty } else { value.chars().all(|one| class.has(one)) }
        },
    )
}
