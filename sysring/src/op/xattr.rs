//! Extended attributes.

use core::ffi::c_char;

use super::open::path_errors;
use super::{Target, abi, address, alone, on, operation};

macro_rules! get_errors {
    () => {
        "- `ENODATA`: the file has no such attribute.\n\
         - `ERANGE`: the value is longer than the room for it, or the name too long.\n\
         - `EFAULT`: name or memory are not the program's.\n\
         - `EOPNOTSUPP`: the file system has no such attributes."
    };
}
macro_rules! set_errors {
    () => {
        "- `EEXIST`: it is there, and `XATTR_CREATE` is given; `ENODATA`: it is not, and \
           `XATTR_REPLACE` is.\n\
         - `EINVAL`: flags that are not known; `ERANGE`, `E2BIG`: name or value are too long.\n\
         - `EFAULT`: name or value are not in the program's memory.\n\
         - `EPERM`: not permitted; `ENOSPC`, `EDQUOT`: no room.\n\
         - `EOPNOTSUPP`: the file system has no such attributes."
    };
}

fn attribute(entry: abi::Sqe, name: *const c_char, value: *const u8, len: u32) -> abi::Sqe {
    abi::Sqe { addr: address(name), off: address(value), len, ..entry }
}

operation! {
    /// Sets an attribute of an open file, as `fsetxattr(2)` (Linux 5.19).
    ///
    /// The value is 0.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use sysring::{Ring, op};
    ///
    /// # let path = std::env::temp_dir().join(format!("sysring-xattr-{}", std::process::id()));
    /// let file = std::fs::File::create(&path)?;
    /// let (name, mut found) = (c"user.colour", [0; 8]);
    /// let mut ring = Ring::new(8)?;
    /// // SAFETY: name, value and buffer stay until the completions.
    /// unsafe {
    ///     let set = op::FsetXattr::new(&file, name.as_ptr(), b"blue".as_ptr(), 4);
    ///     ring.push(set.build().link())?;
    ///     ring.push(op::FgetXattr::new(&file, name.as_ptr(), found.as_mut_ptr(), 8))?;
    /// }
    /// ring.submit_and_wait(2)?;
    /// # std::fs::remove_file(&path)?;
    /// # // Not every file system has attributes.
    /// # let Ok(0) = ring.completion().unwrap().result() else { return Ok(()) };
    /// # assert_eq!(ring.completion().unwrap().result()?, 4);
    /// # assert_eq!(&found[..4], b"blue");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    #[doc = set_errors!()]
    FsetXattr = FSETXATTR
}

impl FsetXattr {
    /// The attribute of this name, to the `len` bytes at `value`.
    #[inline]
    pub fn new(target: impl Target, name: *const c_char, value: *const u8, len: u32) -> FsetXattr {
        FsetXattr(attribute(on(FsetXattr::CODE, target), name, value, len))
    }

    /// `XATTR_CREATE`, `XATTR_REPLACE`.
    #[inline]
    pub fn xattr_flags(mut self, flags: u32) -> FsetXattr {
        self.0.op_flags = flags;
        self
    }
}

operation! {
    /// Sets an attribute of a file, as `setxattr(2)` (Linux 5.19).
    ///
    /// The value is 0.
    ///
    /// # Errors
    #[doc = set_errors!()]
    #[doc = path_errors!()]
    SetXattr = SETXATTR
}

impl SetXattr {
    /// The attribute of this name of the file at this path, to the `len` bytes at `value`.
    #[inline]
    pub fn new(path: *const c_char, name: *const c_char, value: *const u8, len: u32) -> SetXattr {
        let mut entry = attribute(alone(SetXattr::CODE), name, value, len);
        (entry.fd, entry.addr3) = (0, address(path));
        SetXattr(entry)
    }

    /// `XATTR_CREATE`, `XATTR_REPLACE`.
    #[inline]
    pub fn xattr_flags(mut self, flags: u32) -> SetXattr {
        self.0.op_flags = flags;
        self
    }
}

operation! {
    /// Reads an attribute of an open file, as `fgetxattr(2)` (Linux 5.19).
    ///
    /// The value is its length.
    ///
    /// # Errors
    #[doc = get_errors!()]
    FgetXattr = FGETXATTR
}

impl FgetXattr {
    /// The attribute of this name, into the `len` bytes at `value` (0: only the length is wanted).
    #[inline]
    pub fn new(target: impl Target, name: *const c_char, value: *mut u8, len: u32) -> FgetXattr {
        FgetXattr(attribute(on(FgetXattr::CODE, target), name, value, len))
    }
}

operation! {
    /// Reads an attribute of a file, as `getxattr(2)` (Linux 5.19).
    ///
    /// The value is its length.
    ///
    /// # Errors
    #[doc = get_errors!()]
    #[doc = path_errors!()]
    GetXattr = GETXATTR
}

impl GetXattr {
    /// The attribute of this name of the file at this path, into the `len` bytes at `value` (0: only
    /// the length is wanted).
    #[inline]
    pub fn new(path: *const c_char, name: *const c_char, value: *mut u8, len: u32) -> GetXattr {
        let mut entry = attribute(alone(GetXattr::CODE), name, value, len);
        (entry.fd, entry.addr3) = (0, address(path));
        GetXattr(entry)
    }
}
