//! A session: the machine, the stores, the relational engine and the worker processes that its
//! datasets share.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write as _;
use std::sync::{Arc, OnceLock};

use raceline_connect::Stores;
use raceline_exec::{Machine, MachineOptions, Snapshot, SpillFolder, SpillOptions, SpillStore};
use raceline_plan::{FileScan, Node, Source};
use raceline_relational::{Engine, EngineOptions};
use raceline_types::{Diagnostic, ErrorKind, Failure, Resources};
use raceline_worker::{
    CallerDesk, CallerLoader, GpuLedger, Launcher, LineSink, OwnMemory, declare_gpus, find_gpus,
};

use thiserror::Error;

use crate::batching::BatchSizes;
use crate::dataset::Dataset;
use crate::history::History;
use crate::kept::KeptMemory;
use crate::letters::LetterFolder;
use crate::life::Life;
use crate::memory_limit::memory_total_bytes;
use crate::progress::{ProgressMode, Screen};
use crate::template::LazyTemplate;

/// Memory budget when the memory of the machine cannot be read.
const MEMORY_DEFAULT_BYTES: u64 = 4 << 30;

/// Threads that wait for files, sockets and processes.
const IO_THREADS: usize = 2;

/// What a session has. `None` means what the machine has.
#[derive(Clone)]
pub struct SessionOptions {
    /// Logical CPUs.
    pub cpus: Option<f64>,
    /// Logical GPUs. They can be declared on a machine that has none. Those of the machine are
    /// looked for when they are first asked for.
    pub gpus: Option<f64>,
    /// Memory budget in bytes; default 80 % of the control group's or the machine's.
    pub memory_bytes: Option<u64>,
    /// Named resources.
    pub custom: BTreeMap<String, f64>,
    /// How to start processes for foreign functions; without it they are refused.
    pub launcher: Option<Launcher>,
    /// How to load foreign functions that the thread which waits for a run calls, as those that
    /// are debugged; without it they are refused.
    pub caller: Option<CallerLoader>,
    /// Progress on stderr.
    pub progress: ProgressMode,
    /// Whether rows keep the order of the source.
    pub preserve_order: bool,
    /// Whether foreign functions are compiled where that is provably equivalent.
    pub compile_functions: bool,
    /// Folders for what does not fit into memory; default the system's temporary folder.
    pub spill_folders: Vec<SpillFolder>,
}

/// What a session without a loader for them refuses.
#[derive(Debug, Error)]
#[error("this session cannot call foreign functions in the thread that waits for them")]
struct NoCallerError;

impl Diagnostic for NoCallerError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Plan
    }

    fn hint(&self) -> Option<String> {
        Some("set `SessionOptions::caller`".into())
    }
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self {
            cpus: None,
            gpus: None,
            memory_bytes: None,
            custom: BTreeMap::new(),
            launcher: None,
            caller: None,
            progress: ProgressMode::Off,
            preserve_order: true,
            compile_functions: true,
            spill_folders: Vec::new(),
        }
    }
}

/// A session. Cheap to clone; the last clone to go ends the worker processes and the threads.
///
/// It lives in the process that made it. In a fork of that process it refuses to run anything,
/// and ends nothing.
#[derive(Clone)]
pub struct Session {
    shared: Arc<Shared>,
}

struct Shared {
    life: Arc<Life>,
    /// Private memory of the process before the session.
    base_bytes: u64,
    options: SessionOptions,
    machine: Arc<Machine>,
    stores: Arc<Stores>,
    engine: Arc<Engine>,
    template: Arc<LazyTemplate>,
    screen: Screen,
    gpus: OnceLock<Arc<GpuLedger>>,
    spill: Arc<SpillStore>,
    kept_memory: Arc<KeptMemory>,
    letters: Arc<LetterFolder>,
    batch_sizes: BatchSizes,
    history: History,
}

