//! How requests take buffers, give them back, and say what became of them.

use sysring_sys::abi::Iovec;
use sysring_sys::abi::io_uring::cqe_flags;
use sysring_sys::{Errno, Result};

use super::pile::Run;
use super::{Source, Taken};
use crate::locked::Locked;
use crate::op::MAX_RW_COUNT;
use crate::request::{Req, flag};

/// Several buffers for one transfer.
#[derive(Clone, Copy, Debug)]
pub struct Bundle {
    pub count: usize,
    /// Their bytes.
    pub total: usize,
    /// There were no others.
    pub all: bool,
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
            let (len, stride) = (req.full, req.full);
            pile.push_front(Run { next: None, address, len, stride, id, count: 1 });
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

    /// The same where `n` bytes have come and the rest is still to be: of a buffer that is used bit by
    /// bit they are used up, and nothing more is counted, as in the kernel.
    pub fn keep_filled(&mut self, mut req: Req, n: usize) {
        if req.has(flag::BUFFER_TAKEN) && !req.buffer.consumed {
            if let Some(group) = self.groups.find(req.sqe.buf_index)
                && let Source::Ring(ring) = &mut group.source
            {
                ring.consume(n, 1);
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

    /// What a read does with the buffer it has taken, before its bytes are known. One of PROVIDE_BUFFERS is
    /// used up. One of a ring stays where it is while the read may still park and give it back; on a file
    /// that cannot be waited for, as much as the read may fill is used up.
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
    /// limit), without using them yet. All but the first `cuts` fit as they are.
    ///
    /// # Errors
    /// As `take_buffer`.
    pub fn take_bundle(
        &mut self,
        mut req: Req,
        limit: usize,
        cuts: usize,
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
                all = pile.is_empty();
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
                    if cut && count >= cuts && ring.incremental.is_none() {
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
