//! What `cargo test -- --show-output` prints, read line by line.

use crate::tally::Tally;

/// The results so far.
#[derive(Default)]
pub struct Libtest {
    pub tally: Tally,
    /// The names of tests that failed.
    pub failed: Vec<String>,
    /// Programs of tests that began and have not told their result: after the end, they died.
    pub unfinished: usize,
    /// Within what tests have printed, which is not to be taken for results: of those that passed, or
    /// of those that failed.
    printed_by: Option<Those>,
}

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
            return true;
        }
        let skipped = line.starts_with("skipped: ");
        if self.printed_by.is_none() || skipped {
            self.count(line);
        }
        self.printed_by != Some(Those::Passed) || skipped
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
        assert_eq!(run.tally, Tally { passed: 0, failed: 1, skipped: 1 });
        assert_eq!(run.failed, ["two"]);
        assert_eq!(run.unfinished, 1);
    }
}
