//! A writer that is killed leaves all of its files or none.

use std::process::{Command, Stdio};
use std::time::Duration;

use raceline_plan::{SaveMode, WriteFormat, WriteSpec};

use super::fixture::{Place, table};

const TARGET: &str = "RACELINE_KILLED_TARGET";
const FILES: usize = 300;

/// Run by the test below in a process of its own.
#[tokio::test]
#[ignore = "is the child of another test"]
async fn child_that_writes() {
    let place = Place::local();
    let mut spec = place.spec("", WriteFormat::Csv);
    spec.path = std::env::var(TARGET).unwrap();
    spec.rows_per_file_max = Some(1);
    let batches = vec![Ok(table(0, i64::try_from(FILES).unwrap()))];
    place.write_somewhere(spec, batches).await.unwrap();
}

fn visible(folder: &std::path::Path) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    entries.filter(|entry| entry.as_ref().unwrap().path().extension().is_some()).count()
}

#[tokio::test]
async fn after_a_kill_the_next_write_leaves_all_files_or_none() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::local();
    let mut outcomes = std::collections::BTreeSet::new();
    for round in 0..12 {
        let target = folder.path().join(format!("out{round}"));
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "killed::child_that_writes", "--ignored"])
            .env(TARGET, &target)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Wait for the first file to be staged, then for a while that differs.
        for _ in 0..2000 {
            if target.exists() || child.try_wait().unwrap().is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_micros(1500 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        let spec = WriteSpec {
            path: target.to_str().unwrap().to_owned(),
            mode: SaveMode::Append,
            ..place.spec("", WriteFormat::Csv)
        };
        place.write_somewhere(spec, Vec::new()).await.unwrap();
        let files = visible(&target);
        assert!(files == 0 || files == FILES, "{files} of {FILES} files in round {round}");
        let hidden = std::fs::read_dir(&target).into_iter().flatten();
        assert_eq!(hidden.count(), files, "something staged was left in round {round}");
        outcomes.insert(files);
    }
    assert!(!outcomes.is_empty());
}
