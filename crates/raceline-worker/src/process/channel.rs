//! Frames with descriptors over a Unix socket, blocking and async.
//!
//! A frame is its length as a `u64` in little endian, then its bytes. Descriptors arrive with
//! the first byte of their frame, in order, so a queue beside the bytes is enough to match them.
#![expect(unsafe_code, reason = "registers a descriptor with the runtime")]

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use tokio::io::unix::AsyncFd;
use tokio::io::{Interest, Ready};

use super::rights::{receive_with_rights, send_with_rights};

const HEADER_BYTES: usize = size_of::<u64>();
const READ_BYTES: usize = 16 << 10;

/// A blocking channel.
#[derive(Debug)]
pub(crate) struct Channel {
    socket: UnixStream,
    incoming: Incoming,
}

/// The sending half of a channel on the tokio runtime that made it.
#[derive(Debug)]
pub(crate) struct AsyncSender {
    socket: Arc<AsyncFd<UnixStream>>,
}

/// The receiving half.
#[derive(Debug)]
pub(crate) struct AsyncReceiver {
    socket: Arc<AsyncFd<UnixStream>>,
    incoming: Incoming,
}

impl Channel {
    /// A channel over a blocking socket.
    pub(crate) fn new(socket: UnixStream) -> Self {
        Self { socket, incoming: Incoming::default() }
    }

    /// Sends one frame.
    pub(crate) fn send(&self, frame: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let mut outgoing = Outgoing::new(frame, descriptors);
        while !outgoing.is_done() {
            outgoing.send_some(self.socket.as_fd())?;
        }
        Ok(())
    }

    /// Waits for the next frame; `None` when the peer is gone.
    pub(crate) fn receive(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(frame) = self.incoming.take_frame()? {
                return Ok(Some(frame));
            }
            if !self.incoming.read_some(self.socket.as_fd(), true)? {
                return Ok(None);
            }
        }
    }

    /// Reads what is there, without waiting; `false` when the peer is gone.
    pub(crate) fn read_available(&mut self) -> io::Result<bool> {
        match self.incoming.read_some(self.socket.as_fd(), false) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(true),
            other => other,
        }
    }

    /// A frame that was read already.
    pub(crate) fn take_frame(&mut self) -> io::Result<Option<Vec<u8>>> {
        self.incoming.take_frame()
    }

    /// The next descriptor that came with a frame.
    pub(crate) fn take_descriptor(&mut self) -> io::Result<OwnedFd> {
        self.incoming.take_descriptor()
    }

    /// The socket.
    pub(crate) fn socket(&self) -> &UnixStream {
        &self.socket
    }
}

/// A channel over a socket, which is made not to block.
///
/// # Panics
/// Outside of a tokio runtime.
pub(crate) fn async_channel(socket: UnixStream) -> io::Result<(AsyncSender, AsyncReceiver)> {
    socket.set_nonblocking(true)?;
    // SAFETY: the socket is open, and stays this `AsyncFd`'s own until it is dropped.
    let socket = Arc::new(unsafe { AsyncFd::register(socket) }?);
    let sender = AsyncSender { socket: Arc::clone(&socket) };
    Ok((sender, AsyncReceiver { socket, incoming: Incoming::default() }))
}

impl AsyncSender {
    /// Sends one frame. Not cancel-safe: a dropped send may leave half a frame.
    pub(crate) async fn send(
        &self,
        frame: &[u8],
        descriptors: &[BorrowedFd<'_>],
    ) -> io::Result<()> {
        let mut outgoing = Outgoing::new(frame, descriptors);
        while !outgoing.is_done() {
            self.socket
                .async_io(Interest::WRITABLE, |socket| outgoing.send_some(socket.as_fd()))
                .await?;
        }
        Ok(())
    }
}

impl AsyncReceiver {
    /// Waits for the next frame; `None` when the peer is gone. Cancel-safe.
    pub(crate) async fn receive(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(frame) = self.incoming.take_frame()? {
                return Ok(Some(frame));
            }
            let Self { socket, incoming } = self;
            let mut ready = socket.ready(Interest::READABLE).await?;
            match incoming.read_some(socket.get_ref().as_fd(), false) {
                Ok(true) => {}
                Ok(false) => return Ok(None),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    ready.clear_ready_matching(Ready::READABLE);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The next frame, if all of it is there.
    pub(crate) fn receive_available(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(frame) = self.incoming.take_frame()? {
                return Ok(Some(frame));
            }
            match self.incoming.read_some(self.socket.get_ref().as_fd(), false) {
                Ok(true) => {}
                Ok(false) => return Ok(None),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }

    /// The next descriptor that came with a frame.
    pub(crate) fn take_descriptor(&mut self) -> io::Result<OwnedFd> {
        self.incoming.take_descriptor()
    }
}

/// A frame on its way out.
struct Outgoing<'a> {
    header: [u8; HEADER_BYTES],
    frame: &'a [u8],
    descriptors: &'a [BorrowedFd<'a>],
    sent: usize,
}

impl<'a> Outgoing<'a> {
    fn new(frame: &'a [u8], descriptors: &'a [BorrowedFd<'a>]) -> Self {
        Self { header: (frame.len() as u64).to_le_bytes(), frame, descriptors, sent: 0 }
    }

    fn is_done(&self) -> bool {
        self.sent == HEADER_BYTES + self.frame.len()
    }

    fn send_some(&mut self, socket: BorrowedFd<'_>) -> io::Result<()> {
        let header = &self.header[self.sent.min(HEADER_BYTES)..];
        let frame = &self.frame[self.sent.saturating_sub(HEADER_BYTES)..];
        // Descriptors go with the first byte and only once.
        let descriptors = if self.sent == 0 { self.descriptors } else { &[] };
        match send_with_rights(socket, [header, frame], descriptors) {
            Ok(sent) => self.sent += sent,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// Bytes and descriptors that came in and were not taken yet.
#[derive(Debug, Default)]
struct Incoming {
    bytes: Vec<u8>,
    descriptors: VecDeque<OwnedFd>,
}

impl Incoming {
    /// Reads once, waiting or not; `false` at the end of the stream.
    fn read_some(&mut self, socket: BorrowedFd<'_>, waits: bool) -> io::Result<bool> {
        let mut chunk = [0; READ_BYTES];
        match receive_with_rights(socket, &mut chunk, &mut self.descriptors, waits) {
            Ok(count) => {
                self.bytes.extend_from_slice(&chunk[..count]);
                Ok(count > 0)
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(true),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn take_frame(&mut self) -> io::Result<Option<Vec<u8>>> {
        let Some((header, rest)) = self.bytes.split_first_chunk::<HEADER_BYTES>() else {
            return Ok(None);
        };
        let bytes = usize::try_from(u64::from_le_bytes(*header)).map_err(io::Error::other)?;
        if rest.len() < bytes {
            return Ok(None);
        }
        let frame = rest[..bytes].to_vec();
        self.bytes.drain(..HEADER_BYTES + bytes);
        Ok(Some(frame))
    }

    fn take_descriptor(&mut self) -> io::Result<OwnedFd> {
        let missing = || io::Error::new(ErrorKind::InvalidData, "a message lacks its descriptor");
        self.descriptors.pop_front().ok_or_else(missing)
    }
}
