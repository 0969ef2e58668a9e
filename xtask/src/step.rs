//! One step of the test run: a command, watched and counted.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::libtest::Libtest;
use crate::report::Report;
use crate::tally::Tally;

/// The seconds a step may use before it counts as hung.
const LIMIT: &str = "1800";

/// Where a step's outcome is read.
#[derive(Clone, Copy, Eq, PartialEq)]
pub enum Outcome {
    /// The exit status: one check.
    Status,
    /// The results of `cargo test -- --show-output`.
    Libtest,
    /// A line like `3 passed, 0 failed, 1 skipped`.
    Summary,
}

/// A command that checks something.
pub struct Step<'a> {
    pub name: &'a str,
    pub outcome: Outcome,
    pub command: &'a [&'a str],
    pub environment: &'a [(&'a str, &'a str)],
}

impl Step<'_> {
    /// Runs the command to its end and tells how it went.
    ///
    /// What fails is run once more: tests by their names, programs whole. A test that waits for the
    /// scheduler of a busy machine must not stop everything, and must not be forgotten either: the
    /// report names it. An exit status alone is no matter of luck: that is run once.
    pub fn run(&self) -> Report {
        match self.outcome {
            Outcome::Status if watch(self.name, self.command, self.environment, |_| true) => {
                Report::passed()
            }
            Outcome::Status => Report::failed(self.name),
            Outcome::Libtest => self.test(),
            Outcome::Summary => self.sum_up(),
        }
    }

    fn test(&self) -> Report {
        let mut run = Libtest::default();
        let well = watch(self.name, self.command, self.environment, |line| run.read(line));
        if well {
            return Report { tally: run.tally, ..Report::default() };
        }
        let names: Vec<&str> = match run.unfinished {
            0 => run.failed.iter().map(String::as_str).collect(),
            // What died with its program has no name here.
            _ => Vec::new(),
        };
        let only: &[&str] = if names.is_empty() { &[] } else { &["--exact"] };
        self.once_more(run.tally, &run.failed, &[self.command, only, &names].concat())
    }

    fn sum_up(&self) -> Report {
        let mut tally = Tally::default();
        let well = watch(self.name, self.command, self.environment, |line| {
            tally += Tally::of_summary(line).unwrap_or_default();
            true
        });
        if well && tally.failed == 0 {
            return Report { tally, ..Report::default() };
        }
        self.once_more(tally, &[], self.command)
    }

    /// After a run with something that failed, which may have had no name.
    fn once_more(&self, mut tally: Tally, names: &[String], command: &[&str]) -> Report {
        if tally.failed == 0 {
            // It broke off before it could count what failed.
            tally += Tally::FAILED;
        }
        let failed = match names {
            [] => vec![self.name.to_owned()],
            names => names.iter().map(|name| format!("{}: {name}", self.name)).collect(),
        };
        let first = Report { tally, failed, unsteady: Vec::new() };
        if watch(&format!("{}, once more", self.name), command, self.environment, |_| true) {
            first.pardoned()
        } else {
            first
        }
    }
}

/// Runs one command to its end and shows those of its lines that are wanted; whether it ended well.
pub fn watch(
    name: &str,
    command: &[&str],
    environment: &[(&str, &str)],
    mut is_wanted: impl FnMut(&str) -> bool,
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
        if is_wanted(&line) {
            println!("{line}");
        }
    }
    match child.wait() {
        Ok(status) if status.success() => true,
        ended => {
            println!("{name} failed: {}", ended.map_or_else(|e| e.to_string(), |s| s.to_string()));
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a shell does in place of a program of tests; it finds the options in `$*`.
    fn run(outcome: Outcome, script: &str) -> Report {
        Step { name: "step", outcome, command: &["sh", "-c", script, "sh"], environment: &[] }.run()
    }

    #[test]
    fn a_test_that_fails_is_run_once_more_by_its_name() {
        let first = "echo running 2 tests; echo test one ... FAILED; \
                     echo 'test result: FAILED. 1 passed; 1 failed; 0 ignored'; exit 1";
        let lucky = format!("if [ \"$*\" = '--exact one' ]; then exit 0; fi; {first}");
        let report = run(Outcome::Libtest, &lucky);
        assert_eq!(report.tally, Tally { passed: 2, failed: 0, skipped: 0 });
        assert_eq!(report.unsteady, ["step: one"]);
        assert!(report.failed.is_empty());

        let report = run(Outcome::Libtest, first);
        assert_eq!(report.tally, Tally { passed: 1, failed: 1, skipped: 0 });
        assert_eq!(report.failed, ["step: one"]);
    }

    #[test]
    fn a_program_of_tests_that_dies_is_run_whole() {
        let dies = "test $# = 0 || echo by name; echo running 2 tests; kill -9 $$";
        assert_eq!(run(Outcome::Libtest, dies), Report::failed("step"));
    }

    #[test]
    fn a_summary_counts_though_the_status_is_well() {
        let report = run(Outcome::Summary, "echo '3 passed, 1 failed, 0 skipped'; exit 1");
        assert_eq!(report.tally, Tally { passed: 3, failed: 1, skipped: 0 });
        assert_eq!(report.failed, ["step"]);
        assert_eq!(run(Outcome::Status, "exit 3"), Report::failed("step"));
    }
}
