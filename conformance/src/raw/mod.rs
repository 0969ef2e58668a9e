//! A minimal io_uring client on the bare ABI: three calls, two mappings, no library.
//!
//! Who serves the three calls is a [`Backend`]: the kernel (or whatever traps the calls on the
//! way to it: the same program runs under `sysring run`), or the engine, called in this process.

mod ring;

use std::io;

use sysring_sys::abi::io_uring::Params;
use sysring_sys::{Errno, Fd, User};

pub use ring::{Memory, Ring};

/// Who serves io_uring. Results are the kernel's: a value, or a negated errno.
pub trait Backend: Sync {
    fn setup(&self, entries: u32, params: User<Params>) -> i64;
    fn enter(&self, fd: i32, submit: u32, min: u32, flags: u32, arg: u64, size: usize) -> i64;
    fn register(&self, fd: i32, opcode: u32, arg: u64, count: u32) -> i64;
    fn mmap(&self, fd: i32, len: usize, offset: u64) -> i64;
    fn close(&self, fd: i32) -> i64;

    /// A program begins. From here on a backend may fail at random, as the seed decides.
    fn begin(&self, _seed: u64) {}

    /// Whether it does: who is refused a ring asks again then.
    fn fails_at_random(&self) -> bool {
        false
    }

    /// What fails at random fails no more: all that is out must end.
    fn calm(&self) {}

    /// The rings of a program are closed: what there is to say of how it went.
    fn remarks(&self) -> String {
        String::new()
    }
}

/// The system calls themselves.
pub struct Kernel;

/// Whether the kernel serves io_uring to this process.
#[must_use]
pub fn kernel_works() -> bool {
    Ring::new(&Kernel, 1, Params::default()).is_ok()
}

/// A system call's answer with the errno folded back in.
fn answer(returned: i64) -> i64 {
    if returned == -1 {
        -i64::from(io::Error::last_os_error().raw_os_error().unwrap_or(0))
    } else {
        returned
    }
}

impl Backend for Kernel {
    fn setup(&self, entries: u32, params: User<Params>) -> i64 {
        // SAFETY: the kernel checks the pointer.
        answer(unsafe { libc::syscall(libc::SYS_io_uring_setup, entries, params.address()) })
    }

    fn enter(&self, fd: i32, submit: u32, min: u32, flags: u32, arg: u64, size: usize) -> i64 {
        // SAFETY: the kernel checks the pointers; what SQEs name is the caller's to give.
        answer(unsafe {
            libc::syscall(libc::SYS_io_uring_enter, fd, submit, min, flags, arg, size)
        })
    }

    fn register(&self, fd: i32, opcode: u32, arg: u64, count: u32) -> i64 {
        // SAFETY: as `enter`.
        answer(unsafe { libc::syscall(libc::SYS_io_uring_register, fd, opcode, arg, count) })
    }

    fn mmap(&self, fd: i32, len: usize, offset: u64) -> i64 {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_SHARED | libc::MAP_POPULATE;
        // SAFETY: a new mapping where the kernel chooses.
        let at = unsafe {
            libc::mmap(std::ptr::null_mut(), len, protection, flags, fd, offset as libc::off_t)
        };
        answer(at as i64)
    }

    fn close(&self, fd: i32) -> i64 {
        // SAFETY: takes a number.
        answer(i64::from(unsafe { libc::close(fd) }))
    }
}

/// The engine, called in this process: no trap in between.
pub struct Engine;

impl Engine {
    /// The engine kicks its blocked workers with SIGSYS, which by default kills: a handler that
    /// only returns is what it needs of its host.
    #[must_use]
    pub fn new() -> Engine {
        extern "C" fn nothing(_signal: i32) {}
        let handler = nothing as extern "C" fn(i32);
        // SAFETY: the handler does nothing at all; no SA_RESTART, so that a kick interrupts.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = handler as usize;
            libc::sigaction(libc::SIGSYS, &raw const action, std::ptr::null_mut());
        }
        sysring_engine::thread::declare_kick_handled();
        Engine
    }
}

impl Default for Engine {
    fn default() -> Engine {
        Engine::new()
    }
}

fn fold(result: sysring_sys::Result<usize>) -> i64 {
    Errno::to_ret(result) as i64
}

impl Backend for Engine {
    fn setup(&self, entries: u32, params: User<Params>) -> i64 {
        fold(sysring_engine::setup(entries, params))
    }

    fn enter(&self, fd: i32, submit: u32, min: u32, flags: u32, arg: u64, size: usize) -> i64 {
        let caller = sysring_engine::Caller::default();
        fold(sysring_engine::enter(fd as u32, submit, min, flags, User::new(arg), size, &caller))
    }

    fn register(&self, fd: i32, opcode: u32, arg: u64, count: u32) -> i64 {
        fold(sysring_engine::register(fd as u32, opcode, User::new(arg), count))
    }

    fn mmap(&self, fd: i32, len: usize, offset: u64) -> i64 {
        let protection = (libc::PROT_READ | libc::PROT_WRITE) as u32;
        let flags = (libc::MAP_SHARED | libc::MAP_POPULATE) as u32;
        let mapped =
            sysring_engine::descriptors::mmap(Fd::new(fd), 0, len, protection, flags, offset);
        mapped.map_or_else(|| Kernel.mmap(fd, len, offset), fold)
    }

    fn close(&self, fd: i32) -> i64 {
        let closed = sysring_engine::descriptors::close(Fd::new(fd));
        closed.map_or_else(|| Kernel.close(fd), |result| fold(result.map(|()| 0)))
    }
}
