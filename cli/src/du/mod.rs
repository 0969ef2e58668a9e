//! `sysring du`: how much room the files of a tree take.

mod bounds;
mod bytes;
mod count;
mod lists;
mod options;
mod output;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use sysring_walk::{Progress, walk_with};

use crate::files::{matching, progress, report};

pub use options::Du;

pub fn main(du: &Du) -> ExitCode {
    let (given, excluded) = match (lists::roots(du), lists::excluded(du)) {
        (Ok(given), Ok(excluded)) => (given, excluded),
        (Err(message), _) | (_, Err(message)) => return complain(&message),
    };
    for message in &given.problems {
        complain(message);
    }
    let roots: Vec<_> = given
        .paths
        .iter()
        .map(|root| root.as_c_str())
        .filter(|root| !excluded.iter().any(|p| matching::path(p, root.to_bytes())))
        .collect();
    // What could be met again although it has one name.
    let overlapping = du.files0_from.is_some() || du.paths.len() > 1 || du.dereference;
    let hidden = io::stdout().is_terminal() && !du.summarize;
    let seen = Progress::default();
    let complete = progress::during(!hidden, &seen, |bar| {
        let mut fold = count::Totals::new(du, overlapping, output::Output::new(du, bar));
        let survey = count::Counter::new(du, &excluded, overlapping);
        walk_with(&roots, &du.walk_options(), &survey, &mut fold, &seen);
        fold.finish()
    });
    match complete {
        Ok(true) if given.problems.is_empty() => ExitCode::SUCCESS,
        Ok(true) => ExitCode::FAILURE,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            if error.kind() != io::ErrorKind::BrokenPipe {
                complain(&format!("write error: {}", report::words(&error)));
            }
            ExitCode::FAILURE
        }
    }
}

fn complain(message: &str) -> ExitCode {
    // Where standard error is closed there is nobody left to tell.
    let _ = writeln!(io::stderr(), "sysring du: {message}");
    ExitCode::FAILURE
}
