//! Memory that is free and that the process has all the same.
//!
//! The accounts tell what is in use. An allocator keeps more: what was freed in pieces between what
//! is in use, as while sorted runs are merged, which came to four times as much. So a run that is
//! short of memory has it given back.

use std::time::{Duration, Instant};

use raceline_worker::OwnMemory;
use tokio::runtime::Handle;
use tokio::task::{JoinHandle, spawn_blocking};

/// Time between two looks, and before the first.
const LOOK: Duration = Duration::from_millis(50);

/// Part of the time that giving back takes at most.
const TIME_SHARE: u32 = 10;

/// Part of the budget from which on memory is given back.
const BUDGET_SHARE: u64 = 2;

/// Part of the budget by which the process grows before it is looked through again.
const GROWTH_SHARE: u64 = 16;

/// Has the memory of one run given back, until it is dropped.
#[derive(Debug)]
pub(crate) struct HeapWatch {
    task: Option<JoinHandle<()>>,
}

impl HeapWatch {
    /// Watches from `io` a run with a budget of `memory_bytes` beside the `base_bytes` that the
    /// process had before.
    pub(crate) fn start(io: &Handle, memory_bytes: u64, base_bytes: u64) -> Self {
        let limits = Limits {
            most_bytes: base_bytes.saturating_add(memory_bytes / BUDGET_SHARE),
            growth_bytes: memory_bytes / GROWTH_SHARE,
        };
        Self { task: OwnMemory::open().map(|memory| io.spawn(watch(memory, limits))) }
    }
}

impl Drop for HeapWatch {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// What a process may have that is looked at.
struct Limits {
    most_bytes: u64,
    growth_bytes: u64,
}

impl Limits {
    /// Whether one that has `now_bytes`, and had `last_bytes` when all that was free had gone back,
    /// is to give back.
    fn are_passed(&self, now_bytes: u64, last_bytes: u64) -> bool {
        now_bytes > self.most_bytes && now_bytes >= last_bytes.saturating_add(self.growth_bytes)
    }
}

async fn watch(mut memory: OwnMemory, limits: Limits) {
    let (mut pause, mut last_bytes) = (LOOK, 0);
    loop {
        tokio::time::sleep(pause).await;
        pause = LOOK;
        let Some(now_bytes) = memory.private_bytes() else { return };
        last_bytes = last_bytes.min(now_bytes);
        if !limits.are_passed(now_bytes, last_bytes) {
            continue;
        }
        let began = Instant::now();
        let released = spawn_blocking(move || {
            memory.release_free();
            memory
        });
        let Ok(same) = released.await else { return };
        memory = same;
        pause = (began.elapsed() * TIME_SHARE).max(LOOK);
        last_bytes = memory.private_bytes().unwrap_or(now_bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_little_or_no_more_than_before_stays() {
        let limits = Limits { most_bytes: 500, growth_bytes: 60 };
        assert!(!limits.are_passed(500, 0));
        assert!(limits.are_passed(501, 0));
        assert!(!limits.are_passed(559, 500));
        assert!(limits.are_passed(560, 500));
    }
}
