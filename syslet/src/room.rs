//! The memory of a context: one range of addresses, cut into seats.
//!
//! ```text
//! seat 0          the context
//! seat 1          the home carrier
//! seat 2          the detector
//! seat 3 …        standbys, as many as were needed so far
//!
//! a seat: | never mapped | stack for signal handlers | stack, growing down | carrier |
//! ```

use core::ptr;
use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::Relaxed;

use sysring_sys::raw::general as g;
use sysring_sys::{Fd, Result, call};

use crate::carrier::{Carrier, standby_thread};
use crate::context::Context;
use crate::kernel;

/// Bytes of a seat. What is not touched costs nothing.
pub const SEAT: usize = 128 << 10;
/// What runs over the end of a stack ends here.
const GUARD: usize = 4 << 10;
const SIGNAL_STACK: usize = 28 << 10;

const CONTEXT: u32 = 0;
const HOME: u32 = 1;
const DETECTOR: u32 = 2;
const STANDBYS: u32 = 3;

/// One part of a room.
#[derive(Clone, Copy, Debug)]
pub struct Seat(usize);

impl Seat {
    /// The seat on which a carrier sits.
    pub fn of(carrier: &Carrier) -> Seat {
        // Seats are aligned to their size.
        Seat(ptr::from_ref(carrier) as usize & !(SEAT - 1))
    }

    /// Where a `T` lies at the top of the seat.
    pub fn top<T>(self) -> *mut T {
        ((self.0 + SEAT - size_of::<T>()) & !(align_of::<T>() - 1)) as *mut T
    }

    /// The part that is for signal handlers.
    pub fn signal_stack(self) -> kernel::SignalStack {
        kernel::SignalStack { start: self.0 + GUARD, flags: 0, len: SIGNAL_STACK }
    }

    /// Makes the seat usable.
    fn furnish(self) -> Result<()> {
        // SAFETY: a part of a room that nobody has used.
        unsafe { call::mprotect(self.0 + GUARD, SEAT - GUARD, g::PROT_READ | g::PROT_WRITE) }
    }
}

/// Where a room lies; itself a part of the context in its first seat.
#[derive(Debug)]
pub struct Room {
    start: usize,
    len: usize,
    /// The mapping, of which a part lies outside of seats.
    mapping: usize,
    /// Standbys there may be, and there are.
    limit: u32,
    count: AtomicU32,
}

impl Room {
    /// Maps a room for so many standbys, and finds the context in it: all zeroes but for the room.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn build(limit: u32) -> Result<*mut Context> {
        let len = (STANDBYS + limit) as usize * SEAT;
        let flags = g::MAP_PRIVATE | g::MAP_ANONYMOUS | g::MAP_NORESERVE;
        // SAFETY: no address is asked for, so nothing is replaced.
        let mapping = unsafe { call::mmap(0, len + SEAT, g::PROT_NONE, flags, Fd::NONE, 0) }?;
        let room = Room {
            start: mapping.next_multiple_of(SEAT),
            len: len + SEAT,
            mapping,
            limit,
            count: AtomicU32::new(0),
        };
        let furnished = room.seat(CONTEXT).furnish().and_then(|()| room.seat(HOME).furnish());
        if let Err(error) = furnished {
            room.tear_down();
            return Err(error);
        }
        let context = room.seat(CONTEXT).top::<Context>();
        // SAFETY: the seat has room for the context, and zeroes are one.
        unsafe { (*context).room = room };
        Ok(context)
    }

    fn seat(&self, number: u32) -> Seat {
        Seat(self.start + number as usize * SEAT)
    }

    /// The carrier that the caller's own thread is.
    pub fn home(&self) -> &Carrier {
        // SAFETY: the seat is furnished, and zeroes are a carrier.
        unsafe { &*self.seat(HOME).top::<Carrier>() }
    }

    /// Seats the caller's own thread.
    pub fn seat_home<'a>(&self, context: &'a Context) -> &'a Carrier {
        Carrier::sit(self.seat(HOME), context)
    }

    /// Seats the detector, and starts it if there is to be one.
    ///
    /// # Errors
    /// `EAGAIN` or `ENOMEM`.
    pub fn add_detector(
        &self,
        context: &Context,
        start: Option<extern "C" fn(usize) -> !>,
    ) -> Result<()> {
        self.seat(DETECTOR).furnish()?;
        let carrier = Carrier::sit(self.seat(DETECTOR), context);
        start.map_or(Ok(()), |start| carrier.start(start))
    }

    /// The detector, once it has been seated.
    pub fn detector(&self) -> &Carrier {
        // SAFETY: the seat has been furnished, and zeroes are a carrier.
        unsafe { &*self.seat(DETECTOR).top::<Carrier>() }
    }

    /// Starts one more standby, if there may be one.
    pub fn add_standby(&self, context: &Context) -> Result<()> {
        let number = self.count.load(Relaxed);
        if number == self.limit {
            return Ok(());
        }
        let seat = self.seat(STANDBYS + number);
        seat.furnish()?;
        Carrier::sit(seat, context).start(standby_thread)?;
        self.count.store(number + 1, Relaxed);
        Ok(())
    }

    /// Waits until all standbys are gone, which have been told to.
    pub fn join(&self) {
        self.standbys().for_each(Carrier::join);
    }

    /// Wakes all standbys, which find that the scope is over.
    pub fn dismiss(&self) {
        self.standbys().for_each(|carrier| carrier.standby.dismiss());
    }

    fn standbys(&self) -> impl Iterator<Item = &Carrier> {
        (STANDBYS..STANDBYS + self.count.load(Relaxed))
            // SAFETY: these seats have been furnished.
            .map(|number| unsafe { &*self.seat(number).top::<Carrier>() })
    }

    /// Gives the memory back, this room with it.
    pub fn tear_down(&self) {
        // SAFETY: no thread of ours is left, and the context is over.
        let _ = unsafe { call::munmap(self.mapping, self.len) };
    }
}