impl Session {
    /// A session with these resources. Starts threads, no process. What killed sessions left in
    /// the same folders is removed in the background.
    ///
    /// # Errors
    /// An amount that is no amount.
    pub fn new(options: SessionOptions) -> Result<Self, Failure> {
        let resources = total_resources(&options)?;
        let threads = compute_threads(&resources);
        let memory_bytes = resources.memory_bytes;
        let machine = Machine::new(MachineOptions {
            resources,
            queue_bytes: memory_bytes / 4,
            compute_threads: threads,
            io_threads: IO_THREADS,
        })?;
        let spill = SpillStore::new(SpillOptions { folders: options.spill_folders.clone() });
        let engine = Engine::new(EngineOptions {
            memory_bytes: usize::try_from(memory_bytes / 2).unwrap_or(usize::MAX),
            partitions: threads,
            spill: Arc::clone(&spill),
        })?;
        let kept_memory = KeptMemory::new(memory_bytes / 8);
        let (relational, kept) = (Arc::clone(&engine), Arc::clone(&kept_memory));
        machine.measure_elsewhere(move || relational.reserved_bytes() + kept.held_bytes());
        let relational = Arc::clone(&engine);
        machine.measure_debt(move || relational.debt_bytes());
        let stores = Arc::new(Stores::new(machine.io().clone()));
        let screen = Screen::default();
        let launcher = options.launcher.clone().map(|mut launcher| {
            launcher.lines = screen.lines(launcher.lines);
            launcher
        });
        let template = Arc::new(LazyTemplate::new(launcher));
        let gpus = OnceLock::new();
        if options.gpus.is_some() {
            let declared = whole_units(machine.resources().gpu_nanos);
            gpus.get_or_init(|| GpuLedger::new(declare_gpus(declared, visible_gpus().as_deref())));
        }
        let parent = options.spill_folders.first().map(|folder| folder.path.clone());
        let letters = Arc::new(LetterFolder::new(parent.unwrap_or_else(std::env::temp_dir)));
        let left_behind = (Arc::clone(&spill), Arc::clone(&letters));
        drop(machine.io().spawn_blocking(move || {
            left_behind.0.sweep();
            left_behind.1.sweep();
        }));
        let life = Life::new();
        let base_bytes = OwnMemory::open().and_then(|memory| memory.private_bytes());
        let shared = Shared {
            life,
            base_bytes: base_bytes.unwrap_or(0),
            options,
            machine,
            stores,
            engine,
            template,
            screen,
            gpus,
            spill,
            kept_memory,
            letters,
            batch_sizes: BatchSizes::default(),
            history: History::default(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The integers from 0 to `rows`, exclusive, in the int64 column `id`.
    #[must_use]
    pub fn range(&self, rows: u64) -> Dataset {
        Dataset::new(self.clone(), Node::Source(Source::Range { rows }))
    }

    /// A scan of files. Listing starts when the dataset runs.
    #[must_use]
    pub fn read_files(&self, scan: FileScan) -> Dataset {
        Dataset::new(self.clone(), Node::Source(Source::Files(Box::new(scan))))
    }

    /// All logical resources of the session, the machine's GPUs as far as they were looked for.
    #[must_use]
    pub fn resources(&self) -> &Resources {
        self.shared.machine.resources()
    }

    /// Looks for the machine's GPUs, unless that was done or they were declared. Blocks for up
    /// to 20 s.
    ///
    /// # Errors
    /// When the GPUs of the machine cannot be listed.
    pub fn find_gpus(&self) -> Result<(), Failure> {
        if self.shared.gpus.get().is_none() {
            let ids = find_gpus(visible_gpus().as_deref())?;
            self.shared.machine.found_gpus(ids.len());
            self.shared.gpus.get_or_init(|| GpuLedger::new(ids));
        }
        Ok(())
    }

    /// Which worker has which GPU; without any where nobody has looked for them.
    pub(crate) fn gpus(&self) -> Arc<GpuLedger> {
        self.shared.gpus.get().map_or_else(|| GpuLedger::new(Vec::new()), Arc::clone)
    }

    /// Where the rows are kept that functions failed for.
    pub(crate) fn letters(&self) -> &Arc<LetterFolder> {
        &self.shared.letters
    }

    /// Where what does not fit into memory is kept.
    #[must_use]
    pub fn spill(&self) -> &Arc<SpillStore> {
        &self.shared.spill
    }

    /// A desk for a run with functions that the thread which waits for it calls.
    pub(crate) fn caller_desk(&self) -> Result<CallerDesk, Failure> {
        let load = self.shared.options.caller.as_ref().ok_or(NoCallerError)?;
        Ok(CallerDesk::new(Arc::clone(load)))
    }

    /// Ends the session: cancels what runs, ends the worker processes, and refuses to run its
    /// datasets from here on. In a fork of the process that made it, does nothing.
    pub fn close(&self) {
        if self.shared.life.is_elsewhere() {
            return;
        }
        self.shared.life.close();
        self.shared.template.shutdown();
        // Whoever starts a session and ends it has removed what others left, however short it was.
        self.shared.spill.sweep();
        self.shared.spill.close();
        self.shared.letters.remove();
    }

    /// Where and how long it lives.
    pub(crate) fn life(&self) -> &Arc<Life> {
        &self.shared.life
    }

    /// Private memory of the process before the session.
    pub(crate) fn base_bytes(&self) -> u64 {
        self.shared.base_bytes
    }

    /// What the session was made with.
    #[must_use]
    pub fn options(&self) -> &SessionOptions {
        &self.shared.options
    }

    /// Where its runs draw.
    pub(crate) fn screen(&self) -> &Screen {
        &self.shared.screen
    }

    /// Where lines about its runs go.
    pub(crate) fn lines(&self) -> LineSink {
        let screen = &self.shared.screen;
        self.shared.template.lines().unwrap_or_else(|| screen.lines(Arc::new(tell_stderr)))
    }

    pub(crate) fn machine(&self) -> &Arc<Machine> {
        &self.shared.machine
    }

    pub(crate) fn stores(&self) -> &Arc<Stores> {
        &self.shared.stores
    }

    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.shared.engine
    }

    /// Threads that compute.
    pub(crate) fn threads(&self) -> usize {
        self.shared.machine.options().compute_threads
    }

    /// Bytes that a region which gathers its input may hold; the rest it spills.
    pub(crate) fn gathered_bytes_max(&self) -> usize {
        usize::try_from(self.resources().memory_bytes / 8).unwrap_or(usize::MAX)
    }

    /// Memory for datasets that keep their rows.
    pub(crate) fn kept_memory(&self) -> &Arc<KeptMemory> {
        &self.shared.kept_memory
    }

    /// Most bytes that one shuffle may hold.
    pub(crate) fn shuffle_bytes_max(&self) -> usize {
        usize::try_from(self.resources().memory_bytes / 4).unwrap_or(usize::MAX)
    }

    /// Tells the relational engine of every store that paths were resolved to so far.
    pub(crate) fn register_stores(&self) {
        for (url, store) in self.shared.stores.all() {
            self.shared.engine.register_store(&url, store);
        }
    }

    /// Starts what workers are forked from, in the background, and has it load `preloads`, so that
    /// all is there when a run needs it. When that fails, the run says so. A session that cannot
    /// run starts nothing.
    pub fn expect_workers(&self, preloads: Vec<String>) {
        if self.shared.life.check().is_err() {
            return;
        }
        let (life, template) = (Arc::clone(&self.shared.life), Arc::clone(&self.shared.template));
        let start = move || {
            match template.get() {
                Ok(template) if !preloads.is_empty() => template.load(preloads),
                Ok(_) | Err(_) => {}
            }
            if life.check().is_err() {
                template.shutdown();
            }
        };
        drop(self.shared.machine.io().spawn_blocking(start));
    }

    /// What runs did that are over, the latest last: those of datasets that are
    /// [`remembered`](Dataset::remembered), at most 1,000.
    ///
    /// # Errors
    /// In a fork of the process that made the session.
    pub fn ended_runs(&self) -> Result<Vec<Snapshot>, Failure> {
        self.shared.life.check_home()?;
        Ok(self.history().runs())
    }

    pub(crate) fn history(&self) -> &History {
        &self.shared.history
    }

    /// What earlier runs found out about batch sizes.
    pub(crate) fn batch_sizes(&self) -> &BatchSizes {
        &self.shared.batch_sizes
    }

    /// The template process, which is started at first need.
    pub(crate) fn template(&self) -> &Arc<LazyTemplate> {
        &self.shared.template
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.shared.life.is_elsewhere() {
            // Nobody in a fork could wait for its threads, and its processes are another's.
            std::mem::forget(Arc::clone(&self.shared));
        }
    }
}

impl fmt::Debug for SessionOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            cpus,
            gpus,
            memory_bytes,
            custom,
            launcher,
            caller: _,
            progress,
            preserve_order,
            compile_functions,
            spill_folders,
        } = self;
        f.debug_struct("SessionOptions")
            .field("cpus", cpus)
            .field("gpus", gpus)
            .field("memory_bytes", memory_bytes)
            .field("custom", custom)
            .field("launcher", launcher)
            .field("progress", progress)
            .field("preserve_order", preserve_order)
            .field("compile_functions", compile_functions)
            .field("spill_folders", spill_folders)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session({})", self.resources())
    }
}

