//! Paths and problems, for people and for programs.

use std::ffi::CStr;
use std::io::{self, Write};

use serde::Serialize;
use sysring_walk::Errno;

use super::quote;

/// Writes `name` in `path`, or `path` itself, byte for byte.
pub fn write_path(out: &mut impl Write, path: &[u8], name: Option<&CStr>) -> io::Result<()> {
    out.write_all(path)?;
    if let Some(name) = name {
        if !path.ends_with(b"/") {
            out.write_all(b"/")?;
        }
        out.write_all(name.to_bytes())?;
    }
    Ok(())
}

/// The same in memory.
pub fn joined(path: &[u8], name: Option<&CStr>) -> Vec<u8> {
    let mut whole = Vec::new();
    // A vector takes whatever is written.
    let _ = write_path(&mut whole, path, name);
    whole
}

/// Says on standard error what could not be done, in du's words.
pub fn complain(command: &str, what: &str, path: &[u8], name: Option<&CStr>, error: Errno) {
    let path = quote::shell(&joined(path, name));
    let why = words_of(error);
    // Where standard error is closed there is nobody left to tell.
    let _ = writeln!(io::stderr(), "sysring {command}: {what} {path}: {why}");
}

fn words_of(error: Errno) -> String {
    words(&io::Error::from_raw_os_error(error.raw()))
}

/// The C library's words for an error.
pub fn words(error: &io::Error) -> String {
    let words = error.to_string();
    match words.rfind(" (os error") {
        Some(end) => words[..end].to_owned(),
        None => words,
    }
}

/// A path in JSON: as text, and if it is not UTF-8 its bytes, too.
#[derive(Serialize)]
pub struct PathText {
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_bytes: Option<Vec<u8>>,
}

impl PathText {
    pub fn of(path: &[u8], name: Option<&CStr>) -> PathText {
        let (path, path_bytes) = text(joined(path, name));
        PathText { path, path_bytes }
    }
}

/// What JSON can hold of it as text; with the bytes themselves where that is not all.
pub fn text(bytes: Vec<u8>) -> (String, Option<Vec<u8>>) {
    match String::from_utf8(bytes) {
        Ok(text) => (text, None),
        Err(error) => {
            let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
            (text, Some(error.into_bytes()))
        }
    }
}

/// What could not be done, in JSON.
#[derive(Serialize)]
pub struct Problem {
    #[serde(flatten)]
    path: PathText,
    problem: String,
    errno: &'static str,
}

impl Problem {
    pub fn new(what: &str, path: &[u8], name: Option<&CStr>, error: Errno) -> Problem {
        let problem = format!("{what}: {}", words_of(error));
        Problem { path: PathText::of(path, name), problem, errno: error.name() }
    }
}
