//! A line on standard error, without a buffer, a lock or an allocation.

use sysring_sys::call::{self, Buffer};
use sysring_sys::{Fd, User};

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
