//! Which process this is: `fork` makes another of it, with a copy of all that is here.
//!
//! Not by its id: a child in a process-id namespace of its own may have its parent's, and a child of
//! `vfork` has another one in the same memory.

use core::ptr::{self, NonNull};
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicI32, AtomicPtr};

use sysring_sys::abi::PAGE;
use sysring_sys::call;
use sysring_sys::raw::general::MADV_WIPEONFORK;

/// Where the kernel keeps this process's number: a page that a child finds empty. Dangling: there is
/// none, and the process's id has to do.
static NUMBER: AtomicPtr<AtomicI32> = AtomicPtr::new(ptr::null_mut());

/// Numbers given out so far: a child goes on where its parent was.
static LAST: AtomicI32 = AtomicI32::new(0);

/// A number, greater than 0, that none of the processes has that this one was forked from.
pub fn number() -> i32 {
    // Acquire pairs with the exchange in `prepare`: who sees the page may use it.
    let mut place = NUMBER.load(Acquire);
    if place.is_null() {
        place = prepare();
    }
    if ptr::eq(place, NONE) {
        return call::getpid();
    }
    // SAFETY: a page that is never unmapped.
    let number = unsafe { &*place };
    match number.load(Relaxed) {
        0 => take(number),
        mine => mine,
    }
}

/// What `madvise(2)` has never heard of. QEMU's user mode takes any advice, and follows none.
const NO_ADVICE: u32 = 9999;

const NONE: *mut AtomicI32 = NonNull::dangling().as_ptr();

/// The first time; what all who come at once agree on.
#[cold]
fn prepare() -> *mut AtomicI32 {
    let mine = map().unwrap_or(NONE);
    match NUMBER.compare_exchange(ptr::null_mut(), mine, Release, Acquire) {
        Ok(_) => mine,
        Err(others) => {
            if !ptr::eq(mine, NONE) {
                // SAFETY: mapped here, and nobody else has seen it.
                let _ = unsafe { call::munmap(mine as usize, PAGE) };
            }
            others
        }
    }
}

fn map() -> Option<*mut AtomicI32> {
    let page = call::map_anonymous(PAGE, false).ok()?;
    // SAFETY: a page of ours, with nothing on it.
    let takes = |advice| unsafe { call::madvise(page as usize, PAGE, advice) }.is_ok();
    if takes(MADV_WIPEONFORK) && !takes(NO_ADVICE) {
        return Some(page.cast());
    }
    // SAFETY: nobody has its address.
    let _ = unsafe { call::munmap(page as usize, PAGE) };
    None
}

/// The first time in this process. Of threads that come at once one has it, and the others read it.
#[cold]
fn take(number: &AtomicI32) -> i32 {
    let next = LAST.fetch_add(1, Relaxed) + 1;
    match number.compare_exchange(0, next, Relaxed, Relaxed) {
        Ok(_) => next,
        Err(mine) => mine,
    }
}
