//! Pending calls that are ended before their time.

mod common;

use std::cell::Cell;
use std::time::{Duration, Instant};

use common::{Pipe, READ, in_process, move_once, said, skipped};
use sysring_syslet::{Errno, Id, Outcome, Result, Scope, scope};

/// Cancels until the answer comes, as a call may be left a moment before it begins.
fn cancelled(s: &Scope, id: Id) -> Result<usize> {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        match s.cancel(id) {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(other) => panic!("{other}"),
        }
        if let Some(done) = s.wait_at_most(1, Duration::from_millis(20)).next() {
            assert_eq!(done.id, id);
            return done.result;
        }
        assert!(Instant::now() < end, "it does not end");
    }
}

fn begin(s: &Scope, number: i64, args: [usize; 6]) -> Id {
    // SAFETY: callers give memory that outlives the scope.
    match unsafe { s.call(number as u32, args) } {
        Outcome::Pending(id) => id,
        done => panic!("{done:?}"),
    }
}

thread_local!(static HERE: Cell<u32> = const { Cell::new(0) });

#[test]
fn what_waits_can_be_cancelled() {
    if skipped() {
        return;
    }
    let (mut pipe, other) = (Pipe::new(), Pipe::new());
    let args = pipe.read();
    let hour = [3600i64, 0];
    let word = 0u32;
    let mut poll = libc::pollfd { fd: other.end() as i32, events: libc::POLLIN, revents: 0 };
    scope(|s| {
        HERE.set(7);
        let time = hour.as_ptr() as usize;
        let calls = [
            (libc::SYS_read, args),
            (libc::SYS_nanosleep, [time, 0, 0, 0, 0, 0]),
            (libc::SYS_futex, [&raw const word as usize, libc::FUTEX_WAIT as usize, 0, time, 0, 0]),
            (libc::SYS_poll, [&raw mut poll as usize, 1, usize::MAX, 0, 0, 0]),
        ];
        for _ in 0..5 {
            for (number, args) in calls {
                let id = begin(s, number, args);
                assert_eq!(cancelled(s, id), Err(Errno::ECANCELED), "call {number}");
                assert_eq!(s.cancel(id), Err(Errno::ENOENT), "answered");
            }
        }
        // One of several, and none but that.
        let ids = [0; 3].map(|_| begin(s, libc::SYS_nanosleep, [time, 0, 0, 0, 0, 0]));
        for id in [ids[1], ids[0], ids[2]] {
            assert_eq!(cancelled(s, id), Err(Errno::ECANCELED));
        }
        assert_eq!((s.pending(), HERE.get()), (0, 7));
        // What is not cancelled afterwards is not.
        move_once(s, &mut Pipe::new());
    });
    scope(|s| move_once(s, &mut pipe));
}

#[test]
fn what_has_ended_cannot_be_cancelled() {
    if skipped() {
        return;
    }
    let mut pipe = Pipe::new();
    let args = pipe.read();
    scope(|s| {
        let id = begin(s, libc::SYS_read, args);
        // Another scope's call is not this one's.
        scope(|inner| assert_eq!(inner.cancel(id), Err(Errno::ENOENT)));
        pipe.write(b'c');
        while s.cancel(id).is_ok() {
            // The byte may be read at this moment, and then that is the answer.
            std::thread::yield_now();
        }
        let done = s.wait(1).next().unwrap();
        assert!(matches!(done.result, Ok(1) | Err(Errno::ECANCELED)), "{done:?}");
    });
}

/// Cancelled at any moment: each call is answered once, by its result or as cancelled.
#[test]
fn calls_are_cancelled_at_any_moment() {
    if skipped() {
        return;
    }
    let mut outcomes = [0; 2];
    scope(|s| {
        for round in 0..300u64 {
            let time = [0, (round % 7 * 40_000) as i64];
            // SAFETY: the time is read when the call begins, or the call is answered below.
            let slept = unsafe {
                s.call(libc::SYS_nanosleep as u32, [time.as_ptr() as usize, 0, 0, 0, 0, 0])
            };
            let Outcome::Pending(id) = slept else { continue };
            (0..round % 5 * 200).for_each(|_| std::hint::spin_loop());
            let _ = s.cancel(id);
            let done: Vec<_> = s.wait(1).collect();
            assert_eq!(done.len(), 1);
            match done[0].result {
                Ok(0) => outcomes[0] += 1,
                Err(Errno::ECANCELED) => outcomes[1] += 1,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(s.pending(), 0);
    });
    println!("{} ended by themselves, {} were cancelled", outcomes[0], outcomes[1]);
}

/// A program that has a handler of its own for SIGSYS keeps it, and one that blocks it.
fn sigsys_is_the_programs() {
    extern "C" fn own(_: i32) {
        std::process::abort();
    }
    // SAFETY: an action of zeroes but for the handler, which only ends the process.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = own as *const () as usize;
        libc::sigaction(libc::SIGSYS, &raw const action, std::ptr::null_mut());
    }
    let mut pipe = Pipe::new();
    let args = pipe.read();
    scope(|s| {
        // SAFETY: the byte outlives the scope.
        let Outcome::Pending(id) = (unsafe { s.call(READ, args) }) else { panic!("an empty pipe") };
        assert_eq!(s.cancel(id), Err(Errno::EOPNOTSUPP));
        pipe.write(b'o');
        assert_eq!(s.wait(1).next().unwrap().result, Ok(1));
    });
}

#[test]
fn a_programs_own_handler_stays() {
    if skipped() {
        return;
    }
    if let Some(output) = in_process(&[], "a_programs_own_handler_stays", sigsys_is_the_programs) {
        assert!(output.status.success(), "{}", said(&output));
    }
}
