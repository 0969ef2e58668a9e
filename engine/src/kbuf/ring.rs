//! A group that is a ring in memory shared with the application, which fills it without a call.

use core::sync::atomic::AtomicU16;
use core::sync::atomic::Ordering::Acquire;

use sysring_sys::abi::io_uring::{BufEntry, OFF_PBUF_RING, OFF_PBUF_SHIFT};
use sysring_sys::{Result, User};

use crate::region::Region;
use crate::user;

/// A ring of buffers, shared with the application.
#[derive(Debug)]
pub struct BufRing {
    place: Place,
    mask: u16,
    pub head: u16,
    /// The tail as it was seen last: what lies before it need not be asked for again.
    tail: u16,
    /// A buffer is used up piece by piece, and given up when less than this is left of it.
    pub incremental: Option<u32>,
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

impl BufRing {
    /// The tail lies in the last two bytes of the first entry.
    const TAIL: usize = size_of::<BufEntry>() - size_of::<u16>();

    /// A ring for the group `id`, which has its place among what the application may map.
    pub fn new(id: u16, shape: &Shape) -> Result<BufRing> {
        let place = match shape.at {
            Some(at) => Place::Theirs(at),
            None => {
                let offset = OFF_PBUF_RING | u64::from(id) << OFF_PBUF_SHIFT;
                let len = shape.entries as usize * size_of::<BufEntry>();
                Place::Ours(Region::to_map(len, offset)?)
            }
        };
        Ok(BufRing {
            place,
            mask: (shape.entries - 1) as u16,
            head: 0,
            tail: 0,
            incremental: shape.incremental,
        })
    }

    /// Its memory, if the application is to map it.
    pub fn mapping(&self) -> Option<&Region> {
        match &self.place {
            Place::Theirs(_) => None,
            Place::Ours(region) => Some(region),
        }
    }

    /// Entries filled and not used, as far as can be seen from here.
    pub fn available(&mut self) -> Result<u16> {
        if self.tail == self.head {
            self.look()?;
        }
        Ok(self.tail.wrapping_sub(self.head))
    }

    /// Sees what has been filled meanwhile.
    pub fn look(&mut self) -> Result<()> {
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

    pub fn entry(&self, index: u16) -> Result<BufEntry> {
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
    pub fn consume(&mut self, n: usize, count: u16) -> bool {
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
