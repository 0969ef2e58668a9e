//! The ring as its users see it.

use sysring_sys::abi::{NSEC_PER_SEC, Timespec};
use sysring_sys::call;
use sysring_sys::{Errno, Fd, Result};

use crate::atomic::{AtomicU32, AtomicU64};
use crate::band::Band;
use crate::event::{Event, Events, Seen};
use crate::host::Host;
use crate::identity::{self, Identity};
use crate::layout::{self, Header, MAGIC, SHARED, VERSION};
use crate::lock::Lock;
use crate::memory::{self, Doubled, Memory};
use crate::protocol::Protocol;

/// How long a consumer of a shared ring sleeps at once: a producer may be killed when it has
/// published an event and not yet woken anybody.
const LOOK_AGAIN_NS: i64 = 100_000_000;

/// What a new ring is to be like.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Bytes of the ring: a power of two, 64 KiB to 1 GiB.
    pub size: usize,
    /// Bytes of the overflow area: the same, or 0 for none. Memory is used only for what is in it.
    pub overflow: usize,
    /// Whether other processes will use it. (A forked child may in any case.)
    pub shared: bool,
}

impl Default for Config {
    /// 64 KiB, 16 MiB of overflow area, not shared.
    fn default() -> Config {
        Config { size: 64 << 10, overflow: 16 << 20, shared: false }
    }
}

/// A ring of events. All functions may be called by many threads at once, but not by a signal
/// handler that may have interrupted one of them.
#[derive(Debug)]
pub struct Ring {
    memory: Memory,
    identity: Identity,
    /// The memory file, if it is shared.
    file: Fd,
}

impl Ring {
    /// A new ring.
    ///
    /// # Errors
    /// `EINVAL`: sizes that cannot be, or a kernel before 4.14. `EMFILE`, `ENFILE`, `ENOMEM`.
    pub fn new(config: &Config) -> Result<Ring> {
        let sizes = [config.size, config.overflow];
        if !layout::valid(sizes[0]) || (sizes[1] != 0 && !layout::valid(sizes[1])) {
            return Err(Errno::EINVAL);
        }
        let header = Header {
            magic: MAGIC,
            version: VERSION,
            flags: if config.shared { SHARED } else { 0 },
            size: config.size as u32,
            overflow: config.overflow as u32,
            world: identity::world(),
        };
        let file = memory::create(&header)?;
        let ring = Ring::of(file, header);
        if ring.is_err() || !config.shared {
            let _ = call::close(file);
        }
        ring
    }

    /// The ring in a memory file of another process's, which has passed the descriptor on. The
    /// descriptor stays the caller's.
    ///
    /// # Errors
    /// `EINVAL`: not a ring. `EPROTONOSUPPORT`: of a version that is not known here. `EOPNOTSUPP`:
    /// with flags that are not. `EXDEV`: made in another pid or time namespace, so that its users
    /// could not tell who of them lives. `ENOMEM`, `EMFILE`.
    pub fn attach(file: Fd) -> Result<Ring> {
        let header = memory::look(file)?;
        if header.flags & SHARED == 0 {
            return Err(Errno::EINVAL);
        }
        if header.world != identity::world() {
            return Err(Errno::EXDEV);
        }
        let own = call::dup_from(file, Fd::new(0))?;
        let ring = Ring::of(own, header);
        if ring.is_err() {
            let _ = call::close(own);
        }
        ring
    }

    fn of(file: Fd, header: Header) -> Result<Ring> {
        let identity = Identity::new(header.world)?;
        let memory = Memory::map(file, header)?;
        let file = if header.flags & SHARED != 0 { file } else { Fd::NONE };
        Ok(Ring { memory, identity, file })
    }

    /// The memory file, to be passed to other processes: they [`attach`](Ring::attach) to it. It
    /// stays the ring's. None for a ring that is not shared.
    #[must_use]
    pub fn file(&self) -> Option<Fd> {
        self.file.is_valid().then_some(self.file)
    }

    /// Puts an event into the ring, or behind what has overflowed. Sleeps only while another
    /// producer is at it, and not longer than some 50 ms: the room of one that is stopped in the
    /// middle is left to it (the ring, or the overflow area), and used again when it has gone on or
    /// has ended.
    ///
    /// # Errors
    /// `ENOBUFS`: neither ring nor overflow area has room, or who is stopped has it. `EMSGSIZE`: longer than [`MAX_LEN`](crate::MAX_LEN).
    /// `EBADMSG`: the ring's counts have been overwritten. `EXDEV`: this process was forked into
    /// another pid or time namespace.
    #[inline]
    pub fn push(&self, event: &Event<'_>) -> Result<()> {
        self.protocol().push(event)
    }

    /// Whether this process may push at all.
    ///
    /// # Errors
    /// `EXDEV`: as of [`push`](Ring::push).
    #[inline]
    pub fn check_place(&self) -> Result<()> {
        self.identity.pid().map(drop)
    }

