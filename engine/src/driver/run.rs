//! The driver's thread: it tends what has woken it, and sleeps until something does.
//!
//! Its office may end while it sleeps: then it goes, and what it was woken for is the next one's.

use core::sync::atomic::Ordering::Relaxed;

use sysring_sys::abi::{EpollEvent, NSEC_PER_MSEC};
use sysring_sys::{Fd, call};

use super::bell::ask_to_settle;
use super::office::{LIVING, OFFICE, SET, works};
use super::tend::{tend_all, tend_inherited, tend_what_was_heard};
use crate::poll::NO_EVENT;
use crate::relief::Lookout;
use crate::ring::Ring;
use crate::{descriptors, thread, unsettled, wait, wq};

pub(super) extern "C" fn run(term: usize) -> ! {
    thread::set_name(*b"drv");
    let set = Fd::new(SET.load(Relaxed));
    let mut events = [NO_EVENT; 16];
    let mut n = 0;
    let mut lookout = Lookout::new();
    // The bell wakes one, and the one before is to hear it: who sleeps beside it would take it away.
    while LIVING.load(Relaxed) > 1 && !OFFICE.is_over(term as u32) {
        call::nanosleep(NSEC_PER_MSEC);
    }
    while !OFFICE.is_over(term as u32) {
        let due = works(|| {
            look_at(&events[..n]);
            unsettled::settle();
            wq::reinforce();
            let due = tend_all();
            [due, lookout.look(false)].into_iter().flatten().min()
        });
        OFFICE.sleeps_until(due);
        n = wait::sleep(set, &mut events, due, None).unwrap_or(0);
        OFFICE.note_awake();
    }
    OFFICE.leave(events[..n].iter().any(|event| event.data != 0));
    ask_to_settle();
    LIVING.fetch_sub(1, Relaxed);
    // SAFETY: made by `thread::start`; what this function had on the stack is not used any more.
    unsafe { thread::end() }
}

/// Tends the rings that have something for the driver.
fn look_at(events: &[EpollEvent]) {
    for event in events {
        let ring = event.data as usize as *const Ring;
        if !ring.is_null() {
            // SAFETY: rings are never unmapped; one that was closed meanwhile, or used again, is
            // looked at under a hold of our own.
            if let Some(held) = descriptors::hold(unsafe { &*ring }) {
                tend_what_was_heard(held.ring());
            }
        }
    }
    if OFFICE.inherits() {
        descriptors::each(tend_inherited);
    }
}
