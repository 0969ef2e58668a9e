//! Registrations that outlive the request they were made for.
//!
//! A server waits on the same sockets again and again. What is registered under the application's
//! own number, one shot at a time, needs one call to be armed again, where a duplicate's needs one
//! to be registered and one to be taken off. The kernel takes a registration off by itself when the
//! open file is gone; until then one that is not armed does no harm.

use sysring_sys::Fd;

/// Numbers remembered; they share places by their low bits.
const PLACES: usize = 256;

/// A descriptor's number and one; and whether a request waits with it: another on the same number
/// needs a registration of its own. Zero: none, so that a table is made and emptied in place,
/// without a copy on the caller's stack.
type Place = u32;

const BUSY: Place = 1 << 31;

/// The application's descriptors that are, or were, registered under their own numbers.
#[derive(Debug)]
pub struct Watches([Place; PLACES]);

impl Default for Watches {
    fn default() -> Self {
        Self::new()
    }
}

impl Watches {
    #[must_use]
    pub const fn new() -> Watches {
        Watches([0; PLACES])
    }

    /// A place for `fd`, if there is one; whether it was registered there before.
    pub fn claim(&mut self, fd: Fd) -> Option<bool> {
        let (place, number) = self.place(fd);
        if *place & BUSY != 0 {
            return None;
        }
        let before = *place == number;
        *place = number | BUSY;
        Some(before)
    }

    /// Gives the place of `fd` back; whether what is registered stays for the next.
    pub fn leave(&mut self, fd: Fd, stays: bool) {
        let (place, number) = self.place(fd);
        debug_assert!(*place == number | BUSY);
        *place = if stays { number } else { 0 };
    }

    fn place(&mut self, fd: Fd) -> (&mut Place, Place) {
        (&mut self.0[fd.raw() as usize % PLACES], fd.raw() as u32 + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_waited_on_once() {
        let mut watches = Watches::new();
        let fd = Fd::new(5);
        assert_eq!(watches.claim(fd), Some(false));
        assert_eq!(watches.claim(fd), None);
        assert_eq!(watches.claim(Fd::new(5 + PLACES as i32)), None);
        watches.leave(fd, true);
        assert_eq!(watches.claim(fd), Some(true));
        watches.leave(fd, false);
        assert_eq!(watches.claim(Fd::new(5 + PLACES as i32)), Some(false));
    }
}
