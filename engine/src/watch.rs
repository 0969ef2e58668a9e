//! Registrations that outlive the request they were made for.
//!
//! A server waits on the same sockets again and again. What is registered under the application's
//! own number, one shot at a time, needs one call to be armed again, where a duplicate's needs one
//! to be registered and one to be taken off. The kernel takes a registration off by itself when the
//! open file is gone; until then one that is not armed does no harm.

use sysring_sys::Fd;

/// Numbers remembered; they share places by their low bits.
const PLACES: usize = 256;

#[derive(Clone, Copy, Debug)]
struct Place {
    fd: i32,
    /// A request waits with it: another on the same number needs a registration of its own.
    busy: bool,
}

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
        Watches([Place { fd: -1, busy: false }; PLACES])
    }

    /// A place for `fd`, if there is one; whether it was registered there before.
    pub fn claim(&mut self, fd: Fd) -> Option<bool> {
        let place = &mut self.0[fd.raw() as usize % PLACES];
        if place.busy {
            return None;
        }
        let before = place.fd == fd.raw();
        *place = Place { fd: fd.raw(), busy: true };
        Some(before)
    }

    /// Gives the place of `fd` back; whether what is registered stays for the next.
    pub fn leave(&mut self, fd: Fd, stays: bool) {
        let place = &mut self.0[fd.raw() as usize % PLACES];
        debug_assert!(place.busy && place.fd == fd.raw());
        *place = Place { fd: if stays { fd.raw() } else { -1 }, busy: false };
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
