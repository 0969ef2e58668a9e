//! A line on standard error, without a buffer, a lock or an allocation.

use core::ffi::CStr;

use sysring_sys::call::{self, Buffer};
use sysring_sys::raw::general as g;
use sysring_sys::{Errno, Fd, User};

/// Writes `sysring: ` and the parts as one line, in one write where it fits.
pub fn line(parts: &[&[u8]]) {
    let mut text = [0u8; 512];
    let mut len = 0;
    for part in [&b"sysring: "[..]].iter().chain(parts).chain([&&b"\n"[..]]) {
        for &byte in *part {
            if len == text.len() {
                write(&text);
                len = 0;
            }
            text[len] = byte;
            len += 1;
        }
    }
    write(&text[..len]);
}

/// What is said once in a run of `sysring run`, by the first process that meets it.
#[derive(Clone, Copy, Debug)]
pub enum Notice {
    /// A process cannot be served.
    Unserved,
    /// A 32-bit program was started.
    Narrow,
}

/// As [`line()`], unless a process of this run has given the same notice. `told` is what the names of files
/// begin with that say so; without it, or where no file can be made, the notice is given again.
pub fn once(told: Option<&CStr>, notice: Notice, parts: &[&[u8]]) {
    if !told.is_some_and(|told| was_told(told, notice)) {
        line(parts);
    }
}

fn was_told(told: &CStr, notice: Notice) -> bool {
    let ending: &[u8] = match notice {
        Notice::Unserved => b"-unserved\0",
        Notice::Narrow => b"-narrow\0",
    };
    let mut path = [0u8; 256];
    let start = told.to_bytes();
    let Some(room) = path.get_mut(..start.len() + ending.len()) else { return false };
    room[..start.len()].copy_from_slice(start);
    room[start.len()..].copy_from_slice(ending);
    let flags = g::O_WRONLY | g::O_CREAT | g::O_EXCL | g::O_CLOEXEC;
    match call::openat(Fd::CWD, User::of(path.as_ptr()), flags, 0o600) {
        Ok(file) => {
            let _ = call::close(file);
            false
        }
        Err(e) => e == Errno::EEXIST,
    }
}

fn write(text: &[u8]) {
    // Nobody is left to tell if this fails.
    let _ = call::write(Fd::new(2), Buffer { address: User::of(text.as_ptr()), len: text.len() });
}

/// Says why, and ends the process as `abort` does.
pub fn fail(why: &str) -> ! {
    line(&[why.as_bytes()]);
    crate::signals::die(sysring_sys::raw::general::SIGABRT as i32)
}

/// A number in decimal, in a buffer of its own.
#[derive(Clone, Copy)]
pub struct Decimal {
    digits: [u8; 20],
    start: usize,
}

impl Decimal {
    /// Writes the number down.
    #[must_use]
    pub fn of(mut number: u64) -> Decimal {
        let mut digits = [0; 20];
        let mut start = digits.len();
        loop {
            start -= 1;
            digits[start] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                return Decimal { digits, start };
            }
        }
    }

    /// The digits.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.digits[self.start..]
    }
}

/// Reads decimal digits, all of `text`.
#[must_use]
pub fn parse_decimal(text: &[u8]) -> Option<u32> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u32, |number, &byte| {
        let digit = byte.is_ascii_digit().then(|| u32::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_survive_the_round_trip() {
        for number in [0, 7, 10, 4095, u32::MAX] {
            assert_eq!(parse_decimal(Decimal::of(number.into()).as_bytes()), Some(number));
        }
        assert_eq!(Decimal::of(u64::MAX).as_bytes(), b"18446744073709551615");
        assert_eq!(parse_decimal(b""), None);
        assert_eq!(parse_decimal(b"4294967296"), None);
        assert_eq!(parse_decimal(b"1x"), None);
    }
}
