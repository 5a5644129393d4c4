//! Processes: their sessions, their signals, their ends.
#![expect(unsafe_code, reason = "calls the C library where std has no equivalent")]

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::thread;
use std::time::Duration;

use crate::error::Exit;

/// Turns the C library's -1 into its error.
pub(super) fn checked(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Waits until one of `watched` can be read or its peers are gone, or for `timeout`
/// (milliseconds are what counts). Tells for each whether it is so.
pub(crate) fn wait_readable<const N: usize>(
    watched: [BorrowedFd<'_>; N],
    timeout: Option<Duration>,
) -> io::Result<[bool; N]> {
    wait_for(watched, libc::POLLIN, timeout)
}

fn wait_for<const N: usize>(
    watched: [BorrowedFd<'_>; N],
    events: libc::c_short,
    timeout: Option<Duration>,
) -> io::Result<[bool; N]> {
    let mut list = watched.map(|fd| libc::pollfd { fd: fd.as_raw_fd(), events, revents: 0 });
    let timeout_ms = timeout.map_or(-1, |wait| i32::try_from(wait.as_millis()).unwrap_or(i32::MAX));
    // SAFETY: the list is a valid array of its own length.
    match checked(unsafe { libc::poll(list.as_mut_ptr(), N as libc::nfds_t, timeout_ms) }) {
        Ok(_) => Ok(list.map(|entry| entry.revents != 0)),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok([false; N]),
        Err(error) => Err(error),
    }
}

/// Takes the socket that this process inherited as its standard input, and puts an empty input
/// in its place.
pub(crate) fn inherited_socket() -> io::Result<OwnedFd> {
    let socket = io::stdin().as_fd().try_clone_to_owned()?;
    replace(libc::STDIN_FILENO, &File::open("/dev/null")?)?;
    Ok(socket)
}

/// Points standard output and error at `output`.
pub(crate) fn print_to(output: &OwnedFd) -> io::Result<()> {
    replace(libc::STDOUT_FILENO, output)?;
    replace(libc::STDERR_FILENO, output)
}

fn replace(standard: libc::c_int, source: &impl AsRawFd) -> io::Result<()> {
    // SAFETY: the standard descriptors belong to nobody; whoever prints next uses the new one.
    checked(unsafe { libc::dup2(source.as_raw_fd(), standard) }).map(drop)
}

/// Leaves the terminal's and the template's session. A signal sent to their group no longer
/// arrives here.
pub(crate) fn enter_own_session() -> io::Result<()> {
    // SAFETY: it takes no arguments and changes only this process's session.
    checked(unsafe { libc::setsid() }).map(drop)
}

/// Ignores SIGINT, which belongs to the engine.
pub(crate) fn ignore_interrupts() -> io::Result<()> {
    // SAFETY: ignoring a signal installs no handler that could run.
    let before = unsafe { libc::signal(libc::SIGINT, libc::SIG_IGN) };
    if before == libc::SIG_ERR { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Has the kernel kill this process when its parent ends, where it can. The parent may have
/// ended before: look at its id afterwards.
pub(crate) fn end_with_parent() -> io::Result<()> {
    #[cfg(target_os = "linux")]
    // SAFETY: this option takes one number and touches no memory.
    checked(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) })?;
    Ok(())
}

/// Kills this process and the group that it leads as soon as the peer of `socket` is gone,
/// whatever else it is doing: a thread of its own waits for that and for nothing else.
///
/// The thread lives as long as the process, so nobody joins it, and keeps the socket open until
/// then: the peer sees the end of the stream when the process has ended, not before.
pub(crate) fn end_when_closed(socket: BorrowedFd<'_>) -> io::Result<()> {
    let socket = socket.try_clone_to_owned()?;
    let watch = move || {
        // No event is asked for: only the peer's end wakes it.
        while let Ok([false]) = wait_for([socket.as_fd()], 0, None) {}
        kill_with_group(std::process::id());
    };
    thread::Builder::new()
        .name("raceline-lifeline".to_owned())
        .stack_size(64 << 10)
        .spawn(watch)?;
    Ok(())
}

/// Lets this process have at most `more_bytes` of private memory beside what it has, where the
/// system can hold it to that: an allocation beyond fails.
pub(crate) fn limit_data(more_bytes: u64) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        let status = std::fs::read_to_string("/proc/self/status")?;
        let data = status.lines().find_map(|line| line.strip_prefix("VmData:"));
        let data = data.and_then(|text| text.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
        let data = data.ok_or_else(|| io::Error::other("the system does not tell `VmData`"))?;
        let most = (data << 10).saturating_add(more_bytes);
        let limit = libc::rlimit { rlim_cur: most, rlim_max: most };
        // SAFETY: the limit is valid for reading.
        checked(unsafe { libc::setrlimit(libc::RLIMIT_DATA, &raw const limit) })?;
    }
    #[cfg(not(target_os = "linux"))]
    let _unheld = more_bytes;
    Ok(())
}

/// Size of a page of memory.
pub(crate) fn page_bytes() -> u64 {
    // SAFETY: it takes a number.
    let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u64::try_from(bytes).expect("every system tells its page size")
}

/// Gives whole pages of freed memory back to the system, wherever they are.
pub(crate) fn release_free_pages() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // SAFETY: it takes a number, and the allocator locks what it looks through.
        let _released = unsafe { libc::malloc_trim(0) };
    }
}

/// Ends this process without running anything else in it.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: `_exit` takes no pointers and does not return.
    unsafe { libc::_exit(code) }
}

/// Kills a child and the group that it leads. Nothing happens when it ended already; it must
/// not have been reaped.
pub(crate) fn kill_with_group(pid: u32) {
    // Both may fail: the group appears a moment after the fork, and the end may come first.
    let _group = send_kill(pid, |pid| -pid).is_err();
    let _leader = send_kill(pid, |pid| pid).is_err();
}

fn send_kill(pid: u32, target: impl Fn(libc::pid_t) -> libc::pid_t) -> io::Result<()> {
    // 0 and 1 would mean other groups than that of a child.
    let pid = i32::try_from(pid).ok().filter(|pid| *pid > 1);
    let pid = pid.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    // SAFETY: it takes no pointers.
    checked(unsafe { libc::kill(target(pid), libc::SIGKILL) }).map(drop)
}

/// Reaps a child of this process if it ended, and kills the rest of its group; `None` while it
/// runs.
pub(crate) fn reap(pid: u32) -> Option<Exit> {
    let child = i32::try_from(pid).ok().filter(|pid| *pid > 1)?;
    let mut status = 0;
    // SAFETY: the status is valid for writing.
    let exit = match checked(unsafe { libc::waitpid(child, &raw mut status, libc::WNOHANG) }) {
        Ok(0) => return None,
        Ok(_) if libc::WIFSIGNALED(status) => Exit::Signal(libc::WTERMSIG(status)),
        Ok(_) => Exit::Code(libc::WEXITSTATUS(status)),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => return None,
        Err(_) => Exit::Unknown,
    };
    // What the child started in its group must not outlive it.
    let _nothing_left = send_kill(pid, |pid| -pid).is_err();
    Some(exit)
}
