//! Futexes, on the engine called directly: no wake is lost, and none is made up.

mod client;

use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use client::{Client, sqe};
use sysring_sys::abi::io_uring::{Sqe, cancel, enter, op};
use sysring_sys::abi::{FutexWaitv, Timespec};
use sysring_sys::{User, call};

const U32: i32 = 2;
const PRIVATE: i32 = 128;
const ANY: u32 = u32::MAX;

fn wait(word: &AtomicU32, mask: u32, user_data: u64) -> Sqe {
    let mut wait = sqe(op::FUTEX_WAIT, U32 | PRIVATE, user_data);
    (wait.addr, wait.addr3) = (word.as_ptr() as u64, u64::from(mask));
    wait.off = u64::from(word.load(Ordering::Relaxed));
    wait
}

/// As another thread would: how many were woken.
fn wake(word: &AtomicU32, count: i32, mask: u32) -> usize {
    call::futex_wake_bitset(User::of(word.as_ptr()), count, mask, true).unwrap()
}

fn cancel_all(user_data: u64) -> Sqe {
    let mut sweep = sqe(op::ASYNC_CANCEL, -1, user_data);
    sweep.op_flags = cancel::ANY | cancel::ALL;
    sweep
}

impl Client {
    /// What completes until there are `count`.
    fn results(&mut self, count: usize) -> Vec<(u64, i32)> {
        let mut seen = Vec::new();
        while seen.len() < count {
            self.enter(0, 1).unwrap();
            seen.extend(self.reap().iter().map(|c| (c.user_data, c.res)));
        }
        seen
    }
}

#[test]
fn waiters_are_there_when_they_are_submitted_and_wake_in_order() {
    let mut ring = Client::new(8, 0);
    let word = AtomicU32::new(7);
    for round in 0..100 {
        for i in 0..4 {
            ring.push(wait(&word, ANY, i));
        }
        assert_eq!(ring.enter(4, 0), Ok(4));
        for i in 0..3 {
            assert_eq!(wake(&word, 1, ANY), 1, "round {round}");
            assert_eq!(ring.results(1), [(i, 0)]);
        }
        assert_eq!(wake(&word, 9, ANY), 1);
        assert_eq!(ring.results(1), [(3, 0)]);
        assert_eq!(wake(&word, 9, ANY), 0);
    }
}

#[test]
fn a_word_that_holds_something_else_is_not_waited_for() {
    let mut ring = Client::new(8, 0);
    let word = AtomicU32::new(7);
    let mut other = wait(&word, ANY, 1);
    other.off = 8;
    ring.push(other);
    assert_eq!(ring.enter(1, 1), Ok(1));
    assert_eq!(ring.results(1), [(1, -11)]);
}

#[test]
fn masks_choose_who_is_woken() {
    let mut ring = Client::new(8, 0);
    let word = AtomicU32::new(0);
    ring.push(wait(&word, 0b01, 1));
    ring.push(wait(&word, 0b10, 2));
    assert_eq!(ring.enter(2, 0), Ok(2));
    assert_eq!(wake(&word, 9, 0b100), 0);
    assert_eq!(wake(&word, 9, 0b110), 1);
    assert_eq!(ring.results(1), [(2, 0)]);
    assert_eq!(wake(&word, 9, 0b011), 1);
    assert_eq!(ring.results(1), [(1, 0)]);
}

#[test]
fn a_vector_tells_which() {
    // SAFETY: no addresses.
    let none = unsafe { libc::syscall(libc::SYS_futex_waitv, 0, 0, 0, 0, 0) };
    if none < 0 && std::io::Error::last_os_error().raw_os_error() == Some(libc::ENOSYS) {
        println!("skipped: the kernel waits for one futex at a time");
        return;
    }
    let mut ring = Client::new(8, 0);
    let words: [AtomicU32; 128] = std::array::from_fn(|i| AtomicU32::new(i as u32));
    for chosen in [0, 1, 77, 127] {
        let vector = words.each_ref().map(|word| FutexWaitv {
            val: u64::from(word.load(Ordering::Relaxed)),
            uaddr: word.as_ptr() as u64,
            flags: (U32 | PRIVATE) as u32,
            __reserved: 0,
        });
        let mut wait = sqe(op::FUTEX_WAITV, 0, 1);
        (wait.addr, wait.len) = (vector.as_ptr() as u64, 128);
        ring.push(wait);
        assert_eq!(ring.enter(1, 0), Ok(1));
        assert_eq!(wake(&words[chosen], 9, ANY), 1);
        assert_eq!(ring.results(1), [(1, chosen as i32)]);
        assert_eq!(wake(&words[5], 9, ANY), 0, "left the other queues");
    }
}

