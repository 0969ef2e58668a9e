//! Duplicates that several requests have at once.
//!
//! Each transfer of kernel AIO has a duplicate of its descriptor from the start, for its number may lead to
//! another file before it ends. To make one and to close it would be two calls a transfer: those that are
//! under way on the same open file share it, and the last of them closes it.

use core::num::NonZeroU32;

use sysring_sys::{Errno, Fd, Result, call};

use crate::locked::Locked;
use crate::request::{File, Req};

/// The shared duplicates, each in the place of the number that it was made of.
#[derive(Debug)]
pub struct Lent {
    shares: [Share; SHARES],
    /// Nobody can tell here whether two descriptors lead to the same file.
    blind: bool,
}

const SHARES: usize = 8;

#[derive(Clone, Copy, Debug)]
struct Share {
    number: Fd,
    copy: Fd,
    /// How many requests have it. None: the place is free.
    users: u32,
    /// The submission in which the number was last seen to lead to the same file.
    seen: Option<NonZeroU32>,
}

impl Lent {
    pub const fn new() -> Lent {
        let free = Share { number: Fd::NONE, copy: Fd::NONE, users: 0, seen: None };
        Lent { shares: [free; SHARES], blind: false }
    }

    fn place(&mut self, number: Fd) -> &mut Share {
        &mut self.shares[number.raw() as usize % SHARES]
    }

    /// The share of the file that a number leads to: asked for once in a submission, and outside of one
    /// each time.
    fn of(&mut self, number: Fd, submission: Option<NonZeroU32>) -> Option<&mut Share> {
        let blind = self.blind;
        let share = self.place(number);
        if blind || share.users == 0 || share.number != number {
            return None;
        }
        if submission.is_none() || share.seen != submission {
            match call::same_file(number, share.copy) {
                Ok(true) => share.seen = submission,
                Ok(false) | Err(Errno::EBADF) => return None,
                Err(_) => {
                    self.blind = true;
                    return None;
                }
            }
        }
        Some(self.place(number))
    }

    /// A new duplicate is to be shared from here on, if its place is free.
    fn begin(&mut self, number: Fd, copy: Fd, submission: Option<NonZeroU32>) -> bool {
        let blind = self.blind;
        let share = self.place(number);
        let free = !blind && share.users == 0;
        if free {
            *share = Share { number, copy, users: 1, seen: submission };
        }
        free
    }

    /// A request gives its share back; whether nobody else has one.
    pub fn leave(&mut self, copy: Fd) -> bool {
        let share = self.shares.iter_mut().find(|share| share.users != 0 && share.copy == copy);
        let Some(share) = share else { return true };
        share.users -= 1;
        share.users == 0
    }
}

impl Locked<'_> {
    /// Whether a number leads to a file that transfers of kernel AIO are under way on.
    pub fn is_lent(&mut self, number: Fd) -> bool {
        let submission = self.hints.submission();
        self.lent.of(number, submission).is_some()
    }

    /// As [`hold_file`](Self::hold_file), for what may be one of many transfers of the same file.
    ///
    /// # Errors
    /// As [`File::held`].
    pub fn share_file(&mut self, mut req: Req) -> Result<()> {
        if req.file.is_held() {
            return self.hold_file(req);
        }
        let (number, submission) = (req.file.fd, self.hints.submission());
        if let Some(share) = self.lent.of(number, submission) {
            share.users += 1;
            req.file = File::lent(share.copy);
            return Ok(());
        }
        self.hold_file(req)?;
        req.file.lent = req.file.owned && self.lent.begin(number, req.file.fd, submission);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::fd::AsRawFd;

    use super::*;

    const FIRST: Option<NonZeroU32> = NonZeroU32::new(1);
    const SECOND: Option<NonZeroU32> = NonZeroU32::new(2);

    #[test]
    fn a_duplicate_is_shared_while_its_number_leads_to_the_same_file() {
        let [file, copy, other] = {
            let file = fs::File::open("/dev/null").unwrap();
            let copy = file.try_clone().unwrap();
            [file, copy, fs::File::open("/dev/zero").unwrap()]
        };
        let [number, copied] = [&file, &copy].map(|file| Fd::new(file.as_raw_fd()));
        let mut lent = Lent::new();
        assert!(lent.of(number, FIRST).is_none());
        assert!(lent.begin(number, copied, FIRST));
        lent.of(number, SECOND).unwrap().users += 1;
        assert!(!lent.begin(number, copied, SECOND), "the place is taken");

        // SAFETY: both are open, and nobody uses either but this test.
        assert!(unsafe { libc::dup2(other.as_raw_fd(), file.as_raw_fd()) } >= 0);
        assert!(lent.of(number, SECOND).is_some(), "it was seen in this submission");
        assert!(lent.of(number, FIRST).is_none());
        assert!(lent.of(number, None).is_none());
        assert!(!lent.leave(copied));
        assert!(lent.leave(copied));
        assert!(lent.leave(copied), "of what is not shared there is one user");
    }
}
