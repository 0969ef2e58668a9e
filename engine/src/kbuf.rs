//! Provided buffers: groups of them, from which a request takes one when it has something to put
//! there, and not before.
//!
//! A group is either a pile that operations fill (PROVIDE_BUFFERS), or a ring in memory shared with
//! the application, which fills it without a call (`REGISTER_PBUF_RING`). Under the ring's lock.

use core::ptr::NonNull;
use core::sync::atomic::AtomicU16;
use core::sync::atomic::Ordering::Acquire;

use sysring_sys::abi::Iovec;
use sysring_sys::abi::io_uring::{BufEntry, OFF_PBUF_RING, OFF_PBUF_SHIFT, cqe_flags};
use sysring_sys::{Errno, Result, User};

use crate::locked::Locked;
use crate::memory;
use crate::op::MAX_RW_COUNT;
use crate::region::Region;
use crate::request::{Req, flag};
use crate::user;

/// A buffer that a request has taken.
#[derive(Clone, Copy, Debug, Default)]
pub struct Taken {
    pub address: u64,
    pub len: u32,
    pub id: u16,
    /// Its ring counts it as used already: a worker has it, part of it is filled, or it is sent.
    pub consumed: bool,
    /// A part of it was not, and is left in its ring.
    pub more: bool,
}

impl Taken {
    /// None.
    pub const NONE: Taken = Taken { address: 0, len: 0, id: 0, consumed: false, more: false };
}

/// Several buffers for one transfer.
#[derive(Clone, Copy, Debug)]
pub struct Bundle {
    pub count: usize,
    /// Their bytes.
    pub total: usize,
    /// There were no others.
    pub all: bool,
}

/// All groups of a ring.
#[derive(Debug)]
pub struct Groups {
    first: Option<NonNull<Group>>,
}

#[derive(Debug)]
struct Group {
    next: Option<NonNull<Group>>,
    id: u16,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Pile(Pile),
    Ring(BufRing),
}

/// Buffers one after the other in memory, with numbers one after the other.
#[derive(Clone, Copy, Debug)]
struct Run {
    next: Option<NonNull<Run>>,
    address: u64,
    len: u32,
    id: u16,
    count: u32,
}

/// First in, first out; what is given back comes first again.
#[derive(Debug, Default)]
struct Pile {
    first: Option<NonNull<Run>>,
    last: Option<NonNull<Run>>,
}

/// A ring of buffers, shared with the application.
#[derive(Debug)]
struct BufRing {
    place: Place,
    mask: u16,
    head: u16,
    /// The tail as it was seen last: what lies before it need not be asked for again.
    tail: u16,
    /// A buffer is used up piece by piece, and given up when less than this is left of it.
    incremental: Option<u32>,
}

#[derive(Debug)]
enum Place {
    /// The application's memory, which may be gone at any time.
    Theirs(User<BufEntry>),
    /// Memory of ours that the application maps.
    Ours(Region),
}

/// What a ring is registered with.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Where the entries lie; `None`: make them, for the application to map.
    pub at: Option<User<BufEntry>>,
    pub entries: u32,
    /// Buffers are used up piece by piece, down to this many bytes (1 or more).
    pub incremental: Option<u32>,
}

impl Default for Groups {
    fn default() -> Self {
        Self::new()
    }
}

impl Groups {
    pub const fn new() -> Groups {
        Groups { first: None }
    }

    /// The group with this number, which moves to the front: a ring mostly has one in use.
    fn find(&mut self, id: u16) -> Option<&mut Group> {
        let mut before: Option<NonNull<Group>> = None;
        let mut at = self.first?;
        loop {
            // SAFETY: listed groups are alive, and only reached through `self`.
            let group = unsafe { at.as_mut() };
            if group.id == id {
                if let Some(mut before) = before {
                    // SAFETY: as above; `before` is another group.
                    unsafe { before.as_mut() }.next = group.next;
                    group.next = self.first;
                    self.first = Some(at);
                }
                return Some(group);
            }
            before = Some(at);
            at = group.next?;
        }
    }

    fn add(&mut self, id: u16, source: Source) -> Result<()> {
        let block = memory::allocate(size_of::<Group>())?.cast::<Group>();
        // SAFETY: just allocated, large and aligned enough, and nobody else's.
        unsafe { block.write(Group { next: self.first, id, source }) };
        self.first = Some(block);
        Ok(())
    }

