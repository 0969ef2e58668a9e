//! The paths that were given.

use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStrExt;

/// What to look at. An argument cannot hold a zero byte; slashes at the end are as good as one.
pub fn of(paths: &[OsString]) -> Vec<CString> {
    let current = [OsString::from(".")];
    let paths = if paths.is_empty() { &current } else { paths };
    let shortened = paths.iter().map(|path| {
        let mut bytes = path.as_bytes();
        while let [rest @ .., b'/'] = bytes
            && rest.ends_with(b"/")
        {
            bytes = rest;
        }
        CString::new(bytes)
    });
    shortened.filter_map(Result::ok).collect()
}
