//! Rows on disk: what is read back, where it goes, and what is left.

mod tables;

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use arrow::compute::{concat_batches, filter_record_batch};
use arrow::record_batch::RecordBatch;
use proptest::prelude::*;
use raceline_exec::{
    Exchange, ExchangePartition, SpillFile, SpillFolder, SpillOptions, SpillStore,
};
use raceline_types::{ErrorKind, Failure, batch_sliced_bytes};
use tempfile::TempDir;

use super::fixtures::ids;
use tables::{Random, random_schema, random_table};

fn store_in(folders: &[(&Path, Option<u64>)]) -> Arc<SpillStore> {
    let folder = |&(path, bytes_max): &(&Path, _)| SpillFolder { path: path.to_owned(), bytes_max };
    SpillStore::new(SpillOptions { folders: folders.iter().map(folder).collect() })
}

/// All files below `folder`.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found
}

fn spill_files(folder: &Path) -> Vec<PathBuf> {
    let all = files(folder).into_iter();
    all.filter(|file| file.extension().is_some_and(|extension| extension == "spill")).collect()
}

fn written(store: &Arc<SpillStore>, batches: &[RecordBatch]) -> Result<SpillFile, Failure> {
    let mut writer = store.create("Test", &batches[0].schema());
    for batch in batches {
        writer.write(batch)?;
    }
    writer.finish()
}

fn read(file: &SpillFile) -> Result<Vec<RecordBatch>, Failure> {
    file.read()?.collect()
}

