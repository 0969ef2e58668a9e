//! What is known of the files that a ring reads and writes, by descriptor number.

use core::num::NonZeroU32;

use sysring_sys::raw::general as g;
use sysring_sys::{Fd, call};

use crate::locked::Locked;
use crate::{iopoll, nowait};

/// What is known of a descriptor's file: a hint, never trusted where an error would do harm.
pub mod hint {
    /// Opened with `O_DIRECT`.
    pub const DIRECT: u8 = 1;
    /// A regular file or a disk.
    pub const REGULAR: u8 = 2;
    /// Opened with `O_DIRECT`, where completions can be polled for.
    pub const POLLS: u8 = 4;
    /// Cannot be asked not to wait: for what is read, and for what is written. (Many file systems can be
    /// for the one and not for the other.)
    pub const READ_WAITS: u8 = 8;
    pub const WRITE_WAITS: u8 = 16;
    pub const WAITS: u8 = READ_WAITS | WRITE_WAITS;
    /// Was seen to take long: to read, and to write.
    pub const READ_SLOW: u8 = 32;
    pub const WRITE_SLOW: u8 = 64;
}

/// A small cache of hints by descriptor number. A number may have been closed and opened again as
/// something else: a wrong hint makes one call slower, or sends it another way with the same result.
#[derive(Debug)]
pub struct Hints {
    entries: [Entry; HINTS],
    /// Counts submissions; `within` says whether one lasts.
    submission: u32,
    within: bool,
}

const HINTS: usize = 16;
/// Uses before a hint is asked for again.
const TRUSTED: u16 = 512;

#[derive(Clone, Copy, Debug)]
struct Entry {
    fd: i32,
    hint: u8,
    uses: u16,
    /// The submission in which it was last seen to be still right.
    seen: u32,
}

impl Default for Hints {
    fn default() -> Self {
        Self::new()
    }
}

impl Hints {
    pub const fn new() -> Hints {
        let unknown = Entry { fd: -1, hint: 0, uses: 0, seen: 0 };
        Hints { entries: [unknown; HINTS], submission: 0, within: false }
    }

    #[inline(always)]
    fn entry(&mut self, fd: Fd) -> &mut Entry {
        &mut self.entries[fd.raw() as usize % HINTS]
    }

    /// A submission begins: what is seen to be right once stays so until it ends.
    pub fn begin_submission(&mut self) {
        self.submission = self.submission.wrapping_add(1).max(1);
        self.within = true;
    }

    /// It ends, or an operation may have given a number to another file.
    pub fn end_submission(&mut self) {
        self.within = false;
    }

    /// The submission that lasts, by its number.
    pub fn submission(&self) -> Option<NonZeroU32> {
        NonZeroU32::new(self.submission).filter(|_| self.within)
    }

    /// Whether the number's file is opened with `O_DIRECT` still.
    fn is_still_direct(&mut self, fd: Fd) -> bool {
        self.is_still(fd, |fd| call::file_flags(fd).is_ok_and(|flags| flags & g::O_DIRECT != 0))
    }

    /// Whether the file of a number still is a regular one or a disk, which do not wait for long even
    /// where they cannot be asked not to. (Nor does a directory, which is not read.)
    pub fn is_regular(&mut self, fd: Fd) -> bool {
        self.look(fd) & hint::REGULAR != 0
            && (self.is_still(fd, call::is_file_disk_or_directory) || {
                self.forget(fd);
                false
            })
    }

    /// Asks once in a submission whether a number's file is what it was seen to be.
    fn is_still(&mut self, fd: Fd, ask: impl FnOnce(Fd) -> bool) -> bool {
        let (within, submission) = (self.within, self.submission);
        let entry = self.entry(fd);
        if within && entry.seen == submission {
            return true;
        }
        let still = ask(fd);
        entry.seen = if still { submission } else { 0 };
        still
    }

    #[inline(always)]
    pub fn look(&mut self, fd: Fd) -> u8 {
        let entry = self.entry(fd);
        if entry.fd == fd.raw() && entry.uses != 0 {
            entry.uses -= 1;
            return entry.hint;
        }
        self.find_out(fd)
    }

    #[cold]
    fn find_out(&mut self, fd: Fd) -> u8 {
        let mut hint = 0;
        if call::file_flags(fd).is_ok_and(|flags| flags & g::O_DIRECT != 0) {
            hint |= hint::DIRECT;
            if iopoll::can_poll(fd) {
                hint |= hint::POLLS;
            }
        }
        if call::is_file_or_disk(fd) {
            hint |= hint::REGULAR;
        } else {
            // Pipes have an O_DIRECT too: packets, which AIO knows nothing of.
            hint = if nowait::is_honoured() { 0 } else { hint::WAITS };
        }
        *self.entry(fd) = Entry { fd: fd.raw(), hint, uses: TRUSTED, seen: 0 };
        hint
    }

    pub fn forget(&mut self, fd: Fd) {
        self.entry(fd).uses = 0;
    }

    pub fn mark(&mut self, fd: Fd, hint: u8) {
        let entry = self.entry(fd);
        if entry.fd == fd.raw() {
            entry.hint |= hint;
        }
    }
}

impl Locked<'_> {
    /// As `look`; that a file is direct is asked once more, for AIO would wait for another that has
    /// got its number where nobody may.
    pub fn look_twice(&mut self, fd: Fd) -> u8 {
        let hint = self.hints.look(fd);
        if hint & hint::DIRECT == 0 || self.is_lent(fd) || self.hints.is_still_direct(fd) {
            return hint;
        }
        self.hints.forget(fd);
        self.hints.look(fd)
    }
}
