//! Descriptors that travel along with bytes over a Unix socket (`SCM_RIGHTS`).
#![expect(unsafe_code, reason = "builds and reads control messages of the C library")]

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

/// Most descriptors of one message.
pub(crate) const DESCRIPTORS_MAX: usize = 16;

/// Room for a control message, aligned as its header must be.
#[repr(C, align(16))]
struct Control([u8; 128]);

#[cfg(target_os = "linux")]
const SEND_FLAGS: libc::c_int = libc::MSG_NOSIGNAL;
#[cfg(target_os = "linux")]
const RECEIVE_FLAGS: libc::c_int = libc::MSG_CMSG_CLOEXEC;
// Other systems have no such flags: SIGPIPE is ignored by Rust's and by CPython's runtime, and
// nothing is executed by a process that receives descriptors.
#[cfg(not(target_os = "linux"))]
const SEND_FLAGS: libc::c_int = 0;
#[cfg(not(target_os = "linux"))]
const RECEIVE_FLAGS: libc::c_int = 0;

/// Bytes of the descriptors of a message.
fn payload_bytes(descriptors: usize) -> libc::c_uint {
    libc::c_uint::try_from(descriptors * size_of::<RawFd>()).expect("there are few")
}

/// Sends the start of `parts`, with `descriptors` on its first byte. Returns the bytes sent.
///
/// # Panics
/// With more than [`DESCRIPTORS_MAX`] descriptors.
pub(super) fn send_with_rights(
    socket: BorrowedFd<'_>,
    parts: [&[u8]; 2],
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<usize> {
    assert!(descriptors.len() <= DESCRIPTORS_MAX, "a message takes few descriptors");
    let mut vectors = parts
        .map(|part| libc::iovec { iov_base: part.as_ptr().cast_mut().cast(), iov_len: part.len() });
    let mut control = Control([0; 128]);
    // SAFETY: all zeros is a valid empty message.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = vectors.as_mut_ptr();
    message.msg_iovlen = vectors.len() as _;
    if !descriptors.is_empty() {
        let bytes = payload_bytes(descriptors.len());
        message.msg_control = ptr::from_mut(&mut control).cast();
        // SAFETY: these compute sizes only.
        let (space, length) = unsafe { (libc::CMSG_SPACE(bytes), libc::CMSG_LEN(bytes)) };
        message.msg_controllen = space as _;
        // SAFETY: the control buffer is aligned and larger than the space of 16 descriptors, so
        // the header and the descriptors behind it lie inside of it.
        unsafe {
            let header = libc::CMSG_FIRSTHDR(&raw const message);
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = length as _;
            let mut place = libc::CMSG_DATA(header);
            for descriptor in descriptors {
                let raw = descriptor.as_raw_fd().to_ne_bytes();
                place.copy_from_nonoverlapping(raw.as_ptr(), raw.len());
                place = place.add(raw.len());
            }
        }
    }
    // SAFETY: the message points at buffers that live until the call returns.
    let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const message, SEND_FLAGS) };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// Receives up to `bytes.len()` bytes and appends the descriptors that came along. Returns the
/// number of bytes, 0 at the end of the stream.
pub(super) fn receive_with_rights(
    socket: BorrowedFd<'_>,
    bytes: &mut [u8],
    descriptors: &mut VecDeque<OwnedFd>,
    waits: bool,
) -> io::Result<usize> {
    let mut vector = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    let mut control = Control([0; 128]);
    // SAFETY: all zeros is a valid empty message.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut vector;
    message.msg_iovlen = 1;
    message.msg_control = ptr::from_mut(&mut control).cast();
    message.msg_controllen = size_of::<Control>() as _;
    let flags = RECEIVE_FLAGS | if waits { 0 } else { libc::MSG_DONTWAIT };
    // SAFETY: the message points at buffers that live until the call returns.
    let received = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, flags) };
    let received = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
    // SAFETY: the kernel filled the control buffer in, and these walk it within its length.
    unsafe {
        let mut header = libc::CMSG_FIRSTHDR(&raw const message);
        while !header.is_null() {
            if (*header).cmsg_level == libc::SOL_SOCKET && (*header).cmsg_type == libc::SCM_RIGHTS {
                let data = libc::CMSG_DATA(header);
                let before = libc::CMSG_LEN(0) as usize;
                let count = ((*header).cmsg_len as usize - before) / size_of::<RawFd>();
                for index in 0..count {
                    let mut raw = [0; size_of::<RawFd>()];
                    let place = data.add(index * raw.len());
                    raw.as_mut_ptr().copy_from_nonoverlapping(place, raw.len());
                    // The kernel made this descriptor for this process alone.
                    descriptors.push_back(OwnedFd::from_raw_fd(RawFd::from_ne_bytes(raw)));
                }
            }
            header = libc::CMSG_NXTHDR(&raw const message, header);
        }
    }
    if message.msg_flags & libc::MSG_CTRUNC != 0 {
        return Err(io::Error::other("a message brought more descriptors than there is room for"));
    }
    Ok(received)
}
