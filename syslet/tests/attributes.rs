//! What a scope tells of calls beyond their results.

mod common;

use std::collections::HashMap;

use common::{Pipe, READ, finish, gettid, skipped};
use sysring_syslet::attr::{
    Answers, Attribute, Checksum, Deadline, Path, Place, Timing, Trace, Wanted,
};
use sysring_syslet::{Builder, Errno, Outcome, Scope, scope};

const ALL: u64 = Timing::MASK | Path::MASK | Place::MASK | Trace::MASK;
const GETPID: u32 = libc::SYS_getpid as u32;
const NANOSLEEP: u32 = libc::SYS_nanosleep as u32;

fn now() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: room for a time.
    assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) }, 0);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// A call that does not block, and what is told of it.
fn ask(scope: &Scope, wanted: &Wanted) -> (Outcome, Answers<'static>) {
    let mut answers = Answers::none();
    // SAFETY: no addresses.
    (unsafe { scope.call_with(GETPID, [0; 6], wanted, &mut answers) }, answers)
}

#[test]
fn a_call_that_is_done_is_told_of_at_once() {
    let wanted = Wanted::NONE.required(ALL).with_trace(u64::MAX);
    scope(|s| {
        let before = now();
        let (outcome, answers) = ask(s, &wanted);
        assert_eq!(finish(s, outcome), Ok(std::process::id() as usize));
        assert_eq!(answers.handled(), ALL);
        let timing: Timing = answers.get().unwrap();
        let order = [before, timing.queued, timing.issued, timing.completed, now()];
        assert!(order.is_sorted(), "{order:?}");
        assert_eq!(answers.get().map(|place: Place| place.thread as i32), Some(gettid()));
        assert_eq!(answers.get(), Some(Trace(u64::MAX)));
        // The thread that would take over may not have come up yet.
        let path = |answers: Answers<'_>| answers.get::<Path>().unwrap();
        assert!(matches!(path(answers), Path::Inline | Path::InPlace));
        while s.moves().is_ok() && path(ask(s, &wanted).1) != Path::Inline {
            std::thread::yield_now();
        }
    });
}

#[test]
fn a_call_that_blocks_is_told_of_with_its_result() {
    if skipped() {
        return;
    }
    let mut pipe = Pipe::new();
    scope(|s| {
        for round in 0..100 {
            let (before, thread) = (now(), gettid());
            let wanted = Wanted::NONE.best_effort(ALL).with_trace(round);
            let mut answers = Answers::none();
            // SAFETY: the byte outlives the scope.
            let outcome = unsafe { s.call_with(READ, pipe.read(), &wanted, &mut answers) };
            let Outcome::Pending(id) = outcome else { panic!("an empty pipe: {outcome:?}") };
            assert_eq!(answers.handled(), 0, "it is not over");
            let written = now();
            pipe.write(1);
            let done: Vec<_> = s.wait(1).collect();
            assert_eq!((done.len(), done[0].id, done[0].result), (1, id, Ok(1)));
            assert_eq!(done[0].handled(), ALL);
            let timing: Timing = done[0].attr().unwrap();
            assert!([before, timing.queued, timing.issued, written, timing.completed].is_sorted());
            assert!(timing.completed <= now());
            assert_eq!(done[0].attr().map(|place: Place| place.thread as i32), Some(thread));
            assert_eq!(done[0].attr(), Some(Path::TakenOver));
            assert_eq!(done[0].attr(), Some(Trace(round)));
        }
    });
}

