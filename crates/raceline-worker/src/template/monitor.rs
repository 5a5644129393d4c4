//! The thread that listens to the template for as long as it lives.

use std::io::{self, PipeReader, Read};
use std::os::fd::AsFd;
use std::process::Child;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::{Killer, Process, Shared};
use crate::error::{Exit, WorkerError};
use crate::output::LineSplitter;
use crate::process::{Channel, wait_readable};
use crate::wire::{self, FromTemplate};

/// How long the template may take to end after its socket was closed.
const GRACE: Duration = Duration::from_millis(300);

/// How often the template's end is looked for meanwhile.
const LOOK: Duration = Duration::from_millis(2);

/// How much of the template's last output an error shows.
const TAIL_BYTES: usize = 4 << 10;

/// The engine's ends of the template's connections.
pub(super) struct Monitor {
    shared: Arc<Shared>,
    incoming: Channel,
    output: Output,
    child: Child,
}

struct Output {
    pipe: PipeReader,
    lines: LineSplitter,
    tail: Vec<u8>,
    is_open: bool,
}

impl Monitor {
    pub(super) fn new(
        shared: Arc<Shared>,
        incoming: Channel,
        output: PipeReader,
        child: Child,
    ) -> Self {
        let prefix = format!("(template pid={}) ", child.id());
        let lines = LineSplitter::new(prefix, Arc::clone(&shared.lines));
        let output = Output { pipe: output, lines, tail: Vec::new(), is_open: true };
        Self { shared, incoming, output, child }
    }

    /// Listens until the template closes its socket, then waits for its end and tells everybody.
    pub(super) fn run(mut self) {
        // Whatever fails here, the template is of no more use: its end is told below.
        let failure = self.listen().err();
        let exit = self.end_child();
        // The rest of what it printed is a bonus.
        while matches!(self.output.read_available(), Ok(true)) {}
        self.output.lines.finish();
        let printed = String::from_utf8_lossy(&self.output.tail).trim_end().to_owned();
        let failure = failure.map(|error| format!("its socket failed: {error}"));
        let parts = [Some(printed).filter(|text| !text.is_empty()), failure];
        let tail = parts.into_iter().flatten().collect::<Vec<_>>().join("\n");
        let mut state = self.shared.state();
        state.ended = Some((exit, tail.clone()));
        let pending = std::mem::take(&mut state.pending);
        let exits = std::mem::take(&mut state.exits);
        let kept = std::mem::take(&mut state.kept);
        drop(state);
        drop(kept);
        for answer in pending.into_values() {
            let error = WorkerError::TemplateEnded { exit, output: tail.clone() };
            // A caller that no longer waits needs no answer.
            let _gone = answer.send(Err(error)).is_err();
        }
        for exit in exits.into_values() {
            exit.send_replace(Some(Exit::Unknown));
        }
    }

    fn listen(&mut self) -> io::Result<()> {
        loop {
            let socket = self.incoming.socket().as_fd();
            let has_message = if self.output.is_open {
                let ready = wait_readable([socket, self.output.pipe.as_fd()], None)?;
                let [has_message, has_output] = ready;
                if has_output {
                    self.output.read()?;
                }
                has_message
            } else {
                wait_readable([socket], None)?[0]
            };
            if has_message {
                let is_open = self.incoming.read_available()?;
                while let Some(frame) = self.incoming.take_frame()? {
                    self.handle(wire::decode(&frame)?);
                }
                if !is_open {
                    return Ok(());
                }
            }
        }
    }

    fn handle(&self, message: FromTemplate) {
        let mut state = self.shared.state();
        match message {
            FromTemplate::Forked { request, pid } => {
                let (exited, exit) = watch::channel(None);
                state.exits.insert(pid, exited);
                let answer = state.pending.remove(&request);
                drop(state);
                let killer = Killer { pid, shared: Arc::clone(&self.shared), exit };
                let process = Process { killer };
                // A process that nobody waits for any more is killed by its drop.
                drop(answer.map(|answer| answer.send(Ok(process))));
            }
            FromTemplate::ForkFailed { request, message } => {
                let answer = state.pending.remove(&request);
                drop(state);
                let error = WorkerError::Fork { stage: Arc::from(""), message };
                drop(answer.map(|answer| answer.send(Err(error))));
            }
            FromTemplate::Exited { pid, code, signal } => {
                let exit = match (code, signal) {
                    (Some(code), _) => Exit::Code(code),
                    (None, Some(signal)) => Exit::Signal(signal),
                    (None, None) => Exit::Unknown,
                };
                let (exited, kept) = (state.exits.remove(&pid), state.kept.remove(&pid));
                drop(state);
                if let Some(exited) = exited {
                    exited.send_replace(Some(exit));
                }
                drop(kept);
            }
        }
    }

    /// Waits for the template's end, and kills it after the grace.
    fn end_child(&mut self) -> Exit {
        use std::os::unix::process::ExitStatusExt;

        let asked = Instant::now();
        let status = loop {
            match self.child.try_wait() {
                Ok(Some(status)) => break Ok(status),
                Ok(None) if asked.elapsed() < GRACE => thread::sleep(LOOK),
                Ok(None) => break self.child.kill().and_then(|()| self.child.wait()),
                Err(error) => break Err(error),
            }
        };
        // Only a system that reaps children by itself cannot tell.
        status.map_or(Exit::Unknown, |status| match (status.code(), status.signal()) {
            (Some(code), _) => Exit::Code(code),
            (None, Some(signal)) => Exit::Signal(signal),
            (None, None) => Exit::Unknown,
        })
    }
}

impl Output {
    /// Reads what is there, without waiting; `false` when nothing is.
    fn read_available(&mut self) -> io::Result<bool> {
        let is_ready = self.is_open && wait_readable([self.pipe.as_fd()], Some(Duration::ZERO))?[0];
        if is_ready {
            self.read()?;
        }
        Ok(is_ready)
    }

    fn read(&mut self) -> io::Result<()> {
        let mut chunk = [0; 8 << 10];
        let count = match self.pipe.read(&mut chunk) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(error) => return Err(error),
        };
        self.is_open = count > 0;
        self.lines.feed(&chunk[..count]);
        self.tail.extend_from_slice(&chunk[..count]);
        let surplus = self.tail.len().saturating_sub(TAIL_BYTES);
        self.tail.drain(..surplus);
        Ok(())
    }
}
