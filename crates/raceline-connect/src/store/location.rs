//! What a user's path means: which store, which path inside it, which pattern.

use std::path::{Component, PathBuf};

use object_store::path::Path;
use url::Url;

use super::glob::{Glob, is_pattern};
use crate::error::ConnectError;

/// A user's path, taken apart.
#[derive(Debug)]
pub(super) struct Location {
    /// `None` is the local file system.
    pub(super) remote: Option<Remote>,
    /// The file or folder; of a pattern, the folder above its first wildcard.
    pub(super) path: Path,
    /// The rest of a pattern.
    pub(super) glob: Option<Glob>,
}

/// The store part of a URL.
#[derive(Debug)]
pub(super) struct Remote {
    /// Scheme, `s3` for all its spellings.
    pub(super) scheme: String,
    /// Bucket or other authority.
    pub(super) host: String,
}

impl Location {
    /// Takes `text` apart: `s3://bucket/key`, `file:///folder`, `/folder`, `folder/a*.csv`.
    ///
    /// Relative paths are relative to the working directory; `.` and `..` are resolved by name.
    pub(super) fn parse(text: &str) -> Result<Self, ConnectError> {
        if text.is_empty() {
            return Err(bad_path(text, "it is empty"));
        }
        match text.split_once("://") {
            Some(("file", rest)) => local(text, &file_url_path(text, rest)?),
            Some(("local", rest)) => local(text, rest),
            Some((scheme, rest)) => remote(text, scheme, rest),
            None => local(text, text),
        }
    }
}

fn bad_path(path: &str, reason: &(impl ToString + ?Sized)) -> ConnectError {
    ConnectError::BadPath { path: path.to_owned(), reason: reason.to_string() }
}

/// The path of a `file://` URL; a pattern is not a URL and is taken as it stands.
fn file_url_path(text: &str, rest: &str) -> Result<String, ConnectError> {
    if is_pattern(rest) {
        return Ok(rest.to_owned());
    }
    let path = Url::parse(text).ok().and_then(|url| url.to_file_path().ok());
    let path = path.ok_or_else(|| bad_path(text, "not an absolute `file://` URL"))?;
    path.to_str().map(str::to_owned).ok_or_else(|| bad_path(text, "it is not UTF-8"))
}

fn local(text: &str, path: &str) -> Result<Location, ConnectError> {
    let absolute = std::path::absolute(path).map_err(|error| bad_path(text, &error))?;
    let mut resolved = PathBuf::new();
    for component in absolute.components() {
        match component {
            Component::ParentDir => {
                resolved.pop();
            }
            other => resolved.push(other),
        }
    }
    let resolved = resolved.to_str().ok_or_else(|| bad_path(text, "it is not UTF-8"))?;
    // A file whose name happens to look like a pattern is that file.
    let (folder, glob) = if is_pattern(resolved) && !std::path::Path::new(resolved).exists() {
        split_glob(text, resolved)?
    } else {
        (resolved, None)
    };
    let path = Path::from_absolute_path(folder).map_err(|error| bad_path(text, &error))?;
    Ok(Location { remote: None, path, glob })
}

fn remote(text: &str, scheme: &str, rest: &str) -> Result<Location, ConnectError> {
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "s3a" | "s3n" => "s3".to_owned(),
        other => other.to_owned(),
    };
    let (host, key) = rest.split_once('/').unwrap_or((rest, ""));
    if host.is_empty() {
        return Err(bad_path(text, "it names no bucket"));
    }
    let (folder, glob) = if is_pattern(key) { split_glob(text, key)? } else { (key, None) };
    let path = Path::parse(folder).map_err(|error| bad_path(text, &error))?;
    Ok(Location { remote: Some(Remote { scheme, host: host.to_owned() }), path, glob })
}

/// Cuts `path` behind the last `/` before its first wildcard.
fn split_glob<'a>(text: &str, path: &'a str) -> Result<(&'a str, Option<Glob>), ConnectError> {
    let wildcard = path.find(['*', '?', '[']).unwrap_or(path.len());
    let cut = path[..wildcard].rfind('/').map_or(0, |slash| slash + 1);
    let glob = Glob::new(&path[cut..]).map_err(|error| bad_path(text, &error))?;
    Ok((&path[..cut], Some(glob)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_cut_at_its_last_literal_folder() {
        let location = Location::parse("s3a://shop/images/product_id=*/x/*.jpg").unwrap();
        let remote = location.remote.unwrap();
        assert_eq!((remote.scheme.as_str(), remote.host.as_str()), ("s3", "shop"));
        assert_eq!(location.path.as_ref(), "images");
        assert_eq!(location.glob.unwrap().first_prefix(), "product_id=");
    }

    #[test]
    fn local_paths_are_made_absolute() {
        let here = std::env::current_dir().unwrap();
        let location = Location::parse("./x/../y").unwrap();
        let expected = Path::from_absolute_path(here.join("y")).unwrap();
        assert_eq!(location.path, expected);
        assert_eq!(Location::parse("file:///a%20b/c").unwrap().path.as_ref(), "a b/c");
        assert_eq!(Location::parse("/").unwrap().path, Path::ROOT);
    }

    #[test]
    fn bad_paths_say_why() {
        let message = |text| Location::parse(text).unwrap_err().to_string();
        assert_eq!(message(""), "`` is not a usable path: it is empty");
        assert_eq!(message("s3:///x"), "`s3:///x` is not a usable path: it names no bucket");
        assert!(message("/data/[a").starts_with("`/data/[a` is not a usable path: "));
        assert!(message("s3://b/x//y").contains("empty path segment"));
    }
}
