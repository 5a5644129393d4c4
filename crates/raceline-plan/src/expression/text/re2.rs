//! Regular expressions as RE2 writes them, which is what PyArrow's users write.
//!
//! The `regex` crate is of the same family. What differs is rewritten: `\d`, `\w`, `\s` and `\b`
//! mean ASCII, `\Q...\E` quotes, and `[`, `&` and `~` inside of brackets are letters.

use std::fmt::Write;
use std::iter::Peekable;
use std::str::Chars;

use regex::{Regex, RegexBuilder};

use super::super::named::{FunctionError, Parameters};

/// The regular expression that is the parameter `pattern`.
pub(super) fn regex_of(given: &Parameters<'_>, ignore_case: bool) -> Result<Regex, FunctionError> {
    built(&translated(&given.text("pattern")?), given, ignore_case)
}

/// What stands before and behind a pattern that may be anywhere in a text.
pub(super) const ANYWHERE: (&str, &str) = ("", "");

/// A regular expression that matches the parameter `pattern` letter for letter, between two others.
pub(super) fn literal_of(
    given: &Parameters<'_>,
    (before, behind): (&str, &str),
    ignore_case: bool,
) -> Result<Regex, FunctionError> {
    let literal = regex::escape(&given.text("pattern")?);
    built(&format!("{before}{literal}{behind}"), given, ignore_case)
}

/// A regular expression for all of a text: the parameter `pattern` as SQL's `like` reads it.
pub(super) fn like_of(given: &Parameters<'_>, ignore_case: bool) -> Result<Regex, FunctionError> {
    let pattern = given.text("pattern")?;
    let mut rest = pattern.chars();
    let mut all = String::from(r"(?s)\A");
    while let Some(one) = rest.next() {
        match one {
            '%' => all.push_str(".*"),
            '_' => all.push('.'),
            '\\' => push_literal(rest.next().unwrap_or('\\'), &mut all),
            other => push_literal(other, &mut all),
        }
    }
    all.push_str(r"\z");
    built(&all, given, ignore_case)
}

fn built(pattern: &str, given: &Parameters<'_>, ignore_case: bool) -> Result<Regex, FunctionError> {
    RegexBuilder::new(pattern).case_insensitive(ignore_case).build().map_err(|error| {
        let last = error.to_string();
        let last = last.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
        given.error("pattern", format!("is no regular expression: {last}"))
    })
}

fn push_literal(one: char, out: &mut String) {
    out.push_str(&regex::escape(one.encode_utf8(&mut [0; 4])));
}

/// `pattern` as the `regex` crate writes it.
fn translated(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut rest = pattern.chars().peekable();
    let mut in_brackets = false;
    while let Some(one) = rest.next() {
        match (one, in_brackets) {
            ('\\', _) => escaped(&mut rest, in_brackets, &mut out),
            ('[', false) => {
                in_brackets = true;
                out.push('[');
                if rest.next_if_eq(&'^').is_some() {
                    out.push('^');
                }
                // A bracket that comes first is a letter.
                if rest.next_if_eq(&']').is_some() {
                    out.push_str(r"\]");
                }
            }
            ('[', true) if rest.peek() == Some(&':') => posix_class(&mut rest, &mut out),
            ('[' | '&' | '~', true) => {
                out.push('\\');
                out.push(one);
            }
            (']', true) => {
                in_brackets = false;
                out.push(']');
            }
            (other, _) => out.push(other),
        }
    }
    out
}

/// The rest of `[:alpha:]` inside of brackets.
fn posix_class(rest: &mut Peekable<Chars<'_>>, out: &mut String) {
    out.push('[');
    for one in rest.by_ref() {
        out.push(one);
        if one == ']' {
            break;
        }
    }
}

/// What follows a backslash.
fn escaped(rest: &mut Peekable<Chars<'_>>, in_brackets: bool, out: &mut String) {
    let Some(one) = rest.next() else {
        out.push('\\');
        return;
    };
    let class = match one.to_ascii_lowercase() {
        'd' => "0-9",
        'w' => "0-9A-Za-z_",
        's' => r"\t\n\f\r ",
        _ => "",
    };
    match one {
        'd' | 'w' | 's' if in_brackets => out.push_str(class),
        'd' | 'w' | 's' => drop(write!(out, "[{class}]")),
        'D' | 'W' | 'S' => drop(write!(out, "[^{class}]")),
        'b' if !in_brackets => out.push_str(r"(?-u:\b)"),
        'Q' if !in_brackets => quoted(rest, out),
        other => {
            out.push('\\');
            out.push(other);
        }
    }
}

/// The letters up to `\E`.
fn quoted(rest: &mut Peekable<Chars<'_>>, out: &mut String) {
    while let Some(one) = rest.next() {
        if one == '\\' && rest.next_if_eq(&'E').is_some() {
            return;
        }
        push_literal(one, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        Regex::new(&translated(pattern)).unwrap().is_match(text)
    }

    #[test]
    fn perl_classes_are_those_of_ascii() {
        assert!(matches(r"^\d\w\s$", "1_ "));
        for (pattern, text) in [(r"\d", "٣"), (r"\w", "é"), (r"\s", "\u{a0}")] {
            assert!(!matches(pattern, text), "{pattern} {text}");
            assert!(matches(&pattern.to_ascii_uppercase(), text), "{pattern} {text}");
        }
        assert!(matches(r"^[\d.]+$", "1.5"));
        assert!(matches(r"^[^\D]+$", "15"));
        assert!(matches(r"\bcaf\b", "café"));
    }

    #[test]
    fn brackets_hold_letters_and_named_classes() {
        for text in ["[", "&", "~", "a"] {
            assert!(matches(r"^[[a&&~~]$", text), "{text}");
        }
        assert!(matches(r"^[]a]$", "]"));
        assert!(matches(r"^[^]a]$", "b"));
        assert!(matches(r"^[[:digit:]x]+$", "1x"));
    }

    #[test]
    fn what_is_quoted_is_letters() {
        assert!(matches(r"^\Qa.b\E+$", "a.bb"));
        assert!(!matches(r"^\Qa.b\E$", "axb"));
        assert!(matches(r"^\\Q$", r"\Q"));
    }
}
