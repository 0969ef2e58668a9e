//! Answers as C programs see them, and the calls of the door below.

use sysring_sys::{Errno, Result};

pub use sysring_door::{close, enter, enter_c, mmap, register, setup};

/// A negated errno, or the value.
#[inline(always)]
pub fn fold(result: Result<usize>) -> i32 {
    Errno::to_ret(result) as i32
}

/// The same for calls without a value.
#[inline(always)]
pub fn fold_unit(result: Result<()>) -> i32 {
    fold(result.map(|()| 0))
}
