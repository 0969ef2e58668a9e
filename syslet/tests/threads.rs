//! Threads, panics, and many scopes at once.

mod common;

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use common::{Pipe, READ, gettid, move_once, skipped};
use sysring_syslet::{Outcome, scope};

#[test]
fn sixty_four_threads_at_once() {
    if skipped() {
        return;
    }
    thread_local!(static MINE: Cell<u64> = const { Cell::new(0) });
    let start = Barrier::new(64);
    std::thread::scope(|threads| {
        for number in 0..64u64 {
            let start = &start;
            threads.spawn(move || {
                let (home, mut pipe) = (gettid(), Pipe::new());
                start.wait();
                for round in 0..2 {
                    scope(|s| {
                        for i in 0..20 {
                            MINE.set(number << 32 | round << 16 | i);
                            move_once(s, &mut pipe);
                            assert_eq!(MINE.get(), number << 32 | round << 16 | i);
                        }
                    });
                    assert_eq!(gettid(), home);
                }
            });
        }
    });
}

#[test]
fn threads_are_started_and_joined_inside() {
    if skipped() {
        return;
    }
    let mut pipe = Pipe::new();
    scope(|s| {
        for i in 0..20 {
            move_once(s, &mut pipe);
            let thread = std::thread::Builder::new().name(format!("inside {i}"));
            let thread = thread.spawn(move || {
                let mut pipe = Pipe::new();
                // A thread has scopes of its own.
                scope(|s| move_once(s, &mut pipe));
                std::thread::current().name().map(str::to_owned)
            });
            move_once(s, &mut pipe);
            assert_eq!(thread.unwrap().join().unwrap(), Some(format!("inside {i}")));
        }
    });
}

#[test]
fn a_panic_waits_for_the_calls_and_brings_the_caller_home() {
    if skipped() {
        return;
    }
    let home = gettid();
    let mut pipes = [Pipe::new(), Pipe::new()];
    let written = AtomicBool::new(false);
    std::thread::scope(|threads| {
        let [moves, left] = &mut pipes;
        let args = left.read();
        let (left, written) = (&*left, &written);
        let result = catch_unwind(AssertUnwindSafe(|| {
            scope(|s| {
                move_once(s, moves);
                // SAFETY: the byte outlives the scope.
                assert!(matches!(unsafe { s.call(READ, args) }, Outcome::Pending(_)));
                threads.spawn(move || {
                    std::thread::sleep(Duration::from_millis(20));
                    written.store(true, SeqCst);
                    left.write(b'p');
                });
                assert!(std::backtrace::Backtrace::force_capture().to_string().contains("scope"));
                panic!("in the middle");
            })
        }));
        assert_eq!(*result.unwrap_err().downcast::<&str>().unwrap(), "in the middle");
        assert!(written.load(SeqCst), "the scope ended before its call");
    });
    assert_eq!(*pipes[1].byte, [b'p']);
    assert_eq!(gettid(), home);
    let mut pipe = Pipe::new();
    scope(|s| move_once(s, &mut pipe));
}

#[test]
fn a_panic_in_an_inner_scope_may_be_caught_in_the_outer() {
    if skipped() {
        return;
    }
    let home = gettid();
    let mut pipe = Pipe::new();
    scope(|outer| {
        let caught = catch_unwind(AssertUnwindSafe(|| {
            scope(|inner| {
                move_once(inner, &mut pipe);
                panic!("inside");
            });
        }));
        assert!(caught.is_err());
        move_once(outer, &mut pipe);
    });
    assert_eq!(gettid(), home);
}

#[test]
fn buffers_of_std_work_on() {
    if skipped() {
        return;
    }
    // What std keeps for each thread: its output capture, its parker, its random state.
    let mut pipe = Pipe::new();
    scope(|s| {
        let mut map = std::collections::HashMap::new();
        for i in 0..50 {
            println!("line {i}");
            map.insert(i, i.to_string());
            move_once(s, &mut pipe);
            std::thread::current().unpark();
            std::thread::park();
        }
        assert_eq!(map.len(), 50);
        let (send, receive) = std::sync::mpsc::channel();
        std::thread::spawn(move || (0..100).try_for_each(|i| send.send(i)));
        move_once(s, &mut pipe);
        assert_eq!(receive.iter().sum::<i32>(), 4950);
    });
}
