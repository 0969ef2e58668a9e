//! What is known of the files that a ring reads and writes, by descriptor number.

use sysring_sys::raw::general as g;
use sysring_sys::{Fd, call};

use crate::{iopoll, nowait};

/// What is known of a descriptor's file: a hint, never trusted where an error would do harm.
pub mod hint {
    /// Opened with `O_DIRECT`.
    pub const DIRECT: u8 = 1;
    /// A regular file or a disk.
    pub const REGULAR: u8 = 2;
    /// Cannot be asked not to wait.
    pub const WAITS: u8 = 4;
    /// Was seen to take long.
    pub const SLOW: u8 = 8;
    /// Opened with `O_DIRECT`, where completions can be polled for.
    pub const POLLS: u8 = 16;
}

/// A small cache of hints by descriptor number. A number may have been closed and opened again as
/// something else; a wrong hint makes one call slower or go another way, never wrong.
#[derive(Debug)]
pub struct Hints([Entry; HINTS]);

const HINTS: usize = 16;
/// Uses before a hint is asked for again.
const TRUSTED: u8 = 128;

#[derive(Clone, Copy, Debug)]
struct Entry {
    fd: i32,
    hint: u8,
    uses: u8,
}

impl Default for Hints {
    fn default() -> Self {
        Self::new()
    }
}

impl Hints {
    pub const fn new() -> Hints {
        Hints([Entry { fd: -1, hint: 0, uses: 0 }; HINTS])
    }

    fn entry(&mut self, fd: Fd) -> &mut Entry {
        &mut self.0[fd.raw() as usize % HINTS]
    }

    pub fn look(&mut self, fd: Fd) -> u8 {
        let entry = self.entry(fd);
        if entry.fd == fd.raw() && entry.uses != 0 {
            entry.uses -= 1;
            return entry.hint;
        }
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
        *entry = Entry { fd: fd.raw(), hint, uses: TRUSTED };
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
