//! Children of a program: one that has ended, and one that sleeps.

use std::io::Read;

/// Both, until the program is over.
pub struct Children {
    pub ended: i32,
    pub asleep: i32,
}

/// What the first one ends with.
const STATUS: i32 = 7;

impl Children {
    #[must_use]
    pub fn new() -> Children {
        let ended = child(|| {
            // SAFETY: ends the child, running nothing of the parent's.
            unsafe { libc::_exit(STATUS) }
        });
        let asleep = child(|| {
            // SAFETY: take numbers only; the child sleeps until it is killed, or its parent is.
            unsafe {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                loop {
                    libc::pause();
                }
            }
        });
        // SAFETY: a siginfo of zeroes is valid; the child stays to be waited for.
        unsafe {
            let mut info: libc::siginfo_t = std::mem::zeroed();
            let flags = libc::WEXITED | libc::WNOWAIT;
            libc::waitid(libc::P_PID, ended as u32, &raw mut info, flags);
        }
        Children { ended, asleep }
    }
}

/// Forks, and waits until the child has let go of the parent's descriptors. The child may call nothing
/// that a lock of another thread's could be needed for.
fn child(run: impl FnOnce()) -> i32 {
    let (mut gone, held) = std::io::pipe().expect("cannot make a pipe");
    // SAFETY: the child runs `run` only, which ends it or sleeps.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "cannot fork: {}", std::io::Error::last_os_error());
    if pid == 0 {
        // SAFETY: takes numbers only. The parent's streams must end when it closes them.
        unsafe { libc::close_range(0, libc::c_uint::MAX, 0) };
        run();
    }
    drop(held);
    // Nothing is ever written: it ends when nobody holds the other end.
    let _ = gone.read(&mut [0]);
    pid
}

impl Drop for Children {
    fn drop(&mut self) {
        // SAFETY: takes numbers only: our own children, which nobody else waits for by now. Both
        // calls fail for one that the program has waited for.
        unsafe {
            libc::kill(self.asleep, libc::SIGKILL);
            libc::waitpid(self.asleep, std::ptr::null_mut(), 0);
            libc::waitpid(self.ended, std::ptr::null_mut(), libc::WNOHANG);
        }
    }
}
