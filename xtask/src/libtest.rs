//! What `cargo test -- --show-output` prints, read line by line.

use crate::on_time::rests_on_time;
use crate::tally::Tally;

/// The results so far.
#[derive(Default)]
pub struct Libtest {
    pub tally: Tally,
    /// The names of tests that failed.
    pub failed: Vec<String>,
    /// What they have printed.
    pub said: Vec<String>,
    /// Programs of tests that began and have not told their result: after the end, they died.
    pub unfinished: usize,
    /// Within what tests have printed, which is not to be taken for results: of those that passed, or
    /// of those that failed.
    printed_by: Option<Those>,
    /// The test that has printed what follows has said that it was skipped, if only in part: that
    /// counts once.
    skipped: bool,
}

/// So many tests of a step are tried again though nobody knows why they failed.
pub const FEW: usize = 2;

#[derive(Clone, Copy, Eq, PartialEq)]
enum Those {
    Passed,
    Failed,
}

impl Libtest {
    /// Takes in a line; whether somebody wants to see it. What passing tests print nobody does, but
    /// for why they were skipped.
    pub fn read(&mut self, line: &str) -> bool {
        // Each of the two stands before what was printed, and again before a list of names.
        let heading = match line {
            "successes:" => Some(Those::Passed),
            "failures:" => Some(Those::Failed),
            _ => None,
        };
        if heading.is_some() {
            self.printed_by = if self.printed_by.is_some() { None } else { heading };
            self.skipped = false;
            return true;
        }
        let says_skipped = line.starts_with("skipped: ");
        match self.printed_by {
            None => self.count(line),
            Some(_) if is_heading_of_a_test(line) => self.skipped = false,
            // One that failed was not counted as passed.
            Some(Those::Passed) if says_skipped && !self.skipped => {
                self.skipped = true;
                self.tally += Tally::SKIPPED_THOUGH_COUNTED;
            }
            Some(Those::Failed) if !line.is_empty() => self.said.push(line.to_owned()),
            Some(_) => {}
        }
        self.printed_by != Some(Those::Passed) || says_skipped
    }

    /// Whether all that failed has a name, and is known to rest on time but for a few: what a busy
    /// machine may do to tests is not known beforehand.
    pub fn may_pass_later(&self) -> bool {
        self.unfinished == 0
            && self.tally.failed == self.failed.len() as i64
            && self.failed.iter().filter(|name| !rests_on_time(name)).count() <= FEW
    }

    fn count(&mut self, line: &str) {
        if let Some(counted) = Tally::of_libtest(line) {
            self.tally += counted;
        }
        if is_beginning(line) {
            self.unfinished += 1;
        } else if line.starts_with("test result: ") {
            self.unfinished = self.unfinished.saturating_sub(1);
        } else if let Some(name) = failing(line) {
            self.failed.push(name.to_owned());
        }
    }
}

/// `---- road::it_works stdout ----`
fn is_heading_of_a_test(line: &str) -> bool {
    line.strip_prefix("---- ").is_some_and(|rest| rest.ends_with(" stdout ----"))
}

/// `running 3 tests`
fn is_beginning(line: &str) -> bool {
    let words: Vec<&str> = line.split(' ').collect();
    matches!(words[..], ["running", count, "test" | "tests"] if count.parse::<u32>().is_ok())
}

fn failing(line: &str) -> Option<&str> {
    let name = line.strip_prefix("test ")?.strip_suffix(" ... FAILED")?;
    Some(name.strip_suffix(" - should panic").unwrap_or(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_read() {
        let lines = [
            ("running 2 tests", true),
            ("test one ... ok", true),
            ("test two - should panic ... FAILED", true),
            ("successes:", true),
            ("---- one stdout ----", false),
            ("test result: FAILED. 5 passed; 5 failed; 5 ignored; of tests within a test", false),
            ("skipped: no fio here", true),
            ("successes:", true),
            ("    one", true),
            ("failures:", true),
            ("---- two stdout ----", true),
            ("test three ... FAILED", true),
            ("failures:", true),
            ("    two", true),
            ("test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured", true),
            ("running 1 test", true),
        ];
        let mut run = Libtest::default();
        for (line, shown) in lines {
            assert_eq!(run.read(line), shown, "{line}");
        }
        assert_eq!(run.tally, Tally { passed: 0, failed: 1, skipped: 1, later: 0 });
        assert_eq!(run.failed, ["two"]);
        assert_eq!(run.said, ["test three ... FAILED"]);
        assert_eq!(run.unfinished, 1);
    }

    fn read(lines: &[&str]) -> Tally {
        let mut run = Libtest::default();
        for line in lines {
            run.read(line);
        }
        run.tally
    }

    #[test]
    fn a_test_that_says_it_was_skipped_did_not_pass_and_counts_once() {
        let tally = read(&[
            "successes:",
            "---- one stdout ----",
            "skipped: on the kernel: refused",
            "skipped: no fio here",
            "---- two stdout ----",
            "skipped: no fio here",
            "---- three stdout ----",
            "something else",
            "successes:",
            "    one",
            "test result: ok. 3 passed; 0 failed; 0 ignored",
        ]);
        assert_eq!(tally, Tally { passed: 1, failed: 0, skipped: 2, later: 0 });
    }

    #[test]
    fn a_test_that_was_skipped_in_part_and_failed_has_failed() {
        let tally = read(&[
            "failures:",
            "---- one stdout ----",
            "skipped: on the kernel: refused",
            "failures:",
            "    one",
            "test result: FAILED. 1 passed; 1 failed; 0 ignored",
        ]);
        assert_eq!(tally, Tally { passed: 1, failed: 1, skipped: 0, later: 0 });
    }
}