fn whole(batches: &[RecordBatch]) -> RecordBatch {
    concat_batches(&batches[0].schema(), batches).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn what_was_written_is_read_back(seed in any::<u64>()) {
        let mut random = Random::new(seed);
        let schema = random_schema(&mut random);
        let batches: Vec<_> =
            (0..=random.below(5)).map(|_| random_table(&mut random, &schema)).collect();
        let folder = TempDir::new().unwrap();
        let store = store_in(&[(folder.path(), None)]);
        let file = written(&store, &batches).unwrap();
        let back = read(&file).unwrap();
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        prop_assert_eq!(file.rows(), rows as u64);
        if rows > 0 {
            prop_assert_eq!(whole(&back), whole(&batches));
            prop_assert!(back.iter().all(|batch| batch.schema() == schema));
        } else {
            prop_assert!(back.is_empty());
        }
        prop_assert_eq!(store.used_bytes(), file.disk_bytes());
        drop(file);
        prop_assert_eq!(store.used_bytes(), 0);
        prop_assert!(spill_files(folder.path()).is_empty());
        drop(store);
        prop_assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn an_exchange_gives_each_partition_its_rows_in_order(seed in any::<u64>()) {
        let mut random = Random::new(seed);
        let schema = random_schema(&mut random);
        let partitions = [1, 2, 7, 100][random.below(4)];
        let memory_bytes = [0, 500, 5_000, 1 << 20][random.below(4)];
        let folder = TempDir::new().unwrap();
        let store = store_in(&[(folder.path(), None)]);
        let mut exchange = Exchange::new(&store, "Test", &schema, partitions, memory_bytes);
        let mut expected: Vec<Vec<RecordBatch>> = vec![Vec::new(); partitions];
        for _ in 0..random.below(20) {
            let batch = random_table(&mut random, &schema);
            let skewed = random.below(2) == 0;
            let choose = |_| u32::try_from(random.below(if skewed { 1 } else { partitions })).unwrap();
            let chosen: Vec<u32> = (0..batch.num_rows()).map(choose).collect();
            exchange.push(&batch, &chosen).unwrap();
            prop_assert!(exchange.held_bytes() <= memory_bytes + batch_sliced_bytes(&batch));
            for (partition, expected) in expected.iter_mut().enumerate() {
                let mine = chosen.iter().map(|&one| Some(one as usize == partition)).collect();
                expected.push(filter_record_batch(&batch, &mine).unwrap());
            }
        }
        let found = exchange.finish().unwrap();
        prop_assert_eq!(found.len(), partitions);
        let held: usize = found.iter().map(ExchangePartition::held_bytes).sum();
        prop_assert!(held <= memory_bytes);
        for (partition, expected) in found.into_iter().zip(&expected) {
            let rows = expected.iter().map(|batch| batch.num_rows() as u64).sum::<u64>();
            prop_assert_eq!(partition.rows(), rows);
            let batches: Vec<_> = partition.batches().collect::<Result<_, _>>().unwrap();
            if rows > 0 {
                prop_assert_eq!(whole(&batches), whole(expected));
            } else {
                prop_assert!(batches.is_empty());
            }
        }
        prop_assert_eq!(store.used_bytes(), 0);
        prop_assert!(spill_files(folder.path()).is_empty());
    }
}

#[test]
fn nothing_is_on_disk_before_it_is_needed() {
    let folder = TempDir::new().unwrap();
    let store = store_in(&[(folder.path(), None)]);
    let mut writer = store.create("Test", &ids(0, 1).schema());
    writer.write(&ids(0, 0)).unwrap();
    let file = writer.finish().unwrap();
    assert!(read(&file).unwrap().is_empty());
    let mut exchange = Exchange::new(&store, "Test", &ids(0, 1).schema(), 4, 1 << 20);
    exchange.push(&ids(0, 4), &[0, 1, 2, 3]).unwrap();
    assert_eq!(exchange.finish().unwrap().len(), 4);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn an_exchange_writes_large_blocks_to_few_files_and_keeps_partitions_whole() {
    let folder = TempDir::new().unwrap();
    let store = store_in(&[(folder.path(), None)]);
    let (partitions, memory_bytes) = (2048, 8 << 20);
    let mut exchange = Exchange::new(&store, "Test", &ids(0, 1).schema(), partitions, memory_bytes);
    let mut handles_max = 0;
    for batch in 0..64 {
        let rows = 65_536;
        let ids = ids(batch * rows, rows);
        let spread = |id: i64| {
            (id.wrapping_mul(0x9E37_79B9_7F4A_7C15_u64.cast_signed()) >> 20).rem_euclid(2048)
        };
        let chosen: Vec<u32> = (batch * rows..(batch + 1) * rows)
            .map(|id| u32::try_from(spread(id)).unwrap())
            .collect();
        exchange.push(&ids, &chosen).unwrap();
        handles_max = handles_max.max(fs::read_dir("/proc/self/fd").map_or(0, Iterator::count));
    }
    assert!(exchange.disk_bytes() > 0);
    assert!(spill_files(folder.path()).len() <= 32);
    assert!(handles_max < 200, "{handles_max} handles");
    let found = exchange.finish().unwrap();
    let rows: u64 = found.iter().map(ExchangePartition::rows).sum();
    assert_eq!(rows, 64 * 65_536);
    let memory: u64 = found.iter().map(ExchangePartition::memory_bytes).sum();
    assert_eq!(memory, 64 * 65_536 * 8);
    // Files go as their partitions are read.
    let before = store.used_bytes();
    let mut found = found.into_iter();
    for partition in found.by_ref().take(partitions / 2) {
        partition.batches().for_each(|batch| drop(batch.unwrap()));
    }
    assert!(store.used_bytes() < before * 6 / 10);
    drop(found);
    assert_eq!(store.used_bytes(), 0);
}

#[test]
fn a_large_batch_is_read_in_small_ones_and_shrinks_on_disk() {
    let folder = TempDir::new().unwrap();
    let store = store_in(&[(folder.path(), None)]);
    let large = ids(0, 4 << 20);
    let file = written(&store, std::slice::from_ref(&large)).unwrap();
    let back = read(&file).unwrap();
    assert!(back.len() >= 8 && back.iter().all(|batch| batch_sliced_bytes(batch) <= 4 << 20));
    assert_eq!(whole(&back), large);
    assert_eq!(file.memory_bytes(), 32 << 20);
    assert!(file.disk_bytes() < file.memory_bytes());
}

#[test]
fn what_does_not_shrink_is_written_as_it_is_until_it_does() {
    let folder = TempDir::new().unwrap();
    let store = store_in(&[(folder.path(), None)]);
    let random = (0..20).map(|seed| Random::new(seed).numbers(10_000));
    let alike = whole(&vec![Random::new(0).numbers(1); 10_000]);
    let batches: Vec<_> = random.chain(std::iter::repeat_n(alike, 20)).collect();
    let file = written(&store, &batches).unwrap();
    assert_eq!(whole(&read(&file).unwrap()), whole(&batches));
    // All that is random, and up to 15 blocks that could have shrunk.
    let block = 80_000;
    assert!(file.disk_bytes() < (20 + 15 + 1) * block, "{}", file.disk_bytes());
    assert!(file.disk_bytes() > 20 * block);
}

#[test]
fn files_go_to_the_folder_with_most_room_and_on_when_it_is_full() {
    let (small, large) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let store = store_in(&[(small.path(), Some(40_000)), (large.path(), Some(100_000))]);
    let batches: Vec<_> = (0..8).map(|seed| Random::new(seed).numbers(2_000)).collect();
    let file = written(&store, &batches).unwrap();
    assert!(!spill_files(large.path()).is_empty() && !spill_files(small.path()).is_empty());
    assert_eq!(whole(&read(&file).unwrap()), whole(&batches));
    // There is no room for as much again.
    let failure = written(&store, &batches).unwrap_err();
    assert_eq!(failure.kind(), ErrorKind::Resource);
    let text = failure.render();
    assert!(text.starts_with("no spill folder takes 16"), "{text}");
    let used =
        |folder: &Path| spill_files(folder).iter().map(|f| f.metadata().unwrap().len()).sum();
    let (used_small, used_large): (u64, u64) = (used(small.path()), used(large.path()));
    assert_eq!(used_small + used_large, store.used_bytes(), "what failed takes no room");
    assert!(text.contains(&format!("`{}`: ", small.path().display())), "{text}");
    assert!(text.contains(" of its 100000 bytes are used\n"), "{text}");
    drop(file);
    written(&store, &batches).unwrap();
}

#[test]
fn folders_that_cannot_be_written_to_are_passed_over_while_another_works() {
    let good = TempDir::new().unwrap();
    let file = good.path().join("file");
    fs::write(&file, "no folder").unwrap();
    let below_a_file = file.join("folder");
    let store = store_in(&[(&below_a_file, None), (good.path(), Some(1 << 20))]);
    let spilled = written(&store, &[ids(0, 100)]).unwrap();
    assert_eq!(whole(&read(&spilled).unwrap()), ids(0, 100));

    let store = store_in(&[(&below_a_file, None)]);
    let text = written(&store, &[ids(0, 100)]).unwrap_err().render();
    assert!(
        text.contains(&format!("folder `{}`: Not a directory", below_a_file.display())),
        "{text}"
    );
}

#[test]
fn a_folder_that_vanishes_is_passed_over_and_not_made_again() {
    let (parent, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let gone = parent.path().join("gone");
    let store = store_in(&[(&gone, None), (other.path(), Some(1 << 20))]);
    let first = written(&store, &[ids(0, 100)]).unwrap();
    assert_eq!(spill_files(&gone).len(), 1);
    fs::remove_dir_all(&gone).unwrap();
    let second = written(&store, &[ids(0, 50)]).unwrap();
    assert_eq!(whole(&read(&second).unwrap()), ids(0, 50));
    assert!(!gone.exists());
    let text = read(&first).unwrap_err().render();
    assert!(text.starts_with(&format!("spilled data in `{}", gone.display())), "{text}");
    assert!(text.contains(".spill` is gone\n  stage: Test\n"), "{text}");

    drop(second);
    let store = store_in(&[(&gone, None)]);
    drop(written(&store, &[ids(0, 100)]).unwrap());
    fs::remove_dir_all(&gone).unwrap();
    let text = written(&store, &[ids(0, 100)]).unwrap_err().render();
    let line = format!("folder `{}`: it was removed while it was in use\n", gone.display());
    assert!(text.contains(&line), "{text}");
}

#[test]
fn a_disk_that_returns_other_bytes_is_found_out() {
    let folder = TempDir::new().unwrap();
    let store = store_in(&[(folder.path(), None)]);
    let batches: Vec<_> = (0..3).map(|seed| Random::new(seed).numbers(10_000)).collect();
    let file = written(&store, &batches).unwrap();
    let path = &spill_files(folder.path())[0];
    let length = fs::metadata(path).unwrap().len();
    for at in [0, length / 2, length - 1] {
        let mut bytes = fs::read(path).unwrap();
        let at = usize::try_from(at).unwrap();
        bytes[at] ^= 1;
        let mut writer = fs::OpenOptions::new().write(true).open(path).unwrap();
        writer.seek(SeekFrom::Start(0)).unwrap();
        writer.write_all(&bytes).unwrap();
        let failure = read(&file).unwrap_err();
        assert_eq!(failure.kind(), ErrorKind::Source);
        let text = failure.render();
        assert!(text.contains(&format!("`{}` is damaged at offset ", path.display())), "{text}");
        assert!(text.contains("the disk returned other bytes than were written"), "{text}");
        bytes[at] ^= 1;
        writer.seek(SeekFrom::Start(0)).unwrap();
        writer.write_all(&bytes).unwrap();
        assert_eq!(whole(&read(&file).unwrap()), whole(&batches));
    }
    fs::OpenOptions::new().write(true).open(path).unwrap().set_len(length - 1).unwrap();
    assert!(read(&file).unwrap_err().render().contains("is damaged at offset "));
}

#[test]
fn a_store_that_is_closed_has_removed_all_and_takes_no_more() {
    let folder = TempDir::new().unwrap();
    let store = store_in(&[(folder.path(), None)]);
    let file = written(&store, &[ids(0, 100)]).unwrap();
    store.close();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    let text = written(&store, &[ids(0, 100)]).unwrap_err().to_string();
    assert_eq!(text, "the session has ended, and its spill folders with it");
    drop(file);
}

const TARGET: &str = "RACELINE_SPILL_TARGET";

/// Run by the test below in a process of its own.
#[test]
#[ignore = "is the child of another test"]
fn child_that_spills() {
    let target = PathBuf::from(std::env::var(TARGET).unwrap());
    let store = store_in(&[(&target, None)]);
    let mut exchange = Exchange::new(&store, "Test", &ids(0, 1).schema(), 8, 1 << 10);
    for batch in 0.. {
        let ids = ids(batch * 1000, 1000);
        let chosen: Vec<u32> = (0..1000).map(|row| row % 8).collect();
        exchange.push(&ids, &chosen).unwrap();
    }
}

#[test]
fn what_a_killed_process_spilled_is_removed_at_the_next_start() {
    let folder = TempDir::new().unwrap();
    for round in 0..6 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "spilling::child_that_spills", "--ignored"])
            .env(TARGET, folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        for _ in 0..5000 {
            if !spill_files(folder.path()).is_empty() || child.try_wait().unwrap().is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_micros(700 * round));
        assert!(!spill_files(folder.path()).is_empty());
        // One that lives is left alone.
        store_in(&[(folder.path(), None)]).sweep();
        assert!(!spill_files(folder.path()).is_empty());
        child.kill().unwrap();
        child.wait().unwrap();
        store_in(&[(folder.path(), None)]).sweep();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "in round {round}");
    }
}
