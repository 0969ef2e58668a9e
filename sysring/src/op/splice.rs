//! Bytes from one file to another, without a copy through the program's memory.

use super::{Target, abi, on, operation};

/// `SPLICE_F_FD_IN_FIXED`: the source is a registered file.
const SOURCE_IS_FIXED: u32 = 1 << 31;
/// The file's own position, and what a pipe has.
const CURRENT: u64 = !0;

macro_rules! pipe_errors {
    () => {
        "- `EBADF`: one of the two is not open, or not for this direction.\n\
         - `EAGAIN`: it would have to wait, and `SPLICE_F_NONBLOCK` is given, or a file does not block.\n\
         - `EPIPE`: nobody reads the pipe."
    };
}

fn between(code: u8, from: impl Target, to: impl Target, len: u32) -> abi::Sqe {
    let (source, fixed) = from.place();
    let flags = if fixed != 0 { SOURCE_IS_FIXED } else { 0 };
    abi::Sqe { file_index: source as u32, len, op_flags: flags, ..on(code, to) }
}

operation! {
    /// Moves bytes from a pipe or to one, as `splice(2)` (Linux 5.7).
    ///
    /// The value is the number of bytes; 0 at the end.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::io::Read;
    /// use sysring::{Ring, op};
    ///
    /// let (from, mut to) = std::io::pipe()?;
    /// let (mut read, write) = std::io::pipe()?;
    /// std::io::Write::write_all(&mut to, b"water")?;
    /// let mut ring = Ring::new(8)?;
    /// // SAFETY: the pipes are open until it is done.
    /// unsafe { ring.push(op::Splice::new(&from, &write, 5))? };
    /// ring.submit_and_wait(1)?;
    /// assert_eq!(ring.completion().unwrap().result()?, 5);
    /// let mut word = [0; 5];
    /// read.read_exact(&mut word)?;
    /// assert_eq!(&word, b"water");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    #[doc = pipe_errors!()]
    /// - `EINVAL`: neither is a pipe, or a file that cannot be spliced, or is for appending.
    /// - `ESPIPE`: an offset, and the file has none.
    Splice = SPLICE
}

impl Splice {
    /// Up to `len` bytes, at the files' own positions.
    #[inline]
    pub fn new(from: impl Target, to: impl Target, len: u32) -> Splice {
        let entry = between(Splice::CODE, from, to, len);
        Splice(abi::Sqe { addr: CURRENT, off: CURRENT, ..entry })
    }

    /// From this offset on, if it is not a pipe.
    #[inline]
    pub fn from_offset(mut self, offset: u64) -> Splice {
        self.0.addr = offset;
        self
    }

    /// To this offset, if it is not a pipe.
    #[inline]
    pub fn to_offset(mut self, offset: u64) -> Splice {
        self.0.off = offset;
        self
    }

    /// `SPLICE_F_*`.
    #[inline]
    pub fn splice_flags(mut self, flags: u32) -> Splice {
        self.0.op_flags |= flags;
        self
    }
}

operation! {
    /// Copies bytes from one pipe to another, where they stay readable, as `tee(2)` (Linux 5.8).
    ///
    /// The value is the number of bytes; 0 at the end.
    ///
    /// # Errors
    #[doc = pipe_errors!()]
    /// - `EINVAL`: not two different pipes.
    Tee = TEE
}

impl Tee {
    /// Up to `len` bytes.
    #[inline]
    pub fn new(from: impl Target, to: impl Target, len: u32) -> Tee {
        Tee(between(Tee::CODE, from, to, len))
    }

    /// `SPLICE_F_*`.
    #[inline]
    pub fn splice_flags(mut self, flags: u32) -> Tee {
        self.0.op_flags |= flags;
        self
    }
}
