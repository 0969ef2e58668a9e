//! What to look at and what to leave out, from the command line and from files.

use std::ffi::{CString, OsStr, OsString};
use std::fs;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;

use super::options::Du;
use crate::files::{quote, report, roots};

/// What to look at, and of what was given the rest.
pub struct Given {
    pub paths: Vec<CString>,
    pub problems: Vec<String>,
}

/// The paths that were given, or that stand in a file.
pub fn roots(du: &Du) -> Result<Given, String> {
    let Some(list) = &du.files0_from else {
        let (empty, paths): (Vec<_>, Vec<_>) =
            du.paths.iter().cloned().partition(|path| path.is_empty());
        let problems = empty.iter().map(|_| "invalid zero-length file name".to_owned()).collect();
        let none = du.paths.len() == empty.len() && !empty.is_empty();
        return Ok(Given { paths: if none { Vec::new() } else { roots::of(&paths) }, problems });
    };
    let names = match is_standard_input(list) {
        true => read_input().map_err(|error| failed("-: read error", &error))?,
        false => read_file(list)?,
    };
    let names = names.strip_suffix(b"\0").unwrap_or(&names);
    let mut given = Given { paths: Vec::new(), problems: Vec::new() };
    if names.is_empty() {
        return Ok(given);
    }
    let mut paths = Vec::new();
    for (number, name) in (1..).zip(names.split(|&byte| byte == 0)) {
        if name.is_empty() {
            let list = list.to_string_lossy();
            given.problems.push(format!("{list}:{number}: invalid zero-length file name"));
        } else if name == b"-" && is_standard_input(list) {
            let problem = "when reading file names from stdin, no file name of '-' allowed";
            given.problems.push(problem.to_owned());
        } else {
            paths.push(OsStr::from_bytes(name).to_owned());
        }
    }
    if !paths.is_empty() {
        given.paths = roots::of(&paths);
    }
    Ok(given)
}

/// The patterns that were given, and those that stand in files: one on each line.
pub fn excluded(du: &Du) -> Result<Vec<CString>, String> {
    let mut patterns = du.exclude.clone();
    for list in &du.exclude_from {
        let text = if is_standard_input(list) {
            read_input().map_err(|error| failed("-: read error", &error))?
        } else {
            read_file(list)?
        };
        let lines = text.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii_end);
        patterns.extend(lines.filter(|line| !line.is_empty()).filter_map(|p| CString::new(p).ok()));
    }
    Ok(patterns)
}

fn is_standard_input(list: &OsString) -> bool {
    list == "-"
}

fn read_file(list: &OsStr) -> Result<Vec<u8>, String> {
    let what = format!("cannot open {} for reading", quote::shell(list.as_bytes()));
    fs::read(list).map_err(|error| failed(&what, &error))
}

fn read_input() -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    io::stdin().read_to_end(&mut all)?;
    Ok(all)
}

fn failed(what: &str, error: &io::Error) -> String {
    format!("{what}: {}", report::words(error))
}
