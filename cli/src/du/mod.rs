//! `sysring du`: how much room the files of a tree take.

mod count;
mod options;
mod output;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use sysring_walk::{Progress, walk_with};

use crate::files::{matching, progress, roots};

pub use options::Du;

pub fn main(du: &Du) -> ExitCode {
    let roots = roots::of(&du.paths);
    let roots: Vec<_> = roots
        .iter()
        .map(|root| root.as_c_str())
        .filter(|root| !du.exclude.iter().any(|p| matching::path(p, root.to_bytes())))
        .collect();
    let hidden = io::stdout().is_terminal() && !du.summarize;
    let seen = Progress::default();
    let complete = progress::during(!hidden, &seen, |bar| {
        let mut fold = count::Totals::new(du, roots.len() > 1, output::Output::new(du, bar));
        let survey = count::Counter::new(du, roots.len() > 1);
        walk_with(&roots, &du.walk_options(), &survey, &mut fold, &seen);
        fold.finish()
    });
    match complete {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            if error.kind() != io::ErrorKind::BrokenPipe {
                // Where standard error is closed, too, there is nobody left to tell.
                let _ = writeln!(io::stderr(), "sysring du: write error: {error}");
            }
            ExitCode::FAILURE
        }
    }
}