fn tell_stderr(line: &str) {
    // Where stderr is closed there is nobody to tell.
    drop(writeln!(std::io::stderr(), "{line}"));
}

/// The GPUs that this process may use, as CUDA is told.
fn visible_gpus() -> Option<String> {
    std::env::var("CUDA_VISIBLE_DEVICES").ok()
}

/// CPUs that this process may use.
fn cpus_available() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// A thread for each logical CPU, as far as there are CPUs.
fn compute_threads(resources: &Resources) -> usize {
    whole_units(resources.cpu_nanos).clamp(1, cpus_available())
}

#[expect(clippy::cast_precision_loss, reason = "a number of threads is small")]
fn total_resources(options: &SessionOptions) -> Result<Resources, Failure> {
    let memory_bytes = options
        .memory_bytes
        .unwrap_or_else(|| memory_total_bytes().map_or(MEMORY_DEFAULT_BYTES, |all| all / 5 * 4));
    let cpus = options.cpus.unwrap_or(cpus_available() as f64);
    let mut total = Resources::new(cpus, options.gpus.unwrap_or(0.0), memory_bytes)?;
    for (name, &amount) in &options.custom {
        let nanos = Resources::new(amount, 0.0, 0)?.cpu_nanos;
        total.custom_nanos.insert(name.clone(), nanos);
    }
    Ok(total)
}

/// Units of which a whole one exists; a fraction of a device has its number too.
fn whole_units(nanos: u64) -> usize {
    usize::try_from(nanos.div_ceil(raceline_types::NANOS_PER_UNIT)).unwrap_or(usize::MAX)
}
