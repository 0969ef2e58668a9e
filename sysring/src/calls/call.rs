//! Calls, and constructors of those that are made most.

use core::ffi::CStr;
use core::marker::PhantomData;
use core::sync::atomic::AtomicU32;
use core::time::Duration;

use sysring_engine::native::{self, Order, Placement};
use sysring_sys::raw::general as g;

use super::Slot;
use crate::op::Descriptor;

pub use sysring_sys::call::OpenHow;

/// A system call that is yet to be issued.
///
/// `'a` is how long what is copied has to be there, and descriptors have to be open: until it is issued.
/// `'m` is how long what it reads and writes later has to: until its answer comes.
///
/// ```compile_fail,E0505
/// use sysring::calls::{Call, Calls};
///
/// let file = std::fs::File::open("/dev/null").unwrap();
/// let call = Call::fsync(&file);
/// drop(file);
/// let _ = Calls::issue_sync(call); // the number may be another file's
/// ```
#[derive(Debug)]
#[must_use = "a call does nothing until it is issued"]
pub struct Call<'a, 'm> {
    call: native::Call,
    order: Order,
    given: PhantomData<&'a ()>,
    memory: PhantomData<&'m mut ()>,
}

/// `struct statx`, as [`Call::statx`] fills it.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct Statx(pub g::statx);

impl Default for Statx {
    fn default() -> Self {
        // SAFETY: integers, for which all zeroes are values.
        Statx(unsafe { core::mem::zeroed() })
    }
}

impl core::ops::Deref for Statx {
    type Target = g::statx;

    fn deref(&self) -> &g::statx {
        &self.0
    }
}

/// How [`Call::statx`] looks for its file (`AT_*`), and what it asks for (`STATX_*`).
#[derive(Clone, Copy, Debug)]
pub struct StatxFlags {
    /// `AT_SYMLINK_NOFOLLOW`, `AT_EMPTY_PATH`, `AT_STATX_DONT_SYNC`, …
    pub flags: u32,
    /// `STATX_BASIC_STATS`, …
    pub mask: u32,
}

impl Default for StatxFlags {
    fn default() -> Self {
        StatxFlags { flags: 0, mask: g::STATX_BASIC_STATS }
    }
}

/// What [`Call::accept`] makes of the new socket (`SOCK_CLOEXEC`, `SOCK_NONBLOCK`).
#[derive(Clone, Copy, Debug)]
pub struct Accept(pub u32);

impl Default for Accept {
    fn default() -> Self {
        Accept(g::O_CLOEXEC)
    }
}

fn number(descriptor: impl Descriptor) -> usize {
    descriptor.number() as isize as usize
}

fn address<T>(of: &T) -> usize {
    core::ptr::from_ref(of) as usize
}

/// Puts a call together: what is not given is 0.
fn call<'a, 'm, const N: usize>(nr: u32, given: [usize; N]) -> Call<'a, 'm> {
    let mut args = [0; 6];
    args[..N].copy_from_slice(&given);
    let order = Order::default();
    Call { call: native::Call { nr, args }, order, given: PhantomData, memory: PhantomData }
}

impl<'a, 'm> Call<'a, 'm> {
    /// Any call: `nr` is its number on this architecture (`__NR_*`, `SYS_*`).
    ///
    /// # Safety
    /// The call must be sound for this process, as by libc's `syscall`, whenever it is made until its
    /// answer comes, by whichever thread: addresses are good for `'m`, or for `'a` where the table
    /// says that they are copied; descriptors it closes or uses are the caller's.
    #[inline]
    pub unsafe fn raw(nr: u32, args: [usize; 6]) -> Call<'a, 'm> {
        call(nr, args)
    }

    /// A word that comes back with the answer.
    #[inline]
    pub fn user_data(mut self, user_data: u64) -> Call<'a, 'm> {
        self.order.user_data = user_data;
        self
    }

    /// Sends the call to a worker, whatever it is: it may take long, and the issuing thread must
    /// not. (`EOPNOTSUPP` of calls that are about the thread that makes them.)
    #[inline]
    pub fn by_worker(mut self) -> Call<'a, 'm> {
        self.order.placement = Placement::Worker;
        self
    }

    /// Aims the answer at a slot instead of the context's queue. It is filled also where the call
    /// does not block.
    #[inline]
    pub fn into_slot(mut self, slot: &'m Slot) -> Call<'a, 'm> {
        self.order.slot = slot.address();
        self
    }

