//! Calls that would block become requests.

use core::sync::atomic::Ordering::Relaxed;

use sysring_sys::{Errno, Result};

use super::asked::{self, Asked};
use super::credentials::Held;
use super::request::{self, To};
use super::{Attempt, Call, Order, Then};
use crate::issue::Issued;
use crate::locked::Locked;

/// Calls are being queued: what goes to workers goes there when this is dropped.
pub(super) struct Queuing<'r> {
    pub locked: Locked<'r>,
    pub limit: u32,
}

impl Queuing<'_> {
    /// Makes a request of a call that would block, and sends it down the road. Its id.
    #[inline(never)]
    pub fn add(
        &mut self,
        call: &Call,
        blocked: Attempt,
        order: &Order,
        asked: Option<Asked>,
    ) -> Result<u64> {
        self.add_with(call, blocked, order, asked, None)
    }

    /// The same of a call that others make, who have these credentials.
    #[inline(never)]
    pub fn add_for(&mut self, held: Held, call: &Call, order: &Order, asked: Asked) -> Result<u64> {
        self.add_with(call, Attempt::WORKER, order, Some(asked), Some(held))
    }

    fn add_with(
        &mut self,
        call: &Call,
        blocked: Attempt,
        order: &Order,
        asked: Option<Asked>,
        held: Option<Held>,
    ) -> Result<u64> {
        let locked = &mut self.locked;
        if self.limit != 0 && locked.pending() >= self.limit {
            return Err(Errno::EAGAIN);
        }
        let ring = locked.ring;
        if order.slot.is_null()
            && let Some(events) = ring.events()
        {
            // Or the answer would find no way there.
            events.check_place()?;
        }
        if !order.slot.is_null() {
            // Whoever sleeps there does not enter: nobody but the engine makes it go on.
            ring.watched.store(true, Relaxed);
        }
        let deadline = asked.as_ref().and_then(Asked::deadline);
        // Everything first: once the call goes on there is no way back.
        let timer = deadline.map(|_| locked.slab.take(ring)).transpose()?;
        let block = asked.map(Asked::keep).transpose();
        let taken = block.and_then(|block| {
            let req = locked.slab.take(ring).inspect_err(|_| {
                if let Some(block) = block {
                    // SAFETY: made above, and given to nobody.
                    unsafe { asked::release(block) };
                }
            })?;
            Ok((req, block))
        });
        let (req, block) =
            taken.inspect_err(|_| timer.into_iter().for_each(|t| locked.slab.put(t)))?;
        locked.outstanding += 1;
        request::begin(req, call, To { user_data: order.user_data, slot: order.slot });
        if let Some(block) = block {
            asked::attach(req, block);
        }
        let id = req.ticket();
        if let Some(held) = held {
            held.hand_to(req);
            asked::take_path(req, Then::Worker);
            if let Some((timer, at)) = timer.zip(deadline) {
                asked::add_deadline(locked, timer, req, at);
                locked.start_linked_timeout(req);
            }
            locked.entrust(req);
            return Ok(id);
        }
        let issued = request::follow(locked, req, blocked);
        if let Some((timer, at)) = timer.zip(deadline) {
            if matches!(issued, Issued::Done(_)) {
                locked.slab.put(timer);
            } else {
                asked::add_deadline(locked, timer, req, at);
                locked.start_linked_timeout(req);
            }
        }
        locked.carry_on(req, issued);
        Ok(id)
    }
}

impl Drop for Queuing<'_> {
    fn drop(&mut self) {
        self.locked.aio_submit();
        self.locked.hints.end_submission();
        self.locked.leave(false);
    }
}
