//! `sysring ls`: what is in a tree.

mod columns;
mod list;
mod names;
mod options;
mod output;

use std::cmp::Reverse;
use std::io::{self, IsTerminal, Write};
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;
use std::{ffi::OsStr, fs};

use sysring_walk::{Options, Progress, walk_with};

use crate::files::{progress, roots};

pub use options::Ls;

pub fn main(ls: &Ls) -> ExitCode {
    let mut given = roots::of(&ls.paths);
    // Files are listed before directories, and both by name.
    given.sort();
    given.sort_by_key(|path| {
        let status = fs::symlink_metadata(OsStr::from_bytes(path.as_bytes()));
        Reverse(status.is_ok_and(|status| !status.is_dir()))
    });
    let roots: Vec<_> = given.iter().map(|path| path.as_c_str()).collect();
    let options = Options {
        threads: ls.threads.map(std::num::NonZeroUsize::get),
        full_status: true,
        by_name: true,
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
                let _ = writeln!(io::stderr(), "sysring ls: write error: {error}");
            }
            ExitCode::FAILURE
        }
    }
}
