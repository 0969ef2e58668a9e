//! Children of a program: one that has ended, and one that sleeps. They live in the parent's memory: a
//! fork would copy its tables for each program anew.

use std::ffi::{c_int, c_void};
use std::io::Read;

/// Both, until the program is over.
pub struct Children {
    pub ended: i32,
    pub asleep: i32,
    /// The second one's, until it has been waited for.
    _stack: Box<Stack>,
}

/// What the first one ends with.
const STATUS: c_int = 7;

/// Enough for system calls.
#[repr(align(16))]
struct Stack([u8; 8192]);

impl Children {
    #[must_use]
    pub fn new() -> Children {
        let mut stacks = [(); 2].map(|()| Box::new(Stack([0; 8192])));
        let [ended, asleep] = &mut stacks;
        let (ended, asleep) = (child(end, ended), child(sleep, asleep));
        // SAFETY: a siginfo of zeroes is valid; the child stays to be waited for.
        unsafe {
            let mut info: libc::siginfo_t = std::mem::zeroed();
            let flags = libc::WEXITED | libc::WNOWAIT;
            libc::waitid(libc::P_PID, ended as u32, &raw mut info, flags);
        }
        let [_, stack] = stacks;
        Children { ended, asleep, _stack: stack }
    }
}

/// Starts a child, and waits until it has let go of the parent's descriptors.
fn child(run: extern "C" fn(*mut c_void) -> c_int, stack: &mut Stack) -> i32 {
    let (mut gone, held) = std::io::pipe().expect("cannot make a pipe");
    let top = stack.0.as_mut_ptr_range().end.cast();
    let flags = libc::CLONE_VM | libc::SIGCHLD;
    // SAFETY: `run` makes system calls only, none of which fails, so that not even `errno` is written
    // to, which is this thread's; and the stack outlives the child.
    let pid = unsafe { libc::clone(run, top, flags, std::ptr::null_mut()) };
    assert!(pid >= 0, "cannot make a child: {}", std::io::Error::last_os_error());
    drop(held);
    // Nothing is ever written: it ends when nobody holds the other end.
    let _ = gone.read(&mut [0]);
    pid
}

extern "C" fn end(_: *mut c_void) -> c_int {
    STATUS
}

extern "C" fn sleep(_: *mut c_void) -> c_int {
    // SAFETY: take numbers only. The parent's streams must end when it closes them; the child sleeps
    // until it is killed, or its parent is.
    unsafe {
        libc::close_range(0, libc::c_uint::MAX, 0);
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        loop {
            libc::pause();
        }
    }
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
