//! Push, pop and wait, over any memory and any system.
//!
//! The overflow area keeps the order: while there is anything in it, producers put everything
//! behind that; so what is in the ring is older than what is in the area, always.

use core::sync::atomic::Ordering::Relaxed;

use sysring_sys::{Errno, Result};

use crate::atomic::AtomicU32;
use crate::band::{Band, Words};
use crate::event::{Event, Events, MAX_LEN};
use crate::host::Host;
use crate::layout::OVERFLOWING;
use crate::lock::Lock;

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
        self.lock.lock()?;
        let pushed = self.push_locked(event, len as u32);
        self.lock.unlock();
        pushed
    }

    pub(crate) fn push_locked(&self, event: &Event<'_>, len: u32) -> Result<()> {
        let band = self.room_for(len)?;
        band.write(event);
        band.publish(len);
        Ok(())
    }

    /// Where the next event goes.
    pub(crate) fn room_for(&self, len: u32) -> Result<&Band<'_, W>> {
        let behind = self.overflow.used()?;
        let overflowing = self.state.load(Relaxed) & OVERFLOWING != 0;
        if behind == 0 && self.ring.size - self.ring.used()? >= len {
            if overflowing {
                self.lock.host.reclaim();
                self.state.store(0, Relaxed);
            }
            return Ok(&self.ring);
        }
        if self.overflow.size - behind < len {
            return Err(Errno::ENOBUFS);
        }
        if !overflowing {
            self.state.store(OVERFLOWING, Relaxed);
        }
        Ok(&self.overflow)
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
