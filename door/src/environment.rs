//! One variable of the environment that this program was started with, found without libc.
//!
//! It is read from `/proc/self/environ`, which needs no initialiser to have run and works in every
//! kind of program; what a program sets later in its own memory is not seen, and where there is
//! no `/proc` nothing is.

use core::ffi::CStr;

use sysring_sys::call;
use sysring_sys::raw::general::{O_CLOEXEC, O_RDONLY};
use sysring_sys::{Errno, Fd, User};

const FILE: &CStr = c"/proc/self/environ";

/// The value of `name`, cut to `N` bytes; shorter ones end with zeroes.
pub fn value<const N: usize>(name: &[u8]) -> Option<[u8; N]> {
    let path = User::of(FILE.as_ptr().cast());
    let file = call::openat(Fd::CWD, path, O_RDONLY | O_CLOEXEC, 0).ok()?;
    let mut scan = Scan::new(name);
    let mut chunk = [0u8; 256];
    while scan.goes_on() {
        match call::read_into(file, &mut chunk) {
            Ok(0) => break,
            Ok(n) => chunk[..n.min(chunk.len())].iter().for_each(|&byte| scan.feed(byte)),
            Err(Errno::EINTR) => {}
            Err(_) => break,
        }
    }
    let _ = call::close(file);
    scan.found()
}

/// Looks for `NAME=` at the start of a string in a stream of them.
struct Scan<'a, const N: usize> {
    name: &'a [u8],
    state: State,
    value: [u8; N],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// So many bytes of the name were there.
    Name(usize),
    /// Another variable's string.
    Other,
    /// So many bytes of the value were there.
    Value(usize),
    Done,
}

impl<'a, const N: usize> Scan<'a, N> {
    fn new(name: &'a [u8]) -> Scan<'a, N> {
        Scan { name, state: State::Name(0), value: [0; N] }
    }

    fn goes_on(&self) -> bool {
        self.state != State::Done
    }

    fn feed(&mut self, byte: u8) {
        self.state = match self.state {
            State::Done => State::Done,
            State::Value(_) if byte == 0 => State::Done,
            State::Value(at) => {
                if let Some(place) = self.value.get_mut(at) {
                    *place = byte;
                }
                State::Value(at + 1)
            }
            _ if byte == 0 => State::Name(0),
            State::Name(at) if at == self.name.len() && byte == b'=' => State::Value(0),
            State::Name(at) if self.name.get(at) == Some(&byte) => State::Name(at + 1),
            State::Name(_) | State::Other => State::Other,
        };
    }

    fn found(self) -> Option<[u8; N]> {
        matches!(self.state, State::Value(_) | State::Done).then_some(self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scanned(text: &[u8]) -> Option<[u8; 4]> {
        let mut scan = Scan::new(b"AB");
        text.iter().for_each(|&byte| scan.feed(byte));
        scan.found()
    }

    #[test]
    fn only_the_whole_name_counts() {
        assert_eq!(scanned(b""), None);
        assert_eq!(scanned(b"A=1\0ABC=2\0XAB=3\0AB\0"), None);
        assert_eq!(scanned(b"A=AB=9\0AB=user\0AB=no\0"), Some(*b"user"));
        assert_eq!(scanned(b"AB=\0"), Some([0; 4]));
        assert_eq!(scanned(b"AB=k"), Some(*b"k\0\0\0"));
        assert_eq!(scanned(b"AB=longer\0"), Some(*b"long"));
    }
}
