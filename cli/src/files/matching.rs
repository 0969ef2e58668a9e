//! Shell patterns, as fnmatch(3) has them.

use std::ffi::{CStr, CString, NulError};

/// A pattern on the command line.
pub fn parse(text: &str) -> Result<CString, NulError> {
    CString::new(text)
}

/// Whether a name matches as a whole.
pub fn name(pattern: &CStr, name: &CStr) -> bool {
    // SAFETY: both are strings that end; fnmatch only reads them.
    unsafe { libc::fnmatch(pattern.as_ptr(), name.as_ptr(), 0) == 0 }
}

/// Whether a path matches, as a whole or from some name in it on.
pub fn path(pattern: &CStr, path: &[u8]) -> bool {
    let Ok(path) = CString::new(path) else { return false };
    let whole = path.as_bytes_with_nul();
    let starts = whole.windows(2).enumerate().filter(|(_, two)| two[0] == b'/' && two[1] != b'/');
    let rests = starts.map(|(at, _)| &whole[at + 1..]);
    std::iter::once(whole)
        .chain(rests)
        .filter_map(|rest| CStr::from_bytes_with_nul(rest).ok())
        .any(|rest| name(pattern, rest))
}

/// The last name of a path.
pub fn base(path: &CStr) -> &CStr {
    let bytes = path.to_bytes_with_nul();
    // A slash at the end belongs to the name before it.
    let end = bytes.len().saturating_sub(2);
    let start = bytes[..end].iter().rposition(|&byte| byte == b'/').map_or(0, |at| at + 1);
    CStr::from_bytes_with_nul(&bytes[start..]).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_matches_from_any_name_on() {
        assert!(path(c"*.o", b"a/b.o"));
        assert!(path(c"b/c", b"a/b/c"));
        assert!(path(c"a/b", b"a/b"));
        assert!(!path(c"a/b", b"a/b/c"), "what is in it is left out with it");
        assert!(!path(c"b", b"a/bc"));
        assert!(path(c"a*c", b"a/b/c"), "a star goes across slashes");
    }

    #[test]
    fn the_last_name_of_a_path() {
        assert_eq!(base(c"a/b"), c"b");
        assert_eq!(base(c"b"), c"b");
        assert_eq!(base(c"/"), c"/");
        assert_eq!(base(c""), c"");
    }
}
