//! One shared file and its mapping into this process. The platform's calls are here.
#![expect(unsafe_code, reason = "maps memory and views it as slices")]

use std::fs::File;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::AtomicU64;

/// A shared mapping of a whole file, unmapped on drop.
#[derive(Debug)]
pub(super) struct Mapping {
    address: NonNull<u8>,
    bytes: NonZeroUsize,
    writable: bool,
}

// SAFETY: the mapping is plain memory that is valid until drop; it is written only through atomics
// and by whoever has a range of it to himself.
unsafe impl Send for Mapping {}
// SAFETY: as above; shared access only reads, or is atomic.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// A new shared file of `bytes`, mapped for writing, and its descriptor to pass on.
    pub(super) fn create(bytes: NonZeroUsize) -> io::Result<(Self, OwnedFd)> {
        let file = File::from(platform::anonymous_file()?);
        file.set_len(bytes.get() as u64)?;
        let mapping = Self::map(&file, bytes, true)?;
        platform::seal(&file, false)?;
        Ok((mapping, file.into()))
    }

    /// A new shared file of `bytes` zeros that whoever has the descriptor may map by
    /// [`Self::open_shared`].
    pub(super) fn shared_file(bytes: NonZeroUsize) -> io::Result<OwnedFd> {
        let file = File::from(platform::anonymous_file()?);
        file.set_len(bytes.get() as u64)?;
        platform::seal(&file, true)?;
        Ok(file.into())
    }

    /// Maps a file of [`Self::shared_file`], for reading and writing beside others: by
    /// [`Self::counter`] alone.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub(super) fn open_shared(file: OwnedFd, bytes: NonZeroUsize) -> io::Result<Self> {
        Self::open_as(file, bytes, true)
    }

    /// Maps a file that a peer passed, for reading only.
    ///
    /// # Errors
    /// When it is shorter than `bytes` or could be shortened later, which would turn reads into
    /// SIGBUS.
    pub(super) fn open(file: OwnedFd, bytes: NonZeroUsize) -> io::Result<Self> {
        Self::open_as(file, bytes, false)
    }

    fn open_as(file: OwnedFd, bytes: NonZeroUsize, writable: bool) -> io::Result<Self> {
        let file = File::from(file);
        platform::check_seals(&file)?;
        if file.metadata()?.len() < bytes.get() as u64 {
            return Err(io::Error::other("a shared file is shorter than its peer says"));
        }
        Self::map(&file, bytes, writable)
    }

    fn map(file: &File, bytes: NonZeroUsize, writable: bool) -> io::Result<Self> {
        let access = libc::PROT_READ | if writable { libc::PROT_WRITE } else { 0 };
        let (file, shared) = (file.as_raw_fd(), libc::MAP_SHARED);
        // SAFETY: a new mapping at an address of the kernel's choice replaces none.
        let address = unsafe { libc::mmap(ptr::null_mut(), bytes.get(), access, shared, file, 0) };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let address = NonNull::new(address.cast()).expect("the kernel never maps address 0");
        Ok(Self { address, bytes, writable })
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.get()
    }

    /// Where it begins.
    pub(super) fn start(&self) -> *const u8 {
        self.address.as_ptr()
    }

    /// Address of byte `offset`, when `[offset, offset + bytes)` lies inside.
    pub(super) fn address_of(&self, offset: usize, bytes: usize) -> Option<NonNull<u8>> {
        let end = offset.checked_add(bytes)?;
        // SAFETY: the offset is inside of the mapping.
        (end <= self.bytes.get()).then(|| unsafe { self.address.add(offset) })
    }

    /// Counter `index` of a shared mapping, which many processes change at once.
    ///
    /// # Panics
    /// When the mapping ends before it, or is read-only.
    pub(super) fn counter(&self, index: usize) -> &AtomicU64 {
        assert!(self.writable, "the mapping is writable");
        let (offset, bytes) = (index * size_of::<u64>(), size_of::<u64>());
        let address = self.address_of(offset, bytes).expect("the counter is inside of the mapping");
        // SAFETY: the counter is mapped for writing for as long as `self`, initialised (a new
        // file reads as zeros), and aligned, as the mapping begins at a page. A mapping of
        // `open_shared` is changed by this function's atomics alone, in every process.
        unsafe { AtomicU64::from_ptr(address.as_ptr().cast()) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range was mapped by `map` and nothing borrows from a value being dropped.
        let unmapped = unsafe { libc::munmap(self.address.as_ptr().cast(), self.bytes.get()) };
        debug_assert_eq!(unmapped, 0, "munmap fails for wrong arguments only");
    }
}

#[cfg(target_os = "linux")]
mod platform {
    use std::fs::File;
    use std::io;
    use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

    pub(super) fn anonymous_file() -> io::Result<OwnedFd> {
        let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
        // SAFETY: the name is a C string.
        let file = unsafe { libc::memfd_create(c"raceline".as_ptr(), flags) };
        if file < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new and nobody else's.
        Ok(unsafe { OwnedFd::from_raw_fd(file) })
    }

    pub(super) fn seal(file: &File, others_write: bool) -> io::Result<()> {
        let size = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW;
        let writes = if others_write { 0 } else { libc::F_SEAL_FUTURE_WRITE };
        let seals = size | writes | libc::F_SEAL_SEAL;
        // SAFETY: this command takes a number.
        let sealed = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) };
        if sealed < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    pub(super) fn check_seals(file: &File) -> io::Result<()> {
        // SAFETY: this command takes nothing.
        let seals = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GET_SEALS) };
        if seals >= 0 && seals & libc::F_SEAL_SHRINK != 0 {
            return Ok(());
        }
        Err(io::Error::other("a shared file is not sealed against shrinking"))
    }
}

#[cfg(not(target_os = "linux"))]
mod platform {
    use std::ffi::CString;
    use std::fs::File;
    use std::io;
    use std::os::fd::{FromRawFd, OwnedFd};
    use std::sync::atomic::{AtomicU32, Ordering};

    static NEXT: AtomicU32 = AtomicU32::new(0);

    pub(super) fn anonymous_file() -> io::Result<OwnedFd> {
        let ordinal = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("/raceline-{}-{ordinal}", std::process::id());
        let name = CString::new(name).expect("the name has no zero byte");
        let flags = libc::O_RDWR | libc::O_CREAT | libc::O_EXCL;
        // SAFETY: the name is a C string; the mode is passed as variadic arguments are.
        let file = unsafe { libc::shm_open(name.as_ptr(), flags, 0o600 as libc::c_uint) };
        if file < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new and nobody else's.
        let file = unsafe { OwnedFd::from_raw_fd(file) };
        // SAFETY: the name is a C string.
        if unsafe { libc::shm_unlink(name.as_ptr()) } < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(file)
    }

    pub(super) fn seal(_file: &File, _others_write: bool) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn check_seals(_file: &File) -> io::Result<()> {
        Ok(())
    }
}
