//! One step of the test run: a command, watched and counted.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::panic::resume_unwind;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Instant;

use crate::lanes::{keeps, say};
use crate::libtest::Libtest;
use crate::report::Report;
use crate::tally::Tally;

/// The seconds a step may use before it counts as hung.
const LIMIT: &str = "2700";

/// How many of its last lines are told again at the end, if it failed.
const KEPT: usize = 40;

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
    /// Tests that [rest on time](crate::on_time), and a few others, are run once more if nothing else
    /// fails: one that waits for the scheduler of a busy machine must not stop everything, and must
    /// not be forgotten either: the report names it, and does not count it as passed. Programs with a
    /// summary try again by themselves, and tell what passed so.
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
        let tested = run.tally != Tally::default();
        if well && tested && run.unfinished == 0 && run.tally.failed == 0 {
            return Report { tally: run.tally, ..Report::default() };
        }
        let may_pass_later = run.may_pass_later();
        let names: Vec<&str> = run.failed.iter().map(String::as_str).collect();
        let first = Report { said: run.said, ..self.failed(run.tally, &run.failed) };
        if names.is_empty() || !may_pass_later {
            return first;
        }
        let command = [self.command, &["--exact"], &names].concat();
        let again = format!("{}, once more", self.name);
        let mut second = Libtest::default();
        let well = watch(&again, &command, self.environment, |line| second.read(line));
        // That it ended well is not enough: it must have found them.
        if well && second.tally.passed >= run.tally.failed { first.pardoned() } else { first }
    }

    fn sum_up(&self) -> Report {
        let mut tally = Tally::default();
        let mut later = Vec::new();
        let mut said = VecDeque::new();
        let well = watch(self.name, self.command, self.environment, |line| {
            if said.len() == KEPT {
                said.pop_front();
            }
            said.push_back(line.to_owned());
            tally += Tally::of_summary(line).unwrap_or_default();
            if let Some(name) = line.strip_prefix("passed at a later try: ") {
                later.push(format!("{}: {name}", self.name));
            }
            true
        });
        let checked = tally != Tally::default();
        if well && checked && tally.failed == 0 {
            return Report { tally, later, ..Report::default() };
        }
        Report { later, said: said.into(), ..self.failed(tally, &[]) }
    }

    /// After a run with something that failed, which may have had no name.
    fn failed(&self, mut tally: Tally, names: &[String]) -> Report {
        if tally.failed == 0 {
            // It broke off before it could count what failed, or counted nothing.
            tally += Tally::FAILED;
        }
        let failed = match names {
            [] => vec![self.name.to_owned()],
            names => names.iter().map(|name| format!("{}: {name}", self.name)).collect(),
        };
        Report { tally, failed, ..Report::default() }
    }
}

/// Runs one command to its end and shows those of its lines that are wanted; whether it ended well.
pub fn watch(
    name: &str,
    command: &[&str],
    environment: &[(&str, &str)],
    mut is_wanted: impl FnMut(&str) -> bool,
) -> bool {
    say(format_args!("== {name}: {}", command.join(" ")));
    let start = Instant::now();
    let child = Command::new("timeout")
        .args(["--kill-after=10", LIMIT])
        .args(command)
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(if keeps() { Stdio::piped() } else { Stdio::inherit() })
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => {
            say(format_args!("{name} could not be started: {error}"));
            return false;
        }
    };
    let stdout = child.stdout.take().expect("stdout was piped");
    let stderr = child.stderr.take();
    thread::scope(|scope| {
        let errors = scope.spawn(|| stderr.map_or_else(Vec::new, |stderr| lines(stderr).collect()));
        lines(stdout).filter(|line| is_wanted(line)).for_each(say);
        errors.join().unwrap_or_else(|panic| resume_unwind(panic)).iter().for_each(say);
    });
    let ended = child.wait();
    say(format_args!("== {name}: {} s", start.elapsed().as_secs()));
    match ended {
        Ok(status) if status.success() => true,
        ended => {
            say(format_args!(
                "{name} failed: {}",
                ended.map_or_else(|e| e.to_string(), |s| s.to_string())
            ));
            false
        }
    }
}

