//! `sysring ls`: what is in a tree.

mod columns;
mod list;
mod names;
mod options;
mod output;
mod sort;

use std::ffi::{CString, OsStr};
use std::fs::{self, Metadata};
use std::io::{self, IsTerminal, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::process::ExitCode;

use sysring_walk::{Options, Progress, walk_with};

use crate::files::report::words;
use crate::files::{progress, roots};

pub use options::Ls;
use sort::Key;

pub fn main(ls: &Ls) -> ExitCode {
    let given = sorted(ls, roots::of(&ls.paths));
    let roots: Vec<_> = given.iter().map(|path| path.as_c_str()).collect();
    let options = Options {
        threads: ls.threads.map(std::num::NonZeroUsize::get),
        one_file_system: ls.one_file_system,
        ..Options::default()
    };
    let seen = Progress::default();
    let complete = progress::during(!io::stdout().is_terminal(), &seen, |bar| {
        let mut sections = output::Sections::new(ls, roots.len() > 1, bar);
        walk_with(&roots, &options, &list::Lister { ls }, &mut sections, &seen);
        sections.finish()
    });
    match complete {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            if error.kind() != io::ErrorKind::BrokenPipe {
                // Where standard error is closed, too, there is nobody left to tell.
                let _ = writeln!(io::stderr(), "sysring ls: write error: {}", words(&error));
            }
            ExitCode::FAILURE
        }
    }
}

/// Files come before directories, and both as what is in directories.
fn sorted(ls: &Ls, given: Vec<CString>) -> Vec<CString> {
    let status = |path: &CString| fs::symlink_metadata(OsStr::from_bytes(path.as_bytes())).ok();
    let mut known: Vec<_> = given.into_iter().map(|path| (status(&path), path)).collect();
    known.sort_by(|one, other| {
        let is_directory = |status: &Option<Metadata>| status.as_ref().is_none_or(Metadata::is_dir);
        let by_kind = is_directory(&one.0).cmp(&is_directory(&other.0));
        by_kind.then_with(|| ls.compare(&key(one), &key(other)))
    });
    known.into_iter().map(|(_, path)| path).collect()
}

fn key((status, path): &(Option<Metadata>, CString)) -> Key<'_> {
    let name = path.as_bytes();
    match status {
        Some(status) => {
            Key { name, size: status.size(), time: (status.mtime(), status.mtime_nsec()) }
        }
        None => Key { name, size: 0, time: (i64::MIN, 0) },
    }
}
