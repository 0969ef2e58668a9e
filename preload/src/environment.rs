//! The environment this program was started with, found without libc.

use core::ffi::CStr;

use sysring_trap::maps::Text;

/// `NAME=value` strings, each ended by a zero byte, in memory that stays.
#[derive(Clone, Copy)]
pub struct Environment {
    text: &'static [u8],
}

/// Environments that are larger are cut.
const LARGEST: usize = 4 << 20;

impl Environment {
    /// No variable.
    pub const EMPTY: Environment = Environment { text: &[] };

    /// From the pointers on the initial stack.
    ///
    /// # Safety
    /// `envp` must be a null-ended array of strings. The strings of an initial stack lie one
    /// behind the other; they must stay.
    pub unsafe fn from_pointers(envp: *const *const u8) -> Environment {
        // SAFETY: by the caller's word, up to the null and up to each string's end.
        unsafe {
            let mut last = envp;
            while !(*last).is_null() {
                last = last.add(1);
            }
            if last == envp {
                return Environment::EMPTY;
            }
            let start = *envp;
            let end = *last.sub(1);
            let last_len = CStr::from_ptr(end.cast()).to_bytes_with_nul().len();
            let len = (end as usize).wrapping_sub(start as usize).wrapping_add(last_len);
            if len > LARGEST {
                return Environment::EMPTY;
            }
            Environment { text: core::slice::from_raw_parts(start, len) }
        }
    }

    /// As the kernel remembers it: for a dynamic linker that tells initialisers nothing.
    pub fn of_process() -> Environment {
        Text::read(c"/proc/self/environ")
            .map_or(Environment::EMPTY, |text| Environment { text: text.leak() })
    }

    /// The whole entry, `NAME=value` and a zero byte.
    pub fn entry(&self, name: &[u8]) -> Option<&'static CStr> {
        self.text
            .split_inclusive(|&b| b == 0)
            .find(|entry| entry.strip_prefix(name).is_some_and(|rest| rest.starts_with(b"=")))
            .and_then(|entry| CStr::from_bytes_with_nul(entry).ok())
    }

    /// A variable's value.
    pub fn value(&self, name: &[u8]) -> Option<&'static CStr> {
        let entry = self.entry(name)?.to_bytes_with_nul();
        CStr::from_bytes_with_nul(&entry[name.len() + 1..]).ok()
    }
}
