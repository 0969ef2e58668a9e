//! What a run of checks has to tell at its end.

use std::fmt;
use std::ops::AddAssign;

use crate::tally::Tally;

/// The counts, and the names of what was not well.
#[derive(Debug, Default, Eq, PartialEq)]
pub struct Report {
    pub tally: Tally,
    /// What failed, and failed again when it was run once more.
    pub failed: Vec<String>,
    /// What failed and then passed. The machine may have been at fault; it is to be looked into.
    pub unsteady: Vec<String>,
}

impl Report {
    pub fn passed() -> Report {
        Report { tally: Tally::PASSED, ..Report::default() }
    }

    pub fn failed(name: &str) -> Report {
        Report { tally: Tally::FAILED, failed: vec![name.to_owned()], ..Report::default() }
    }

    /// After a second run of all that failed, in which nothing did.
    pub fn pardoned(self) -> Report {
        let Tally { passed, failed, skipped } = self.tally;
        let tally = Tally { passed: passed + failed, failed: 0, skipped };
        Report { tally, failed: Vec::new(), unsteady: self.failed }
    }
}

impl AddAssign for Report {
    fn add_assign(&mut self, other: Report) {
        self.tally += other.tally;
        self.failed.extend(other.failed);
        self.unsteady.extend(other.unsteady);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        self.unsteady.iter().try_for_each(|name| writeln!(f, "failed, then passed: {name}"))?;
        self.failed.iter().try_for_each(|name| writeln!(f, "failed twice: {name}"))?;
        write!(f, "{}", self.tally)
    }
}
