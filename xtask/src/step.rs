//! One step of the test run: a command, watched and counted.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::tally::Tally;

/// The seconds a step may use before it counts as hung.
const LIMIT: &str = "900";

/// Where a step's outcome is read.
#[derive(Clone, Copy)]
pub enum Outcome {
    /// The exit status: one check.
    Status,
    /// The results of `cargo test`.
    Libtest,
    /// Lines like `3 passed, 0 failed, 1 skipped`.
    Summary,
}

impl Outcome {
    fn read(self, line: &str) -> Option<Tally> {
        match self {
            Outcome::Status => None,
            Outcome::Libtest => Tally::of_libtest(line),
            Outcome::Summary => Tally::of_summary(line),
        }
    }
}

/// Runs one command to its end and tells how it went.
pub fn run(name: &str, outcome: Outcome, command: &[&str], environment: &[(&str, &str)]) -> Tally {
    println!("== {name}: {}", command.join(" "));
    let child = Command::new("timeout")
        .args(["--kill-after=10", LIMIT])
        .args(command)
        .envs(environment.iter().copied())
        .stdout(Stdio::piped())
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => {
            println!("{name} could not be started: {error}");
            return Tally::FAILED;
        }
    };

    let mut tally = Tally::default();
    let stdout = child.stdout.take().expect("stdout was piped");
    for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        if let Some(counted) = outcome.read(&line) {
            tally += counted;
        }
    }

    match child.wait() {
        Ok(status) if status.success() => match outcome {
            Outcome::Status => Tally::PASSED,
            _ => tally,
        },
        ended => {
            println!("{name} failed: {}", ended.map_or_else(|e| e.to_string(), |s| s.to_string()));
            if tally.failed == 0 {
                // It broke off before it could count what failed.
                tally += Tally::FAILED;
            }
            tally
        }
    }
}
