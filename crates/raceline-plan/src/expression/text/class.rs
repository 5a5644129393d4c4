//! Classes of code points, as Unicode has them.

use std::sync::LazyLock;

use regex_syntax::hir::{Class as HirClass, HirKind};

/// A class of code points.
#[derive(Clone, Copy, Debug)]
pub(super) enum Class {
    Letter,
    LetterOrNumber,
    Decimal,
    Digit,
    Number,
    Space,
    Printable,
    Lower,
    Upper,
    TitleCase,
}

/// First and last code points of the ranges of a class, in order.
type Ranges = Vec<(char, char)>;

impl Class {
    /// Whether `one` belongs to the class.
    pub(super) fn has(self, one: char) -> bool {
        let ranges = self.ranges();
        let after = ranges.partition_point(|(first, _)| *first <= one);
        after > 0 && one <= ranges[after - 1].1
    }

    fn ranges(self) -> &'static Ranges {
        static ALL: [LazyLock<Ranges>; 10] = [
            LazyLock::new(|| parsed(r"\p{L}")),
            LazyLock::new(|| parsed(r"[\p{L}\p{N}]")),
            LazyLock::new(|| parsed(r"\p{Nd}")),
            LazyLock::new(|| parsed(r"[\p{Nd}\p{No}]")),
            LazyLock::new(|| parsed(r"\p{N}")),
            // Separators of Unicode and the controls that its bidirectional classes call so.
            LazyLock::new(|| parsed(r"[\p{Z}\t-\r\x1c-\x1f\x{85}]")),
            LazyLock::new(|| parsed(r"[ [^\p{C}\p{Z}]]")),
            LazyLock::new(|| parsed(r"\p{Ll}")),
            LazyLock::new(|| parsed(r"\p{Lu}")),
            LazyLock::new(|| parsed(r"\p{Lt}")),
        ];
        let at = match self {
            Self::Letter => 0,
            Self::LetterOrNumber => 1,
            Self::Decimal => 2,
            Self::Digit => 3,
            Self::Number => 4,
            Self::Space => 5,
            Self::Printable => 6,
            Self::Lower => 7,
            Self::Upper => 8,
            Self::TitleCase => 9,
        };
        &ALL[at]
    }
}

/// The ranges of a class that is written as a regular expression.
fn parsed(class: &str) -> Ranges {
    let hir = regex_syntax::parse(class).expect("a class of this module is one");
    match hir.kind() {
        HirKind::Class(HirClass::Unicode(class)) => {
            class.iter().map(|range| (range.start(), range.end())).collect()
        }
        _ => Ranges::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_have_what_unicode_says() {
        for (class, inside, outside) in [
            (Class::Letter, "aßλ中ǅ", "1 ²Ⅷ_"),
            (Class::LetterOrNumber, "a1²Ⅷ٣", " _-"),
            (Class::Decimal, "1٣", "²Ⅷa"),
            (Class::Digit, "1²½", "Ⅷa"),
            (Class::Number, "1²Ⅷ", "a "),
            (Class::Space, " \t\n\u{a0}\u{3000}\u{85}", "a_\u{200b}"),
            (Class::Printable, " a中", "\n\u{a0}\u{200b}"),
            (Class::Lower, "aß", "Aǅ"),
            (Class::Upper, "AΛ", "aǅ"),
            (Class::TitleCase, "ǅ", "aA"),
        ] {
            for one in inside.chars() {
                assert!(class.has(one), "{class:?} lacks {one:?}");
            }
            for one in outside.chars() {
                assert!(!class.has(one), "{class:?} has {one:?}");
            }
        }
    }
}
