//! The crates of the workspace and what each stands on, from `cargo metadata`.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::guard::GuardError;

/// Names of a crate's direct normal dependencies (not for tests or build scripts), by crate.
pub(crate) type Graph = BTreeMap<String, Vec<String>>;

/// The graph of the workspace at `root`.
pub(crate) fn of_workspace(root: &Path) -> Result<Graph, GuardError> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(root)
        .output()
        .map_err(|source| GuardError::Read { path: root.into(), source })?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(GuardError::Metadata { text });
    }
    let metadata: Value = serde_json::from_slice(&output.stdout)
        .map_err(|error| GuardError::Metadata { text: error.to_string() })?;
    Ok(of_metadata(&metadata))
}

/// The graph in the output of `cargo metadata --no-deps`.
fn of_metadata(metadata: &Value) -> Graph {
    items(&metadata["packages"])
        .map(|package| {
            let edges = items(&package["dependencies"])
                .filter(|dependency| dependency["kind"].is_null())
                .map(|dependency| text(&dependency["name"]))
                .collect();
            (text(&package["name"]), edges)
        })
        .collect()
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_normal_dependencies_are_edges() {
        let metadata = json!({ "packages": [{ "name": "a", "dependencies": [
            { "name": "b", "kind": null },
            { "name": "c", "kind": "dev" },
            { "name": "d", "kind": "build" },
        ] }] });
        assert_eq!(of_metadata(&metadata), Graph::from([("a".into(), vec!["b".into()])]));
    }
}
