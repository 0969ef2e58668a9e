//! How many checks passed, failed and were skipped.

use std::fmt;
use std::ops::{Add, AddAssign};

/// The outcome of one step, or of all of them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tally {
    pub passed: i64,
    pub failed: i64,
    pub skipped: i64,
}

impl Tally {
    pub const PASSED: Tally = Tally { passed: 1, failed: 0, skipped: 0 };
    pub const FAILED: Tally = Tally { passed: 0, failed: 1, skipped: 0 };
    /// libtest knows no test that finds out while it runs that it cannot, and counts it as passed.
    const SKIPPED_THOUGH_COUNTED: Tally = Tally { passed: -1, failed: 0, skipped: 1 };

    /// What a line of `cargo test -- --show-output` adds.
    pub fn of_libtest(line: &str) -> Option<Tally> {
        if line.starts_with("skipped: ") {
            return Some(Tally::SKIPPED_THOUGH_COUNTED);
        }
        let (_, outcomes) = line.strip_prefix("test result: ")?.split_once(". ")?;
        let number = |what| {
            outcomes
                .split("; ")
                .find_map(|outcome| outcome.strip_suffix(what))
                .and_then(|number| number.parse().ok())
        };
        Some(Tally {
            passed: number(" passed")?,
            failed: number(" failed")?,
            skipped: number(" ignored")?,
        })
    }

    /// Reads the line that [`Display`](fmt::Display) writes.
    pub fn of_summary(line: &str) -> Option<Tally> {
        let mut parts = line.split(", ");
        let mut next = |what| parts.next()?.strip_suffix(what)?.parse().ok();
        let tally = Tally {
            passed: next(" passed")?,
            failed: next(" failed")?,
            skipped: next(" skipped")?,
        };
        parts.next().is_none().then_some(tally)
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl Add for Tally {
    type Output = Tally;

    fn add(mut self, other: Tally) -> Tally {
        self += other;
        self
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn libtest(lines: &[&str]) -> Tally {
        let mut tally = Tally::default();
        lines.iter().filter_map(|line| Tally::of_libtest(line)).for_each(|line| tally += line);
        tally
    }

    #[test]
    fn libtest_results_add_up() {
        let lines = [
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "test result: FAILED. 2 passed; 4 failed; 0 ignored; 0 measured; 0 filtered out",
            "test tally::tests::libtest_results_add_up ... ok",
        ];
        assert_eq!(libtest(&lines), Tally { passed: 5, failed: 4, skipped: 1 });
    }

    #[test]
    fn a_test_that_says_it_was_skipped_did_not_pass() {
        let lines = ["skipped: no fio here", "test result: ok. 3 passed; 0 failed; 0 ignored"];
        assert_eq!(libtest(&lines), Tally { passed: 2, failed: 0, skipped: 1 });
    }
    #[test]
    fn a_summary_reads_back() {
        let tally = Tally { passed: 7, failed: 0, skipped: 12 };
        assert_eq!(Tally::of_summary(&tally.to_string()), Some(tally));
        assert_eq!(Tally::of_summary("7 passed, 0 failed"), None);
        assert_eq!(Tally::of_summary("7 passed, x failed, 1 skipped"), None);
        assert_eq!(Tally::of_summary("7 passed, 0 failed, 1 skipped, 2 lost"), None);
    }
}
