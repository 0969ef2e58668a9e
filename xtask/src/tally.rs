//! How many checks passed, failed and were skipped.

use std::fmt;
use std::ops::AddAssign;

/// The outcome of one step, or of all of them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tally {
    pub passed: i64,
    pub failed: i64,
    pub skipped: i64,
    /// Passed at a later try, and are not among those that passed.
    pub later: i64,
}

impl Tally {
    pub const PASSED: Tally = Tally { passed: 1, failed: 0, skipped: 0, later: 0 };
    pub const FAILED: Tally = Tally { passed: 0, failed: 1, skipped: 0, later: 0 };
    pub const SKIPPED: Tally = Tally { passed: 0, failed: 0, skipped: 1, later: 0 };
    /// libtest knows no test that finds out while it runs that it cannot, and counts it as passed.
    pub const SKIPPED_THOUGH_COUNTED: Tally = Tally { passed: -1, failed: 0, skipped: 1, later: 0 };

    /// What a line of `cargo test -- --show-output` adds.
    pub fn of_libtest(line: &str) -> Option<Tally> {
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
            later: 0,
        })
    }

    /// Reads the line that [`Display`](fmt::Display) writes.
    pub fn of_summary(line: &str) -> Option<Tally> {
        let mut parts = line.split(", ").peekable();
        let mut next = |what| parts.next()?.strip_suffix(what)?.parse().ok();
        let mut tally = Tally {
            passed: next(" passed")?,
            failed: next(" failed")?,
            skipped: next(" skipped")?,
            later: 0,
        };
        if parts.peek().is_some() {
            tally.later = parts.next()?.strip_suffix(LATER)?.parse().ok()?;
        }
        parts.next().is_none().then_some(tally)
    }
}

const LATER: &str = " passed at a later try";

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.later += other.later;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Tally { passed, failed, skipped, later } = self;
        write!(f, "{passed} passed, {failed} failed, {skipped} skipped")?;
        if *later == 0 { Ok(()) } else { write!(f, ", {later}{LATER}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libtest_results_add_up() {
        let lines = [
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "test result: FAILED. 2 passed; 4 failed; 0 ignored; 0 measured; 0 filtered out",
            "test tally::tests::libtest_results_add_up ... ok",
        ];
        let mut tally = Tally::default();
        lines.iter().filter_map(|line| Tally::of_libtest(line)).for_each(|line| tally += line);
        assert_eq!(tally, Tally { passed: 5, failed: 4, skipped: 1, later: 0 });
    }

    #[test]
    fn a_summary_reads_back() {
        for later in [0, 2] {
            let tally = Tally { passed: 7, failed: 0, skipped: 12, later };
            assert_eq!(Tally::of_summary(&tally.to_string()), Some(tally));
        }
        assert_eq!(Tally::of_summary("7 passed, 0 failed"), None);
        assert_eq!(Tally::of_summary("7 passed, x failed, 1 skipped"), None);
        assert_eq!(Tally::of_summary("7 passed, 0 failed, 1 skipped, 2 lost"), None);
        let twice = "7 passed, 0 failed, 1 skipped, 2 passed at a later try, 2 passed";
        assert_eq!(Tally::of_summary(twice), None);
    }
}
