//! Waits that are written down, and completions from nowhere.

use std::time::{Duration, Instant};

use sysring::{Errno, Ring, SigSet, Wait, op};

use crate::common::{both, made, ring};
use crate::signal;

#[test]
fn waits_are_told_through_memory() {
    both(|engine| {
        let mut ring = made(Ring::builder().engine(engine).disabled().build(8));
        assert_eq!(ring.register().waits(0).unwrap_err(), Errno::EINVAL);
        let mut waits = match ring.register().waits(100) {
            Err(Errno::EINVAL) => return println!("skipped: no such memory before Linux 6.13"),
            waits => waits.unwrap(),
        };
        assert_eq!(ring.register().waits(1).unwrap_err(), Errno::EBUSY);
        ring.register().enable().unwrap();
        let span = Duration::from_millis(5);
        waits.set(99, &Wait::at_least(1).timeout(span));
        let begin = Instant::now();
        assert_eq!(ring.submit_with_registered(&waits, 99), Err(Errno::ETIME));
        assert!(begin.elapsed() >= span);
        // It is the same until it is written anew.
        assert_eq!(ring.submit_with_registered(&waits, 99), Err(Errno::ETIME));
        // SAFETY: a NOP uses no memory.
        unsafe { ring.push(op::Nop::new().build().user_data(1)) }.unwrap();
        assert_eq!(ring.submit_with_registered(&waits, 0), Ok(1));
        assert_eq!(ring.completion().map(|cqe| cqe.user_data()), Some(1));
        waits.set(1, &Wait::at_least(0).sigmask(SigSet(!0)));
        assert_eq!(ring.submit_with_registered(&waits, 1), Ok(0));
        assert_eq!(ring.submit_with_registered(&waits, 100), Err(Errno::EINVAL));
        let mut other = made(Ring::builder().engine(engine).build(8));
        assert_eq!(other.submit_with_registered(&waits, 99), Err(Errno::EINVAL));
        // The memory goes, the ring stays.
        drop(waits);
        assert_eq!(ring.submit_and_wait_timeout(1, span), Err(Errno::ETIME));
    });
}

#[test]
fn there_are_as_many_waits_as_were_asked_for() {
    both(|engine| {
        let ring = made(Ring::builder().engine(engine).disabled().build(8));
        let Ok(mut waits) = ring.register().waits(2) else {
            return println!("skipped: no such memory before Linux 6.13");
        };
        assert_eq!(waits.count(), 2);
        let wait = Wait::at_least(1);
        let beyond = std::panic::AssertUnwindSafe(|| waits.set(2, &wait));
        assert!(std::panic::catch_unwind(beyond).is_err());
        waits.set(1, &wait);
    });
}

#[test]
fn a_signal_mask_is_in_force_meanwhile() {
    both(|engine| {
        let mut ring = made(Ring::builder().engine(engine).disabled().build(8));
        let Ok(mut waits) = ring.register().waits(1) else {
            return println!("skipped: no such memory before Linux 6.13");
        };
        ring.register().enable().unwrap();
        let bit = signal::pending();
        // All but this one are blocked while it waits.
        let wait = Wait::at_least(1).timeout(Duration::from_secs(60)).sigmask(SigSet(!bit));
        waits.set(0, &wait);
        assert_eq!(ring.submit_with_registered(&waits, 0), Err(Errno::EINTR));
    });
}

#[test]
fn a_thread_without_a_ring_wakes_one_that_waits() {
    both(|engine| {
        let mut ring = ring(engine);
        match ring.register().post(-7, 1) {
            Err(Errno::EINVAL) => return println!("skipped: no such call before Linux 6.13"),
            posted => posted.unwrap(),
        }
        let first = ring.completion().unwrap();
        assert_eq!((first.user_data(), first.res()), (1, -7));
        let shared = &ring;
        std::thread::scope(|scope| {
            scope.spawn(move || {
                std::thread::sleep(Duration::from_millis(10));
                shared.register().post(5, 2).unwrap();
            });
            shared.wait(&Wait::at_least(1)).unwrap();
        });
        assert_eq!(ring.completion().map(|cqe| (cqe.user_data(), cqe.res())), Some((2, 5)));
        let off = made(Ring::builder().engine(engine).disabled().build(8));
        assert_eq!(off.register().post(0, 0), Err(Errno::EBADFD));
    });
}
