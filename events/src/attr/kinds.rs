//! The attributes there are.

use super::Attribute;

/// When the call was queued, issued and completed, in nanoseconds of `CLOCK_MONOTONIC`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Timing {
    /// When it was given to the context.
    pub queued: u64,
    /// When the system call was begun, for the last time.
    pub issued: u64,
    /// When its result was there.
    pub completed: u64,
}

impl Attribute for Timing {
    const BIT: u32 = 0;
    const WORDS: usize = 3;

    fn read(words: &[u64]) -> Option<Timing> {
        let &[queued, issued, completed] = words else { return None };
        Some(Timing { queued, issued, completed })
    }

    fn write(&self, words: &mut [u64]) {
        words.copy_from_slice(&[self.queued, self.issued, self.completed]);
    }
}

/// Which way the call was served.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u64)]
pub enum Path {
    /// By the caller, without blocking.
    Inline = 1,
    /// When its file was ready.
    Readiness = 2,
    /// By the kernel's AIO.
    Aio = 3,
    /// By a worker thread.
    Worker = 4,
    /// By the caller, who waited in it if it blocked: a call that was issued synchronously, or one of a
    /// scope that could not be left.
    InPlace = 5,
    /// By the kernel's io_uring.
    IoUring = 6,
    /// By the thread that was the caller, until another took over from it because it blocked: a call
    /// of a scope.
    TakenOver = 7,
}

impl Attribute for Path {
    const BIT: u32 = 1;
    const WORDS: usize = 1;

    fn read(words: &[u64]) -> Option<Path> {
        use Path::*;
        let all = [Inline, Readiness, Aio, Worker, InPlace, IoUring, TakenOver];
        all.into_iter().find(|&path| [path as u64] == words)
    }

    fn write(&self, words: &mut [u64]) {
        words.copy_from_slice(&[*self as u64]);
    }
}

/// What the page cache, or that of names, had of it. It is told where an attempt asks the cache: of
/// reads from regular files and disks whose file system can be asked not to wait, and of opens that
/// create nothing. Not of calls that are sent to a worker, or for a deadline's sake to another thread.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cache {
    /// Whether the call was served from it.
    pub outcome: CacheOutcome,
    /// How many bytes came from it.
    pub bytes: u64,
}

/// Whether a call was served from the cache.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u64)]
pub enum CacheOutcome {
    /// Nothing was there.
    Miss = 0,
    /// All was there.
    Hit = 1,
    /// Part of it was.
    Partial = 2,
}

impl Attribute for Cache {
    const BIT: u32 = 2;
    const WORDS: usize = 2;

    fn read(words: &[u64]) -> Option<Cache> {
        use CacheOutcome::*;
        let &[outcome, bytes] = words else { return None };
        let outcome = [Miss, Hit, Partial].into_iter().find(|&known| known as u64 == outcome)?;
        Some(Cache { outcome, bytes })
    }

    fn write(&self, words: &mut [u64]) {
        words.copy_from_slice(&[self.outcome as u64, self.bytes]);
    }
}

/// A time after which the call is cancelled. One that may wait where it is made (an `open`, a `stat`, an
/// `ioctl`) goes to another thread, which can be called back; not what waits for a disk: its answer comes
/// when the disk has. Not of calls about the thread that makes them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Deadline {
    /// Whether it was.
    pub expired: bool,
}

impl Attribute for Deadline {
    const BIT: u32 = 3;
    const WORDS: usize = 1;

    fn read(words: &[u64]) -> Option<Deadline> {
        let &[expired @ (0 | 1)] = words else { return None };
        Some(Deadline { expired: expired == 1 })
    }

    fn write(&self, words: &mut [u64]) {
        words.copy_from_slice(&[u64::from(self.expired)]);
    }
}

/// An attribute whose value is one number.
macro_rules! number {
    ($(#[$doc:meta])* $name:ident($(#[$of:meta])* $bit:literal)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub struct $name($(#[$of])* pub u64);

        impl Attribute for $name {
            const BIT: u32 = $bit;
            const WORDS: usize = 1;

            fn read(words: &[u64]) -> Option<$name> {
                let &[number] = words else { return None };
                Some($name(number))
            }

            fn write(&self, words: &mut [u64]) {
                words.copy_from_slice(&[self.0]);
            }
        }
    };
}

/// An attribute that has nothing to tell but that it was handled.
macro_rules! silent {
    ($(#[$doc:meta])* $name:ident($bit:literal)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub struct $name;

        impl Attribute for $name {
            const BIT: u32 = $bit;
            const WORDS: usize = 0;

            fn read(_: &[u64]) -> Option<$name> {
                Some($name)
            }

            fn write(&self, _: &mut [u64]) {}
        }
    };
}

number! {
    /// A short read or write is continued until all is done, or the end.
    Full(/** How many system calls it took. */ 4)
}

silent! {
    /// The call runs with an I/O priority of its own. Not together with the credentials of others, who
    /// have other rights than who asks for it.
    Ioprio(5)
}

silent! {
    /// The call runs with `RWF_*` flags.
    RwFlags(6)
}

silent! {
    /// The call runs with other credentials.
    Credentials(7)
}

/// Who made the system call, where.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// The processor.
    pub cpu: u32,
    /// The thread's id.
    pub thread: u32,
}

impl Attribute for Place {
    const BIT: u32 = 8;
    const WORDS: usize = 1;

    fn read(words: &[u64]) -> Option<Place> {
        let &[word] = words else { return None };
        Some(Place { cpu: word as u32, thread: (word >> 32) as u32 })
    }

    fn write(&self, words: &mut [u64]) {
        words.copy_from_slice(&[u64::from(self.cpu) | u64::from(self.thread) << 32]);
    }
}

number! {
    /// `EINTR` and `EAGAIN` are tried again, so many times at most: `EINTR` at once, `EAGAIN` after a
    /// pause of 1 ms, which is doubled each time, up to 128 ms. Who issues the call does not wait: another
    /// thread does. Not of calls about the thread that makes them.
    Retry(/** How many times it was. */ 9)
}

number! {
    /// A number of the submitter's.
    Trace(/** It, as it was given. */ 10)
}

/// A checksum of the data that was read or written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Checksum {
    /// CRC-32C (Castagnoli).
    pub crc32c: u32,
    /// Of so many bytes.
    pub bytes: u64,
}

impl Attribute for Checksum {
    const BIT: u32 = 11;
    const WORDS: usize = 2;

    fn read(words: &[u64]) -> Option<Checksum> {
        let &[crc32c, bytes] = words else { return None };
        Some(Checksum { crc32c: crc32c as u32, bytes })
    }

    fn write(&self, words: &mut [u64]) {
        words.copy_from_slice(&[u64::from(self.crc32c), self.bytes]);
    }
}
