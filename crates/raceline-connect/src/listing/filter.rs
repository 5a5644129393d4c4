//! Which entries of a folder belong to a scan.

use std::collections::BTreeSet;

use crate::store::{Coverage, Glob};

/// Folders in which writes stage their files.
pub(crate) const STAGING_PREFIX: &str = "_raceline-";

/// Extensions of left-out files that are remembered for the error message.
const EXTENSIONS_REMEMBERED_MAX: usize = 8;

/// Whether `name` is a folder in which a write stages its files.
pub(crate) fn is_staging(name: &str) -> bool {
    name.starts_with(STAGING_PREFIX)
}

/// Decides by the path relative to the folder that was given.
#[derive(Clone, Debug)]
pub(super) struct Filter {
    glob: Option<Glob>,
    /// Lower case, without dot.
    extensions: Option<Vec<String>>,
}

impl Filter {
    pub(super) fn new(glob: Option<Glob>, extensions: Option<&[String]>) -> Self {
        let extensions = extensions
            .map(|all| all.iter().map(|one| one.trim_start_matches('.').to_lowercase()).collect());
        Self { glob, extensions }
    }

    /// Whether something below the folder `names` may belong.
    pub(super) fn enters(&self, names: &[&str]) -> bool {
        !self.hides(names)
            && self.glob.as_ref().is_none_or(|glob| glob.coverage(names) != Coverage::None)
    }

    /// Whether `names` is passed over without a word. A pattern that begins as hidden names do
    /// asks for them; staged files are nobody's.
    fn hides(&self, names: &[&str]) -> bool {
        let asked = |glob: &Glob| glob.first_prefix().starts_with(['.', '_']);
        let first = names.first().copied().unwrap_or_default();
        (is_hidden(first) && !self.glob.as_ref().is_some_and(asked))
            || names.iter().any(|name| is_staging(name))
    }

    /// Whether the file `names` belongs. Extensions of visible files that do not are added to
    /// `others`.
    pub(super) fn takes(&self, names: &[&str], others: &mut BTreeSet<String>) -> bool {
        if self.hides(names)
            || self.glob.as_ref().is_some_and(|glob| glob.coverage(names) != Coverage::Whole)
        {
            return false;
        }
        let Some(extensions) = &self.extensions else { return true };
        let name = names.last().copied().unwrap_or_default().to_lowercase();
        let taken = extensions.iter().any(|extension| {
            name.strip_suffix(extension.as_str()).is_some_and(|stem| stem.ends_with('.'))
        });
        if !taken && others.len() < EXTENSIONS_REMEMBERED_MAX {
            others.insert(match name.rsplit_once('.') {
                Some((_, extension)) => format!("extension `{extension}`"),
                None => "no extension".to_owned(),
            });
        }
        taken
    }
}

fn is_hidden(name: &str) -> bool {
    name.starts_with('.') || (name.starts_with('_') && !name.contains('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takes(extensions: Option<&[&str]>, path: &str) -> bool {
        let extensions = extensions.map(|all| all.iter().map(|&one| one.to_owned()).collect());
        let extensions: Option<Vec<String>> = extensions;
        let names: Vec<&str> = path.split('/').collect();
        Filter::new(None, extensions.as_deref()).takes(&names, &mut BTreeSet::new())
    }

    #[test]
    fn only_the_first_component_hides() {
        assert!(!takes(None, "_SUCCESS"));
        assert!(!takes(None, ".git/config"));
        assert!(takes(None, "sub/_x"));
        assert!(takes(None, "_k=1/x"));
        assert!(!takes(None, "sub/_raceline-1/x"));
    }

    #[test]
    fn extensions_are_endings_in_any_case() {
        assert!(takes(Some(&["json.gz", "parquet"]), "a.JSON.gz"));
        assert!(takes(Some(&[".parquet"]), "x/a.parquet"));
        assert!(!takes(Some(&["parquet"]), "parquet"));
        assert!(!takes(Some(&["jpg"]), "a.jpg.txt"));
    }
}
