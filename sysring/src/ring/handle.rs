//! The calls of a ring.

use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::Relaxed;

use sysring_door::{self as door, Engine as Serves};
use sysring_sys::abi::io_uring::{Params, setup};
use sysring_sys::{Errno, Fd, User};

#[cfg(feature = "std")]
use super::Wait;
#[cfg(feature = "engine")]
use super::personalities::Personalities;

/// How calls name a ring: its descriptor, or an index of the thread's, with the flag for that.
#[derive(Clone, Copy)]
pub struct Way {
    pub serves: Serves,
    pub number: i32,
    pub flags: u32,
}

impl Way {
    /// `io_uring_enter(2)`.
    #[inline(always)]
    pub fn enter(
        &self,
        submit: u32,
        want: u32,
        flags: u32,
        argument: User<u8>,
        size: usize,
    ) -> Answer {
        let flags = flags | self.flags;
        Answer(door::enter_c(self.serves, self.number, submit, want, flags, argument, size))
    }
}

/// What a call has answered, or what stands in for it: one word on every path, which becomes a
/// `Result` where the paths have met.
#[derive(Clone, Copy)]
#[must_use]
pub struct Answer(i32);

impl Answer {
    /// So many entries were taken.
    #[inline(always)]
    pub fn taken(count: u32) -> Answer {
        Answer(count as i32)
    }

    #[inline(always)]
    pub fn result(self) -> Result<u32, Errno> {
        match self.0 {
            count @ 0.. => Ok(count as u32),
            errno => Err(error(errno)),
        }
    }
}

/// The ring's descriptor, closed when it is dropped.
pub struct Handle {
    pub serves: Serves,
    pub fd: Fd,
    pub setup: u32,
    /// No other ring of this process has or had it, as descriptors' numbers come again.
    pub id: u64,
    #[cfg(feature = "engine")]
    pub personalities: Personalities,
}

impl Handle {
    pub fn new(serves: Serves, fd: Fd, params: &Params) -> Handle {
        static LAST: AtomicU64 = AtomicU64::new(0);
        // Only a number: nothing is told by it.
        let id = LAST.fetch_add(1, Relaxed);
        Handle {
            serves,
            fd,
            setup: params.flags,
            id,
            #[cfg(feature = "engine")]
            personalities: Personalities::new(),
        }
    }

    #[inline(always)]
    pub fn way(&self) -> Way {
        Way { serves: self.serves, number: self.fd.raw(), flags: 0 }
    }

    /// Whether submission needs more than a call.
    #[inline(always)]
    pub fn is_special(&self) -> bool {
        self.setup & (setup::SQPOLL | setup::IOPOLL) != 0
    }

    /// Whether completions come only when they are asked for.
    pub fn is_polled(&self) -> bool {
        self.setup & setup::IOPOLL != 0
    }

    /// Whether a thread of the other side looks for submissions.
    pub fn has_thread(&self) -> bool {
        self.setup & setup::SQPOLL != 0
    }

    /// `io_uring_register(2)`.
    pub fn register(&self, opcode: u32, argument: User<u8>, count: u32) -> Result<u32, Errno> {
        #[cfg(feature = "engine")]
        self.personalities.prepare(opcode)?;
        let answer = door::register(self.serves, self.fd.raw(), opcode, argument, count)? as u32;
        #[cfg(feature = "engine")]
        self.personalities.note(opcode, count, answer);
        Ok(answer)
    }
}

/// An answer below zero.
#[cold]
fn error(answer: i32) -> Errno {
    Errno::from_raw(answer.wrapping_neg()).unwrap_or(Errno::EINVAL)
}

impl Drop for Handle {
    fn drop(&mut self) {
        let _ = door::close(self.serves, self.fd);
    }
}

/// A way to the calls of a ring that somebody else keeps: to sleep in it while other threads push.
/// It must not be used when the ring is gone.
#[cfg(feature = "std")]
#[derive(Clone, Copy)]
pub struct Entrance {
    serves: Serves,
    fd: Fd,
}

#[cfg(feature = "std")]
impl Entrance {
    pub fn of(handle: &Handle) -> Entrance {
        Entrance { serves: handle.serves, fd: handle.fd }
    }

    /// Hands over `submit` entries, which are [published](Ring::publish), with the flags that this
    /// takes, and waits.
    pub fn enter(&self, submit: u32, extra: u32, wait: &Wait) -> Result<u32, Errno> {
        let (serves, fd) = (self.serves, self.fd.raw());
        wait.with(|want, flags, argument, size| {
            let flags = flags | extra;
            door::enter(serves, fd, submit, want, flags, argument, size).map(|taken| taken as u32)
        })
    }

    /// `io_uring_register(2)`.
    ///
    /// # Safety
    /// The argument is what the call takes, and what it lends stays.
    pub unsafe fn register(
        &self,
        opcode: u32,
        argument: User<u8>,
        count: u32,
    ) -> Result<u32, Errno> {
        door::register(self.serves, self.fd.raw(), opcode, argument, count).map(|n| n as u32)
    }

    pub fn fd(&self) -> Fd {
        self.fd
    }
}
