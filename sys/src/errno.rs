//! Error numbers, as the kernel hands them back.

use core::fmt;
use core::num::NonZeroU16;

use crate::odds::unlikely;

/// A result in the kernel's style: a value, or the error number.
pub type Result<T> = core::result::Result<T, Errno>;

/// A Linux error number, 1 to 4095.
///
/// The niche at zero makes `Result<(), Errno>` two bytes and `Option<Errno>` free.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Errno(NonZeroU16);

const _: () = assert!(size_of::<Option<Errno>>() == 2);

impl Errno {
    /// The largest number the kernel uses for an error (`MAX_ERRNO`).
    pub const MAX: u16 = 4095;

    /// The error with this number, or `None` outside 1..=4095.
    #[must_use]
    pub const fn from_raw(number: i32) -> Option<Errno> {
        if number < 1 || number > Self::MAX as i32 {
            return None;
        }
        match NonZeroU16::new(number as u16) {
            Some(n) => Some(Errno(n)),
            None => None,
        }
    }

    /// The positive error number.
    #[must_use]
    pub const fn raw(self) -> i32 {
        self.0.get() as i32
    }

    /// The number negated: what a CQE carries in `res`.
    #[must_use]
    pub const fn to_res(self) -> i32 {
        -self.raw()
    }

    /// Splits the value a system call left in the return register.
    ///
    /// # Errors
    /// The error whose negated number the register holds.
    #[inline(always)]
    pub const fn from_ret(ret: isize) -> Result<usize> {
        if unlikely(ret < 0 && ret >= -(Self::MAX as isize)) {
            // The range check above is the one `from_raw` makes: the value cannot be zero.
            match NonZeroU16::new(-ret as u16) {
                Some(n) => return Err(Errno(n)),
                None => unreachable!(),
            }
        }
        Ok(ret as usize)
    }

    /// Joins a result back into the kernel's one-register form.
    #[inline(always)]
    #[must_use]
    pub const fn to_ret(result: Result<usize>) -> isize {
        match result {
            Ok(value) => value as isize,
            Err(e) => -(e.raw() as isize),
        }
    }
}

macro_rules! errnos {
    ($($name:ident = $number:literal, $text:literal;)*) => {
        #[allow(missing_docs)]
        impl Errno {
            $(pub const $name: Errno = match Errno::from_raw($number) { Some(e) => e, None => unreachable!() };)*
        }

        impl Errno {
            /// The symbolic name (`"EPERM"`), or `"E?"` for a number this table lacks.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self.raw() { $($number => stringify!($name),)* _ => "E?" }
            }

            /// A short description, as `strerror` words it.
            #[must_use]
            pub const fn describe(self) -> &'static str {
                match self.raw() { $($number => $text,)* _ => "unknown error" }
            }
        }
    };
}

errnos! {
    EPERM = 1, "operation not permitted";
    ENOENT = 2, "no such file or directory";
    ESRCH = 3, "no such process";
    EINTR = 4, "interrupted system call";
    EIO = 5, "input/output error";
    ENXIO = 6, "no such device or address";
    E2BIG = 7, "argument list too long";
    ENOEXEC = 8, "exec format error";
    EBADF = 9, "bad file descriptor";
    ECHILD = 10, "no child processes";
    EAGAIN = 11, "resource temporarily unavailable";
    ENOMEM = 12, "cannot allocate memory";
    EACCES = 13, "permission denied";
    EFAULT = 14, "bad address";
    EBUSY = 16, "device or resource busy";
    EEXIST = 17, "file exists";
    EXDEV = 18, "invalid cross-device link";
    ENODEV = 19, "no such device";
    ENOTDIR = 20, "not a directory";
    EISDIR = 21, "is a directory";
    EINVAL = 22, "invalid argument";
    ENFILE = 23, "too many open files in system";
    EMFILE = 24, "too many open files";
    ENOTTY = 25, "inappropriate ioctl for device";
    EFBIG = 27, "file too large";
    ENOSPC = 28, "no space left on device";
    ESPIPE = 29, "illegal seek";
    EROFS = 30, "read-only file system";
    EPIPE = 32, "broken pipe";
    ERANGE = 34, "numerical result out of range";
    EDEADLK = 35, "resource deadlock avoided";
    ENAMETOOLONG = 36, "file name too long";
    ENOSYS = 38, "function not implemented";
    ENOTEMPTY = 39, "directory not empty";
    ELOOP = 40, "too many levels of symbolic links";
    ENODATA = 61, "no data available";
    ETIME = 62, "timer expired";
    EBADMSG = 74, "bad message";
    EBADFD = 77, "file descriptor in bad state";
    ENOMSG = 42, "no message of desired type";
    EOVERFLOW = 75, "value too large for defined data type";
    ENOTSOCK = 88, "socket operation on non-socket";
    EMSGSIZE = 90, "message too long";
    EPROTONOSUPPORT = 93, "protocol not supported";
    EOPNOTSUPP = 95, "operation not supported";
    EAFNOSUPPORT = 97, "address family not supported";
    EADDRINUSE = 98, "address already in use";
    ENETUNREACH = 101, "network is unreachable";
    ECONNABORTED = 103, "software caused connection abort";
    ECONNRESET = 104, "connection reset by peer";
    ENOBUFS = 105, "no buffer space available";
    EISCONN = 106, "transport endpoint is already connected";
    ENOTCONN = 107, "transport endpoint is not connected";
    ETIMEDOUT = 110, "connection timed out";
    ECONNREFUSED = 111, "connection refused";
    EALREADY = 114, "operation already in progress";
    EINPROGRESS = 115, "operation now in progress";
    ECANCELED = 125, "operation canceled";
    EOWNERDEAD = 130, "owner died";
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.name(), self.raw())
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.describe(), self.name())
    }
}

impl core::error::Error for Errno {}