    /// Takes a group out of the list and drops it.
    fn remove(&mut self, id: u16) {
        if self.find(id).is_some()
            && let Some(front) = self.first
        {
            // SAFETY: `find` has put the group at the front; nobody keeps a reference to it.
            unsafe {
                let group = front.read();
                self.first = group.next;
                memory::release(front.cast(), size_of::<Group>());
                group.source.free();
            }
        }
    }

    /// Forgets all groups.
    pub fn clear(&mut self) {
        while let Some(front) = self.first {
            // SAFETY: listed groups are alive.
            let id = unsafe { front.as_ref() }.id;
            self.remove(id);
        }
    }

    /// PROVIDE_BUFFERS: `count` buffers of `len` bytes each.
    ///
    /// # Errors
    /// `EINVAL`: the group is a ring. `ENOMEM`.
    pub fn provide(&mut self, id: u16, run: (u64, u32, u16, u32)) -> Result<()> {
        if self.find(id).is_none() {
            self.add(id, Source::Pile(Pile::default()))?;
        }
        let Source::Pile(pile) = &mut self.find(id).ok_or(Errno::ENOMEM)?.source else {
            return Err(Errno::EINVAL);
        };
        let (address, len, id, count) = run;
        pile.push_back(Run { next: None, address, len, id, count })
    }

    /// REMOVE_BUFFERS: how many were there to remove, at most `count`.
    ///
    /// # Errors
    /// `ENOENT`: no such group. `EINVAL`: it is a ring.
    pub fn remove_buffers(&mut self, id: u16, count: u32) -> Result<usize> {
        let group = self.find(id).ok_or(Errno::ENOENT)?;
        let Source::Pile(pile) = &mut group.source else { return Err(Errno::EINVAL) };
        let mut removed = 0;
        while removed < count && pile.pop().is_some() {
            removed += 1;
        }
        Ok(removed as usize)
    }

    /// `REGISTER_PBUF_RING`.
    ///
    /// # Errors
    /// `EEXIST`: the group has buffers, or is a ring. `ENOMEM`.
    pub fn register_ring(&mut self, id: u16, shape: &Shape) -> Result<()> {
        match self.find(id).map(|group| &group.source) {
            None => {}
            Some(Source::Pile(pile)) if pile.first.is_none() => self.remove(id),
            Some(_) => return Err(Errno::EEXIST),
        }
        let place = match shape.at {
            Some(at) => Place::Theirs(at),
            None => {
                let offset = OFF_PBUF_RING | u64::from(id) << OFF_PBUF_SHIFT;
                let len = shape.entries as usize * size_of::<BufEntry>();
                Place::Ours(Region::to_map(len, offset)?)
            }
        };
        let ring = BufRing {
            place,
            mask: (shape.entries - 1) as u16,
            head: 0,
            tail: 0,
            incremental: shape.incremental,
        };
        self.add(id, Source::Ring(ring))
    }

    /// `UNREGISTER_PBUF_RING`.
    ///
    /// # Errors
    /// `ENOENT`: no such group. `EINVAL`: not a ring.
    pub fn unregister_ring(&mut self, id: u16) -> Result<()> {
        match self.find(id).ok_or(Errno::ENOENT)?.source {
            Source::Pile(_) => Err(Errno::EINVAL),
            Source::Ring(_) => {
                self.remove(id);
                Ok(())
            }
        }
    }

    /// How far a ring has been used.
    ///
    /// # Errors
    /// As `unregister_ring`.
    pub fn head(&mut self, id: u16) -> Result<u16> {
        match &self.find(id).ok_or(Errno::ENOENT)?.source {
            Source::Pile(_) => Err(Errno::EINVAL),
            Source::Ring(ring) => Ok(ring.head),
        }
    }

    /// The memory of a ring that the application is to map.
    #[must_use]
    pub fn mapping(&mut self, id: u16) -> Option<&Region> {
        match &self.find(id)?.source {
            Source::Ring(BufRing { place: Place::Ours(region), .. }) => Some(region),
            _ => None,
        }
    }
}

