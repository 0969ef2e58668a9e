//! Whether the process listens for file events (`inotify`, `fanotify`), found by a look at its
//! descriptors: for an engine in a library, to which nobody tells that it begins to.

use sysring_sys::raw::general as g;
use sysring_sys::{Fd, User, call};

/// What `/proc` calls them ends with this, or with a bracket behind it.
const KIND: &[u8] = b"notify";

/// Where there is no `/proc`, nothing is found.
#[inline(never)]
pub fn are_there() -> bool {
    let path = User::of(c"/proc/self/fd".as_ptr().cast::<u8>());
    let flags = g::O_RDONLY | g::O_DIRECTORY | g::O_CLOEXEC;
    let Ok(folder) = call::openat(Fd::CWD, path, flags, 0) else { return false };
    let mut block = [0u8; 1024];
    let mut found = false;
    while let Ok(len @ 1..) = call::getdents64(folder, &mut block)
        && !found
    {
        found = entries(&block[..len]).any(|name| listens(folder, name));
    }
    let _ = call::close(folder);
    found
}

/// The names in what `getdents64` wrote, each with the zero behind it.
fn entries(mut rest: &[u8]) -> impl Iterator<Item = &[u8]> {
    const LEN: usize = 16;
    const NAME: usize = 19;
    core::iter::from_fn(move || {
        let len = u16::from_ne_bytes([*rest.get(LEN)?, *rest.get(LEN + 1)?]) as usize;
        let entry = rest.get(..len)?;
        rest = &rest[len..];
        entry.get(NAME..)
    })
}

fn listens(folder: Fd, name: &[u8]) -> bool {
    let mut target = [0u8; 32];
    let len = call::readlinkat(folder, User::of(name.as_ptr()), &mut target).unwrap_or(0);
    let target = target[..len].strip_suffix(b"]").unwrap_or(&target[..len]);
    target.starts_with(b"anon_inode:") && target.ends_with(KIND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_listens_is_found() {
        // Other tests of this process make no such descriptor.
        assert!(!are_there());
        // SAFETY: takes a number.
        let listener = unsafe { libc::inotify_init1(libc::IN_CLOEXEC) };
        assert!(listener >= 0);
        assert!(are_there());
        // SAFETY: our own descriptor.
        unsafe { libc::close(listener) };
        assert!(!are_there());
    }
}
