//! Typed arguments: a descriptor cannot be passed where an address is meant.

use core::fmt;
use core::marker::PhantomData;

/// A file descriptor number, borrowed: nothing is closed when it is dropped.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(transparent)]
pub struct Fd(i32);

impl Fd {
    /// `AT_FDCWD`: paths are resolved from the current directory.
    pub const CWD: Fd = Fd(-100);
    /// No descriptor (`-1`).
    pub const NONE: Fd = Fd(-1);

    /// Wraps a number; negative ones are legal and answered `EBADF` by the kernel.
    #[must_use]
    pub const fn new(number: i32) -> Fd {
        Fd(number)
    }

    /// The number.
    #[must_use]
    pub const fn raw(self) -> i32 {
        self.0
    }

    /// Whether the number could name an open file at all.
    #[must_use]
    pub const fn is_valid(self) -> bool {
        self.0 >= 0
    }

    /// The register form: sign-extended, as the kernel's `int` arguments arrive.
    #[inline(always)]
    pub(crate) const fn arg(self) -> usize {
        self.0 as isize as usize
    }
}

impl fmt::Debug for Fd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fd {}", self.0)
    }
}

/// An address in the application's memory, of a `T`: for the kernel to read or write, never for us.
///
/// It may be null, wild, unmapped or freed by the time it is used; the kernel answers `EFAULT`.
#[repr(transparent)]
pub struct User<T = u8> {
    address: u64,
    of: PhantomData<*mut T>,
}

impl<T> Default for User<T> {
    fn default() -> Self {
        User::NULL
    }
}

impl<T> User<T> {
    /// The null address, which many calls take for "absent".
    pub const NULL: User<T> = User::new(0);

    /// Names an address.
    #[must_use]
    pub const fn new(address: u64) -> User<T> {
        User { address, of: PhantomData }
    }

    /// The address of memory of our own, to be filled or read by the kernel.
    pub fn of(memory: *const T) -> User<T> {
        User::new(memory as usize as u64)
    }

    /// The number.
    #[must_use]
    pub const fn address(self) -> u64 {
        self.address
    }

    /// Whether this is the null address.
    #[must_use]
    pub const fn is_null(self) -> bool {
        self.address == 0
    }

    /// The same address, taken to be of another type.
    #[must_use]
    pub const fn cast<U>(self) -> User<U> {
        User::new(self.address)
    }

    /// The address `count` elements further on; wraps, as a bad address may.
    #[must_use]
    pub const fn add(self, count: usize) -> User<T> {
        User::new(self.address.wrapping_add((count as u64).wrapping_mul(size_of::<T>() as u64)))
    }

    #[inline(always)]
    pub(crate) const fn arg(self) -> usize {
        self.address as usize
    }
}

impl<T> Clone for User<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for User<T> {}

impl<T> PartialEq for User<T> {
    fn eq(&self, other: &Self) -> bool {
        self.address == other.address
    }
}

impl<T> Eq for User<T> {}

impl<T> fmt::Debug for User<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.address)
    }
}

// SAFETY: a `User` is a number. It is never dereferenced, so sending it to another thread or
// sharing it there cannot race.
unsafe impl<T> Send for User<T> {}
// SAFETY: a number, as said for `Send`.
unsafe impl<T> Sync for User<T> {}
