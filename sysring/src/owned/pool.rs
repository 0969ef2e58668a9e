//! Buffers that the kernel takes when there is something to put into them.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering::Release};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use sysring_sys::abi::io_uring::{BufEntry, BufReg, register};

use super::buf::Buf;
use super::memory::Pages;
use super::ring::Ring;
use super::turn::Shared;
use crate::Errno;
use sysring_sys::Result;

/// Buffers of one size that lie ready for receiving: whichever operation gets data takes one. Ten
/// thousand idle connections need no buffer (a ring of provided buffers, Linux 5.19).
///
/// An operation that finds none left ends with `ENOBUFS`.
///
/// ```
/// use std::io::Write;
/// use sysring::owned::{Pool, Ring};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let ring = Ring::new(8)?;
/// let pool = Pool::new(&ring, 16, 4096)?;
/// let (mut us, them) = std::os::unix::net::UnixStream::pair()?;
/// us.write_all(b"hello")?;
/// let bytes = ring.recv_pooled(&them.into(), &pool).wait()?;
/// assert_eq!(&*bytes, b"hello");
/// drop(bytes); // the buffer is the kernel's again
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Pool(pub(super) Arc<Inner>);

pub(super) struct Inner {
    ring: Weak<Shared>,
    group: u16,
    count: u16,
    size: u32,
    /// The ring of entries, and the buffers behind it. `None` when it must not be unmapped.
    pages: Option<Pages>,
    buffers_at: usize,
    order: Mutex<Order>,
}

/// In which order buffers are put down, which is that in which the kernel takes them.
struct Order {
    /// Where the next one is put down.
    tail: u16,
    /// The one that was put down last.
    last: u16,
    /// For each the one that was put down after it. That stays so until it is put down again: the
    /// places of the ring may be used by others before a completion is looked at.
    next: Box<[u16]>,
}

/// A buffer that the kernel has filled. It goes back to its [`Pool`] when it is dropped; an
/// operation can send it on as it is.
pub struct Lease {
    pool: Arc<Inner>,
    /// `None`: nothing was taken, for there was nothing to put into it.
    id: Option<u16>,
    len: u32,
}

impl Pool {
    /// So many buffers of so many bytes.
    ///
    /// # Errors
    /// - `EINVAL`: `count` is no power of two, or more than 32,768, or `size` is zero; or the kernel
    ///   is older than Linux 5.19.
    /// - `ENOMEM`: not that much memory.
    pub fn new(ring: &Ring, count: u16, size: u32) -> Result<Pool> {
        if !count.is_power_of_two() || size == 0 {
            return Err(Errno::EINVAL);
        }
        let buffers_at = usize::from(count) * size_of::<BufEntry>();
        let len =
            (size as usize).checked_mul(usize::from(count)).and_then(|n| n.checked_add(buffers_at));
        let pages = Pages::new(len.ok_or(Errno::ENOMEM)?)?;
        let group = ring.shared.lock().groups.take().ok_or(Errno::ENOMEM)?;
        let pool = Inner {
            ring: ring.downgrade(),
            group,
            count,
            size,
            pages: Some(pages),
            buffers_at,
            order: Mutex::new(Order {
                tail: 0,
                last: 0,
                next: vec![0; usize::from(count)].into_boxed_slice(),
            }),
        };
        (0..count).for_each(|id| pool.put_down(id));
        // SAFETY: the memory is the pool's, which takes the group back before it goes.
        unsafe { register_group(ring, group, pool.at(0), count) }?;
        Ok(Pool(Arc::new(pool)))
    }

    /// How many buffers there are.
    #[must_use]
    pub fn count(&self) -> u16 {
        self.0.count
    }

    /// How many bytes each has.
    #[must_use]
    pub fn size(&self) -> u32 {
        self.0.size
    }

    /// The number of the group, for entries (`IOSQE_BUFFER_SELECT`), if the pool is of this ring.
    pub(super) fn group(&self, ring: &Ring) -> Option<u16> {
        ring.is(&self.0.ring).then_some(self.0.group)
    }

    /// What an operation has put into a buffer.
    pub(super) fn lease(&self, id: u16, len: u32) -> Lease {
        assert!(id < self.0.count && len <= self.0.size, "a buffer that the pool does not have");
        Lease { pool: Arc::clone(&self.0), id: Some(id), len }
    }

    /// What an operation has put into as many buffers as it took for that, from this one on.
    pub(super) fn bundle(&self, first: u16, len: u32) -> Vec<Lease> {
        let count = len.div_ceil(self.0.size).max(1);
        let mut ids = Vec::with_capacity(count as usize);
        {
            let order = self.0.order();
            let next = |id: &u16| order.next.get(usize::from(*id)).copied();
            ids.extend(std::iter::successors(Some(first), next).take(count as usize));
        }
        let mut left = len;
        let mut lease = |id| {
            let len = left.min(self.0.size);
            left -= len;
            self.lease(id, len)
        };
        ids.into_iter().map(&mut lease).collect()
    }

    /// Of an operation that took none.
    pub(super) fn empty(&self) -> Lease {
        Lease { pool: Arc::clone(&self.0), id: None, len: 0 }
    }
}

