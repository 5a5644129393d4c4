//! A crate depends only on crates of lower layers, and some dependencies live in few manifests.

use crate::graph::Graph;
use crate::guard::{GuardError, Report};

/// Layer of each crate; an edge only points to a lower number.
const LAYERS: [(&str, u8); 9] = [
    ("raceline-types", 0),
    ("raceline-plan", 1),
    ("raceline-media", 1),
    ("raceline-exec", 2),
    ("raceline-connect", 3),
    ("raceline-relational", 3),
    ("raceline-worker", 3),
    ("raceline", 4),
    ("raceline-py", 6),
];

/// Dependencies that only these crates may have.
const HOMES: [(&str, &[&str]); 5] = [
    ("pyo3", &["raceline-py"]),
    ("datafusion", &["raceline-relational", "raceline"]),
    ("object_store", &["raceline-connect", "raceline-relational", "raceline"]),
    ("zune-jpeg", &["raceline-media"]),
    ("indicatif", &["raceline"]),
];

/// Members of the workspace that are no part of the engine.
const OUTSIDE: [&str; 1] = ["xtask"];

/// Checks every edge of the graph.
pub(crate) fn check(graph: &Graph) -> Result<Report, GuardError> {
    let mut report = Report::default();
    let members = graph.iter().filter(|(name, _)| !OUTSIDE.contains(&name.as_str()));
    for (name, edges) in members {
        let Some(layer) = layer_of(name) else {
            report.faults.push(format!("{name}: has no layer; give it one in xtask/src/layers.rs"));
            continue;
        };
        for edge in edges {
            report.inspected += 1;
            report.faults.extend(fault(name, layer, edge));
        }
    }
    report.inspected_some()
}

fn layer_of(name: &str) -> Option<u8> {
    LAYERS.iter().find(|(known, _)| *known == name).map(|(_, layer)| *layer)
}

/// What is wrong with the edge from `name` to `edge`.
fn fault(name: &str, layer: u8, edge: &str) -> Option<String> {
    if let Some(below) = layer_of(edge).filter(|below| *below >= layer) {
        return Some(format!(
            "{name} (layer {layer}) depends on {edge} (layer {below}): an edge only points down"
        ));
    }
    let (_, homes) = HOMES.iter().find(|(dependency, _)| *dependency == edge)?;
    let at_home = homes.contains(&name);
    (!at_home).then(|| format!("{name} depends on {edge}: only {} may", homes.join(", ")))
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::graph;

    fn planted(name: &str, edges: &[&str]) -> Vec<String> {
        let edges = edges.iter().map(ToString::to_string).collect();
        check(&Graph::from([(name.into(), edges)])).unwrap().faults
    }

    #[test]
    fn a_planted_upward_edge_is_found() {
        assert_eq!(
            planted("raceline-exec", &["raceline-types", "raceline-relational"]),
            ["raceline-exec (layer 2) depends on raceline-relational (layer 3): an edge only \
              points down"]
        );
    }

    #[test]
    fn siblings_never_see_one_another() {
        assert_eq!(planted("raceline-connect", &["raceline-worker"]).len(), 1);
        assert_eq!(planted("raceline-plan", &["raceline-media"]).len(), 1);
        assert!(planted("raceline", &["raceline-worker", "raceline-connect"]).is_empty());
    }

    #[test]
    fn dependencies_stay_at_home() {
        assert_eq!(
            planted("raceline-worker", &["pyo3"]),
            ["raceline-worker depends on pyo3: only raceline-py may"]
        );
        assert_eq!(planted("raceline-exec", &["datafusion"]).len(), 1);
        assert!(planted("raceline-relational", &["datafusion"]).is_empty());
    }

    #[test]
    fn a_crate_without_layer_is_found() {
        let fault = "raceline-new: has no layer; give it one in xtask/src/layers.rs";
        let graph = Graph::from([
            ("raceline-new".into(), vec![]),
            ("raceline-exec".into(), vec!["tokio".into()]),
        ]);
        assert_eq!(check(&graph).unwrap().faults, [fault]);
    }

    #[test]
    fn a_graph_without_edges_guards_nothing() {
        assert!(matches!(check(&Graph::new()), Err(GuardError::NothingInspected)));
    }

    #[test]
    fn the_workspace_keeps_its_layers() {
        let graph = graph::of_workspace(&crate::root()).unwrap();
        for (name, _) in LAYERS {
            assert!(graph.contains_key(name), "{name} is not in the workspace");
        }
        let report = check(&graph).unwrap();
        assert!(report.faults.is_empty(), "{:#?}", report.faults);
        assert!(report.inspected > LAYERS.len());
    }
}
