//! What a scope costs that makes no calls: nothing.

mod common;

use std::time::{Duration, Instant};

use common::{Pipe, READ, in_process, move_once, said, skipped};
use sysring_syslet::{Outcome, scope};

/// Processor time of this process so far.
fn used() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: room for the answer.
    assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) }, 0);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// The names of the threads there are.
fn names() -> Vec<String> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    // One that ends at this moment has no name any more.
    let name = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("comm")).ok();
    tasks.flatten().filter_map(name).collect()
}

/// How many threads there are, and how many of them are the process's monitor.
fn threads() -> (usize, usize) {
    let names = names();
    (names.len(), names.iter().filter(|name| *name == "syslet-mon\n").count())
}

/// How many threads there are before there are scopes. One that was tried may have left a detector,
/// which is on its way out, and which had the name of the thread that made it before it had its own.
fn at_first() -> usize {
    loop {
        let mut names = names();
        names.retain(|name| name != "syslet-mon\n");
        let count = names.len();
        names.retain(|name| name != "syslet-idle\n");
        names.sort();
        names.dedup();
        if names.len() == count {
            return count;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Nobody in this process does anything: what would tick each 200 µs, or look all the time, would
/// need a hundred times as much.
fn nothing_is_used(during: &str) {
    // Who looks for calls gives up after some looks without any.
    std::thread::sleep(Duration::from_millis(100));
    let before = used();
    std::thread::sleep(Duration::from_millis(400));
    let spent = used() - before;
    assert!(spent < Duration::from_millis(2), "{during}: {spent:?}");
}

fn idles() {
    let at_first = at_first();
    let mut pipes = [Pipe::new(), Pipe::new()];
    scope(|s| {
        nothing_is_used("a scope without calls");
        (0..100).for_each(|_| move_once(s, &mut pipes[0]));
        nothing_is_used("a scope after calls");
        let (left, moves) = pipes.split_at_mut(1);
        // SAFETY: the byte stays until the call is answered.
        assert!(matches!(unsafe { s.call(READ, left[0].read()) }, Outcome::Pending(_)));
        (0..5).for_each(|_| move_once(s, &mut moves[0]));
        nothing_is_used("a call that is pending");
        left[0].write(b'i');
        assert_eq!(s.wait(1).count(), 1);
    });
    // The detector may come to its end a little later.
    let patience = Instant::now();
    while threads() != (at_first + 1, 1) {
        let late = patience.elapsed() > Duration::from_secs(30);
        assert!(!late, "only the process's own is to be left beside {at_first}: {:?}", names());
        std::thread::sleep(Duration::from_millis(1));
    }
    nothing_is_used("after the scope");
    let patience = Instant::now();
    while threads().1 != 0 && patience.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(threads(), (at_first, 0));
    scope(|s| move_once(s, &mut pipes[0]));
}

#[test]
fn who_makes_no_calls_uses_no_time() {
    if skipped() {
        return;
    }
    if let Some(output) = in_process(&[], "who_makes_no_calls_uses_no_time", idles) {
        assert!(output.status.success(), "{}", said(&output));
    }
}
