//! What a submission asks for.

use sysring_sys::{Errno, Result};

use super::Extension;

/// The attributes of a call, and their arguments: `struct sysring_attributes` of C.
///
/// The structure only grows, and says how long it is: an older library takes a newer program's if
/// what it does not know is zero, and a newer library takes the rest of an older program's for zero.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct Wanted {
    size: u32,
    rw_flags: u32,
    required: u64,
    best_effort: u64,
    deadline: u64,
    trace: u64,
    retries: u32,
    ioprio: u16,
    _pad: u16,
    credentials: u32,
    extension_count: u32,
    extensions: u64,
}

/// The structure's first version: what every program has.
const SHORTEST: usize = 24;

impl Wanted {
    /// Nothing.
    pub const NONE: Wanted = Wanted {
        size: size_of::<Wanted>() as u32,
        rw_flags: 0,
        required: 0,
        best_effort: 0,
        deadline: 0,
        trace: 0,
        retries: 0,
        ioprio: 0,
        _pad: 0,
        credentials: 0,
        extension_count: 0,
        extensions: 0,
    };

    /// The structure as a program gave it: as many bytes as its first four say, or what there is
    /// of it.
    ///
    /// # Errors
    /// `EINVAL`: too short to be one. `E2BIG`: longer than this version's, and not zero there.
    pub fn parse(bytes: &[u8]) -> Result<Wanted> {
        let size = bytes.first_chunk().map_or(0, |first| u32::from_ne_bytes(*first)) as usize;
        let bytes = bytes.get(..size).ok_or(Errno::EINVAL)?;
        if size < SHORTEST {
            return Err(Errno::EINVAL);
        }
        let known = size.min(size_of::<Wanted>());
        if bytes[known..].iter().any(|&byte| byte != 0) {
            return Err(Errno::E2BIG);
        }
        let mut wanted = Wanted::NONE;
        // SAFETY: the structure is plain numbers without holes, and as long as what is copied.
        unsafe {
            core::ptr::copy_nonoverlapping(bytes.as_ptr(), (&raw mut wanted).cast::<u8>(), known);
        }
        wanted.size = size_of::<Wanted>() as u32;
        Ok(wanted)
    }

    /// Adds attributes that must be honoured, by mask.
    #[must_use]
    pub const fn required(mut self, mask: u64) -> Wanted {
        self.required |= mask;
        self
    }

    /// Adds attributes that are honoured if it can be done, by mask.
    #[must_use]
    pub const fn best_effort(mut self, mask: u64) -> Wanted {
        self.best_effort |= mask;
        self
    }

    /// Takes attributes out, by mask.
    #[must_use]
    pub const fn without(mut self, mask: u64) -> Wanted {
        self.required &= !mask;
        self.best_effort &= !mask;
        self
    }

    /// Until when, in nanoseconds of `CLOCK_MONOTONIC`; ask for [`Deadline`](super::Deadline), too.
    #[must_use]
    pub const fn with_deadline(mut self, at_ns: u64) -> Wanted {
        self.deadline = at_ns;
        self
    }

    /// The number that is echoed; ask for [`Trace`](super::Trace), too.
    #[must_use]
    pub const fn with_trace(mut self, id: u64) -> Wanted {
        self.trace = id;
        self
    }

    /// `RWF_*`; ask for [`RwFlags`](super::RwFlags), too.
    #[must_use]
    pub const fn with_rw_flags(mut self, flags: u32) -> Wanted {
        self.rw_flags = flags;
        self
    }

    /// How often to try again; ask for [`Retry`](super::Retry), too.
    #[must_use]
    pub const fn with_retries(mut self, limit: u32) -> Wanted {
        self.retries = limit;
        self
    }

    /// A value of `ioprio_set(2)`; ask for [`Ioprio`](super::Ioprio), too.
    #[must_use]
    pub const fn with_ioprio(mut self, ioprio: u16) -> Wanted {
        self.ioprio = ioprio;
        self
    }

    /// Whose, by the number under which the context knows them; ask for [`Credentials`](super::Credentials), too.
    #[must_use]
    pub const fn with_credentials(mut self, id: u32) -> Wanted {
        self.credentials = id;
        self
    }

    /// Extensions, at an address that holds so many; ask for [`EXTENSIONS`](super::EXTENSIONS), too.
    #[must_use]
    pub fn with_extensions(mut self, extensions: &[Extension]) -> Wanted {
        self.extensions = extensions.as_ptr() as u64;
        self.extension_count = extensions.len() as u32;
        self
    }

    /// Whether nothing is asked for at all.
    #[inline]
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.required | self.best_effort == 0
    }

    /// Which of them are to be honoured, by who can honour `supported`.
    ///
    /// # Errors
    /// `EOPNOTSUPP`: one is required and not supported.
    #[inline]
    pub const fn agree(&self, supported: u64) -> Result<u64> {
        if self.required & !supported != 0 {
            return Err(Errno::EOPNOTSUPP);
        }
        Ok((self.required | self.best_effort) & supported)
    }

    /// All that is wanted, required or not.
    #[inline]
    #[must_use]
    pub const fn mask(&self) -> u64 {
        self.required | self.best_effort
    }

    /// Whether any of these must be honoured.
    #[must_use]
    pub const fn requires(&self, mask: u64) -> bool {
        self.required & mask != 0
    }

    /// The argument of [`Deadline`](super::Deadline).
    #[must_use]
    pub const fn deadline(&self) -> u64 {
        self.deadline
    }

    /// The argument of [`Trace`](super::Trace).
    #[must_use]
    pub const fn trace(&self) -> u64 {
        self.trace
    }

    /// The argument of [`RwFlags`](super::RwFlags).
    #[must_use]
    pub const fn rw_flags(&self) -> u32 {
        self.rw_flags
    }

    /// The argument of [`Retry`](super::Retry).
    #[must_use]
    pub const fn retries(&self) -> u32 {
        self.retries
    }

    /// The argument of [`Ioprio`](super::Ioprio).
    #[must_use]
    pub const fn ioprio(&self) -> u16 {
        self.ioprio
    }

    /// The argument of [`Credentials`](super::Credentials).
    #[must_use]
    pub const fn credentials(&self) -> u32 {
        self.credentials
    }

    /// Address and number of the [`Extension`]s.
    #[must_use]
    pub const fn extensions(&self) -> (u64, u32) {
        (self.extensions, self.extension_count)
    }
}

impl Default for Wanted {
    fn default() -> Wanted {
        Wanted::NONE
    }
}