/// The lines of what a command says, until it ends.
fn lines(said: impl Read) -> impl Iterator<Item = String> {
    let lines = BufReader::new(said).split(b'\n').map_while(Result::ok);
    lines.map(|line| String::from_utf8_lossy(&line).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a shell does in place of a program of tests; it finds the options in `$*`.
    fn run(outcome: Outcome, script: &str) -> Report {
        Step { name: "step", outcome, command: &["sh", "-c", script, "sh"], environment: &[] }.run()
    }

    const ON_TIME: &str = "sqpoll_submits_by_itself";

    /// Three tests, of which these fail.
    fn failing(names: &[&str]) -> String {
        let failed: Vec<String> =
            names.iter().map(|name| format!("echo test {name} ... FAILED; ")).collect();
        format!(
            "echo running 3 tests; {}echo 'test result: FAILED. {} passed; {} failed; 0 ignored'; \
             exit 1",
            failed.concat(),
            3 - names.len(),
            names.len()
        )
    }

    #[test]
    fn a_test_that_rests_on_time_is_run_once_more_by_its_name() {
        let first = failing(&[ON_TIME]);
        let passes = "echo running 1 test; echo 'test result: ok. 1 passed; 0 failed; 0 ignored'";
        let lucky =
            format!("if [ \"$*\" = '--exact {ON_TIME}' ]; then {passes}; exit; fi; {first}");
        let report = run(Outcome::Libtest, &lucky);
        assert_eq!(report.tally, Tally { passed: 2, failed: 0, skipped: 0, later: 1 });
        assert_eq!(report.later, [format!("step: {ON_TIME}")]);
        assert!(report.failed.is_empty());
        let told =
            format!("passed at a later try: step: {ON_TIME}\n2 passed, 0 failed, 0 skipped, 1");
        assert!(report.to_string().starts_with(&told), "{report}");

        let report = run(Outcome::Libtest, &first);
        assert_eq!(report.tally, Tally { passed: 2, failed: 1, skipped: 0, later: 0 });
        assert_eq!(report.failed, [format!("step: {ON_TIME}")]);
        // Nothing was run.
        let nothing = format!("[ $# = 0 ] || exit 0; {first}");
        assert_eq!(run(Outcome::Libtest, &nothing).tally.failed, 1);
    }

    #[test]
    fn of_others_a_few_have_a_second_try() {
        let passes = |count| format!("echo 'test result: ok. {count} passed; 0 failed; 0 ignored'");
        for (names, later) in [(&["a", ON_TIME][..], 2), (&["a", "b"], 2), (&["a", "b", "c"], 0)] {
            let lucky =
                format!("[ $# = 0 ] || {{ {}; exit; }}; {}", passes(names.len()), failing(names));
            let report = run(Outcome::Libtest, &lucky);
            assert_eq!(report.later.len(), later);
            assert_eq!(report.tally.later, later as i64);
            assert_eq!(report.failed.len(), names.len() - later);
        }
    }

    #[test]
    fn what_failed_is_told_again() {
        let report = run(Outcome::Summary, "echo A: 1, 2; echo '3 passed, 1 failed, 0 skipped'");
        assert!(report.to_string().starts_with("| A: 1, 2\n| 3 passed"), "{report}");
    }

    #[test]
    fn a_program_of_tests_that_dies_has_failed() {
        let dies = "test $# = 0 || exit 0; echo running 2 tests; kill -9 $$";
        assert_eq!(run(Outcome::Libtest, dies), Report::failed("step"));
        // Whatever its status says.
        assert_eq!(run(Outcome::Libtest, "echo running 2 tests"), Report::failed("step"));
    }

    #[test]
    fn a_summary_counts_though_the_status_is_well() {
        let report = run(Outcome::Summary, "echo '3 passed, 1 failed, 0 skipped'");
        assert_eq!(report.tally, Tally { passed: 3, failed: 1, skipped: 0, later: 0 });
        assert_eq!(report.failed, ["step"]);
        assert_eq!(run(Outcome::Status, "exit 3"), Report::failed("step"));
    }

    #[test]
    fn what_a_program_tried_again_is_told() {
        let script = "echo 'passed at a later try: poll: hang, pass'; \
                      echo '3 passed, 0 failed, 0 skipped, 1 passed at a later try'";
        let report = run(Outcome::Summary, script);
        assert_eq!(report.tally, Tally { passed: 3, failed: 0, skipped: 0, later: 1 });
        assert_eq!(report.later, ["step: poll: hang, pass"]);
    }

    #[test]
    fn a_program_that_counts_nothing_has_failed() {
        for outcome in [Outcome::Summary, Outcome::Libtest] {
            assert_eq!(run(outcome, "true"), Report::failed("step"));
        }
        let nothing = "echo '0 passed, 0 failed, 0 skipped'";
        assert_eq!(run(Outcome::Summary, nothing).failed, ["step"]);
    }
}
