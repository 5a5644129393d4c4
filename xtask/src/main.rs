//! Guards of the house: `cargo run -p xtask -- tidy` and `cargo run -p xtask -- layers`.
//!
//! Each guard says how much it looked at, and fails when that is nothing.

mod graph;
mod guard;
mod layers;
mod tidy;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use guard::{GuardError, Report};

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let root = root();
    let mut good = true;
    for name in if wanted.is_empty() { vec!["tidy".into(), "layers".into()] } else { wanted } {
        let (text, passed) = match run(&name, &root) {
            Ok(report) => (report.render(&name), report.faults.is_empty()),
            Err(error) => (format!("{name}: {error}\n"), false),
        };
        good &= std::io::stderr().write_all(text.as_bytes()).is_ok() && passed;
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The checkout that cargo runs in, not the one it compiled: several may share their builds.
fn root() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR");
    package.map_or_else(|| ".".into(), |package| Path::new(&package).join(".."))
}

/// Runs one guard.
fn run(name: &str, root: &Path) -> Result<Report, GuardError> {
    match name {
        "tidy" => tidy::check(root),
        "layers" => layers::check(&graph::of_workspace(root)?),
        other => Err(GuardError::UnknownGuard { name: other.into() }),
    }
}