    /// Takes as many events as there are, and as `memory` has room for. Never sleeps. `memory`
    /// should have room for [`MAX_LEN`](crate::MAX_LEN) bytes at least, unless shorter events were agreed on.
    ///
    /// # Errors
    /// `EMSGSIZE`: there is no room for the next event. `EBADMSG`: what is there is no event; who
    /// may write to the ring's memory has done so.
    #[inline]
    pub fn pop<'b>(&self, memory: &'b mut [u64]) -> Result<Events<'b>> {
        self.protocol().pop(memory, false)
    }

    /// Takes the oldest event, if there is one.
    ///
    /// # Errors
    /// As [`pop`](Ring::pop).
    #[inline]
    pub fn pop_one<'b>(&self, memory: &'b mut [u64]) -> Result<Option<Seen<'b>>> {
        Ok(self.protocol().pop(memory, true)?.next())
    }

    /// Whether there is nothing to pop.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.protocol().is_empty()
    }

    /// Whether events lie in the overflow area.
    #[must_use]
    pub fn is_overflowing(&self) -> bool {
        // Relaxed: what is told may be over when it arrives, whatever the order.
        self.memory.shared().state.load(core::sync::atomic::Ordering::Relaxed) & layout::OVERFLOWING
            != 0
    }

    /// Sleeps until there is something to pop.
    ///
    /// # Errors
    /// `ETIME`: nothing came for `timeout_ns` nanoseconds. `EINTR`: a signal was handled.
    pub fn wait(&self, timeout_ns: Option<i64>) -> Result<()> {
        let end = timeout_ns.map(|ns| now().saturating_add(ns));
        let shared = self.memory.header().flags & SHARED != 0;
        while self.is_empty() {
            let left = end.map(|end| end.saturating_sub(now()));
            if left.is_some_and(|left| left <= 0) {
                return Err(Errno::ETIME);
            }
            let most = left.unwrap_or(i64::MAX);
            let sleep = if shared { Some(most.min(LOOK_AGAIN_NS)) } else { left };
            self.protocol().doze(sleep)?;
        }
        Ok(())
    }

    #[inline(always)]
    fn protocol(&self) -> Protocol<'_, Doubled<'_>, Ring> {
        let (shared, header) = (self.memory.shared(), self.memory.header());
        Protocol {
            ring: Band {
                head: &shared.head,
                tail: &shared.tail,
                words: self.memory.ring(),
                size: header.size,
            },
            overflow: Band {
                head: &shared.overflow_head,
                tail: &shared.overflow_tail,
                words: self.memory.overflow(),
                size: header.overflow,
            },
            state: &shared.state,
            lock: Lock {
                word: &shared.lock,
                signal: &shared.signal,
                kept: &shared.kept,
                host: self,
            },
        }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        if self.file.is_valid() {
            let _ = call::close(self.file);
        }
    }
}

impl Host for Ring {
    #[inline(always)]
    fn me(&self) -> Result<u64> {
        self.identity.pid()
    }

    fn now(&self) -> i64 {
        call::now(call::CLOCK_BOOTTIME)
    }

    fn is_dead(&self, pid: u64) -> bool {
        identity::is_dead(pid)
    }

    fn is_gone(&self, pid: u64, at: i64) -> bool {
        identity::is_gone(pid, at)
    }

    fn sleep_for_lock(&self, word: &AtomicU64, expected: u64, ns: i64) {
        let _ = call::futex_wait(low_half(word), expected as u32, Some(&timespec(ns)));
    }

    fn wake_for_lock(&self, word: &AtomicU64) {
        call::futex_wake(low_half(word), 1);
    }

    fn sleep(&self, signal: &AtomicU32, expected: u32, ns: Option<i64>) -> Result<()> {
        let timeout = ns.map(timespec);
        match call::futex_wait(signal, expected, timeout.as_ref()) {
            Err(Errno::EINTR) => Err(Errno::EINTR),
            _ => Ok(()),
        }
    }

    fn wake(&self, signal: &AtomicU32) {
        call::futex_wake(signal, i32::MAX as u32);
    }

    fn reclaim(&self) {
        self.memory.reclaim();
    }
}

/// The half that a futex can sleep on: the lower one, which is the first.
fn low_half(word: &AtomicU64) -> &AtomicU32 {
    const { assert!(cfg!(target_endian = "little")) };
    // SAFETY: it lies within the word, and is only handed to the kernel.
    unsafe { &*core::ptr::from_ref(word).cast() }
}

fn timespec(ns: i64) -> Timespec {
    Timespec { tv_sec: ns / NSEC_PER_SEC, tv_nsec: ns % NSEC_PER_SEC }
}

fn now() -> i64 {
    call::now(call::CLOCK_MONOTONIC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_buffer_is_told() {
        let ring = Ring::new(&Config::default()).unwrap();
        ring.push(&Event::new(1, 0)).unwrap();
        assert_eq!(ring.pop(&mut [0; 3]).map(drop), Err(Errno::EMSGSIZE));
        assert_eq!(ring.pop(&mut [0; 4]).unwrap().count(), 1);
        assert!(ring.is_empty());
    }

    #[test]
    fn waiting_ends() {
        let ring = Ring::new(&Config::default()).unwrap();
        for ns in [1_000_000, 0, -1, i64::MIN] {
            assert_eq!(ring.wait(Some(ns)), Err(Errno::ETIME));
        }
        ring.push(&Event::new(1, 0)).unwrap();
        assert_eq!(ring.wait(None), Ok(()));
    }

    #[test]
    fn sizes_must_be_possible() {
        for (size, overflow) in [(0, 0), (4096, 0), (100_000, 0), (65536, 1), (2 << 30, 0)] {
            let config = Config { size, overflow, shared: false };
            assert_eq!(Ring::new(&config).map(drop), Err(Errno::EINVAL));
        }
    }
}
