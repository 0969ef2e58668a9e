//! Memory of the engine's own: whole mappings for what is large, a few size classes for the rest.

use core::ptr::{self, NonNull};
use core::sync::atomic::AtomicU8;
use core::sync::atomic::Ordering::Relaxed;

pub use sysring_sys::abi::PAGE;
use sysring_sys::raw::general::MREMAP_MAYMOVE;
use sysring_sys::{Result, call};

use crate::sync::Mutex;

/// `len` rounded up to whole pages.
#[must_use]
pub const fn pages(len: usize) -> usize {
    (len + PAGE - 1) & !(PAGE - 1)
}

/// A mapping of our own, zeroed; unmapped when dropped.
#[derive(Debug)]
pub struct Mapping {
    start: *mut u8,
    len: usize,
}

// SAFETY: a mapping is memory; what lies in it is its user's to synchronise.
unsafe impl Send for Mapping {}
// SAFETY: memory, as said for `Send`: what lies in it is its user's to synchronise.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Memory private to this process: a child of `fork` has a copy.
    pub fn private(len: usize) -> Result<Mapping> {
        Ok(Mapping { start: call::map_anonymous(pages(len), false)?, len: pages(len) })
    }

    /// Memory that a child of `fork` shares.
    pub fn shared(len: usize) -> Result<Mapping> {
        Ok(Mapping { start: call::map_anonymous(pages(len), true)?, len: pages(len) })
    }

    /// A mapping that was made elsewhere.
    ///
    /// # Safety
    /// The range is mapped, and nobody else unmaps it.
    #[must_use]
    pub unsafe fn from_raw(start: *mut u8, len: usize) -> Mapping {
        Mapping { start, len }
    }

    #[must_use]
    pub fn start(&self) -> *mut u8 {
        self.start
    }

    #[must_use]
    pub fn size(&self) -> usize {
        self.len
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range is this mapping's own; its owner is done with it.
        let _ = unsafe { call::munmap(self.start as usize, self.len) };
    }
}

/// Whether shared memory can be mapped a second time by its address, and private memory cannot. In
/// QEMU's user mode no memory can.
#[must_use]
pub fn can_be_mapped_twice() -> bool {
    const UNKNOWN: u8 = 0;
    const YES: u8 = 1;
    const NO: u8 = 2;
    static KNOWN: AtomicU8 = AtomicU8::new(UNKNOWN);
    if KNOWN.load(Relaxed) == UNKNOWN {
        let can = Mapping::shared(PAGE).is_ok_and(|page| is_shared(page.start() as usize));
        KNOWN.store(if can { YES } else { NO }, Relaxed);
    }
    KNOWN.load(Relaxed) == YES
}

/// Whether a page is shared memory, where that [can be mapped twice](can_be_mapped_twice).
#[must_use]
pub fn is_shared(page: usize) -> bool {
    // SAFETY: with an old length of zero nothing moves, and the kernel chooses the place.
    match unsafe { call::mremap(page, 0, PAGE, MREMAP_MAYMOVE, 0) } {
        Ok(at) => {
            // SAFETY: the second mapping, which nobody knows of.
            let _ = unsafe { call::munmap(at, PAGE) };
            true
        }
        Err(_) => false,
    }
}

/// Blocks of 64 bytes to 32 KiB, in powers of two; larger ones are mappings.
const CLASSES: usize = 10;
const SMALLEST: usize = 64;
/// What is mapped at once for the small classes.
const CHUNK: usize = 64 * 1024;
/// What every block is aligned to, at least.
pub const ALIGN: usize = SMALLEST;

struct Heap {
    free: [*mut u8; CLASSES],
}

// SAFETY: the free lists hold blocks nobody else has a pointer to.
unsafe impl Send for Heap {}

static HEAP: Mutex<Heap> = Mutex::new(Heap { free: [ptr::null_mut(); CLASSES] });

/// After `fork`, in the child: the lock may be a dead thread's. The free lists are whole unless a
/// thread died inside, which costs the blocks, so they are dropped.
pub fn after_fork() {
    HEAP.reset();
    HEAP.lock().free = [ptr::null_mut(); CLASSES];
}

fn class(len: usize) -> Option<usize> {
    let class = len.max(SMALLEST).next_power_of_two().trailing_zeros() as usize
        - SMALLEST.trailing_zeros() as usize;
    (class < CLASSES).then_some(class)
}

/// Uninitialised memory of at least `len` bytes, aligned to [`ALIGN`].
///
/// # Errors
/// `ENOMEM`.
pub fn allocate(len: usize) -> Result<NonNull<u8>> {
    let Some(class) = class(len) else {
        let start = call::map_anonymous(pages(len), false)?;
        // SAFETY: a mapping is never at address zero.
        return Ok(unsafe { NonNull::new_unchecked(start) });
    };
    let mut heap = HEAP.lock();
    if heap.free[class].is_null() {
        let size = SMALLEST << class;
        let chunk = call::map_anonymous(CHUNK, false)?;
        for i in (0..CHUNK / size).rev() {
            // SAFETY: the block lies inside the chunk, which nobody else knows; its first word
            // holds the list.
            unsafe {
                let block = chunk.add(i * size);
                block.cast::<*mut u8>().write(heap.free[class]);
                heap.free[class] = block;
            }
        }
    }
    let block = heap.free[class];
    // SAFETY: a listed block's first word is the next one.
    heap.free[class] = unsafe { block.cast::<*mut u8>().read() };
    // SAFETY: just found not to be null, or filled.
    Ok(unsafe { NonNull::new_unchecked(block) })
}

/// Gives back what [`allocate`] gave for the same `len`.
///
/// # Safety
/// `block` came from `allocate(len)` and nobody uses it any more.
pub unsafe fn release(block: NonNull<u8>, len: usize) {
    match class(len) {
        // SAFETY: a large block is a mapping of its own.
        None => drop(unsafe { call::munmap(block.as_ptr() as usize, pages(len)) }),
        Some(class) => {
            let mut heap = HEAP.lock();
            // SAFETY: the block is ours again; its first word holds the list.
            unsafe { block.as_ptr().cast::<*mut u8>().write(heap.free[class]) };
            heap.free[class] = block.as_ptr();
        }
    }
}
