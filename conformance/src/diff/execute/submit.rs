//! Handing a batch over: by a call, or to the thread that takes it.

use std::fmt::Write as _;
use std::sync::atomic::{Ordering, fence};
use std::time::{Duration, Instant};

use sysring_sys::abi::io_uring::{self as uring, Sqe};

use super::{Out, Run};
use crate::diff::layout::*;
use crate::diff::program::Entry;

impl Run<'_> {
    pub(super) fn submit(&mut self, entries: &[Entry], wait: u32, flags: u32) {
        for entry in entries {
            self.ring.push(self.patched(entry.sqe), entry.index);
        }
        self.ring.publish();
        let mut taken = 0;
        loop {
            let left = entries.len() - taken;
            let answer = if self.polls() {
                self.call_thread(flags)
            } else {
                let wait = if taken == 0 { wait } else { 0 };
                let answer = self.ring.enter(left as u32, wait, flags);
                self.say(&format!("submit {left}: {answer}"));
                answer
            };
            let _ = writeln!(self.trace, "  enter said {answer}");
            let now = entries.len() - self.ring.unconsumed() as usize;
            let progress = now > taken;
            for entry in &entries[taken..now] {
                if entry.index.is_none() {
                    let number = entry.sqe.user_data;
                    self.out.push(Out {
                        number,
                        entry: entry.clone(),
                        posted: false,
                        excused: false,
                        doubtful: false,
                        woken: false,
                    });
                    self.entries.push(entry.clone());
                }
            }
            taken = now;
            self.reap();
            if taken == entries.len() || !progress {
                break;
            }
        }
        if self.ring.unconsumed() > 0 {
            self.ring.take_back();
        }
    }

    /// Whether the ring has a thread that submits.
    pub(super) fn polls(&self) -> bool {
        self.ring.params.flags & uring::setup::SQPOLL != 0
    }

    /// Wakes the thread that submits, if it sleeps, and waits until it has taken all.
    pub(super) fn call_thread(&mut self, flags: u32) -> i64 {
        let started = Instant::now();
        loop {
            // The tail must be seen before the flag is looked at, as liburing has it.
            fence(Ordering::SeqCst);
            let word = self.ring.sq_word(self.ring.params.sq_off.flags);
            let sleeps = word.load(Ordering::Acquire) & uring::sq_flags::NEED_WAKEUP != 0;
            let wakes = if sleeps { uring::enter::SQ_WAKEUP } else { 0 };
            let answer = if wakes | flags != 0 { self.ring.enter(0, 0, wakes | flags) } else { 0 };
            if self.ring.unconsumed() == 0 {
                return answer;
            }
            if started.elapsed() > Duration::from_secs(3) {
                self.say("LOST: the thread that submits takes nothing");
                return answer;
            }
            std::thread::sleep(Duration::from_micros(50));
        }
    }

    /// The SQE with the descriptors that are known only now.
    pub(super) fn patched(&self, mut sqe: Sqe) -> Sqe {
        match sqe.fd {
            RING_MARK => sqe.fd = self.ring.fd,
            RING2_MARK => sqe.fd = self.second.fd,
            ENDED_MARK => sqe.fd = self.children.0,
            ASLEEP_MARK => sqe.fd = self.children.1,
            _ => {}
        }
        sqe
    }
}
