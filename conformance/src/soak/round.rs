//! One round on one ring: what was submitted, what each completion must say, and what must be true
//! when all have come.

use std::time::{Duration, Instant};

use sysring_sys::abi::io_uring::{self as uring, Cqe, Sqe};

use crate::raw::Ring;

/// What the last completion of a submission may say.
#[derive(Clone, Copy, Debug)]
pub enum Expect {
    Is(i32),
    Either(i32, i32),
    /// No error.
    Success,
}

impl Expect {
    fn holds(self, res: i32) -> bool {
        match self {
            Expect::Is(one) => res == one,
            Expect::Either(one, other) => res == one || res == other,
            Expect::Success => res >= 0,
        }
    }
}

/// One submission.
#[derive(Debug)]
pub struct Entry {
    what: &'static str,
    expect: Expect,
    /// Completions that said that no other follows: one, in the end.
    last: u32,
    pub res: i32,
    pub flags: u32,
}

/// Looks at what a task left behind; how many bytes it verified.
type Check = Box<dyn FnOnce(&[Entry]) -> Result<u64, String>>;

/// Submissions come one after the other, published together: nobody sees half a link.
pub struct Round {
    number: u64,
    sqes: Vec<Sqe>,
    entries: Vec<Entry>,
    then: Vec<Box<dyn FnOnce()>>,
    checks: Vec<Check>,
    errors: Vec<String>,
}

/// A round that takes longer has lost something.
const LIMIT: Duration = Duration::from_secs(20);

impl Round {
    /// Rounds have different numbers, so that a completion which comes too late is known.
    pub fn new(number: u64) -> Round {
        Round {
            number,
            sqes: Vec::new(),
            entries: Vec::new(),
            then: Vec::new(),
            checks: Vec::new(),
            errors: Vec::new(),
        }
    }

    pub fn submissions(&self) -> usize {
        self.entries.len()
    }

    /// Adds a submission; its index among the round's.
    pub fn add(&mut self, what: &'static str, expect: Expect, sqe: Sqe) -> usize {
        let index = self.entries.len();
        self.sqes.push(Sqe { user_data: self.user_data(index), ..sqe });
        self.entries.push(Entry { what, expect, last: 0, res: 0, flags: 0 });
        index
    }

    /// What the completions of a submission carry.
    pub fn user_data(&self, index: usize) -> u64 {
        self.number << 16 | index as u64
    }

    /// Does something when all has been submitted.
    pub fn then(&mut self, act: impl FnOnce() + 'static) {
        self.then.push(Box::new(act));
    }

    /// Looks at something when all is complete. What requests work on must live until then, and is
    /// best kept by this.
    pub fn check(&mut self, check: impl FnOnce(&[Entry]) -> Result<u64, String> + 'static) {
        self.checks.push(Box::new(check));
    }

    pub fn submit(&mut self, ring: &mut Ring<'_>) {
        for sqe in self.sqes.drain(..) {
            ring.push(sqe, None);
        }
        ring.publish();
        let start = Instant::now();
        while ring.unconsumed() != 0 && start.elapsed() < LIMIT {
            let answer = ring.enter(ring.unconsumed(), 0, uring::enter::SQ_WAKEUP);
            let again = [libc::EAGAIN, libc::EBUSY, libc::EINTR].map(|e| -i64::from(e));
            if answer < 0 && !again.contains(&answer) {
                self.errors.push(format!("the submission answers {answer}"));
                break;
            }
        }
        self.then.drain(..).for_each(|act| act());
    }

    /// Takes completions until each submission has its last.
    pub fn collect(&mut self, ring: &mut Ring<'_>) {
        let start = Instant::now();
        while self.entries.iter().any(|entry| entry.last == 0) {
            if start.elapsed() > LIMIT {
                let lost = self.entries.iter().filter(|entry| entry.last == 0);
                self.errors.extend(lost.map(|entry| format!("{}: no completion", entry.what)));
                return;
            }
            if ring.ready() == 0 {
                ring.wait(1, 100_000_000);
            }
            while let Some(cqe) = ring.take() {
                self.take(cqe);
            }
        }
    }

    fn take(&mut self, cqe: Cqe) {
        let index = (cqe.user_data & 0xffff) as usize;
        let entry = self.entries.get_mut(index);
        let (true, Some(entry)) = (cqe.user_data >> 16 == self.number, entry) else {
            self.errors.push(format!("a completion of nothing that is under way: {cqe:?}"));
            return;
        };
        if cqe.flags & uring::cqe_flags::MORE != 0 {
            return;
        }
        entry.last += 1;
        (entry.res, entry.flags) = (cqe.res, cqe.flags);
        if entry.last > 1 {
            self.errors.push(format!("{}: completed {} times", entry.what, entry.last));
        }
        if !entry.expect.holds(cqe.res) {
            let Entry { what, expect, .. } = entry;
            self.errors.push(format!("{what}: {} where {expect:?} was expected", cqe.res));
        }
    }

    /// The bytes that were verified, or everything that was wrong.
    pub fn end(mut self, ring: &mut Ring<'_>) -> Result<u64, Vec<String>> {
        // One that comes twice may be late.
        ring.enter(0, 0, uring::enter::GETEVENTS);
        while let Some(cqe) = ring.take() {
            self.take(cqe);
        }
        if !self.errors.is_empty() {
            // Something may still be written to: what the requests work on stays for ever.
            std::mem::forget(self.checks);
            return Err(self.errors);
        }
        let mut bytes = 0;
        for check in self.checks {
            match check(&self.entries) {
                Ok(verified) => bytes += verified,
                Err(wrong) => self.errors.push(wrong),
            }
        }
        if self.errors.is_empty() { Ok(bytes) } else { Err(self.errors) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DONE: Cqe = Cqe { user_data: 5 << 16, res: 0, flags: 0 };

    fn complaints(completions: &[Cqe]) -> usize {
        let mut round = Round::new(5);
        round.add("nop", Expect::Is(0), Sqe::default());
        completions.iter().for_each(|&cqe| round.take(cqe));
        round.errors.len()
    }

    #[test]
    fn completions_are_right_and_come_once() {
        assert_eq!(complaints(&[DONE]), 0);
        assert_eq!(complaints(&[Cqe { flags: uring::cqe_flags::MORE, ..DONE }, DONE]), 0);
        assert_eq!(complaints(&[DONE, DONE]), 1);
        assert_eq!(complaints(&[Cqe { res: -5, ..DONE }]), 1);
        assert_eq!(complaints(&[DONE, Cqe { user_data: 4 << 16, ..DONE }]), 1);
        assert_eq!(complaints(&[DONE, Cqe { user_data: 5 << 16 | 1, ..DONE }]), 1);
    }
}
