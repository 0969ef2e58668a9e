//! Descriptors, threads and memory: what must stay flat.

use std::fs;
use std::time::{Duration, Instant};

/// What the process holds.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    pub descriptors: usize,
    pub threads: usize,
    pub kibibytes: usize,
}

/// What a leak would exceed: one for each round, or each fork, is more within seconds. An allocator
/// keeps what was freed. Workers come and go with what there is to do: their threads count when
/// there is nothing left to do, and then those that stay are the driver, and a worker of each ring on
/// the kernel's io_uring.
const SLACK: Usage = Usage { descriptors: 4, threads: 4, kibibytes: 8 * 1024 };

/// Workers go home when they have been idle for 2 s, the kernel's after 5 s; others are at work on
/// this machine.
const REST: Duration = Duration::from_secs(20);

impl Usage {
    /// How many numbers these are.
    pub const KINDS: usize = 3;

    pub fn now() -> Usage {
        let count = |folder| fs::read_dir(folder).map_or(0, Iterator::count);
        let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
        let pages = statm.split_whitespace().nth(1).and_then(|pages| pages.parse().ok());
        Usage {
            descriptors: count("/proc/self/fd"),
            threads: threads(),
            kibibytes: pages.unwrap_or(0) * 4,
        }
    }

    /// Between two rounds; threads mean nothing there.
    fn least(self, other: Usage) -> Usage {
        Usage {
            descriptors: self.descriptors.min(other.descriptors),
            threads: self.threads.min(other.threads),
            kibibytes: self.kibibytes.min(other.kibibytes),
        }
    }
}

fn threads() -> usize {
    fs::read_dir("/proc/self/task").map_or(0, Iterator::count)
}

/// The least that was held between two rounds in a time after warm-up, and in the time at the end:
/// that is what a leak lifts. Of threads those that were there before the load, and those that are
/// left when it is over.
#[derive(Debug, Default)]
pub struct Watch {
    early: Option<Usage>,
    late: Option<Usage>,
    at_first: usize,
    at_last: usize,
}

impl Watch {
    /// Before the load: the rings are there, and nothing was asked of them.
    pub fn begin() -> Watch {
        Watch { at_first: threads(), ..Watch::default() }
    }

    /// After the load: gives workers the time to go home.
    pub fn rest(&mut self) {
        let begun = Instant::now();
        loop {
            self.at_last = threads();
            if self.at_last <= self.at_first + SLACK.threads || begun.elapsed() > REST {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// `passed`: the part of the soak that is over, 0 to 1.
    pub fn look(&mut self, passed: f64) {
        let window = match passed {
            0.3..0.5 => &mut self.early,
            0.8.. => &mut self.late,
            _ => return,
        };
        let now = Usage::now();
        *window = Some(window.map_or(now, |least| least.least(now)));
    }

    /// What was held early and late, as JSON, and what has grown.
    pub fn verdict(&self) -> (String, Vec<String>) {
        let (Some(early), Some(late)) = (self.early, self.late) else {
            let unknown = |what| format!("{what}: too few rounds to tell whether they stay flat");
            return (
                "null".to_owned(),
                ["descriptors", "threads", "kibibytes"].map(unknown).into(),
            );
        };
        let held = [
            ("descriptors", early.descriptors, late.descriptors, SLACK.descriptors),
            ("threads", self.at_first, self.at_last, SLACK.threads),
            ("kibibytes", early.kibibytes, late.kibibytes, SLACK.kibibytes),
        ];
        let json = held.map(|(what, early, late, _)| format!("\"{what}\":[{early},{late}]"));
        let grown = held
            .iter()
            .filter(|(_, early, late, slack)| *early == 0 || *late == 0 || *late > early + slack)
            .map(|(what, early, late, _)| format!("{what}: from {early} to {late}"))
            .collect();
        (format!("{{{}}}", json.join(",")), grown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_grows_is_told() {
        let held = Usage { descriptors: 20, threads: 9, kibibytes: 5000 };
        let grown = |late: Usage| {
            let (at_first, at_last) = (held.threads, late.threads);
            Watch { early: Some(held), late: Some(late), at_first, at_last }.verdict().1
        };
        assert_eq!(grown(held), <[String; 0]>::default());
        assert_eq!(grown(Usage { descriptors: 25, ..held }), ["descriptors: from 20 to 25"]);
        assert_eq!(grown(Usage { threads: 13, ..held }), <[String; 0]>::default());
        assert_eq!(grown(Usage { threads: 14, ..held }), ["threads: from 9 to 14"]);
        // Nobody has looked.
        assert_eq!(grown(Usage { threads: 0, ..held }), ["threads: from 9 to 0"]);
        assert_eq!(grown(Usage { kibibytes: 13193, ..held }), ["kibibytes: from 5000 to 13193"]);
        assert_eq!(Watch::default().verdict().1.len(), Usage::KINDS);
    }
}
