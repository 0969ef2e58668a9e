//! Whose memory is this? A child of `vfork` runs in its parent's.

use core::sync::atomic::{AtomicI32, AtomicPtr, Ordering::Relaxed};

use sysring_sys::abi::PAGE;
use sysring_sys::call;
use sysring_sys::raw::general::MADV_WIPEONFORK;

/// A page that `fork` hands to the child zeroed, holding the process id of its owner: zero in a
/// forked child, and still the parent's in one that shares the memory.
static OWNER: AtomicPtr<AtomicI32> = AtomicPtr::new(core::ptr::null_mut());

/// Prepares the page. Where the kernel cannot wipe on fork (before Linux 4.14) there is none, and
/// every process counts as its memory's owner.
pub fn init() {
    let Ok(page) = call::map_anonymous(PAGE, false) else { return };
    // SAFETY: the page was mapped just now and holds nothing.
    if unsafe { call::madvise(page as usize, PAGE, MADV_WIPEONFORK) }.is_err() {
        // SAFETY: nobody has the page's address yet.
        let _ = unsafe { call::munmap(page as usize, PAGE) };
        return;
    }
    OWNER.store(page.cast(), Relaxed);
    claim();
}

fn owner() -> Option<&'static AtomicI32> {
    // SAFETY: null, or the page `init` mapped for good.
    unsafe { OWNER.load(Relaxed).as_ref() }
}

/// Notes that this process owns its memory. Called in a child that was forked, and, for one whose fork was
/// not trapped, where a child of `vfork` never comes (what makes or uses a ring, or starts such a
/// child).
pub fn claim() {
    if let Some(owner) = owner()
        && owner.load(Relaxed) == 0
    {
        owner.store(call::getpid(), Relaxed);
    }
}

/// Whether this process runs in another's memory, and must leave that one's state alone.
pub fn is_borrowed() -> bool {
    owner().is_some_and(|owner| {
        let owner = owner.load(Relaxed);
        owner != 0 && owner != call::getpid()
    })
}