impl Inner {
    fn at(&self, offset: usize) -> NonNull<u8> {
        self.pages.as_ref().expect("there until the drop").at(offset)
    }

    fn buffer(&self, id: u16) -> NonNull<u8> {
        self.at(self.buffers_at + usize::from(id) * self.size as usize)
    }

    fn order(&self) -> MutexGuard<'_, Order> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a buffer to the kernel.
    fn put_down(&self, id: u16) {
        let mut order = self.order();
        let last = std::mem::replace(&mut order.last, id);
        order.next[usize::from(last)] = id;
        let (at, tail) = (self.buffer(id).as_ptr().cast_const(), order.tail);
        // SAFETY: the ring of entries is ours, and every place behind its tail.
        unsafe { put_entry(self.at(0), self.count, tail, Entry { at, len: self.size, id }) };
        order.tail = tail.wrapping_add(1);
    }
}

/// A buffer, as the kernel is told of it.
pub(super) struct Entry {
    pub at: *const u8,
    pub len: u32,
    pub id: u16,
}

/// Puts an entry into a ring of `count` of them, at its tail, and moves that on.
///
/// # Safety
/// The ring lies there, and the place behind its tail is free; nobody else puts anything meanwhile.
pub(super) unsafe fn put_entry(ring: NonNull<u8>, count: u16, tail: u16, buffer: Entry) {
    let place = usize::from(tail & (count - 1));
    // SAFETY: within the ring of entries, in a place behind its tail, which is ours until the tail is
    // stored. Its last two bytes are left alone: those of the first entry are the tail.
    unsafe {
        let entry = ring.cast::<BufEntry>().add(place).as_ptr();
        (&raw mut (*entry).addr).write(buffer.at as u64);
        (&raw mut (*entry).len).write(buffer.len);
        (&raw mut (*entry).bid).write(buffer.id);
        let shared = &*ring.add(TAIL).cast::<AtomicU16>().as_ptr();
        // Release pairs with the kernel's Acquire of the tail: the entry is written.
        shared.store(tail.wrapping_add(1), Release);
    }
}

/// The number of no group: no ring has so many.
pub(super) const NO_GROUP: u16 = u16::MAX;

/// Where the ring's tail lies: at the end of the first entry.
const TAIL: usize = size_of::<BufEntry>() - size_of::<u16>();

impl Drop for Inner {
    /// No operation that could take a buffer is under way: each of them holds a clone.
    fn drop(&mut self) {
        if !is_taken_back(&self.ring, self.group) {
            std::mem::forget(self.pages.take());
        }
    }
}

/// Takes a group's memory back from the kernel; whether it has let go of it.
pub(super) fn is_taken_back(ring: &Weak<Shared>, group: u16) -> bool {
    let Some(ring) = ring.upgrade() else { return true };
    let description = BufReg { bgid: group, ..BufReg::default() };
    // SAFETY: nothing is lent here.
    let gone = unsafe { ring.register(register::UNREGISTER_PBUF_RING, &raw const description, 1) };
    // `EINVAL`, `ENOENT`: it was never registered.
    let gone = matches!(gone, Ok(_) | Err(Errno::EINVAL | Errno::ENOENT));
    if gone {
        ring.lock().groups.put(group);
    }
    gone
}

/// Has a ring take buffers from the entries at `at`.
///
/// # Safety
/// There are `count` entries, which stay, as do their buffers, until the group [is taken
/// back](is_taken_back), or the ring is gone.
pub(super) unsafe fn register_group(
    ring: &Ring,
    group: u16,
    at: NonNull<u8>,
    count: u16,
) -> Result<()> {
    let description = BufReg {
        ring_addr: at.as_ptr() as u64,
        ring_entries: u32::from(count),
        bgid: group,
        ..BufReg::default()
    };
    // SAFETY: the caller's word.
    unsafe { ring.shared.register(register::PBUF_RING, &raw const description, 1) }.map(drop)
}

/// Numbers of groups.
#[derive(Default)]
pub(super) struct Groups {
    free: Vec<u16>,
    next: u16,
}

impl Groups {
    pub(super) fn take(&mut self) -> Option<u16> {
        if let Some(free) = self.free.pop() {
            return Some(free);
        }
        let next = self.next;
        self.next = next.checked_add(1)?;
        Some(next)
    }

    fn put(&mut self, group: u16) {
        self.free.push(group);
    }
}

impl Lease {
    fn at(&self) -> NonNull<u8> {
        self.id.map_or(NonNull::dangling(), |id| self.pool.buffer(id))
    }
}

impl Deref for Lease {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the kernel filled so many bytes, and has let go of the buffer until it is put down.
        unsafe { std::slice::from_raw_parts(self.at().as_ptr(), self.len as usize) }
    }
}

impl DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: the kernel filled so many bytes, and has let go of the buffer; nobody else has
        // it.
        unsafe { std::slice::from_raw_parts_mut(self.at().as_ptr(), self.len as usize) }
    }
}

// SAFETY: the bytes are initialised, and stay until the lease is dropped.
unsafe impl Buf for Lease {
    fn ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    fn len(&self) -> usize {
        self.len as usize
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.pool.put_down(id);
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("count", &self.0.count).field("size", &self.0.size).finish()
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("len", &self.len).finish_non_exhaustive()
    }
}
