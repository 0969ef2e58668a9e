//! Memory for the arguments of an `execve`.
//!
//! A successful `execve` never comes back to free anything. That is no loss, unless the caller is
//! a child of `vfork` and the memory its parent's: then the kernel itself gives the place back. It
//! writes a zero to the thread's "child tid" address when the thread lets go of a memory that
//! others use too, and that address is set to the place's owner.

use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicU32, AtomicUsize};

use sysring_sys::abi::PAGE;
use sysring_sys::call;
use sysring_sys::raw::general as g;
use sysring_sys::{Result, User};

struct Place {
    /// The thread that uses it; zero: free.
    owner: AtomicU32,
    address: AtomicUsize,
    len: AtomicUsize,
}

static PLACES: [Place; 16] = [const {
    Place { owner: AtomicU32::new(0), address: AtomicUsize::new(0), len: AtomicUsize::new(0) }
}; 16];

/// The least that is mapped: one page more or less makes no difference.
const LEAST: usize = 64 * 1024;

/// Memory of this thread's until it is dropped or the program is gone.
pub struct Scratch {
    place: Option<&'static Place>,
    address: usize,
    len: usize,
    watched: bool,
}

impl Scratch {
    /// At least `len` bytes.
    pub fn take(len: usize) -> Result<Scratch> {
        let len = len.max(LEAST).next_multiple_of(PAGE);
        let tid = call::gettid() as u32;
        // Acquire pairs with the Release of the owner before, or with what the kernel does when it stores
        // the zero: the place's other words are its latest. (Relaxed, for they are its owner's alone.)
        let free = |place: &&Place| place.owner.compare_exchange(0, tid, Acquire, Relaxed).is_ok();
        let Some(place) = PLACES.iter().find(free) else {
            let address = call::map_anonymous(len, false)? as usize;
            return Ok(Scratch { place: None, address, len, watched: false });
        };
        if place.len.load(Relaxed) < len {
            let (old, old_len) = (place.address.load(Relaxed), place.len.swap(0, Relaxed));
            if old_len != 0 {
                // SAFETY: the place is this thread's alone, and nothing is kept in it.
                let _ = unsafe { call::munmap(old, old_len) };
            }
            let address = match call::map_anonymous(len, false) {
                Ok(address) => address as usize,
                Err(e) => {
                    // Release pairs with the Acquire above: the place has no memory any more.
                    place.owner.store(0, Release);
                    return Err(e);
                }
            };
            place.address.store(address, Relaxed);
            place.len.store(len, Relaxed);
        }
        let address = place.address.load(Relaxed);
        let watched = watch(place);
        Ok(Scratch { place: Some(place), address, len: place.len.load(Relaxed), watched })
    }

    /// All of it.
    pub fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: mapped, and this thread's alone until drop.
        unsafe { core::slice::from_raw_parts_mut(self.address as *mut u8, self.len) }
    }
}

/// Has the kernel free the place when the thread leaves this memory, if the thread has no other
/// use for that service. (Threads of libc have: there it ends `pthread_join`. A child of `vfork`
/// never has.)
fn watch(place: &Place) -> bool {
    const PR_GET_TID_ADDRESS: u32 = 40;
    let mut current = usize::MAX;
    // SAFETY: the kernel writes one word.
    let asked = unsafe { call::prctl(PR_GET_TID_ADDRESS, [&raw mut current as usize, 0, 0, 0]) };
    asked.is_ok() && current == 0 && set_tid_address(User::of(place.owner.as_ptr())).is_ok()
}

fn set_tid_address(address: User<u32>) -> Result<usize> {
    // SAFETY: the kernel writes a zero there when the thread is gone, which is what is meant.
    unsafe { call::raw(g::__NR_set_tid_address, [address.address() as usize, 0, 0, 0, 0, 0]) }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.watched {
            // Setting it cannot fail.
            let _ = set_tid_address(User::NULL);
        }
        match self.place {
            // Release pairs with the Acquire in `take`.
            Some(place) => place.owner.store(0, Release),
            // SAFETY: mapped by `take` for this value alone.
            None => drop(unsafe { call::munmap(self.address, self.len) }),
        }
    }
}
