//! The requests in flight by their user_data.
//!
//! Who cancels or updates one names it by that, and a server has thousands. Where there are few, their
//! list is as fast; so what finds them among many is made when there are, and stays.

use sysring_sys::abi::PAGE;

use crate::locked::Locked;
use crate::memory::Mapping;
use crate::request::{Links, Req};
use crate::state::State;

type Bucket = Option<Req>;

/// A list for each of a number of buckets. What a list has is in the order of the list of all, the
/// newest first: what is found here first is found there first.
#[derive(Debug)]
pub struct ByData {
    /// The heads, as many as it has room for, a power of two. Zeroed memory is empty lists.
    buckets: Option<Mapping>,
    /// How many requests are in flight.
    len: u32,
    /// With how many more buckets are wanted.
    enough: u32,
}

/// How many requests a list is as good for.
const FEW: u32 = 64;
const FIRST: usize = PAGE / size_of::<Bucket>();
/// How much larger the next table is, and how many requests a bucket has then.
const GROWS: usize = 8;
const CROWDED: u32 = 4;

impl ByData {
    pub const fn new() -> ByData {
        ByData { buckets: None, len: 0, enough: FEW }
    }

    fn count(&self) -> usize {
        self.buckets.as_ref().map_or(0, |memory| memory.size() / size_of::<Bucket>())
    }

    /// The bucket of those with this user_data, if there are buckets.
    fn bucket(&self, user_data: u64) -> Option<*mut Bucket> {
        let memory = self.buckets.as_ref()?;
        // Addresses and small numbers alike are spread by the upper bits of the product (Fibonacci
        // hashing).
        let hash = user_data.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let index = hash as usize & (self.count() - 1);
        Some(memory.start().cast::<Bucket>().wrapping_add(index))
    }

    /// The newest of those among which all with this user_data are, if there are buckets.
    fn newest(&self, user_data: u64) -> Option<Bucket> {
        // SAFETY: a bucket lies in the mapping, whose zeroes are `None`; it is read and written under the
        // ring's lock alone.
        self.bucket(user_data).map(|bucket| unsafe { bucket.read() })
    }

    /// One more is in flight, the newest.
    pub fn add(&mut self, req: Req) {
        self.len += 1;
        self.enter(req);
    }

    fn enter(&mut self, mut req: Req) {
        let Some(bucket) = self.bucket(req.sqe.user_data) else { return };
        // SAFETY: as in `newest`.
        let next = unsafe { bucket.replace(Some(req)) };
        req.namesakes = Links { prev: None, next };
        if let Some(mut next) = next {
            next.namesakes.prev = Some(req);
        }
    }

    /// One that was added is not in flight any more.
    pub fn remove(&mut self, req: Req) {
        self.len -= 1;
        self.strike(req);
    }

    /// What comes behind it it still knows: somebody may be on the way there.
    fn strike(&mut self, req: Req) {
        let Some(bucket) = self.bucket(req.sqe.user_data) else { return };
        let Links { prev, next } = req.namesakes;
        match prev {
            Some(mut prev) => prev.namesakes.next = next,
            // SAFETY: as in `newest`.
            None => unsafe { bucket.write(next) },
        }
        if let Some(mut next) = next {
            next.namesakes.prev = prev;
        }
    }

    /// Whether there are more than there are buckets for.
    #[inline(always)]
    pub fn is_crowded(&self) -> bool {
        self.len > self.enough
    }

    /// Goes on with more buckets, all empty. Whether there are any to be had.
    fn grow(&mut self) -> bool {
        let count = if self.buckets.is_some() { self.count() * GROWS } else { FIRST };
        match Mapping::private(count * size_of::<Bucket>()) {
            Ok(memory) => {
                self.buckets = Some(memory);
                self.enough = count as u32 * CROWDED;
                true
            }
            Err(_) => {
                // It is slower, and asks again later.
                self.enough = self.enough.saturating_mul(2);
                false
            }
        }
    }
}

/// Goes through requests in flight from the newest on. It has left each that it gives, which may be
/// taken off the list then.
#[derive(Debug)]
pub struct InFlight {
    at: Option<Req>,
    /// What it gives has this user_data.
    user_data: Option<u64>,
    /// It goes through one bucket.
    narrow: bool,
}

impl InFlight {
    fn links(&self, req: Req) -> Links {
        if self.narrow { req.namesakes } else { req.flight }
    }

    /// Goes on until it has left one to be given.
    fn go(&mut self, onward: impl Fn(Links) -> Option<Req>) -> Option<Req> {
        while let Some(req) = self.at {
            self.at = onward(self.links(req));
            if self.user_data.is_none_or(|user_data| req.sqe.user_data == user_data) {
                return Some(req);
            }
        }
        None
    }

    /// The same ones from the oldest on.
    pub fn oldest_first(mut self) -> impl Iterator<Item = Req> {
        let mut at = self.at;
        while let Some(older) = at.and_then(|req| self.links(req).next) {
            at = Some(older);
        }
        self.at = at;
        core::iter::from_fn(move || self.go(|links| links.prev))
    }
}

impl Iterator for InFlight {
    type Item = Req;

    fn next(&mut self) -> Option<Req> {
        self.go(|links| links.next)
    }
}

impl State {
    /// The requests in flight that have this user_data, or all that there are.
    #[must_use]
    pub fn in_flight(&self, user_data: Option<u64>) -> InFlight {
        let bucket = user_data.and_then(|user_data| self.by_data.newest(user_data));
        InFlight { at: bucket.unwrap_or(self.newest), user_data, narrow: bucket.is_some() }
    }

    /// Makes more buckets, for many requests.
    #[cold]
    pub fn spread(&mut self) {
        if self.by_data.grow() {
            for req in self.in_flight(None).oldest_first() {
                self.by_data.enter(req);
            }
        }
    }
}

impl Locked<'_> {
    /// Gives a request in flight another user_data, by which it is the newest.
    pub fn rename(&mut self, mut req: Req, user_data: u64) {
        self.by_data.strike(req);
        req.sqe.user_data = user_data;
        self.by_data.enter(req);
    }
}