    /// Whether the answer is aimed at a slot.
    #[cfg(feature = "std")]
    pub(super) fn has_slot(&self) -> bool {
        !self.order.slot.is_null()
    }

    /// The call's number.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.call.nr
    }

    #[inline]
    pub(super) fn parts(self) -> (native::Call, Order) {
        (self.call, self.order)
    }

    /// `read(2)`. Errors: those of the man page.
    #[inline]
    pub fn read(fd: impl Descriptor + 'a, buffer: &'m mut [u8]) -> Call<'a, 'm> {
        call(g::__NR_read, [number(fd), buffer.as_mut_ptr() as usize, buffer.len()])
    }

    /// `pread(2)`.
    #[inline]
    pub fn pread(fd: impl Descriptor + 'a, buffer: &'m mut [u8], offset: u64) -> Call<'a, 'm> {
        let (at, len) = (buffer.as_mut_ptr() as usize, buffer.len());
        call(g::__NR_pread64, [number(fd), at, len, offset as usize])
    }

    /// `write(2)`. All of it is written before the answer comes, as by a call that blocks.
    #[inline]
    pub fn write(fd: impl Descriptor + 'a, data: &'m [u8]) -> Call<'a, 'm> {
        call(g::__NR_write, [number(fd), data.as_ptr() as usize, data.len()])
    }

    /// `pwrite(2)`.
    #[inline]
    pub fn pwrite(fd: impl Descriptor + 'a, data: &'m [u8], offset: u64) -> Call<'a, 'm> {
        let (at, len) = (data.as_ptr() as usize, data.len());
        call(g::__NR_pwrite64, [number(fd), at, len, offset as usize])
    }

    /// `recv(2)`, with `MSG_*` flags.
    #[inline]
    pub fn recv(socket: impl Descriptor + 'a, buffer: &'m mut [u8], flags: u32) -> Call<'a, 'm> {
        let (at, len) = (buffer.as_mut_ptr() as usize, buffer.len());
        call(g::__NR_recvfrom, [number(socket), at, len, flags as usize])
    }

    /// `send(2)`, with `MSG_*` flags.
    #[inline]
    pub fn send(socket: impl Descriptor + 'a, data: &'m [u8], flags: u32) -> Call<'a, 'm> {
        let (at, len) = (data.as_ptr() as usize, data.len());
        call(g::__NR_sendto, [number(socket), at, len, flags as usize])
    }

    /// `accept4(2)`: the answer is the new socket's descriptor.
    #[inline]
    pub fn accept(listener: impl Descriptor + 'a, how: Accept) -> Call<'a, 'm> {
        call(g::__NR_accept4, [number(listener), 0, 0, how.0 as usize])
    }

    /// `connect(2)`, to an address as the kernel has it (`struct sockaddr_*`). It is copied.
    #[inline]
    pub fn connect(socket: impl Descriptor + 'a, to: &'a [u8]) -> Call<'a, 'm> {
        call(g::__NR_connect, [number(socket), to.as_ptr() as usize, to.len()])
    }

    /// `openat(2)`: the answer is the new descriptor. The path is copied. A path that is not cached
    /// is looked up by a worker.
    #[inline]
    pub fn openat(
        dir: impl Descriptor + 'a,
        path: &'a CStr,
        flags: u32,
        mode: u32,
    ) -> Call<'a, 'm> {
        let path = path.as_ptr() as usize;
        call(g::__NR_openat, [number(dir), path, flags as usize, mode as usize])
    }

    /// `openat2(2)`.
    #[inline]
    pub fn openat2(dir: impl Descriptor + 'a, path: &'a CStr, how: &'a OpenHow) -> Call<'a, 'm> {
        let (path, size) = (path.as_ptr() as usize, size_of::<OpenHow>());
        call(g::__NR_openat2, [number(dir), path, address(how), size])
    }

    /// `statx(2)`. The path is copied.
    #[inline]
    pub fn statx(
        dir: impl Descriptor + 'a,
        path: &'a CStr,
        how: StatxFlags,
        to: &'m mut Statx,
    ) -> Call<'a, 'm> {
        let (path, to) = (path.as_ptr() as usize, core::ptr::from_mut(to) as usize);
        call(g::__NR_statx, [number(dir), path, how.flags as usize, how.mask as usize, to])
    }

    /// `getdents64(2)`: the answer is how many bytes of entries there are; 0: no more.
    #[inline]
    pub fn getdents64(dir: impl Descriptor + 'a, buffer: &'m mut [u8]) -> Call<'a, 'm> {
        call(g::__NR_getdents64, [number(dir), buffer.as_mut_ptr() as usize, buffer.len()])
    }

    /// `readlinkat(2)`.
    #[inline]
    pub fn readlinkat(dir: impl Descriptor + 'a, path: &'a CStr, to: &'m mut [u8]) -> Call<'a, 'm> {
        let path = path.as_ptr() as usize;
        call(g::__NR_readlinkat, [number(dir), path, to.as_mut_ptr() as usize, to.len()])
    }

    /// `mkdirat(2)`.
    #[inline]
    pub fn mkdirat(dir: impl Descriptor + 'a, path: &'a CStr, mode: u32) -> Call<'a, 'm> {
        call(g::__NR_mkdirat, [number(dir), path.as_ptr() as usize, mode as usize])
    }

    /// `unlinkat(2)`, with `AT_REMOVEDIR` for a directory.
    #[inline]
    pub fn unlinkat(dir: impl Descriptor + 'a, path: &'a CStr, flags: u32) -> Call<'a, 'm> {
        call(g::__NR_unlinkat, [number(dir), path.as_ptr() as usize, flags as usize])
    }

    /// `renameat2(2)`, with `RENAME_*` flags. Of the two directories a pending call has a duplicate of
    /// the first; the second stays open until it is answered.
    ///
    /// ```compile_fail,E0597
    /// use sysring::calls::{Call, Calls};
    ///
    /// let (calls, to) = (Calls::new().unwrap(), std::fs::File::open("/tmp").unwrap());
    /// let call = Call::renameat2(&to, c"one", &to, c"other", 0).by_worker();
    /// calls.issue(call).unwrap();
    /// // `to` is closed here, and the call may be pending.
    /// ```
    #[inline]
    pub fn renameat2(
        from_dir: impl Descriptor + 'a,
        from: &'a CStr,
        to_dir: impl Descriptor + 'm,
        to: &'a CStr,
        flags: u32,
    ) -> Call<'a, 'm> {
        let (from, to) = (from.as_ptr() as usize, to.as_ptr() as usize);
        let (from_dir, to_dir) = (number(from_dir), number(to_dir));
        call(g::__NR_renameat2, [from_dir, from, to_dir, to, flags as usize])
    }

    /// `fsync(2)`, by a worker.
    #[inline]
    pub fn fsync(fd: impl Descriptor + 'a) -> Call<'a, 'm> {
        call(g::__NR_fsync, [number(fd)])
    }

    /// `fdatasync(2)`, by a worker.
    #[inline]
    pub fn fdatasync(fd: impl Descriptor + 'a) -> Call<'a, 'm> {
        call(g::__NR_fdatasync, [number(fd)])
    }

    /// `close(2)` of a descriptor that the caller gives away.
    #[cfg(feature = "std")]
    #[inline]
    pub fn close(fd: std::os::fd::OwnedFd) -> Call<'a, 'm> {
        call(g::__NR_close, [std::os::fd::IntoRawFd::into_raw_fd(fd) as usize])
    }

    /// `FUTEX_WAIT` without a limit, private to the process: until somebody wakes who waits on
    /// `word`, if it holds `expected` (`EAGAIN` if not).
    #[inline]
    pub fn futex_wait(word: &'m AtomicU32, expected: u32) -> Call<'a, 'm> {
        let op = g::FUTEX_WAIT | g::FUTEX_PRIVATE_FLAG;
        call(g::__NR_futex, [word.as_ptr() as usize, op as usize, expected as usize])
    }

    /// `nanosleep(2)` for a time that is kept by the caller.
    #[inline]
    pub fn sleep(time: &'a Time) -> Call<'a, 'm> {
        call(g::__NR_nanosleep, [address(time)])
    }

    /// `epoll_wait(2)` without a limit: the answer is how many events there are. Nothing sleeps for
    /// it.
    #[inline]
    pub fn epoll_wait(
        epoll: impl Descriptor + 'a,
        events: &'m mut [g::epoll_event],
    ) -> Call<'a, 'm> {
        let (at, most) = (events.as_mut_ptr() as usize, events.len());
        call(g::__NR_epoll_pwait, [number(epoll), at, most, usize::MAX, 0, 8])
    }
}

/// A length of time as the kernel has it.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct Time(sysring_sys::abi::Timespec);

impl From<Duration> for Time {
    fn from(time: Duration) -> Time {
        let tv_sec = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        Time(sysring_sys::abi::Timespec { tv_sec, tv_nsec: time.subsec_nanos().into() })
    }
}
