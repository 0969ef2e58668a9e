//! Push, pop and wait, over any memory and any system.
//!
//! The overflow area keeps the order: while there is anything in it, producers put everything
//! behind that; so what is in the ring is older than what is in the area, but for the event of a
//! producer that was too slow, whose push was under way all the time.

use core::sync::atomic::Ordering::Relaxed;

use sysring_sys::{Errno, Result};

use crate::atomic::AtomicU32;
use crate::band::{Band, Words};
use crate::event::{Event, Events, MAX_LEN};
use crate::host::Host;
use crate::layout::OVERFLOWING;
use crate::lock::{Lock, Side};

pub(crate) struct Protocol<'a, W, H> {
    pub ring: Band<'a, W>,
    pub overflow: Band<'a, W>,
    pub state: &'a AtomicU32,
    pub lock: Lock<'a, H>,
}

impl<W: Words, H: Host> Protocol<'_, W, H> {
    #[inline]
    pub fn push(&self, event: &Event<'_>) -> Result<()> {
        let len = event.len();
        if len > MAX_LEN {
            return Err(Errno::EMSGSIZE);
        }
        let len = len as u32;
        let held = self.lock.lock(|| self.room_for(len))?;
        self.write(held.side(), event);
        self.band(held.side()).publish(len);
        self.lock.unlock(held);
        if held.side() == Side::Ring && self.is_overflowing() {
            self.tidy_up();
        }
        Ok(())
    }

    /// Writes an event where nobody looks yet.
    #[inline]
    pub(crate) fn write(&self, side: Side, event: &Event<'_>) {
        if side == Side::Area && !self.is_overflowing() {
            self.state.store(OVERFLOWING, Relaxed);
        }
        self.band(side).write(event);
    }

    pub(crate) fn band(&self, side: Side) -> &Band<'_, W> {
        match side {
            Side::Ring => &self.ring,
            Side::Area => &self.overflow,
        }
    }

    /// Where the next event goes.
    pub(crate) fn room_for(&self, len: u32) -> Result<Side> {
        // A band is looked at when it is known that nobody keeps it: so what is seen is up to date.
        let is_kept = [self.lock.is_kept(Side::Ring), self.lock.is_kept(Side::Area)];
        let behind = self.overflow.used()?;
        if !is_kept[0] && behind == 0 && self.ring.size - self.ring.used()? >= len {
            return Ok(Side::Ring);
        }
        if is_kept[1] || self.overflow.size - behind < len {
            return Err(Errno::ENOBUFS);
        }
        Ok(Side::Area)
    }

    fn is_overflowing(&self) -> bool {
        self.state.load(Relaxed) & OVERFLOWING != 0
    }

    /// The ring is used again: what the area has taken up may go, which is a turn of its own. Who is
    /// stopped here keeps the area, and not the ring.
    #[cold]
    fn tidy_up(&self) {
        let empty = || match self.overflow.used()? {
            0 if self.is_overflowing() && !self.lock.is_kept(Side::Area) => Ok(Side::Area),
            _ => Err(Errno::EBUSY),
        };
        if let Ok(held) = self.lock.lock(empty) {
            self.lock.host.reclaim();
            self.state.store(0, Relaxed);
            self.lock.unlock(held);
        }
    }

    pub fn pop<'b>(&self, memory: &'b mut [u64], one: bool) -> Result<Events<'b>> {
        loop {
            // In this order: if the ring is found empty *after* the area was not, the area's first
            // event is the oldest, for nothing enters the ring meanwhile.
            let behind = self.overflow.bounds();
            let ahead = self.ring.bounds();
            let (band, bounds) = if !is_empty(ahead) {
                (&self.ring, ahead)
            } else if !is_empty(behind) {
                (&self.overflow, behind)
            } else {
                return Ok(Events::new(&[]));
            };
            match band.copy(bounds, memory, one) {
                Ok(found) => {
                    if let Some(len) = band.take(found) {
                        return Ok(Events::new(&memory[..len / 8]));
                    }
                }
                // Others may have taken it, and producers have written there since.
                Err(error) if band.is_still(bounds) => return Err(error),
                Err(_) => {}
            }
        }
    }

    pub fn is_empty(&self) -> bool {
        is_empty(self.overflow.bounds()) && is_empty(self.ring.bounds())
    }

    /// Sleeps until there may be an event, or for so long.
    ///
    /// # Errors
    /// `EINTR`: a signal was handled.
    pub fn doze(&self, ns: Option<i64>) -> Result<()> {
        let signal = self.lock.doze();
        if !self.is_empty() {
            return Ok(());
        }
        self.lock.host.sleep(self.lock.signal, signal, ns)
    }
}

fn is_empty((head, tail): (u64, u32)) -> bool {
    head as u32 == tail
}
