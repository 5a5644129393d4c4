//! The record of a commit: what is staged, and what it becomes.
//!
//! It is written when all files are staged and before the first of them is made visible. Whoever
//! finds one knows that the write was complete, and finishes it.

use std::path::{Component, Path};

use serde_json::{Value, json};

/// Where the bytes of a file are until the commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Staged {
    /// A file of this name in the staging folder.
    File(String),
    /// An upload that has not been completed, with its parts in order.
    Upload {
        /// The upload.
        id: String,
        /// What the store called each part.
        parts: Vec<String>,
    },
}

/// A staged file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StagedEntry {
    /// Its path, relative to the target folder.
    pub(super) path: String,
    /// Its bytes.
    pub(super) staged: Staged,
    /// How many they are.
    pub(super) size_bytes: u64,
}

/// All that a commit does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Manifest {
    /// Files to make visible.
    pub(super) files: Vec<StagedEntry>,
    /// Files to remove after that, relative to the target folder.
    pub(super) removed: Vec<String>,
}

/// Changes when an older program could not carry out a manifest.
const VERSION: u64 = 1;

impl Manifest {
    /// The manifest as JSON.
    pub(super) fn to_json(&self) -> String {
        let Self { files, removed } = self;
        let files: Vec<Value> = files
            .iter()
            .map(|StagedEntry { path, staged, size_bytes }| match staged {
                Staged::File(name) => json!({"path": path, "bytes": size_bytes, "file": name}),
                Staged::Upload { id, parts } => {
                    json!({"path": path, "bytes": size_bytes, "upload": id, "parts": parts})
                }
            })
            .collect();
        json!({"version": VERSION, "files": files, "removed": removed}).to_string()
    }

    /// Reads what [`Manifest::to_json`] wrote. All its paths stay inside the target folder, and
    /// its staged files inside their own: whoever can write a manifest can do no more than that.
    ///
    /// # Errors
    /// Anything else, with what is wrong.
    pub(super) fn from_json(text: &[u8]) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let value: Value = serde_json::from_slice(text)?;
        if value["version"] != VERSION {
            return Err(format!("its version is {}, not {VERSION}", value["version"]).into());
        }
        let files = array(&value, "files")?
            .iter()
            .map(|file| {
                let staged = match file.get("file") {
                    Some(_) => Staged::File(name(string(file, "file")?)?),
                    None => Staged::Upload {
                        id: string(file, "upload")?,
                        parts: strings(file, "parts")?,
                    },
                };
                let path = inside(string(file, "path")?)?;
                let size_bytes = file["bytes"].as_u64().ok_or("a file has no `bytes`")?;
                Ok(StagedEntry { path, staged, size_bytes })
            })
            .collect::<Result<_, String>>()?;
        let removed = strings(&value, "removed")?.into_iter().map(inside);
        Ok(Self { files, removed: removed.collect::<Result<_, String>>()? })
    }
}

/// `path`, when it leads to something below the folder that it is relative to.
fn inside(path: String) -> Result<String, String> {
    let names = |part| matches!(part, Component::Normal(_));
    if path.is_empty() || !Path::new(&path).components().all(names) {
        return Err(format!("the path `{path}` leads out of the folder"));
    }
    Ok(path)
}

/// `name`, when it is one name.
fn name(name: String) -> Result<String, String> {
    let name = inside(name)?;
    if name.contains('/') {
        return Err(format!("the staged file `{name}` is not in the staging folder"));
    }
    Ok(name)
}

fn array<'a>(value: &'a Value, name: &str) -> Result<&'a Vec<Value>, String> {
    value[name].as_array().ok_or_else(|| format!("it has no list `{name}`"))
}

fn string(value: &Value, name: &str) -> Result<String, String> {
    value[name].as_str().map(str::to_owned).ok_or_else(|| format!("a file has no `{name}`"))
}

fn strings(value: &Value, name: &str) -> Result<Vec<String>, String> {
    let items = array(value, name)?.iter();
    items
        .map(|item| item.as_str().map(str::to_owned))
        .collect::<Option<_>>()
        .ok_or_else(|| format!("`{name}` holds something other than text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifests_come_back() {
        let upload = Staged::Upload { id: "u\"1".into(), parts: vec!["a".into(), "b".into()] };
        let manifest = Manifest {
            files: vec![
                StagedEntry {
                    path: "k=1/a.parquet".into(),
                    staged: Staged::File("0".into()),
                    size_bytes: 7,
                },
                StagedEntry { path: "b.parquet".into(), staged: upload, size_bytes: 0 },
            ],
            removed: vec!["old.csv".into()],
        };
        assert_eq!(Manifest::from_json(manifest.to_json().as_bytes()).unwrap(), manifest);
    }

    #[test]
    fn damaged_manifests_say_what_is_wrong() {
        let error = |text: &str| Manifest::from_json(text.as_bytes()).unwrap_err().to_string();
        assert_eq!(error(r#"{"version": 7}"#), "its version is 7, not 1");
        assert_eq!(error(r#"{"version": 1}"#), "it has no list `files`");
        assert_eq!(error(r#"{"version": 1, "files": [{"file": "a"}]}"#), "a file has no `path`");
        assert!(error("{").starts_with("EOF"));
        let file = |path: &str, name: &str| {
            error(&format!(
                r#"{{"version": 1, "removed": [],
                    "files": [{{"path": "{path}", "file": "{name}", "bytes": 1}}]}}"#
            ))
        };
        for path in ["../victim", "/victim", "a/../../victim", ""] {
            let expected = format!("the path `{path}` leads out of the folder");
            assert_eq!(file(path, "a"), expected);
            assert_eq!(file("a", path), expected);
            let text = format!(r#"{{"version": 1, "files": [], "removed": ["{path}"]}}"#);
            assert_eq!(error(&text), expected);
        }
        assert_eq!(file("a", "b/c"), "the staged file `b/c` is not in the staging folder");
    }
}
