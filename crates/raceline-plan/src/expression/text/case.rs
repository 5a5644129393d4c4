//! Upper and lower case. Each code point becomes one, by Unicode's simple mappings, so that texts
//! keep their lengths.

use super::class::Class;

/// The upper case of a code point.
fn upper_of(one: char) -> char {
    if one.is_ascii() {
        return one.to_ascii_uppercase();
    }
    let mut all = one.to_uppercase();
    match (all.next(), all.next()) {
        (Some(upper), None) => upper,
        // Code points whose full mapping is several.
        _ => match one {
            'ß' => 'ẞ',
            '\u{1f80}'..='\u{1f87}' | '\u{1f90}'..='\u{1f97}' | '\u{1fa0}'..='\u{1fa7}' => {
                char::from_u32(u32::from(one) + 8).unwrap_or(one)
            }
            '\u{1fb3}' | '\u{1fc3}' | '\u{1ff3}' => {
                char::from_u32(u32::from(one) + 9).unwrap_or(one)
            }
            _ => one,
        },
    }
}

/// The lower case of a code point.
fn lower_of(one: char) -> char {
    if one.is_ascii() {
        return one.to_ascii_lowercase();
    }
    let mut all = one.to_lowercase();
    match (all.next(), all.next()) {
        (Some(lower), None) => lower,
        _ if one == 'İ' => 'i',
        _ => one,
    }
}

fn is_upper_case(one: char) -> bool {
    Class::Upper.has(one)
        || (lower_of(one) != one && upper_of(one) == one && !Class::TitleCase.has(one))
}

fn is_lower_case(one: char) -> bool {
    Class::Lower.has(one)
        || (upper_of(one) != one && lower_of(one) == one && !Class::TitleCase.has(one))
}

fn is_cased(one: char) -> bool {
    is_upper_case(one) || is_lower_case(one) || Class::TitleCase.has(one)
}

/// Appends `value` in upper case.
pub(super) fn upper(value: &str, out: &mut String) {
    let start = out.len();
    if value.is_ascii() {
        out.push_str(value);
        out[start..].make_ascii_uppercase();
    } else {
        out.extend(value.chars().map(upper_of));
    }
}

/// Appends `value` in lower case.
pub(super) fn lower(value: &str, out: &mut String) {
    let start = out.len();
    if value.is_ascii() {
        out.push_str(value);
        out[start..].make_ascii_lowercase();
    } else {
        out.extend(value.chars().map(lower_of));
    }
}

/// Appends `value`, its first code point in upper case and all others in lower case.
pub(super) fn capitalize(value: &str, out: &mut String) {
    let mut all = value.chars();
    out.extend(all.next().map(upper_of));
    out.extend(all.map(lower_of));
}

/// Appends `value`, the first letter of each word in upper case and all others in lower case.
pub(super) fn title(value: &str, out: &mut String) {
    let mut is_in_word = false;
    for one in value.chars() {
        let is_letter = is_cased(one);
        out.push(match (is_letter, is_in_word) {
            (false, _) => one,
            (true, false) => upper_of(one),
            (true, true) => lower_of(one),
        });
        is_in_word = is_letter;
    }
}

/// Appends `value`, upper case as lower case and the other way round.
pub(super) fn swap_case(value: &str, out: &mut String) {
    out.extend(value.chars().map(|one| {
        if is_upper_case(one) {
            lower_of(one)
        } else if is_lower_case(one) {
            upper_of(one)
        } else {
            one
        }
    }));
}

/// Whether there are letters that have case, and all of them are in lower case.
pub(super) fn is_lower(value: &str) -> bool {
    let mut cased = value.chars().filter(|one| is_cased(*one)).peekable();
    cased.peek().is_some() && cased.all(is_lower_case)
}

/// Whether there are letters that have case, and all of them are in upper case.
pub(super) fn is_upper(value: &str) -> bool {
    let mut cased = value.chars().filter(|one| is_cased(*one)).peekable();
    cased.peek().is_some() && cased.all(is_upper_case)
}

/// Whether there are words, and each begins in upper case and goes on in lower case.
pub(super) fn is_title(value: &str) -> bool {
    let (mut is_in_word, mut has_words) = (false, false);
    for one in value.chars() {
        let (begins, goes_on) = (!is_lower_case(one), is_lower_case(one));
        if !is_cased(one) {
            is_in_word = false;
            continue;
        }
        if (is_in_word && !goes_on) || (!is_in_word && !begins) {
            return false;
        }
        (is_in_word, has_words) = (true, true);
    }
    has_words
}
