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

/// Longest time between two looks.
const LOOK_MOST: Duration = Duration::from_secs(2);

/// Part of the time that giving back may take.
const TIME_SHARE: u32 = 50;

/// Part of the budget from which on the process is looked through.
const BUDGET_SHARE: u64 = 2;

/// Part of the memory that must have been free for it to be worth looking through again soon.
const WORTH_SHARE: u64 = 16;

/// Has the memory of one run given back, until it is dropped.
#[derive(Debug)]
pub(crate) struct HeapWatch {
    task: Option<JoinHandle<()>>,
}

impl HeapWatch {
    /// Watches from `io` a run with a budget of `memory_bytes` beside the `base_bytes` that the
    /// process had before.
    pub(crate) fn start(io: &Handle, memory_bytes: u64, base_bytes: u64) -> Self {
        let most_bytes = base_bytes.saturating_add(memory_bytes / BUDGET_SHARE);
        let watch = |memory| io.spawn(watch(memory, most_bytes));
        Self { task: OwnMemory::open().map(watch) }
    }
}

impl Drop for HeapWatch {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

async fn watch(mut memory: OwnMemory, most_bytes: u64) {
    let mut pause = LOOK;
    loop {
        tokio::time::sleep(pause).await;
        let Some(before_bytes) = memory.private_bytes() else { return };
        if before_bytes <= most_bytes {
            pause = LOOK;
            continue;
        }
        let began = Instant::now();
        let released = spawn_blocking(move || {
            memory.release_free();
            memory
        });
        let Ok(same) = released.await else { return };
        memory = same;
        let after_bytes = memory.private_bytes().unwrap_or(before_bytes);
        let freed_bytes = before_bytes.saturating_sub(after_bytes);
        pause = next_pause(pause, began.elapsed(), freed_bytes >= before_bytes / WORTH_SHARE);
    }
}

/// The time to the next look after one that took `cost`.
fn next_pause(last: Duration, cost: Duration, was_worth_it: bool) -> Duration {
    let paid_off = (cost * TIME_SHARE).max(LOOK);
    let next = if was_worth_it { paid_off } else { paid_off.max(last * 2) };
    next.min(LOOK_MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_are_the_rarer_the_longer_they_take_and_the_less_they_find() {
        let ms = Duration::from_millis;
        assert_eq!(next_pause(ms(50), ms(0), true), ms(50));
        assert_eq!(next_pause(ms(50), ms(4), true), ms(200));
        assert_eq!(next_pause(ms(400), ms(4), false), ms(800));
        assert_eq!(next_pause(ms(1600), ms(4), false), LOOK_MOST);
        assert_eq!(next_pause(ms(1600), ms(4), true), ms(200));
    }
}
