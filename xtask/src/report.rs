//! What a run of checks has to tell at its end.

use std::fmt;
use std::ops::{Add, AddAssign};

use crate::tally::Tally;

/// The counts, and the names of what was not well.
#[derive(Debug, Default, Eq, PartialEq)]
pub struct Report {
    pub tally: Tally,
    /// What failed.
    pub failed: Vec<String>,
    /// What it said of that, also if it passed later: the end of the output may be all that is kept.
    pub said: Vec<String>,
    /// What passed at a later try. The machine may have been at fault; it is to be looked into.
    pub later: Vec<String>,
}

impl Report {
    pub fn passed() -> Report {
        Report { tally: Tally::PASSED, ..Report::default() }
    }

    pub fn failed(name: &str) -> Report {
        Report { tally: Tally::FAILED, failed: vec![name.to_owned()], ..Report::default() }
    }

    pub fn skipped() -> Report {
        Report { tally: Tally::SKIPPED, ..Report::default() }
    }

    /// After a second run of all that failed, in which nothing did.
    pub fn pardoned(mut self) -> Report {
        self.tally.later += self.tally.failed;
        self.tally.failed = 0;
        self.later.append(&mut self.failed);
        self
    }
}

impl AddAssign for Report {
    fn add_assign(&mut self, other: Report) {
        self.tally += other.tally;
        self.failed.extend(other.failed);
        self.said.extend(other.said);
        self.later.extend(other.later);
    }
}

impl Add for Report {
    type Output = Report;

    fn add(mut self, other: Report) -> Report {
        self += other;
        self
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        self.said.iter().try_for_each(|line| writeln!(f, "| {line}"))?;
        self.later.iter().try_for_each(|name| writeln!(f, "passed at a later try: {name}"))?;
        self.failed.iter().try_for_each(|name| writeln!(f, "failed: {name}"))?;
        write!(f, "{}", self.tally)
    }
}
