//! Native calls: any system call, by its number and six arguments.
//!
//! The second front door of the engine. A call is attempted first, on the thread that asks for it
//! and without a lock, an allocation or a shared word that changes from call to call: one that does not
//! block costs what the bare call does. Only what would block becomes a request, and goes the road of
//! all requests: readiness, kernel AIO, a sleeper, a worker. What each call is tried by stands in
//! [`table`], a row for each number; a number that has no row is made by a worker, so every number works.

mod asked;
pub mod batch;
pub mod context;
mod credentials;
mod direct;
mod end;
mod hear;
mod keep;
mod locks;
mod open;
mod polls;
mod queues;
mod queuing;
pub(crate) mod request;
mod socket;
pub mod table;
pub(crate) mod team;
mod time;
mod transfer;
mod wait;

pub use asked::{ForeignHandler, Handler, Handlers, attributes_of};
pub use batch::Step;
pub use context::{Context, Issued, Options, Order};
pub use request::{PENDING, upper_half};

use sysring_sys::abi::{NSEC_PER_SEC, Timespec};
use sysring_sys::raw::general as g;
use sysring_sys::{Errno, Fd, Result, User, arch, call};

use crate::op::moment::is_nonblocking;
use crate::user;

use table::How;

/// A system call: its number on this architecture, and its arguments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Call {
    /// The number.
    pub nr: u32,
    /// The arguments, as the registers have them.
    pub args: [usize; 6],
}

impl Call {
    /// Makes the call, here and now; the value or the negated error number.
    ///
    /// # Safety
    /// As for [`arch::syscall`].
    #[inline(always)]
    pub unsafe fn make(&self) -> isize {
        // SAFETY: passed on to the caller.
        unsafe { arch::syscall(self.nr as usize, self.args) }
    }

    /// As `make`, of a request, whose issuer has answered for it.
    #[inline(always)]
    fn answer(&self) -> isize {
        // SAFETY: whoever issued the call has promised that it is sound (`attempt`, `Context::issue`).
        unsafe { self.make() }
    }

    /// The same with another argument.
    fn with(&self, index: usize, value: usize) -> Call {
        let mut call = *self;
        call.args[index] = value;
        call
    }

    /// An argument that is a descriptor.
    fn fd(&self, index: usize) -> Fd {
        Fd::new(self.args[index] as i32)
    }
}

/// Where a call is to be made.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Placement {
    /// At once where it does not block, as far as that can be told (see [`table`]).
    #[default]
    Inline,
    /// By a worker, whatever it is: the issuing thread does not even look.
    Worker,
}

/// What an attempt came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Attempt {
    /// The call's answer.
    Done(isize),
    /// Would block.
    Blocked {
        /// The bytes of a transfer that have been moved before.
        moved: usize,
        /// What it goes on by.
        then: Then,
    },
}

/// How a call goes on that would block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Then {
    /// Try again when its descriptor is ready for these events (`EPOLL*`).
    Ready(u32),
    /// Kernel AIO does it: its file is opened with `O_DIRECT`.
    Aio,
    /// A worker makes it: it ends by itself.
    Worker,
    /// A thread of its own waits in it: others decide when it ends.
    Sleeper,
}

impl Attempt {
    const AIO: Attempt = Attempt::Blocked { moved: 0, then: Then::Aio };
    const WORKER: Attempt = Attempt::Blocked { moved: 0, then: Then::Worker };
    const SLEEPER: Attempt = Attempt::Blocked { moved: 0, then: Then::Sleeper };

    /// When the descriptor is ready.
    const fn ready(events: u32) -> Attempt {
        Attempt::Blocked { moved: 0, then: Then::Ready(events) }
    }

    fn failed(e: Errno) -> Attempt {
        Attempt::Done(e.to_res() as isize)
    }

    fn of(result: Result<usize>) -> Attempt {
        Attempt::Done(Errno::to_ret(result))
    }
}

/// Whether a number is one of the x32 ABI's, which would be other names for calls that are refused.
const fn is_foreign(nr: u32) -> bool {
    const X32: u32 = 1 << 30;
    cfg!(target_arch = "x86_64") && nr & X32 != 0
}

/// Makes a call that needs no attempt, by the calling thread: its answer, which [`attempt`] would put
/// into memory in one shape and take out in another, and the processor would wait for that.
///
/// # Safety
/// The call is sound for this process.
#[inline(always)]
pub unsafe fn at_once(call: &Call, placement: Placement) -> Option<isize> {
    let how = table::how(call.nr);
    let here = placement == Placement::Inline;
    (here && matches!(how, How::Inline | How::Cached | How::Own)).then(|| call.answer())
}

/// Makes a call if it does not block, by the calling thread.
///
/// # Safety
/// The call is sound for this process now; and, should it be `Blocked` and given to a context, until
/// it completes.
///
/// # Errors
/// `EOPNOTSUPP`: the call makes no sense on another thread, or later ([`table::How::Refused`]).
#[inline]
pub unsafe fn attempt(call: &Call, placement: Placement) -> Result<Attempt> {
    let how = table::how(call.nr);
    if placement == Placement::Worker {
        return by_worker(call, how);
    }
    match how {
        How::Inline | How::Cached | How::Own => Ok(Attempt::Done(call.answer())),
        How::Attempt(attempt, _) => Ok(attempt(call, false)),
        How::Worker | How::Unknown => by_worker(call, how),
        How::Sleeper => Ok(Attempt::SLEEPER),
        How::Refused => Err(Errno::EOPNOTSUPP),
    }
}

#[cold]
fn by_worker(call: &Call, how: How) -> Result<Attempt> {
    match how {
        How::Own | How::Refused => Err(Errno::EOPNOTSUPP),
        _ if is_foreign(call.nr) => Ok(Attempt::failed(Errno::ENOSYS)),
        How::Sleeper => Ok(Attempt::SLEEPER),
        _ => Ok(Attempt::WORKER),
    }
}

/// What `EAGAIN` means of an attempt that asked for it: the answer, where the file is non-blocking
/// itself; else there is to be waited. A socket with a time limit keeps it, on a thread.
#[cold]
fn would_block(fd: Fd, events: u32, limit: i32) -> Attempt {
    if is_nonblocking(fd) {
        // To files on disks the flag means nothing: who reads one waits for the disk.
        let waits = call::is_file_or_disk(fd);
        return if waits { Attempt::WORKER } else { Attempt::failed(Errno::EAGAIN) };
    }
    if socket::has_limit(fd, limit) { Attempt::SLEEPER } else { Attempt::ready(events) }
}

const READABLE: u32 = g::EPOLLIN | g::EPOLLRDNORM;
const WRITABLE: u32 = g::EPOLLOUT | g::EPOLLWRNORM;

/// Whether a time limit is one that can be waited for: none, or a length of time. Of another the call
/// itself says what is wrong with it.
fn is_time(address: usize) -> bool {
    address == 0
        || user::read::<Timespec>(User::new(address as u64))
            .is_ok_and(|time| (0..NSEC_PER_SEC).contains(&time.tv_nsec) && time.tv_sec >= 0)
}

/// The address of a time that is none: to wait for so long, or until then, is not to wait.
fn no_time() -> usize {
    static NONE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };
    &raw const NONE as usize
}