#[test]
fn a_cancelled_waiter_takes_no_wake() {
    let mut ring = Client::new(64, 0);
    let word = AtomicU32::new(0);
    for i in 1..=20 {
        ring.push(wait(&word, ANY, i));
    }
    assert_eq!(ring.enter(20, 0), Ok(20));
    let mut one = sqe(op::ASYNC_CANCEL, -1, 100);
    one.addr = 3;
    ring.push(one);
    assert_eq!(ring.enter(1, 2), Ok(1));
    assert_eq!(ring.results(2), [(100, 1), (3, -125)]);
    ring.push(cancel_all(101));
    assert_eq!(ring.enter(1, 0), Ok(1));
    let mut seen = ring.results(20);
    assert_eq!(seen.remove(0), (101, 1));
    assert!(seen.iter().all(|&(_, res)| res == -125));
    assert_eq!(wake(&word, i32::MAX, ANY), 0);
}

#[test]
fn a_closed_ring_leaves_no_waiter() {
    let word = AtomicU32::new(0);
    for _ in 0..20 {
        let mut ring = Client::new(64, 0);
        for i in 0..40 {
            ring.push(wait(&word, ANY, i));
        }
        assert_eq!(ring.enter(40, 0), Ok(40));
        drop(ring);
        assert_eq!(wake(&word, i32::MAX, ANY), 0);
    }
}

#[test]
fn wakes_and_completions_are_as_many_while_others_cancel() {
    static WORD: AtomicU32 = AtomicU32::new(0);
    let stop = AtomicBool::new(false);
    let woken = AtomicU32::new(0);
    let (mut submitted, mut ended_well) = (0, 0);
    let mut take = |ring: &mut Client, submitted: &mut u64| {
        for cqe in ring.reap() {
            if cqe.user_data != 1 {
                continue;
            }
            *submitted -= 1;
            match cqe.res {
                0 => ended_well += 1,
                -125 => {}
                res => panic!("{res}"),
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    woken.fetch_add(wake(&WORD, 2, ANY) as u32, Ordering::Relaxed);
                    call::nanosleep(30_000);
                }
            });
        }
        let mut ring = Client::new(64, 0);
        let start = Instant::now();
        let mut round = 0;
        while start.elapsed() < Duration::from_millis(1500) {
            round += 1;
            for _ in 0..3 {
                ring.push(wait(&WORD, ANY, 1));
                submitted += 1;
            }
            ring.enter(3, 0).unwrap();
            if round % 2 == 0 {
                ring.push(cancel_all(2));
                ring.enter(1, 0).unwrap();
            }
            while submitted > 20 {
                ring.enter(0, 1).unwrap();
                take(&mut ring, &mut submitted);
            }
            take(&mut ring, &mut submitted);
        }
        stop.store(true, Ordering::Relaxed);
        ring.push(cancel_all(2));
        ring.enter(1, 0).unwrap();
        while submitted != 0 {
            ring.enter_with(0, 1, enter::GETEVENTS).unwrap();
            take(&mut ring, &mut submitted);
        }
        assert!(round > 100, "{round} rounds");
    });
    assert_eq!(ended_well, woken.into_inner());
    assert!(ended_well > 100, "{ended_well} woken");
}

#[test]
fn a_process_that_was_stopped_still_waits() {
    let mut ring = Client::new(8, 0);
    let word = AtomicU32::new(0);
    for i in 0..3 {
        ring.push(wait(&word, ANY, i));
    }
    assert_eq!(ring.enter(3, 0), Ok(3));
    let me = std::process::id();
    let script = format!("kill -STOP {me}; sleep 0.05; kill -CONT {me}");
    assert!(Command::new("sh").args(["-c", &script]).status().unwrap().success());
    // They queue again as soon as they run.
    call::nanosleep(50_000_000);
    assert_eq!(wake(&word, 9, ANY), 3);
    let mut seen = ring.results(3);
    seen.sort_unstable();
    assert_eq!(seen, [(0, 0), (1, 0), (2, 0)]);
}

#[test]
fn a_wake_through_the_ring_tells_how_many() {
    let mut ring = Client::new(8, 0);
    let word = AtomicU32::new(0);
    for i in 0..3 {
        ring.push(wait(&word, ANY, i));
    }
    assert_eq!(ring.enter(3, 0), Ok(3));
    for (count, woken) in [(0, 0), (2, 2), (5, 1)] {
        let mut wake = sqe(op::FUTEX_WAKE, U32 | PRIVATE, 10);
        (wake.addr, wake.off, wake.addr3) = (word.as_ptr() as u64, count, u64::from(ANY));
        ring.push(wake);
        assert_eq!(ring.enter(1, 0), Ok(1));
        let seen = ring.results(1 + woken as usize);
        assert!(seen.contains(&(10, woken)), "{seen:?}");
    }
}

#[test]
fn a_timeout_that_ends_a_wait_says_that_it_did() {
    let mut ring = Client::new(8, 0);
    let word = AtomicU32::new(0);
    let mut first = wait(&word, ANY, 1);
    first.flags = sysring_sys::abi::io_uring::sqe_flags::IO_LINK;
    ring.push(first);
    let time = Timespec { tv_sec: 0, tv_nsec: 5_000_000 };
    let mut timeout = sqe(op::LINK_TIMEOUT, -1, 2);
    (timeout.addr, timeout.len) = (&raw const time as u64, 1);
    ring.push(timeout);
    assert_eq!(ring.enter(2, 2), Ok(2));
    assert_eq!(ring.results(2), [(2, 1), (1, -125)]);
}
