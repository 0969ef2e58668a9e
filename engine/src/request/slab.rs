//! Where requests live. Epoll and AIO may tell of one that is over by then: so its place stays mapped
//! while the ring lives, and a ticket names one life of it.

use core::ptr::NonNull;

use sysring_sys::{Errno, Result, call};

use super::handle::{Req, Request};
use super::stage::{At, Stage};
use crate::memory;
use crate::ring::Ring;

/// Requests by number, in chunks that double and are never given back while the ring lives.
#[derive(Debug)]
#[repr(C)]
pub struct Slab {
    chunks: [*mut Request; CHUNKS],
    made: u32,
    /// Last: it lies with what else the ring's lock guards that every request needs.
    free: Option<Req>,
}

/// The first chunk fits the requests of a small ring into four pages.
const FIRST: u32 = 64;
const CHUNKS: usize = 15;

impl Default for Slab {
    fn default() -> Self {
        Self::new()
    }
}

impl Slab {
    pub const fn new() -> Slab {
        Slab { free: None, chunks: [core::ptr::null_mut(); CHUNKS], made: 0 }
    }

    /// A blank request of `ring`.
    ///
    /// # Errors
    /// `ENOMEM`.
    #[inline(always)]
    pub fn take(&mut self, ring: *const Ring) -> Result<Req> {
        let mut req = match self.free {
            Some(req) => req,
            None => self.grow(ring)?,
        };
        self.free = req.queued;
        req.stage = At::new(Stage::Queued);
        Ok(req)
    }

    /// Gives a request back.
    #[inline(always)]
    pub fn put(&mut self, mut req: Req) {
        req.stage = At::new(Stage::Free);
        req.life = req.life.wrapping_add(1);
        req.queued = self.free;
        self.free = Some(req);
    }

    /// The request a ticket names, if that life of it still lasts.
    #[must_use]
    pub fn find(&self, ticket: u64) -> Option<Req> {
        let (id, life) = (ticket as u32, (ticket >> 32) as u32);
        if id >= self.made {
            return None;
        }
        let (chunk, index) = place(id);
        // SAFETY: `id` was made, so the chunk is mapped and the place lies in it.
        let req = unsafe { Req::new(NonNull::new_unchecked(self.chunks[chunk].add(index))) };
        (req.life == life && req.stage != Stage::Free).then_some(req)
    }

    #[cold]
    fn grow(&mut self, ring: *const Ring) -> Result<Req> {
        let (chunk, _) = place(self.made);
        if chunk >= CHUNKS {
            return Err(Errno::ENOMEM);
        }
        let count = FIRST << chunk;
        let len = memory::pages(count as usize * size_of::<Request>());
        let start = call::map_anonymous(len, false)?.cast::<Request>();
        self.chunks[chunk] = start;
        for i in (0..count).rev() {
            // SAFETY: the place lies in the new chunk, nobody knows it yet, and is filled whole.
            let mut req = unsafe {
                let place = start.add(i as usize);
                place.write(Request::blank(ring, self.made + i));
                Req::new(NonNull::new_unchecked(place))
            };
            req.queued = self.free;
            self.free = Some(req);
        }
        self.made += count;
        self.free.ok_or(Errno::ENOMEM)
    }

    /// Unmaps everything.
    ///
    /// # Safety
    /// No handle of this slab is used again: nobody holds its ring any more.
    pub unsafe fn destroy(&mut self) {
        for (chunk, start) in self.chunks.iter().enumerate() {
            if !start.is_null() {
                let len = memory::pages((FIRST << chunk) as usize * size_of::<Request>());
                // SAFETY: mapped by `grow` with this length.
                let _ = unsafe { call::munmap(*start as usize, len) };
            }
        }
        *self = Slab::new();
    }
}

/// The chunk a number lies in, and where: chunk `k` holds `FIRST << k` requests.
const fn place(id: u32) -> (usize, usize) {
    let chunk = (id / FIRST + 1).ilog2();
    (chunk as usize, (id - FIRST * ((1 << chunk) - 1)) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_one_place() {
        let mut last = (0, 0);
        assert_eq!(place(0), (0, 0));
        for id in 1..10_000 {
            let here = place(id);
            assert!(here == (last.0, last.1 + 1) || here == (last.0 + 1, 0), "{id}: {here:?}");
            assert!(here.1 < (FIRST as usize) << here.0);
            last = here;
        }
    }

    #[test]
    fn a_late_ticket_finds_nothing() {
        let mut slab = Slab::new();
        let req = slab.take(core::ptr::null()).unwrap();
        let ticket = req.ticket();
        assert_eq!(slab.find(ticket), Some(req));
        slab.put(req);
        assert_eq!(slab.find(ticket), None);
        let again = slab.take(core::ptr::null()).unwrap();
        assert_eq!(again, req);
        assert_eq!(slab.find(ticket), None);
        // SAFETY: the handles above are not used again.
        unsafe { slab.destroy() };
    }
}
