//! What children print, line by line.

use std::fmt;
use std::io::{self, ErrorKind, PipeReader, Read, Write};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::unix::pipe::Receiver;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Takes one line that a child printed, without its end and with its prefix. It must not block
/// for long: the child waits for it.
pub type LineSink = Arc<dyn Fn(&str) + Send + Sync>;

/// A longer line is cut.
const LINE_BYTES_MAX: usize = 64 << 10;

/// What a pipe holds at most, unless a child makes it larger.
const PIPE_BYTES: usize = 64 << 10;

const CHUNK_BYTES: usize = 8 << 10;

/// A sink that prints to this process's standard error.
pub(crate) fn stderr_sink() -> LineSink {
    Arc::new(|line| {
        // A closed standard error leaves nowhere to tell of it.
        let _closed = writeln!(io::stderr().lock(), "{line}").is_err();
    })
}

/// Cuts bytes into lines.
pub(crate) struct LineSplitter {
    prefix: String,
    sink: LineSink,
    pending: Vec<u8>,
}

impl LineSplitter {
    /// Lines go to `sink` behind `prefix`.
    pub(crate) fn new(prefix: String, sink: LineSink) -> Self {
        Self { prefix, sink, pending: Vec::new() }
    }

    /// Takes what was printed next.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
        while let Some(end) = self.pending.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.pending.drain(..=end).collect();
            self.emit(&line[..end]);
        }
        if self.pending.len() > LINE_BYTES_MAX {
            self.finish();
        }
    }

    /// Hands on a last line without an end.
    pub(crate) fn finish(&mut self) {
        let line = std::mem::take(&mut self.pending);
        if !line.is_empty() {
            self.emit(&line);
        }
    }

    /// Hands on a line as a terminal would leave it: what follows its last carriage return.
    fn emit(&self, line: &[u8]) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let shown = line.rsplit(|byte| *byte == b'\r').next().unwrap_or(line);
        (self.sink)(&format!("{}{}", self.prefix, String::from_utf8_lossy(shown)));
    }
}

/// What a child prints, handed on as it comes. Dropping it hands on what is in the pipe by then.
pub(crate) struct Printed {
    output: Arc<Output>,
    forwards: JoinHandle<io::Result<()>>,
}

struct Output {
    arrivals: Receiver,
    /// The same pipe, read without a wait for the runtime to notice what arrived.
    pipe: PipeReader,
    lines: Mutex<LineSplitter>,
}

impl Printed {
    /// Begins to hand on what arrives in `pipe`, inside a runtime.
    ///
    /// # Errors
    /// When `pipe` is no pipe that can be watched.
    pub(crate) fn forward(pipe: OwnedFd, lines: LineSplitter) -> io::Result<Self> {
        let (pipe, lines) = (PipeReader::from(pipe), Mutex::new(lines));
        // Both ends that read share the state of being non-blocking.
        let arrivals = Receiver::from_owned_fd(pipe.try_clone()?.into())?;
        let output = Arc::new(Output { arrivals, pipe, lines });
        let forwards = Handle::current().spawn(Arc::clone(&output).forward());
        Ok(Self { output, forwards })
    }

    /// Waits until all writers are gone, at most so long.
    pub(crate) async fn ended_within(&mut self, wait_max: Duration) {
        if !self.forwards.is_finished() {
            // What is late is handed on by the drop.
            let _late = timeout(wait_max, &mut self.forwards).await.is_err();
        }
    }
}

impl Output {
    async fn forward(self: Arc<Self>) -> io::Result<()> {
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            self.arrivals.readable().await?;
            match self.arrivals.try_io(|| self.take(&mut chunk)) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Hands on what one read gives: how many bytes, zero once all writers are gone.
    fn take(&self, chunk: &mut [u8]) -> io::Result<usize> {
        // Held while reading, so that two who read hand on in order.
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let count = (&self.pipe).read(chunk)?;
        lines.feed(&chunk[..count]);
        if count == 0 {
            lines.finish();
        }
        Ok(count)
    }
}

impl fmt::Debug for Printed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Printed").finish_non_exhaustive()
    }
}

impl Drop for Printed {
    fn drop(&mut self) {
        self.forwards.abort();
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut left = PIPE_BYTES;
        // An empty pipe, its end and one that cannot be read leave nothing to hand on.
        while let Ok(count @ 1..) = self.output.take(&mut chunk) {
            left = left.saturating_sub(count);
            if left == 0 {
                break;
            }
        }
        self.output.lines.lock().unwrap_or_else(PoisonError::into_inner).finish();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    fn lines_of(pieces: &[&[u8]]) -> Vec<String> {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&lines);
        let sink: LineSink = Arc::new(move |line| kept.lock().unwrap().push(line.to_owned()));
        let mut splitter = LineSplitter::new("> ".to_owned(), sink);
        for piece in pieces {
            splitter.feed(piece);
        }
        splitter.finish();
        lines.lock().unwrap().clone()
    }

    #[test]
    fn lines_are_joined_across_reads() {
        assert_eq!(lines_of(&[b"a", b"b\nc\n\nd"]), ["> ab", "> c", "> ", "> d"]);
    }

    #[test]
    fn a_progress_bar_leaves_its_last_state() {
        assert_eq!(lines_of(&[b"10%\r50%\r100%\r\n", b"done\r\n"]), ["> 100%", "> done"]);
    }
}