#[test]
fn each_is_told_what_it_was_asked() {
    if skipped() {
        return;
    }
    let masks = [0, Trace::MASK, Path::MASK, ALL, Timing::MASK | Trace::MASK, 0, Place::MASK];
    let mut pipes: Vec<_> = masks.iter().map(|_| Pipe::new()).collect();
    scope(|s| {
        for round in 0..20 {
            let mut asked = HashMap::new();
            for (which, (pipe, &mask)) in pipes.iter_mut().zip(&masks).enumerate() {
                let wanted = Wanted::NONE.best_effort(mask).with_trace(which as u64);
                let args = pipe.read();
                // Calls that nothing is asked of go either way; and one that is done is in between.
                let outcome = if mask == 0 && round % 2 == 0 {
                    // SAFETY: the bytes outlive the scope.
                    unsafe { s.call(READ, args) }
                } else {
                    // SAFETY: as above.
                    unsafe { s.call_with(READ, args, &wanted, &mut Answers::none()) }
                };
                let Outcome::Pending(id) = outcome else { panic!("an empty pipe: {outcome:?}") };
                asked.insert(id, (mask, which as u64));
                // SAFETY: no addresses.
                assert!(finish(s, unsafe { s.call(GETPID, [0; 6]) }).is_ok());
            }
            // The last first.
            pipes.iter().rev().for_each(|pipe| pipe.write(1));
            for done in s.wait(masks.len()) {
                let (mask, which) = asked.remove(&done.id).expect("asked once, told once");
                assert_eq!((done.result, done.handled()), (Ok(1), mask));
                let trace = (mask & Trace::MASK != 0).then_some(Trace(which));
                assert_eq!(done.attr(), trace);
            }
            assert!(asked.is_empty());
        }
    });
}

#[test]
fn what_a_scope_does_not_do_is_not_handled_or_fails_up_front() {
    let pipe = Pipe::new();
    pipe.write(7);
    scope(|s| {
        let mut byte = [0u8; 1];
        let args = [pipe.end(), byte.as_mut_ptr() as usize, 1, 0, 0, 0];
        let wanted = Wanted::NONE.required(Checksum::MASK).best_effort(ALL);
        let mut answers = Answers::none();
        // SAFETY: the byte stays until the scope is over.
        let outcome = unsafe { s.call_with(READ, args, &wanted, &mut answers) };
        assert_eq!(outcome, Outcome::Done(Err(Errno::EOPNOTSUPP)));
        assert_eq!((answers.handled(), byte), (0, [0]), "it was not made");
        let wanted = Wanted::NONE.best_effort(Checksum::MASK | Deadline::MASK | Trace::MASK);
        // SAFETY: as above.
        let outcome = unsafe { s.call_with(READ, args, &wanted, &mut answers) };
        assert_eq!(finish(s, outcome), Ok(1));
        assert_eq!((answers.handled(), byte), (Trace::MASK, [7]));
        // What is refused is, whatever is asked of it; and nothing of the last call is left.
        // SAFETY: the call is not made.
        let outcome =
            unsafe { s.call_with(libc::SYS_exit as u32, [0; 6], &Wanted::NONE, &mut answers) };
        assert_eq!(outcome, Outcome::Done(Err(Errno::EOPNOTSUPP)));
        assert_eq!(answers.handled(), 0);
    });
}

#[test]
fn a_call_that_would_be_waited_for_says_so() {
    let wanted = Wanted::NONE.required(Path::MASK);
    let in_place = |s: &Scope| {
        let (outcome, answers) = ask(s, &wanted);
        assert!(finish(s, outcome).is_ok());
        assert_eq!(answers.get(), Some(Path::InPlace));
    };
    Builder::new().moves(false).scope(in_place);
    if skipped() {
        return;
    }
    let mut pipe = Pipe::new();
    let a_while = [0i64, 5_000_000];
    Builder::new().limit(1).scope(|s| {
        // SAFETY: the byte outlives the scope.
        let outcome = unsafe { s.call(READ, pipe.read()) };
        assert!(matches!(outcome, Outcome::Pending(_)), "{outcome:?}");
        in_place(s);
        let (args, before) = ([a_while.as_ptr() as usize, 0, 0, 0, 0, 0], now());
        let mut answers = Answers::none();
        // SAFETY: the time outlives the scope.
        let outcome = unsafe { s.call_with(NANOSLEEP, args, &wanted, &mut answers) };
        assert_eq!(outcome, Outcome::Done(Ok(0)));
        assert!(now() - before >= 5_000_000);
        assert_eq!(answers.get(), Some(Path::InPlace));
        pipe.write(1);
        assert_eq!(s.wait(1).map(|done| done.handled()).collect::<Vec<_>>(), [0]);
    });
}
