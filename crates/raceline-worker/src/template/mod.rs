//! The engine half of the template: one process a session that forks workers.

mod monitor;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::io::PipeReader;
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use arrow::buffer::Buffer;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

use crate::error::{Exit, WorkerError};
use crate::fork::{TEMPLATE_ON_STDIN, TEMPLATE_VARIABLE};
use crate::output::{LineSink, stderr_sink};
use crate::process::Channel;
use crate::wire::{self, ToTemplate};

/// How to start the template process: an interpreter that builds a [`crate::TemplateLoop`].
#[derive(Clone)]
pub struct Launcher {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Variables that are set on top of the engine's own environment.
    pub env: Vec<(OsString, OsString)>,
    /// Its working directory; `None` is the engine's own.
    pub current_dir: Option<PathBuf>,
    /// Where the lines go that the template and its workers print.
    pub lines: LineSink,
}

impl Launcher {
    /// A launcher of `program` without arguments; printed lines go to standard error.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            current_dir: None,
            lines: stderr_sink(),
        }
    }
}

impl fmt::Debug for Launcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { program, args, env: _, current_dir, lines: _ } = self;
        f.debug_struct("Launcher")
            .field("program", program)
            .field("args", args)
            .field("current_dir", current_dir)
            .finish_non_exhaustive()
    }
}

/// A running template process. Workers of all pools of a session are its children. Dropping it
/// is [`Template::shutdown`].
pub struct Template {
    shared: Arc<Shared>,
    monitor: Mutex<Option<JoinHandle<()>>>,
}

/// What the template, its monitor and the workers share.
struct Shared {
    channel: Mutex<Channel>,
    state: Mutex<State>,
    lines: LineSink,
}

#[derive(Default)]
struct State {
    requests: u32,
    pending: BTreeMap<u32, oneshot::Sender<Result<Process, WorkerError>>>,
    exits: BTreeMap<u32, watch::Sender<Option<Exit>>>,
    /// Memory that workers may read for as long as they live, by process id.
    kept: BTreeMap<u32, Vec<Buffer>>,
    /// How the template ended, and the last of what it printed.
    ended: Option<(Exit, String)>,
}

/// What a new worker is for.
#[derive(Clone, Debug)]
pub(crate) struct ForkOrder {
    /// Position of the worker in its pool.
    pub(crate) index: u32,
    /// Name of its stage.
    pub(crate) stage: Arc<str>,
    /// Environment variables to set.
    pub(crate) env: Vec<(String, String)>,
    /// What the template loads before it forks.
    pub(crate) preloads: Vec<String>,
    /// Private memory, in bytes, that it may take beside what it is forked with.
    pub(crate) data_bytes_max: Option<u64>,
}

/// A worker process with the engine's ends of its connections.
#[derive(Debug)]
pub(crate) struct Forked {
    pub(crate) process: Process,
    pub(crate) socket: UnixStream,
    pub(crate) output: PipeReader,
}

/// A worker process; killed on drop, with the group that it leads.
pub(crate) struct Process {
    killer: Killer,
}

/// Kills a worker process that is another's.
#[derive(Clone)]
pub(crate) struct Killer {
    pid: u32,
    shared: Arc<Shared>,
    exit: watch::Receiver<Option<Exit>>,
}

/// Longest wait for the kernel and the template after a SIGKILL.
const REAP_WAIT: Duration = Duration::from_secs(2);

impl Template {
    /// Starts the template process. It inherits its socket as standard input and leads a process
    /// group of its own, so that Ctrl-C in the terminal does not reach it. Returns before it is
    /// ready: a program that fails to start up is told of by the first fork.
    ///
    /// # Errors
    /// [`WorkerError::Start`] when the program cannot be executed.
    pub fn start(launcher: &Launcher) -> Result<Arc<Self>, WorkerError> {
        let start = || -> io::Result<Self> {
            let (socket, child_socket) = UnixStream::pair()?;
            let (output, child_output) = io::pipe()?;
            let mut command = Command::new(&launcher.program);
            command.args(&launcher.args).envs(launcher.env.iter().cloned());
            command.env(TEMPLATE_VARIABLE, TEMPLATE_ON_STDIN).process_group(0);
            if let Some(folder) = &launcher.current_dir {
                command.current_dir(folder);
            }
            command.stdin(OwnedFd::from(child_socket)).stdout(child_output.try_clone()?);
            let child = command.stderr(child_output).spawn()?;
            drop(command);
            let incoming = Channel::new(socket.try_clone()?);
            let shared = Arc::new(Shared {
                channel: Mutex::new(Channel::new(socket)),
                state: Mutex::default(),
                lines: Arc::clone(&launcher.lines),
            });
            let monitor = monitor::Monitor::new(Arc::clone(&shared), incoming, output, child);
            let name = "raceline-template".to_owned();
            let monitor = thread::Builder::new().name(name).spawn(move || monitor.run())?;
            Ok(Self { shared, monitor: Mutex::new(Some(monitor)) })
        };
        start().map(Arc::new).map_err(|source| WorkerError::Start {
            program: launcher.program.display().to_string(),
            source,
        })
    }

