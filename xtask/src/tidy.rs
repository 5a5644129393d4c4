//! Rules for source files that no linter holds: length, module docs, names.

use std::fs;
use std::path::{Path, PathBuf};

use crate::guard::{GuardError, Report};

/// Most lines of a file, its in-file tests apart.
const BODY_LINES_MAX: usize = 500;

/// Most lines of the tests at the end of a file; longer ones move to a file of their own.
const TEST_LINES_MAX: usize = 200;

/// Most lines of `ARCHITECTURE.md`.
const ARCHITECTURE_LINES_MAX: usize = 300;

/// Module names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 6] = ["utils", "util", "helpers", "common", "misc", "core"];

/// Folders that hold Rust sources.
const FOLDERS: [&str; 2] = ["crates", "xtask"];

/// Checks all Rust sources and the architecture document below `root`.
pub(crate) fn check(root: &Path) -> Result<Report, GuardError> {
    let mut report = Report::default();
    for folder in FOLDERS {
        for path in rust_files(&root.join(folder))? {
            let text = read(&path)?;
            let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
            report.inspected += 1;
            report.faults.extend(file_faults(&name, &text));
        }
    }
    let lines = read(&root.join("ARCHITECTURE.md"))?.lines().count();
    if lines > ARCHITECTURE_LINES_MAX {
        report.faults.push(format!(
            "ARCHITECTURE.md: {lines} lines; at most {ARCHITECTURE_LINES_MAX} are read"
        ));
    }
    report.inspected_some()
}

fn read(path: &Path) -> Result<String, GuardError> {
    fs::read_to_string(path).map_err(|source| GuardError::Read { path: path.into(), source })
}

/// All `.rs` files below `folder`, sorted.
fn rust_files(folder: &Path) -> Result<Vec<PathBuf>, GuardError> {
    let failed = |source| GuardError::Read { path: folder.into(), source };
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            files.extend(rust_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// What is wrong with one file.
fn file_faults(name: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let (body, tests) = split_tests(text);
    let is_test = name.contains("/tests/") || name.ends_with("/tests.rs");
    if body > BODY_LINES_MAX && !is_test {
        faults.push(format!("{name}: {body} lines; at most {BODY_LINES_MAX}: split it by concept"));
    }
    if tests > TEST_LINES_MAX {
        faults.push(format!(
            "{name}: {tests} lines of tests; above {TEST_LINES_MAX} they move to `tests.rs`"
        ));
    }
    if !text.starts_with("//!") {
        faults.push(format!("{name}: does not start with `//!`: say what the module is for"));
    }
    let path = Path::new(name);
    let stem = path.file_stem().map(|stem| stem.to_string_lossy()).unwrap_or_default();
    let folders = path.iter().map(|part| part.to_string_lossy());
    if let Some(empty) = folders.chain([stem]).find(|part| EMPTY_NAMES.contains(&part.as_ref())) {
        faults.push(format!("{name}: `{empty}` names no concept"));
    }
    faults
}

/// Lines before and inside the test module that ends a file.
fn split_tests(text: &str) -> (usize, usize) {
    let lines: Vec<&str> = text.lines().collect();
    let starts = |pair: &[&str]| pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod tests {");
    let body = lines.windows(2).position(starts).unwrap_or(lines.len());
    (body, lines.len() - body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(lines: usize, tests: usize) -> String {
        let body = "//! Doc.\n".to_owned() + &"x\n".repeat(lines - 1);
        if tests == 0 {
            body
        } else {
            body + "#[cfg(test)]\nmod tests {\n" + &"y\n".repeat(tests - 2)
        }
    }

    #[test]
    fn a_long_body_is_found_and_tests_do_not_count() {
        assert!(file_faults("crates/a/src/scan.rs", &source(500, 200)).is_empty());
        assert_eq!(
            file_faults("crates/a/src/scan.rs", &source(501, 0)),
            ["crates/a/src/scan.rs: 501 lines; at most 500: split it by concept"]
        );
        assert_eq!(
            file_faults("crates/a/src/scan.rs", &source(10, 201)),
            ["crates/a/src/scan.rs: 201 lines of tests; above 200 they move to `tests.rs`"]
        );
    }

    #[test]
    fn a_module_without_doc_or_name_is_found() {
        assert_eq!(
            file_faults("crates/a/src/utils.rs", "use std::fmt;\n"),
            [
                "crates/a/src/utils.rs: does not start with `//!`: say what the module is for",
                "crates/a/src/utils.rs: `utils` names no concept",
            ]
        );
        assert_eq!(file_faults("crates/a/src/common/mod.rs", "//! Doc.\n").len(), 1);
    }

    #[test]
    fn the_canary_is_seen_on_disk() {
        let folder = std::env::temp_dir().join(format!("raceline-tidy-{}", std::process::id()));
        fs::create_dir_all(folder.join("crates/a/src")).unwrap();
        fs::create_dir_all(folder.join("xtask")).unwrap();
        fs::write(folder.join("ARCHITECTURE.md"), "x\n".repeat(301)).unwrap();
        let empty = check(&folder);
        fs::write(folder.join("crates/a/src/misc.rs"), "fn main() {}\n").unwrap();
        let report = check(&folder).unwrap();
        fs::remove_dir_all(&folder).unwrap();
        assert!(matches!(empty, Err(GuardError::NothingInspected)));
        assert_eq!((report.inspected, report.faults.len()), (1, 3), "{:#?}", report.faults);
    }
}
