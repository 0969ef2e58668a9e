//! Locks that must not be held where the caller changes its thread: what of them can be seen.
//!
//! The kernel knows the owner of a priority-inheriting lock by its thread. Of those that are robust as
//! well the C library keeps a list for the kernel, where they are marked. Others leave no trace until
//! somebody waits for them.

use sysring_sys::call;
use sysring_sys::raw::general as g;

use crate::context::Context;

/// `struct robust_list_head`.
#[repr(C)]
#[derive(Debug)]
struct Head {
    next: usize,
    offset: usize,
    pending: usize,
}

/// The mark of a lock that inherits priority, in the pointer to it.
const INHERITS: usize = 1;
/// As many as the kernel itself looks at (`ROBUST_LIST_LIMIT`).
const MOST: usize = 2048;

/// Whether the caller holds a robust lock that inherits priority. By the thread that is the context.
pub fn inherits_priority(context: &Context) -> bool {
    let (mut head, mut len) = (0usize, 0usize);
    let home = context.room.home().thread() as usize;
    let args = [home, &raw mut head as usize, &raw mut len as usize, 0, 0, 0];
    // SAFETY: the kernel writes the two words.
    let asked = unsafe { call::raw(g::__NR_get_robust_list, args) };
    if asked.is_err() || head == 0 || len != size_of::<Head>() {
        return false;
    }
    // SAFETY: the list of the thread that we are, registered with the kernel for it to read; nobody
    // else changes it.
    let mut next = unsafe { (*(head as *const Head)).next };
    for _ in 0..MOST {
        if next & !INHERITS == head || next & !INHERITS == 0 {
            return false;
        }
        if next & INHERITS != 0 {
            return true;
        }
        // SAFETY: a member of this thread's list, which nobody else changes: each begins with the
        // pointer to the next.
        next = unsafe { (next as *const usize).read() };
    }
    false
}
