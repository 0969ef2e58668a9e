//! A minimal io_uring client on the bare ABI: three calls, two mappings, no library.
//!
//! Who serves the three calls is a [`Backend`]: the kernel (or whatever traps the calls on the
//! way to it: the same program runs under `sysring run`), or the engine, called in this process.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};

use sysring_sys::abi::io_uring::{self as uring, Cqe, GeteventsArg, Params, Sqe};
use sysring_sys::{Errno, Fd, User};

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
        sysring_engine::thread::kick_is_handled();
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

/// The lowest number a ring descriptor is given, so that what a program opens is numbered alike
/// whoever serves it.
const RING_FLOOR: i32 = 960;

/// One mapping of a ring.
struct Mapping {
    at: usize,
    len: usize,
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping was made for this value alone.
        unsafe { libc::munmap(self.at as *mut libc::c_void, self.len) };
    }
}

/// A ring and its mappings.
pub struct Ring<'a> {
    pub backend: &'a dyn Backend,
    pub fd: i32,
    pub params: Params,
    queues: Mapping,
    sqes: Mapping,
    tail: u32,
}

impl<'a> Ring<'a> {
    /// Makes a ring; the errno, negated, if there is none.
    ///
    /// # Errors
    /// What `io_uring_setup` or `mmap` answered.
    pub fn new(
        backend: &'a dyn Backend,
        entries: u32,
        mut params: Params,
    ) -> Result<Ring<'a>, i64> {
        let fd = backend.setup(entries, User::of(&raw mut params));
        if fd < 0 {
            return Err(fd);
        }
        let fd = lift(fd as i32);
        let sq_len = match params.flags & uring::setup::NO_SQARRAY {
            0 => params.sq_off.array + 4 * params.sq_entries,
            _ => 0,
        };
        let cq_len = params.cq_off.cqes + cqe_size(params.flags) * params.cq_entries;
        let map = |len: usize, offset| {
            let at = backend.mmap(fd, len, offset);
            if at < 0 && at > -4096 {
                backend.close(fd);
                return Err(at);
            }
            Ok(Mapping { at: at as usize, len })
        };
        let queues = map(sq_len.max(cq_len) as usize, uring::OFF_SQ_RING)?;
        let sqes = map((sqe_size(params.flags) * params.sq_entries) as usize, uring::OFF_SQES)?;
        let mut ring = Ring { backend, fd, params, queues, sqes, tail: 0 };
        ring.tail = ring.sq_word(params.sq_off.tail).load(Ordering::Relaxed);
        Ok(ring)
    }

    fn word(&self, offset: u32) -> &AtomicU32 {
        let at = self.queues.at + offset as usize;
        // SAFETY: inside the mapping, which lives as long as `self`; the other side of the ring
        // writes it too, hence an atomic.
        unsafe { &*(at as *const AtomicU32) }
    }

    /// A word of the submission side, by its offset in the parameters.
    #[must_use]
    pub fn sq_word(&self, offset: u32) -> &AtomicU32 {
        self.word(offset)
    }

    /// A word of the completion side, by its offset in the parameters.
    #[must_use]
    pub fn cq_word(&self, offset: u32) -> &AtomicU32 {
        self.word(offset)
    }

    /// The whole memory of the queues, to be spoilt.
    #[must_use]
    pub fn queue_memory(&self) -> (*mut u8, usize) {
        (self.queues.at as *mut u8, self.queues.len)
    }

    /// The whole memory of the SQEs, to be spoilt.
    #[must_use]
    pub fn sqe_memory(&self) -> (*mut u8, usize) {
        (self.sqes.at as *mut u8, self.sqes.len)
    }

    /// Puts one SQE in the queue; it is seen with the next [`Ring::publish`]. `index` is what the
    /// SQ array says in place of the right index.
    pub fn push(&mut self, sqe: Sqe, index: Option<u32>) {
        let place = self.tail & (self.params.sq_entries - 1);
        let size = sqe_size(self.params.flags) as usize;
        let at = self.sqes.at + size * place as usize;
        // SAFETY: `place` is below the number of entries mapped; the rest of a wide one is zeroed.
        unsafe {
            (at as *mut Sqe).write_volatile(sqe);
            ((at + size_of::<Sqe>()) as *mut u8).write_bytes(0, size - size_of::<Sqe>());
        }
        if self.params.flags & uring::setup::NO_SQARRAY == 0 {
            let array = self.params.sq_off.array + 4 * place;
            self.word(array).store(index.unwrap_or(place), Ordering::Relaxed);
        }
        self.tail = self.tail.wrapping_add(1);
    }

    /// Shows the other side what was pushed.
    pub fn publish(&self) {
        self.word(self.params.sq_off.tail).store(self.tail, Ordering::Release);
    }

    /// Entries pushed that the other side has not consumed.
    #[must_use]
    pub fn unconsumed(&self) -> u32 {
        self.tail.wrapping_sub(self.word(self.params.sq_off.head).load(Ordering::Acquire))
    }

    /// Takes back what was not consumed.
    pub fn take_back(&mut self) {
        self.tail = self.word(self.params.sq_off.head).load(Ordering::Acquire);
        self.publish();
    }

    pub fn enter(&self, submit: u32, min: u32, flags: u32) -> i64 {
        self.backend.enter(self.fd, submit, min, flags, 0, 0)
    }

    /// Waits for `min` completions, at most `nanoseconds`.
    pub fn wait(&self, min: u32, nanoseconds: u64) -> i64 {
        let time = [nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000];
        let arg = GeteventsArg { ts: time.as_ptr() as u64, ..GeteventsArg::default() };
        let flags = uring::enter::GETEVENTS | uring::enter::EXT_ARG;
        let size = size_of::<GeteventsArg>();
        self.backend.enter(self.fd, 0, min, flags, (&raw const arg) as u64, size)
    }

    pub fn register(&self, opcode: u32, arg: u64, count: u32) -> i64 {
        self.backend.register(self.fd, opcode, arg, count)
    }

    /// The next completion, taken off the queue.
    pub fn take(&mut self) -> Option<Cqe> {
        self.take_wide().map(|(cqe, _)| cqe)
    }

    /// The same, with the second half of one of 32 bytes.
    pub fn take_wide(&mut self) -> Option<(Cqe, [u64; 2])> {
        let off = self.params.cq_off;
        let head = self.word(off.head).load(Ordering::Relaxed);
        if head == self.word(off.tail).load(Ordering::Acquire) {
            return None;
        }
        let place = head & (self.params.cq_entries - 1);
        let size = cqe_size(self.params.flags);
        let at = self.queues.at + off.cqes as usize + (size * place) as usize;
        // SAFETY: `place` is below the number of entries mapped.
        let cqe = unsafe { (at as *const Cqe).read_volatile() };
        let extra = match size {
            // SAFETY: there are 16 bytes more.
            32 => unsafe { ((at + size_of::<Cqe>()) as *const [u64; 2]).read_volatile() },
            _ => [0; 2],
        };
        self.word(off.head).store(head.wrapping_add(1), Ordering::Release);
        Some((cqe, extra))
    }

    /// Completions in the queue.
    #[must_use]
    pub fn ready(&self) -> u32 {
        let off = self.params.cq_off;
        let tail = self.word(off.tail).load(Ordering::Acquire);
        tail.wrapping_sub(self.word(off.head).load(Ordering::Relaxed))
    }
}

impl Drop for Ring<'_> {
    fn drop(&mut self) {
        self.backend.close(self.fd);
    }
}

/// Bytes of an SQE on a ring with these flags.
fn sqe_size(flags: u32) -> u32 {
    if flags & uring::setup::SQE128 != 0 { 128 } else { 64 }
}

/// Bytes of a CQE.
fn cqe_size(flags: u32) -> u32 {
    if flags & uring::setup::CQE32 != 0 { 32 } else { 16 }
}

/// Moves a ring descriptor out of the way of the numbers programs count on.
fn lift(fd: i32) -> i32 {
    if fd >= RING_FLOOR {
        return fd;
    }
    // SAFETY: takes numbers only.
    let high = unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, RING_FLOOR) };
    if high < 0 {
        return fd;
    }
    // SAFETY: `fd` is ours and has just been duplicated.
    unsafe { libc::close(fd) };
    high
}
