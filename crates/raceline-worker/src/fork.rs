//! The child half of the template: takes orders to fork, and tells how workers ended.
//!
//! The language forks, since only it knows how (CPython needs `os.fork()`); everything around
//! the fork is here. The template must have one thread only while it forks.

use std::env;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::parent_id;
use std::time::Duration;

use crate::process::{
    Channel, end_with_parent, enter_own_session, exit_now, ignore_interrupts, inherited_socket,
    kill_with_group, limit_data, print_to, reap, wait_readable,
};
use crate::wire::{self, FromTemplate, ToTemplate};

/// Environment variable that tells a process that it is a template and where its socket is.
pub(crate) const TEMPLATE_VARIABLE: &str = "RACELINE_TEMPLATE_SOCKET";

/// Its only value: the socket is the process's standard input.
pub(crate) const TEMPLATE_ON_STDIN: &str = "stdin";

/// How often the template looks for workers that ended on their own. The engine learns of most
/// such ends sooner, from the socket.
const LOOK: Duration = Duration::from_millis(250);

/// How often it looks for workers whose end the engine awaits.
const REAP: Duration = Duration::from_millis(2);

/// One worker to fork.
#[derive(Debug)]
pub struct ForkRequest {
    /// Position of the worker in its pool, counted from 0.
    pub index: u32,
    /// Name of the stage that it works for.
    pub stage: String,
    /// Environment variables to set in the worker before user code runs.
    pub env: Vec<(String, String)>,
    /// What the template is to load before it forks, unless it has it; for all workers from then on.
    pub preloads: Vec<String>,
    data_bytes_max: Option<u64>,
    request: u32,
    socket: OwnedFd,
    output: OwnedFd,
}

/// What a template is to do.
#[derive(Debug)]
pub enum TemplateOrder {
    /// Load this, unless it is there; for all workers from then on.
    Load(Vec<String>),
    /// Fork a worker.
    Fork(ForkRequest),
}

/// The template's connection to the engine.
///
/// Each turn of its loop: [`TemplateLoop::next_order`]; where that is to fork, it forks, then
/// [`TemplateLoop::report`] in the parent and [`TemplateLoop::enter_worker`] followed by
/// [`crate::serve`] in the child.
#[derive(Debug)]
pub struct TemplateLoop {
    channel: Channel,
    /// Workers that were not reaped yet.
    workers: Vec<u32>,
    /// Those of them whose end the engine awaits.
    awaited: Vec<u32>,
    pid: u32,
}

impl TemplateLoop {
    /// Takes the inherited socket and ignores SIGINT from here on; `None` when this process was
    /// not started as a template. Call it once, before anything else starts a process.
    ///
    /// # Errors
    /// When the socket cannot be taken.
    pub fn from_env() -> io::Result<Option<Self>> {
        if env::var_os(TEMPLATE_VARIABLE).is_none_or(|value| value != TEMPLATE_ON_STDIN) {
            return Ok(None);
        }
        ignore_interrupts()?;
        let channel = Channel::new(inherited_socket()?.into());
        let pid = std::process::id();
        Ok(Some(Self { channel, workers: Vec::new(), awaited: Vec::new(), pid }))
    }

    /// Waits for the next thing to do, and kills and reaps workers while it waits. `None` when
    /// the engine is gone or needs no more: all workers were killed and the template should end.
    ///
    /// # Errors
    /// When the socket fails; then too.
    pub fn next_order(&mut self) -> io::Result<Option<TemplateOrder>> {
        let next = self.await_order();
        if !matches!(next, Ok(Some(_))) {
            // They would end with their parent, but what they started would not.
            self.workers.iter().copied().for_each(kill_with_group);
        }
        next
    }

    fn await_order(&mut self) -> io::Result<Option<TemplateOrder>> {
        loop {
            while let Some(frame) = self.channel.take_frame()? {
                match wire::decode(&frame)? {
                    ToTemplate::Fork { request, index, stage, env, preloads, data_bytes_max } => {
                        let socket = self.channel.take_descriptor()?;
                        let output = self.channel.take_descriptor()?;
                        return Ok(Some(TemplateOrder::Fork(ForkRequest {
                            index,
                            stage,
                            env,
                            preloads,
                            data_bytes_max,
                            request,
                            socket,
                            output,
                        })));
                    }
                    ToTemplate::Load { preloads } => {
                        return Ok(Some(TemplateOrder::Load(preloads)));
                    }
                    ToTemplate::Kill { pid } if self.workers.contains(&pid) => {
                        kill_with_group(pid);
                        self.awaited.push(pid);
                    }
                    ToTemplate::Await { pid } if self.workers.contains(&pid) => {
                        self.awaited.push(pid);
                    }
                    // It ended on its own and was reaped before the order came.
                    ToTemplate::Kill { pid: _ } | ToTemplate::Await { pid: _ } => {}
                }
            }
            self.reap_ended()?;
            self.wait()?;
            if !self.channel.read_available()? {
                return Ok(None);
            }
        }
    }

    /// Tells the engine, in the parent, that the fork made process `pid`.
    ///
    /// # Errors
    /// When the socket fails.
    pub fn report(&mut self, request: ForkRequest, pid: u32) -> io::Result<()> {
        self.workers.push(pid);
        let ForkRequest { request, socket, output, .. } = request;
        drop((socket, output));
        self.send(&FromTemplate::Forked { request, pid })
    }

    /// Tells the engine that the fork failed.
    ///
    /// # Errors
    /// When the socket fails.
    pub fn report_failure(&mut self, request: ForkRequest, error: &io::Error) -> io::Result<()> {
        let message = error.to_string();
        let ForkRequest { request, socket, output, .. } = request;
        drop((socket, output));
        self.send(&FromTemplate::ForkFailed { request, message })
    }

    /// Turns the forked child into a worker: leaves what belongs to the template, starts a
    /// session of its own, ignores SIGINT, takes on its limit of memory, sends what it prints to
    /// the engine. Returns the
    /// socket for [`crate::serve`].
    ///
    /// # Errors
    /// When one of these is refused; the child should then end.
    pub fn enter_worker(self, request: ForkRequest) -> io::Result<OwnedFd> {
        let template = self.pid;
        drop(self);
        enter_own_session()?;
        ignore_interrupts()?;
        print_to(&request.output)?;
        request.data_bytes_max.map_or(Ok(()), limit_data)?;
        end_with_parent()?;
        if parent_id() != template {
            exit_now(0);
        }
        Ok(request.socket)
    }

    fn reap_ended(&mut self) -> io::Result<()> {
        let mut ended = Vec::new();
        self.workers.retain(|pid| match reap(*pid) {
            Some(exit) => {
                ended.push(FromTemplate::exited(*pid, exit));
                false
            }
            None => true,
        });
        self.awaited.retain(|pid| self.workers.contains(pid));
        ended.iter().try_for_each(|message| self.send(message))
    }

    fn wait(&self) -> io::Result<()> {
        let timeout = match (self.awaited.is_empty(), self.workers.is_empty()) {
            (false, _) => Some(REAP),
            (true, false) => Some(LOOK),
            (true, true) => None,
        };
        wait_readable([self.channel.socket().as_fd()], timeout).map(drop)
    }

    fn send(&self, message: &FromTemplate) -> io::Result<()> {
        match self.channel.send(&wire::encode(message)?, &[]) {
            // The engine is gone, as the next read will tell.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other,
        }
    }
}
