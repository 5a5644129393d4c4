//! What children print, line by line.

use std::io::{self, ErrorKind, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use tokio::net::unix::pipe::Receiver;

/// Takes one line that a child printed, without its end and with its prefix. It must not block
/// for long: the child waits for it.
pub type LineSink = Arc<dyn Fn(&str) + Send + Sync>;

/// A longer line is cut.
const LINE_BYTES_MAX: usize = 64 << 10;

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

/// Hands on what arrives in `pipe` until all its writers are gone.
///
/// # Errors
/// When the pipe cannot be read.
pub(crate) async fn forward(pipe: OwnedFd, mut lines: LineSplitter) -> io::Result<()> {
    let pipe = Receiver::from_owned_fd(pipe)?;
    let mut chunk = vec![0; 8 << 10];
    loop {
        pipe.readable().await?;
        match pipe.try_read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => lines.feed(&chunk[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    lines.finish();
    Ok(())
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