impl Source {
    fn free(self) {
        if let Source::Pile(mut pile) = self {
            pile.clear();
        }
    }
}

impl Pile {
    fn push_back(&mut self, run: Run) -> Result<()> {
        let block = new_run(run)?;
        match self.last {
            // SAFETY: listed runs are alive and reached through the pile only.
            Some(mut last) => unsafe { last.as_mut() }.next = Some(block),
            None => self.first = Some(block),
        }
        self.last = Some(block);
        Ok(())
    }

    /// Without memory the buffer is lost to the group, as one that is never given back.
    fn push_front(&mut self, mut run: Run) {
        run.next = self.first;
        if let Ok(block) = new_run(run) {
            self.first = Some(block);
            self.last = self.last.or(Some(block));
        }
    }

    fn pop(&mut self) -> Option<Taken> {
        let mut block = self.first?;
        // SAFETY: listed runs are alive and reached through the pile only.
        let run = unsafe { block.as_mut() };
        let taken = Taken { address: run.address, len: run.len, id: run.id, ..Taken::NONE };
        run.address = run.address.wrapping_add(u64::from(run.len));
        run.id = run.id.wrapping_add(1);
        run.count -= 1;
        if run.count == 0 {
            self.drop_first();
        }
        Some(taken)
    }

    fn drop_first(&mut self) {
        if let Some(block) = self.first {
            // SAFETY: as in `pop`; it leaves the list before it is released.
            unsafe {
                self.first = block.as_ref().next;
                memory::release(block.cast(), size_of::<Run>());
            }
            if self.first.is_none() {
                self.last = None;
            }
        }
    }

    fn clear(&mut self) {
        while self.first.is_some() {
            self.drop_first();
        }
    }
}

fn new_run(run: Run) -> Result<NonNull<Run>> {
    let block = memory::allocate(size_of::<Run>())?.cast::<Run>();
    // SAFETY: just allocated, large and aligned enough.
    unsafe { block.write(run) };
    Ok(block)
}

impl BufRing {
    /// The tail lies in the last two bytes of the first entry.
    const TAIL: usize = size_of::<BufEntry>() - size_of::<u16>();

    /// Entries filled and not used, as far as can be seen from here.
    fn available(&mut self) -> Result<u16> {
        if self.tail == self.head {
            self.look()?;
        }
        Ok(self.tail.wrapping_sub(self.head))
    }

    /// Sees what has been filled meanwhile.
    fn look(&mut self) -> Result<()> {
        self.tail = match &self.place {
            Place::Theirs(at) => user::read(at.cast::<u8>().add(Self::TAIL).cast())?,
            Place::Ours(region) => {
                // SAFETY: inside the region, and aligned; the application writes it, too.
                // Acquire pairs with the release with which it publishes entries.
                unsafe { &*region.start().add(Self::TAIL).cast::<AtomicU16>() }.load(Acquire)
            }
        };
        Ok(())
    }

    fn entry(&self, index: u16) -> Result<BufEntry> {
        let index = usize::from(index & self.mask);
        match &self.place {
            Place::Theirs(at) => user::read(at.add(index)),
            Place::Ours(region) => {
                // SAFETY: inside the region; any bytes are an entry.
                Ok(unsafe { region.start().cast::<BufEntry>().add(index).read_volatile() })
            }
        }
    }

    /// Address and length: what is left of a buffer that is used piece by piece.
    fn set_entry(&mut self, index: u16, address: u64, len: u32) {
        let index = usize::from(index & self.mask);
        match &self.place {
            Place::Theirs(at) => {
                // Not to be had any more: then nobody looks at it either.
                let entry = at.add(index).cast::<u8>();
                let _ = user::write(entry.cast(), &address);
                let _ = user::write(entry.add(size_of::<u64>()).cast(), &len);
            }
            // SAFETY: inside the region.
            Place::Ours(region) => unsafe {
                let entry = region.start().cast::<BufEntry>().add(index);
                (&raw mut (*entry).addr).write_volatile(address);
                (&raw mut (*entry).len).write_volatile(len);
            },
        }
    }

