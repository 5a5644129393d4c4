//! Path patterns: `*`, `?`, `[…]` inside a folder, `**` across folders.

use glob::{MatchOptions, Pattern, PatternError};

/// How a pattern relates to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Coverage {
    /// Neither the path nor anything below it matches.
    None,
    /// Something below the path may match.
    Below,
    /// The path, or a folder above it, matches.
    Whole,
}

#[derive(Clone, Debug)]
enum Component {
    Name(Pattern),
    AnyDepth,
}

/// A pattern over the components of a path. A folder that matches stands for all below it.
#[derive(Clone, Debug)]
pub(crate) struct Glob {
    components: Vec<Component>,
    /// Characters before the first wildcard of the first component.
    first_prefix: String,
}

/// Whether `text` holds characters that make a pattern of a path.
pub(crate) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

impl Glob {
    /// The pattern `text`, whose components are parted by `/`.
    pub(super) fn new(text: &str) -> Result<Self, PatternError> {
        let components = text
            .split('/')
            .filter(|component| !component.is_empty())
            .map(|component| match component {
                "**" => Ok(Component::AnyDepth),
                name => Pattern::new(name).map(Component::Name),
            })
            .collect::<Result<_, _>>()?;
        let first = text.split('/').next().unwrap_or_default();
        let literal = first.find(['*', '?', '[']).unwrap_or(first.len());
        Ok(Self { components, first_prefix: first[..literal].to_owned() })
    }

    /// What every path that matches starts with.
    pub(crate) fn first_prefix(&self) -> &str {
        &self.first_prefix
    }

    /// How the pattern relates to the path made of `names`.
    pub(crate) fn coverage(&self, names: &[&str]) -> Coverage {
        coverage(&self.components, names)
    }
}

fn coverage(components: &[Component], names: &[&str]) -> Coverage {
    match (components, names) {
        ([], _) => Coverage::Whole,
        (_, []) => Coverage::Below,
        ([Component::AnyDepth, rest @ ..], [_, below @ ..]) => {
            coverage(rest, names).max(coverage(components, below))
        }
        ([Component::Name(pattern), rest @ ..], [name, below @ ..]) => {
            if pattern.matches_with(name, MatchOptions::new()) {
                coverage(rest, below)
            } else {
                Coverage::None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, path: &str, expected: Coverage) {
        let names: Vec<&str> = path.split('/').collect();
        assert_eq!(Glob::new(pattern).unwrap().coverage(&names), expected, "{pattern} on {path}");
    }

    #[test]
    fn a_star_stays_inside_one_folder() {
        check("*.jpg", "a.jpg", Coverage::Whole);
        check("*.jpg", "a.png", Coverage::None);
        check("p=*/x/*.jpg", "p=1", Coverage::Below);
        check("p=*/x/*.jpg", "p=1/x/a.jpg", Coverage::Whole);
        check("p=*/x/*.jpg", "p=1/y/a.jpg", Coverage::None);
        check("p=*/x/*.jpg", "p=1/x/y/a.jpg", Coverage::None);
    }

    #[test]
    fn a_matching_folder_stands_for_all_below_it() {
        check("year=*", "year=2024/a.parquet", Coverage::Whole);
    }

    #[test]
    fn two_stars_cross_any_number_of_folders() {
        check("**/*.txt", "a.txt", Coverage::Whole);
        check("**/*.txt", "x/y/a.txt", Coverage::Whole);
        check("x/**/a.txt", "x/a.txt", Coverage::Whole);
        check("x/**/a.txt", "y/a.txt", Coverage::None);
        check("**", "x/y", Coverage::Whole);
    }

    #[test]
    fn the_literal_start_is_known() {
        assert_eq!(Glob::new("product_id=*/a").unwrap().first_prefix(), "product_id=");
        assert_eq!(Glob::new("**/a").unwrap().first_prefix(), "");
    }
}
