//! Times in words.

use std::ffi::CStr;

use sysring_walk::Time;

/// The local time as strftime(3) writes it; nothing if there is no such year.
pub fn local(time: Time, format: &CStr) -> Option<String> {
    let seconds: libc::time_t = time.seconds;
    // SAFETY: a structure of numbers and a pointer, for which zeros are values.
    let mut parts: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both live.
    if unsafe { libc::localtime_r(&seconds, &mut parts) }.is_null() {
        return None;
    }
    // A format makes at most so much of each of its letters.
    let mut words = vec![0u8; 64 * (1 + format.count_bytes())];
    // SAFETY: writes no more than there is room for; the format is a string.
    let length =
        unsafe { libc::strftime(words.as_mut_ptr().cast(), words.len(), format.as_ptr(), &parts) };
    words.truncate(length);
    Some(String::from_utf8_lossy(&words).into_owned())
}