    /// Counts `count` buffers, or the part of them that `n` bytes fill, as used. Whether the last
    /// one is used up.
    fn consume(&mut self, n: usize, count: u16) -> bool {
        let Some(min_left) = self.incremental else {
            self.head = self.head.wrapping_add(count);
            return true;
        };
        let mut left = n;
        loop {
            let Ok(entry) = self.entry(self.head) else { return true };
            let here = left.min(entry.len as usize);
            let rest = entry.len - here as u32;
            if rest >= min_left || here == 0 {
                self.set_entry(self.head, entry.addr.wrapping_add(here as u64), rest);
                return false;
            }
            self.set_entry(self.head, entry.addr.wrapping_add(here as u64), 0);
            self.head = self.head.wrapping_add(1);
            left -= here;
            if left == 0 {
                return true;
            }
        }
    }
}

impl Locked<'_> {
    /// Takes a buffer for a request that selects one and has none yet, of at most `limit` bytes
    /// (0: however many it has).
    ///
    /// # Errors
    /// `ENOENT`: no such group. `ENOBUFS`: it is empty. `EFAULT`: the application's ring cannot be
    /// read.
    pub fn take_buffer(&mut self, mut req: Req, limit: usize) -> Result<()> {
        if !req.has(flag::BUFFER_SELECT) || req.has(flag::BUFFER_TAKEN) {
            return Ok(());
        }
        let group = self.groups.find(req.sqe.buf_index).ok_or(Errno::ENOENT)?;
        let mut taken = match &mut group.source {
            Source::Pile(pile) => pile.pop().ok_or(Errno::ENOBUFS)?,
            Source::Ring(ring) => {
                if ring.available()? == 0 {
                    return Err(Errno::ENOBUFS);
                }
                let entry = ring.entry(ring.head)?;
                Taken { address: entry.addr, len: entry.len, id: entry.bid, ..Taken::NONE }
            }
        };
        req.full = taken.len;
        if limit != 0 {
            taken.len = taken.len.min(limit.min(MAX_RW_COUNT) as u32);
        }
        req.buffer = taken;
        req.set(flag::BUFFER_TAKEN);
        Ok(())
    }

    /// Gives a buffer back that nothing was put into.
    pub fn give_back(&mut self, mut req: Req) {
        if !req.has(flag::BUFFER_TAKEN) || req.buffer.consumed {
            return;
        }
        req.clear(flag::BUFFER_TAKEN);
        let Taken { address, id, .. } = req.buffer;
        if let Some(group) = self.groups.find(req.sqe.buf_index)
            && let Source::Pile(pile) = &mut group.source
        {
            pile.push_front(Run { next: None, address, len: req.full, id, count: 1 });
        }
    }

    /// Makes a taken buffer this request's alone, for as long as it lasts.
    pub fn keep_buffer(&mut self, mut req: Req) {
        if req.has(flag::BUFFER_TAKEN) && !req.buffer.consumed {
            if let Some(group) = self.groups.find(req.sqe.buf_index)
                && let Source::Ring(ring) = &mut group.source
            {
                ring.head = ring.head.wrapping_add(1);
            }
            req.buffer.consumed = true;
        }
    }

    /// Whether a request's group is a pile, of which a send sends whole buffers.
    pub fn takes_from_pile(&mut self, req: Req) -> bool {
        let group = self.groups.find(req.sqe.buf_index);
        group.is_some_and(|group| matches!(group.source, Source::Pile(_)))
    }

    /// Whether the buffers of a request's group are used bit by bit.
    pub fn takes_bits(&mut self, req: Req) -> bool {
        let group = self.groups.find(req.sqe.buf_index);
        group.is_some_and(|group| match &group.source {
            Source::Pile(_) => false,
            Source::Ring(ring) => ring.incremental.is_some(),
        })
    }

    /// As `read` has it: what was put on a pile one by one is this request's alone once it is taken,
    /// and so is a ring's, all of it that the request may fill, where the file cannot be waited for.
    pub fn claim_buffer(&mut self, mut req: Req, waits: bool) {
        if !req.has(flag::BUFFER_TAKEN) || req.buffer.consumed {
            return;
        }
        let Some(group) = self.groups.find(req.sqe.buf_index) else { return };
        match &mut group.source {
            Source::Pile(_) => req.buffer.consumed = true,
            Source::Ring(_) if waits => {}
            Source::Ring(_) => self.commit_buffers(req, req.buffer.len as usize, 1),
        }
    }

    /// What a send has taken from a ring, `count` buffers and `n` bytes, is used from now on.
    pub fn commit_buffers(&mut self, mut req: Req, n: usize, count: u16) {
        if let Some(group) = self.groups.find(req.sqe.buf_index)
            && let Source::Ring(ring) = &mut group.source
        {
            req.buffer.more = !ring.consume(n, count);
            req.buffer.consumed = true;
        }
    }

    /// How many buffers a request could take now.
    ///
    /// # Errors
    /// `ENOENT`: no such group. `EFAULT`: the application's ring cannot be read.
    pub fn buffers_ready(&mut self, req: Req) -> Result<usize> {
        match &mut self.groups.find(req.sqe.buf_index).ok_or(Errno::ENOENT)?.source {
            Source::Pile(_) => Ok(1),
            Source::Ring(ring) => {
                ring.look()?;
                Ok(usize::from(ring.available()?))
            }
        }
    }

    /// What the CQE of a request that ends early says of a buffer it has kept.
    pub fn kept_buffer(&mut self, req: Req) -> u32 {
        let kept = req.has(flag::BUFFER_TAKEN) && req.buffer.consumed;
        if kept { self.used_buffer(req, 0) } else { 0 }
    }

    /// A request's buffer holds `n` bytes: what its CQE says of it.
    pub fn used_buffer(&mut self, req: Req, n: usize) -> u32 {
        self.used_buffers(req, n, 1)
    }

    /// The same for `count` buffers, one after the other, of which the CQE names the first.
    pub fn used_buffers(&mut self, mut req: Req, n: usize, count: u16) -> u32 {
        if !req.has(flag::BUFFER_TAKEN) {
            return 0;
        }
        req.clear(flag::BUFFER_TAKEN);
        let mut flags = cqe_flags::BUFFER | u32::from(req.buffer.id) << cqe_flags::BUFFER_SHIFT;
        if !req.buffer.consumed {
            self.commit_buffers(req, n, count);
        }
        if req.buffer.more {
            flags |= cqe_flags::BUF_MORE;
        }
        flags
    }

    /// Looks at as many buffers as `vector` has room for, of at most `limit` bytes in all (0: no
    /// limit), without using them yet. The first is taken; others fit, if they are to be `whole`.
    ///
    /// # Errors
    /// As `take_buffer`.
    pub fn take_bundle(
        &mut self,
        mut req: Req,
        limit: usize,
        whole: bool,
        vector: &mut [Iovec],
    ) -> Result<Bundle> {
        let limit = if limit == 0 { MAX_RW_COUNT } else { limit.min(MAX_RW_COUNT) };
        let group = self.groups.find(req.sqe.buf_index).ok_or(Errno::ENOENT)?;
        let (mut count, mut total) = (0, 0);
        let all;
        match &mut group.source {
            Source::Pile(pile) => {
                let taken = pile.pop().ok_or(Errno::ENOBUFS)?;
                req.full = taken.len;
                req.buffer = taken;
                // Of a pile a bundle is one buffer, and all of it.
                total = taken.len as usize;
                vector[0] = segment(taken.address, total);
                count = 1;
                all = pile.first.is_none();
            }
            Source::Ring(ring) => {
                let available = usize::from(ring.available()?);
                while count < available.min(vector.len()) && total < limit {
                    let entry = ring.entry(ring.head.wrapping_add(count as u16))?;
                    if count == 0 {
                        req.buffer = Taken {
                            address: entry.addr,
                            len: entry.len,
                            id: entry.bid,
                            ..Taken::NONE
                        };
                    }
                    let len = (entry.len as usize).min(limit - total);
                    let cut = len < entry.len as usize;
                    if whole && cut && count != 0 && ring.incremental.is_none() {
                        break;
                    }
                    vector[count] = segment(entry.addr, len);
                    total += len;
                    count += 1;
                }
                all = count == available && total < limit;
            }
        }
        if count == 0 {
            return Err(Errno::ENOBUFS);
        }
        req.set(flag::BUFFER_TAKEN);
        Ok(Bundle { count, total, all })
    }
}

fn segment(address: u64, len: usize) -> Iovec {
    Iovec { iov_base: address as usize as *mut _, iov_len: len as _ }
}
