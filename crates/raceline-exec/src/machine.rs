//! The machine: threads, logical resources and memory, shared by executions.

use std::fmt;
use std::sync::{Arc, OnceLock};

use raceline_types::{Failure, NANOS_PER_UNIT, Resources};
use tokio::runtime::{Builder, Handle, Runtime};

use crate::error::ExecError;
use crate::sharing::{Share, Sharing};

/// Stack of each thread, in bytes. A plan is planned by recursion, and loops of programs make plans
/// of thousands of nodes. Only what is used of it takes memory.
const STACK_BYTES: usize = 64 << 20;

/// What a machine has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineOptions {
    /// All logical resources. Work beyond them waits; a request beyond them is refused.
    pub resources: Resources,
    /// Bytes that the queues of all executions may hold together; those that run at the same
    /// time have equal parts, unless they say otherwise.
    pub queue_bytes: u64,
    /// Threads that compute; at least 1.
    pub compute_threads: usize,
    /// Threads that wait for files, sockets and processes; at least 1.
    pub io_threads: usize,
}

/// Two runtimes and the totals that executions share.
///
/// Each execution is scheduled against all of the resources, apart from memory.
#[derive(Debug)]
pub struct Machine {
    options: MachineOptions,
    /// What it turned out to have, where that was not known at first.
    found: OnceLock<Resources>,
    elsewhere: OnceLock<Meter>,
    debt: OnceLock<Meter>,
    sharing: Arc<Sharing>,
    io: OwnedRuntime,
    compute: OwnedRuntime,
}

impl Machine {
    /// Starts the threads.
    ///
    /// # Errors
    /// [`ExecError::Runtime`] when the system refuses threads.
    pub fn new(mut options: MachineOptions) -> Result<Arc<Self>, Failure> {
        options.compute_threads = options.compute_threads.max(1);
        options.io_threads = options.io_threads.max(1);
        let io = OwnedRuntime::start("raceline-io", options.io_threads)?;
        let compute = OwnedRuntime::start("raceline-compute", options.compute_threads)?;
        Ok(Arc::new(Self {
            options,
            found: OnceLock::new(),
            elsewhere: OnceLock::new(),
            debt: OnceLock::new(),
            sharing: Arc::default(),
            io,
            compute,
        }))
    }

    /// Where files, sockets and processes are waited for.
    #[must_use]
    pub fn io(&self) -> &Handle {
        self.io.handle()
    }

    /// Where batches are worked on.
    #[must_use]
    pub fn compute(&self) -> &Handle {
        self.compute.handle()
    }

    /// All logical resources.
    #[must_use]
    pub fn resources(&self) -> &Resources {
        self.found.get().unwrap_or(&self.options.resources)
    }

    /// Tells how many GPUs there are. What was told first stays.
    pub fn found_gpus(&self, count: usize) {
        let gpu_nanos = (count as u64).saturating_mul(NANOS_PER_UNIT);
        self.found.get_or_init(|| Resources { gpu_nanos, ..self.options.resources.clone() });
    }

    /// Has `bytes` tell what is held that neither queues nor workers know of, as by regions. What
    /// was said first stays.
    pub fn measure_elsewhere(&self, bytes: impl Fn() -> u64 + Send + Sync + 'static) {
        self.elsewhere.get_or_init(|| Meter(Box::new(bytes)));
    }

    /// Bytes that are held elsewhere now.
    pub(crate) fn elsewhere_bytes(&self) -> u64 {
        self.elsewhere.get().map_or(0, |Meter(bytes)| bytes())
    }

    /// Has `bytes` tell what was taken beyond what the others leave, as by regions that cannot be
    /// refused: queues have that much less, so that new work waits. What was said first stays.
    pub fn measure_debt(&self, bytes: impl Fn() -> u64 + Send + Sync + 'static) {
        self.debt.get_or_init(|| Meter(Box::new(bytes)));
    }

    /// What queues have to go without now.
    pub(crate) fn debt_bytes(&self) -> u64 {
        self.debt.get().map_or(0, |Meter(bytes)| bytes())
    }

    /// One more execution shares the machine.
    pub(crate) fn join(&self) -> Share {
        self.sharing.join()
    }

    /// What the machine was started with.
    #[must_use]
    pub fn options(&self) -> &MachineOptions {
        &self.options
    }
}

/// Tells a number of bytes.
struct Meter(Box<dyn Fn() -> u64 + Send + Sync>);

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meter").finish_non_exhaustive()
    }
}

/// A runtime that may be dropped anywhere: its threads end on their own.
#[derive(Debug)]
struct OwnedRuntime(Option<Runtime>);

impl OwnedRuntime {
    fn start(name: &'static str, threads: usize) -> Result<Self, Failure> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name(name)
            .thread_stack_size(STACK_BYTES)
            .enable_all()
            .build()
            .map_err(|source| ExecError::Runtime { name, source })?;
        Ok(Self(Some(runtime)))
    }

    fn handle(&self) -> &Handle {
        self.0.as_ref().expect("the runtime lives until it is dropped").handle()
    }
}

impl Drop for OwnedRuntime {
    /// The last owner may be a task of the runtime itself, which must not wait for its end.
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
