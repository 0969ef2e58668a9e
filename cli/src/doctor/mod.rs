//! `sysring doctor`: what this machine allows, and what sysring makes of it.

mod checks;
mod table;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use serde::Serialize;

use crate::arguments::Doctor;
use crate::files::report::words;

/// Whether the machine offers something.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Yes,
    No,
    /// Less than one would wish: it works, with a limit that matters.
    Limited,
    /// A fact, neither good nor bad.
    Info,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Check {
    /// A stable name, for programs.
    name: &'static str,
    status: Status,
    /// What was found.
    found: String,
    /// What sysring uses, or does without.
    #[serde(skip_serializing_if = "Option::is_none")]
    uses: Option<String>,
    /// What to change to get more.
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

/// Everything that was found.
#[derive(Debug, Serialize)]
struct Findings {
    version: &'static str,
    /// What `sysring run` would use: `kernel`, `user`, or `none`.
    engine: &'static str,
    checks: Vec<Check>,
}

pub fn main(doctor: &Doctor) -> ExitCode {
    let findings = match checks::all() {
        Ok(findings) => findings,
        Err(error) => {
            tell!("sysring: the checks could not be run: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut out = io::stdout().lock();
    let printed = if doctor.json {
        serde_json::to_writer_pretty(&mut out, &findings)
            .map_err(io::Error::from)
            .and_then(|()| writeln!(out))
    } else {
        let colour = out.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
        table::print(&mut out, &findings, colour)
    };
    if let Err(error) = printed {
        // Who has seen enough (head, a pager that was left) is not told of it.
        if error.kind() != io::ErrorKind::BrokenPipe {
            tell!("sysring: the findings could not be printed: {}", words(&error));
        }
        return ExitCode::FAILURE;
    }
    if findings.engine == "none" { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