    /// Ends the template and with it every worker, and waits for that: up to 300 ms, then it is
    /// killed. Workers that start afterwards fail. Calling it again does nothing.
    ///
    /// # Panics
    /// When the thread that listens to the template panicked.
    pub fn shutdown(&self) {
        let monitor = self.monitor.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(monitor) = monitor else { return };
        // It fails only when the template is gone, which the monitor has seen then.
        let _gone = self.shared.channel().socket().shutdown(Shutdown::Both).is_err();
        assert!(monitor.join().is_ok(), "the monitor of the worker template panicked");
    }

    /// Whether the template runs: false after [`Template::shutdown`] and after it died.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.shared.state().ended.is_none()
    }

    /// Has it load what workers will need, so that they need not wait for that. Does not wait for
    /// it; what cannot be loaded is told of by the first fork of a worker that needs it.
    pub fn load(&self, preloads: Vec<String>) {
        // It fails only when the template is gone, which the next fork tells.
        let _gone = self.shared.send(&ToTemplate::Load { preloads }, &[]).is_err();
    }

    /// Where printed lines go.
    pub(crate) fn lines(&self) -> LineSink {
        Arc::clone(&self.shared.lines)
    }

    /// Forks a worker. A dropped call leaves no worker.
    ///
    /// # Errors
    /// When the template is gone or refuses.
    pub(crate) async fn fork(&self, order: ForkOrder) -> Result<Forked, WorkerError> {
        let stage = Arc::clone(&order.stage);
        let refused = |error: io::Error| WorkerError::Fork {
            stage: Arc::clone(&stage),
            message: error.to_string(),
        };
        let (socket, child_socket) = UnixStream::pair().map_err(refused)?;
        let (output, child_output) = io::pipe().map_err(refused)?;
        let (answer, answered) = oneshot::channel();
        let request = self.shared.state().register(answer)?;
        let ForkOrder { index, stage: _, env, preloads, data_bytes_max } = order;
        let stage_name = stage.to_string();
        let message =
            ToTemplate::Fork { request, index, stage: stage_name, env, preloads, data_bytes_max };
        let descriptors = [child_socket.as_fd(), child_output.as_fd()];
        match self.shared.send(&message, &descriptors) {
            // The monitor sees the end of the template and answers.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            other => other.map_err(refused)?,
        }
        drop((child_socket, child_output));
        let ended = |_| WorkerError::TemplateEnded { exit: Exit::Unknown, output: String::new() };
        let process = match answered.await.map_err(ended)? {
            // The monitor knows the request by its number only.
            Err(WorkerError::Fork { stage: _, message }) => {
                return Err(WorkerError::Fork { stage, message });
            }
            other => other?,
        };
        Ok(Forked { process, socket, output })
    }
}

impl Shared {
    fn channel(&self) -> MutexGuard<'_, Channel> {
        self.channel.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, message: &ToTemplate, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let frame = wire::encode(message)?;
        self.channel().send(&frame, descriptors)
    }
}

impl State {
    fn register(
        &mut self,
        answer: oneshot::Sender<Result<Process, WorkerError>>,
    ) -> Result<u32, WorkerError> {
        if let Some((exit, output)) = &self.ended {
            return Err(WorkerError::TemplateEnded { exit: *exit, output: output.clone() });
        }
        self.requests += 1;
        self.pending.insert(self.requests, answer);
        Ok(self.requests)
    }
}

impl Killer {
    /// The id of the process.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// The template kills it, which alone knows that nobody else has the id by now.
    pub(crate) fn kill(&self) {
        self.tell(&ToTemplate::Kill { pid: self.pid });
    }

    fn tell(&self, order: &ToTemplate) {
        if self.exit.borrow().is_none() {
            // This fails only when the template is gone, which takes its workers along.
            let _gone = self.shared.send(order, &[]).is_err();
        }
    }
}

impl Process {
    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.killer.pid
    }

    /// Keeps `buffers`, which it may be reading, until it has ended.
    pub(crate) fn keep_until_ended(&self, buffers: Vec<Buffer>) {
        let mut state = self.killer.shared.state();
        if state.exits.contains_key(&self.pid()) && !buffers.is_empty() {
            state.kept.entry(self.pid()).or_default().extend(buffers);
        }
    }

    /// What kills it while others wait for it.
    pub(crate) fn killer(&self) -> Killer {
        self.killer.clone()
    }

    /// Waits until it ended. Cancel-safe.
    pub(crate) async fn ended(&mut self) -> Exit {
        match self.killer.exit.wait_for(Option::is_some).await {
            Ok(exit) => exit.unwrap_or(Exit::Unknown),
            Err(_) => Exit::Unknown,
        }
    }

    /// How it ends by itself; `None` when it takes longer than `wait_max`.
    pub(crate) async fn ends_within(&mut self, wait_max: Duration) -> Option<Exit> {
        self.killer.tell(&ToTemplate::Await { pid: self.pid() });
        timeout(wait_max, self.ended()).await.ok()
    }

    /// Kills it, unless it ended already, and waits until it is reaped.
    pub(crate) async fn end(&mut self) {
        self.killer.kill();
        // A template that is too slow to tell still kills it.
        let _late = timeout(REAP_WAIT, self.ended()).await.is_err();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.killer.kill();
    }
}

impl Drop for Template {
    fn drop(&mut self) {
        self.shutdown();
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Template").field("is_running", &self.is_running()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process").field("pid", &self.pid()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Killer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Killer").field("pid", &self.pid).finish_non_exhaustive()
    }
}
