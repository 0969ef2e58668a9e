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
    let mut tally = Tally::default();
    let well = watch(name, command, environment, |line| {
        if let Some(counted) = outcome.read(line) {
            tally += counted;
        }
    });
    if !well && tally.failed == 0 {
        // It broke off before it could count what failed.
        tally += Tally::FAILED;
    } else if let Outcome::Status = outcome {
        tally += Tally::PASSED;
    }
    tally
}

/// Runs one command to its end and shows each line that it prints; whether it ended well.
pub fn watch(
    name: &str,
    command: &[&str],
    environment: &[(&str, &str)],
    mut each: impl FnMut(&str),
) -> bool {
    println!("== {name}: {}", command.join(" "));
    let child = Command::new("timeout")
        .args(["--kill-after=10", LIMIT])
        .args(command)
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => {
            println!("{name} could not be started: {error}");
            return false;
        }
    };
    let stdout = child.stdout.take().expect("stdout was piped");
    for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        each(&line);
    }
    match child.wait() {
        Ok(status) if status.success() => true,
        ended => {
            println!("{name} failed: {}", ended.map_or_else(|e| e.to_string(), |s| s.to_string()));
            false
        }
    }
}
