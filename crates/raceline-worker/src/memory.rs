//! What worker processes hold, seen from the engine, and how they are told to let go of it.
//!
//! What counts is a worker's anonymous memory; of pages that it still shares with the template
//! that it was forked from, its share. Shared memory is the engine's to count. Processes that a
//! function starts count with their worker, from half a second after their start. Where `/proc`
//! does not tell, nothing is measured.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use raceline_exec::{Relief, WorkerMemory};

use crate::process::page_bytes;
use crate::template::Killer;

/// How often is looked for new processes of a worker, which takes some 0.1 ms.
const LOOK: Duration = Duration::from_millis(500);

/// A larger process is not looked through for what it shares, which takes 1 ms for each 20 MiB:
/// what the template has is little beside it.
const LOOKED_THROUGH_BYTES: u64 = 64 << 20;

/// Stands for no rows at all.
const NO_ROWS: usize = usize::MAX;

/// The workers of a pool that live or start.
#[derive(Debug, Default)]
pub(crate) struct Gauges {
    all: Mutex<Vec<Weak<Gauge>>>,
}

/// What is known of one worker process.
#[derive(Debug)]
pub(crate) struct Gauge {
    worker: Option<usize>,
    killer: Killer,
    meter: Mutex<Option<Meter>>,
    bytes: AtomicU64,
    finished: AtomicU64,
    rows: AtomicUsize,
    relief: Mutex<Option<Relief>>,
}

impl Gauges {
    /// The gauge of a process, of worker `worker` where the graph has started it; it is known for
    /// as long as somebody holds it.
    pub(crate) fn add(&self, worker: Option<usize>, killer: Killer) -> Arc<Gauge> {
        let gauge = Arc::new(Gauge {
            worker,
            meter: Mutex::new(Meter::new(killer.pid())),
            killer,
            bytes: AtomicU64::new(0),
            finished: AtomicU64::new(0),
            rows: AtomicUsize::new(NO_ROWS),
            relief: Mutex::new(None),
        });
        let mut all = self.all();
        all.retain(|known| known.strong_count() > 0);
        all.push(Arc::downgrade(&gauge));
        gauge
    }

    /// Measures all of them.
    pub(crate) fn measure(&self) -> Vec<WorkerMemory> {
        let gauges: Vec<_> = self.all().iter().filter_map(Weak::upgrade).collect();
        gauges.iter().filter_map(|gauge| gauge.measure()).collect()
    }

    /// That of worker `worker`, if it still is `process`.
    pub(crate) fn of(&self, worker: usize, process: u32) -> Option<Arc<Gauge>> {
        let is_meant =
            |gauge: &Arc<Gauge>| gauge.worker == Some(worker) && gauge.killer.pid() == process;
        self.all().iter().filter_map(Weak::upgrade).find(is_meant)
    }

    fn all(&self) -> MutexGuard<'_, Vec<Weak<Gauge>>> {
        locked(&self.all)
    }
}

impl Gauge {
    /// The worker is at a batch of so many rows.
    pub(crate) fn begin(&self, rows: usize) {
        self.rows.store(rows, Ordering::Relaxed);
    }

    /// The worker is done with it.
    pub(crate) fn end(&self) {
        self.rows.store(NO_ROWS, Ordering::Relaxed);
        self.finished.fetch_add(1, Ordering::Relaxed);
    }

    /// What it held when it was last measured; `None` before that.
    pub(crate) fn last_bytes(&self) -> Option<u64> {
        Some(self.bytes.load(Ordering::Relaxed)).filter(|&bytes| bytes > 0)
    }

    /// Ends the process, to have its memory back.
    pub(crate) fn relieve(&self, relief: Relief) {
        *locked(&self.relief) = Some(relief);
        self.killer.kill();
    }

    /// Why it was ended, if it was for its memory.
    pub(crate) fn relief(&self) -> Option<Relief> {
        *locked(&self.relief)
    }

    fn measure(&self) -> Option<WorkerMemory> {
        let bytes = locked(&self.meter).as_mut()?.measure(Instant::now())?;
        self.bytes.store(bytes, Ordering::Relaxed);
        Some(WorkerMemory {
            worker: self.worker,
            process: self.killer.pid(),
            bytes,
            finished: self.finished.load(Ordering::Relaxed),
            rows: Some(self.rows.load(Ordering::Relaxed)).filter(|&rows| rows != NO_ROWS),
        })
    }
}

/// Measures one process with those that it started.
#[derive(Debug)]
struct Meter {
    pid: u32,
    /// Read again and again: it stays that of this process, whoever gets its number.
    statm: File,
    /// Of its anonymous pages, the share of others.
    others_bytes: u64,
    looked: Option<Instant>,
    looks: u32,
    children: Vec<Self>,
}

impl Meter {
    fn new(pid: u32) -> Option<Self> {
        let statm = File::open(format!("/proc/{pid}/statm")).ok()?;
        let children = Vec::new();
        Some(Self { pid, statm, others_bytes: 0, looked: None, looks: 0, children })
    }

