//! Which process this is, and whether another one lives.

use core::sync::atomic::Ordering::Relaxed;

use sysring_sys::call;
use sysring_sys::raw::general as g;
use sysring_sys::{Errno, Fd, Result, User};

use crate::atomic::AtomicU64;
use crate::lock::PID;

/// A process's id, remembered on a page that a child of `fork` finds empty.
#[derive(Debug)]
pub(crate) struct Identity {
    page: *mut u8,
    /// Where ids and start times mean the same to all of the ring's users.
    world: u64,
}

// SAFETY: the page holds one atomic word.
unsafe impl Send for Identity {}
// SAFETY: one atomic word, as said for `Send`.
unsafe impl Sync for Identity {}

const PAGE: usize = 4096;
/// What `/proc` tells start times in: nanoseconds.
const TICK: i64 = 10_000_000;

impl Identity {
    /// # Errors
    /// `ENOMEM`; `EINVAL`: a kernel without `MADV_WIPEONFORK` (before 4.14).
    pub fn new(world: u64) -> Result<Identity> {
        let page = call::map_anonymous(PAGE, false)?;
        let identity = Identity { page, world };
        // SAFETY: the advice concerns children only.
        unsafe { call::madvise(page as usize, PAGE, g::MADV_WIPEONFORK) }?;
        Ok(identity)
    }

    /// # Errors
    /// `EXDEV`: a child that was forked into another pid or time namespace.
    #[inline]
    pub fn pid(&self) -> Result<u64> {
        // Relaxed: whoever writes it writes the same.
        match self.word().load(Relaxed) {
            0 => self.find_out(),
            pid => Ok(pid),
        }
    }

    #[cold]
    fn find_out(&self) -> Result<u64> {
        if world() != self.world {
            return Err(Errno::EXDEV);
        }
        let pid = call::getpid() as u64 & PID;
        self.word().store(pid, Relaxed);
        Ok(pid)
    }

    fn word(&self) -> &AtomicU64 {
        // SAFETY: a page of our own, aligned, mapped as long as we are.
        unsafe { &*self.page.cast::<AtomicU64>() }
    }
}

/// Whether no process of that id runs: for certain, or as far as can be known.
pub(crate) fn is_dead(pid: u64) -> bool {
    is_gone(pid, i64::MAX)
}

/// Whether the process that had that id at that time, in ns since boot, has ended.
pub(crate) fn is_gone(pid: u64, at: i64) -> bool {
    let pid = pid as i32;
    if pid == 0 || call::tgkill(pid, pid, 0) == Err(Errno::ESRCH) {
        return true;
    }
    // Without /proc nothing more is to be known.
    Process::look(pid).is_some_and(|now| now.ended || now.start > at / TICK + 1)
}

impl Drop for Identity {
    fn drop(&mut self) {
        // SAFETY: the page is ours.
        let _ = unsafe { call::munmap(self.page as usize, PAGE) };
    }
}

/// The pid namespace and the time namespace, which start times are told in. Zero without /proc.
pub(crate) fn world() -> u64 {
    let pid = inode(b"/proc/self/ns/pid\0");
    let time = inode(b"/proc/self/ns/time\0");
    pid ^ time << 32
}

fn inode(path: &[u8]) -> u64 {
    // struct statx: stx_ino is at 32.
    let mut stat = [0u64; 32];
    let out = User::of(stat.as_mut_ptr()).cast();
    // SAFETY: an array of ours, as long as the structure.
    match unsafe { call::statx(Fd::CWD, User::of(path.as_ptr()), 0, g::STATX_INO, out) } {
        Ok(()) => stat[4],
        Err(_) => 0,
    }
}

/// What `/proc/PID/stat` tells.
struct Process {
    /// In ticks since boot.
    start: i64,
    /// Nothing of it runs any more: it waits for its parent.
    ended: bool,
}

impl Process {
    fn look(pid: i32) -> Option<Process> {
        let mut path = *b"/proc/0000000/stat\0";
        let mut rest = pid;
        for digit in path[6..13].iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        // The kernel takes no leading zeros.
        let zeros = path[6..12].iter().take_while(|&&digit| digit == b'0').count();
        path.copy_within(6 + zeros.., 6);
        let file = call::openat(Fd::CWD, User::of(path.as_ptr()), g::O_RDONLY | g::O_CLOEXEC, 0);
        let file = file.ok()?;
        let mut text = [0u8; 512];
        let read = call::read_into(file, &mut text);
        let _ = call::close(file);
        Process::parse(pid, text.get(..read.ok()?)?)
    }

    fn parse(pid: i32, text: &[u8]) -> Option<Process> {
        // A /proc of another pid namespace tells of another process.
        if number(text.split(|&byte| byte == b' ').next()?)? != pid as u64 {
            return None;
        }
        // The name, in parentheses, may hold anything, so the last parenthesis counts.
        let after = text.iter().rposition(|&byte| byte == b')')? + 2;
        let mut fields = text.get(after..)?.split(|&byte| byte == b' ');
        // Fields are counted from 1 in proc(5), the name is 2.
        let state = *fields.next()?.first()?;
        let threads = number(fields.nth(16)?)?;
        let start = number(fields.nth(1)?)? as i64;
        // A process whose first thread alone has ended is a zombie with threads.
        Some(Process { start, ended: matches!(state, b'Z' | b'X') && threads <= 1 })
    }
}

fn number(digits: &[u8]) -> Option<u64> {
    core::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn this_process_lives_and_was_not_always_there() {
        let pid = Identity::new(world()).unwrap().pid().unwrap();
        assert_eq!(pid, u64::from(std::process::id()));
        assert!(!is_dead(pid));
        assert!(!is_gone(pid, call::now(call::CLOCK_BOOTTIME)));
        // The same number, given to a process that began later.
        assert!(is_gone(pid, 0));
        assert!(is_gone(0, i64::MAX), "an id that is never given");
    }

    #[test]
    fn who_waits_to_be_reaped_is_dead() {
        let mut child = std::process::Command::new("/bin/sleep").arg("60").spawn().unwrap();
        let pid = child.id();
        assert!(!is_dead(pid.into()));
        child.kill().unwrap();
        while !Process::look(pid as i32).unwrap().ended {
            std::thread::yield_now();
        }
        assert!(is_dead(pid.into()), "a zombie");
        child.wait().unwrap();
        assert!(is_dead(pid.into()), "gone");
    }

    #[test]
    fn stat_is_read_whatever_the_name() {
        let text = b"4711 (a) b (c)) S 1 4711 4711 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 3 0 98765 0 0";
        let process = Process::parse(4711, text).unwrap();
        assert_eq!((process.start, process.ended), (98765, false));
        assert!(Process::parse(4712, text).is_none());
        assert!(Process::parse(4711, b"4711 (a").is_none());
        let zombie = b"1 (x) Z 1 1 1 0 -1 4 0 0 0 0 0 0 0 0 20 0 1 0 5 0";
        assert!(Process::parse(1, zombie).unwrap().ended);
        let leader = b"1 (x) Z 1 1 1 0 -1 4 0 0 0 0 0 0 0 0 20 0 2 0 5 0";
        assert!(!Process::parse(1, leader).unwrap().ended);
    }
}