    /// Its private bytes; `None` when it is gone.
    fn measure(&mut self, now: Instant) -> Option<u64> {
        let anonymous = anonymous_bytes(&self.statm)?;
        if self.looked.is_none_or(|looked| now.duration_since(looked) >= LOOK) {
            self.look(anonymous);
            self.looked = Some(now);
        }
        let mut bytes = anonymous.saturating_sub(self.others_bytes);
        self.children.retain_mut(|child| {
            let measured = child.measure(now);
            bytes += measured.unwrap_or(0);
            measured.is_some()
        });
        Some(bytes)
    }

    /// Finds out what it shares and what it started.
    fn look(&mut self, anonymous: u64) {
        self.looks += 1;
        // A process that was just found may be a fork that shares all that it has. Later, ever
        // less changes.
        let is_small = anonymous < LOOKED_THROUGH_BYTES && self.looks.is_power_of_two();
        if is_small || self.looks == 1 {
            let own = proportional_bytes(self.pid).unwrap_or(anonymous);
            self.others_bytes = anonymous.saturating_sub(own);
        }
        for pid in children(self.pid) {
            if self.children.iter().all(|child| child.pid != pid) {
                self.children.extend(Self::new(pid));
            }
        }
    }
}

/// Anonymous bytes of the process of a `statm`. `None` when it is gone: until somebody waits for it,
/// it is told to have no pages at all.
pub(crate) fn anonymous_bytes(statm: &File) -> Option<u64> {
    let mut text = [0; 128];
    let length = statm.read_at(&mut text, 0).ok()?;
    let mut pages = std::str::from_utf8(&text[..length]).ok()?.split_ascii_whitespace().skip(1);
    let (resident, shared): (u64, u64) = (pages.next()?.parse().ok()?, pages.next()?.parse().ok()?);
    (resident > 0).then(|| resident.saturating_sub(shared) * page_bytes())
}

/// Anonymous bytes of a process, each page divided by the processes that share it.
fn proportional_bytes(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss_Anon:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes << 10)
}

/// Processes that a process started, from any of its threads.
fn children(pid: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists =
        threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_whitespace().map(str::parse).collect::<Vec<_>>())
        .filter_map(Result::ok)
        .collect()
}

/// The number of bytes for a person.
pub(crate) fn mebibytes(bytes: u64) -> String {
    const TENTHS: u64 = (1 << 20) / 10;
    let tenths = bytes / TENTHS;
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn what_a_process_takes_is_seen_and_shared_memory_is_not() {
        let script = "import mmap
shared = mmap.mmap(-1, 64 << 20)
for page in range(0, 64 << 20, 4096): shared[page] = 1
print(1, flush=True); input()
taken = bytearray(64 << 20)
print(2, flush=True); input()";
        let mut child = Command::new("python3")
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut meter = Meter::new(child.id()).unwrap();
        assert_eq!(said.next().unwrap().unwrap(), "1");
        let with_shared = meter.measure(Instant::now()).unwrap();
        assert!((100 << 10..48 << 20).contains(&with_shared), "{with_shared}");
        writeln!(child.stdin.as_ref().unwrap()).unwrap();
        assert_eq!(said.next().unwrap().unwrap(), "2");
        let with_taken = meter.measure(Instant::now()).unwrap();
        assert!(with_taken > with_shared + (60 << 20), "{with_shared} {with_taken}");
        drop(child.stdin.take());
        child.wait().unwrap();
    }

    #[test]
    fn what_it_starts_counts_and_the_dead_do_not() {
        let script = "x = bytearray(50 << 20); print(1, flush=True); input()";
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("python3 -c '{script}'; true")]);
        let mut child = shell.stdin(Stdio::piped()).spawn().unwrap();
        let mut meter = Meter::new(child.id()).unwrap();
        let start = Instant::now();
        while meter.measure(Instant::now()).unwrap() < 50 << 20 {
            assert!(start.elapsed() < Duration::from_secs(10), "the grandchild is not seen");
            std::thread::sleep(Duration::from_millis(20));
        }
        drop(child.stdin.take());
        child.wait().unwrap();
        assert_eq!(meter.measure(Instant::now()), None);
    }

    #[test]
    fn one_that_ended_and_was_not_waited_for_tells_nothing() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let mut meter = Meter::new(child.id()).unwrap();
        assert!(meter.measure(Instant::now()).is_some());
        child.kill().unwrap();
        let start = Instant::now();
        while meter.measure(Instant::now()).is_some() {
            assert!(start.elapsed() < Duration::from_secs(10), "what is gone holds memory");
            std::thread::sleep(Duration::from_millis(5));
        }
        child.wait().unwrap();
    }

    #[test]
    fn bytes_are_rounded_down_to_a_tenth() {
        assert_eq!(mebibytes((3 << 20) + (1 << 19)), "3.5 MiB");
        assert_eq!(mebibytes(0), "0.0 MiB");
    }
}
