//! What a sandbox refuses stays refused. The kernel's io_uring carries out operations that a
//! seccomp filter refuses as system calls; the engine makes system calls, which filters and
//! tracers see.

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use common::{SYSRING, Scratch, build, kernel_has_io_uring, stderr, stdout};

const REFUSED: [&str; 3] = [SYSRING, "refuse", "--"];
const RUN: [&str; 5] = [SYSRING, "run", "--engine", "user", "--"];

/// Runs `programs/confined.c` in a directory of its own.
fn confined(directory: &Path, before: &[&str], expected: &str, who: &str) -> Output {
    Command::new("timeout")
        .args(["--kill-after=2", "60"])
        .args(before)
        .arg(build("confined"))
        .args([expected, who])
        .current_dir(directory)
        .stdin(Stdio::null())
        .output()
        .expect("timeout(1) starts")
}

#[track_caller]
fn ends_well(ended: &Output) {
    assert!(ended.status.success(), "{}: {}", ended.status, stderr(ended));
}

/// A filter refuses unlinkat, connect and openat: so does the engine, whoever does the work. And where
/// openat2 alone is refused, openat is not made in its place.
#[track_caller]
fn stays_refused(who: &str) {
    for expected in ["refused", "openat2"] {
        let scratch = Scratch::new();
        ends_well(&confined(scratch.path(), &[&REFUSED[..], &RUN].concat(), expected, who));
    }
}

/// The proof that the filter has something to refuse: the kernel's io_uring goes past it.
#[track_caller]
fn the_kernel_performs(who: &str) {
    if !kernel_has_io_uring() {
        println!("skipped: whether the kernel's io_uring performs it: it does not work here");
        return;
    }
    let scratch = Scratch::new();
    ends_well(&confined(scratch.path(), &[], "performed", who));
}

macro_rules! submitters {
    ($($who:ident)*) => {
        mod engine {
            $(#[test] fn $who() { super::stays_refused(stringify!($who)); })*
        }
        mod kernel {
            $(#[test] fn $who() { super::the_kernel_performs(stringify!($who)); })*
        }
    };
}

submitters! { inline async_worker linked sqpoll child }

/// Where `strace` may trace; the test counts as skipped otherwise.
fn can_trace() -> bool {
    let tried = Command::new("strace").args(["-o", "/dev/null", "true"]).output();
    let reason = match tried {
        Ok(ended) if ended.status.success() => return true,
        Ok(ended) => stderr(&ended).lines().last().unwrap_or("no reason given").to_owned(),
        Err(error) => error.to_string(),
    };
    println!("skipped: strace does not work here: {reason}");
    false
}

/// Runs `programs/shown.c`; what must be seen of each operation, and all that was seen. A file for each
/// thread, so that no line is in two parts.
#[track_caller]
fn shown(before: &[&str], who: &str, after: &[&str]) -> (String, String) {
    let scratch = Scratch::new();
    let traces = scratch.path().join("traces");
    fs::create_dir(&traces).expect("a new directory");
    let ended = Command::new("timeout")
        .args(["--kill-after=2", "60"])
        .args(before)
        .args(["strace", "-ff", "-o"])
        .arg(traces.join("of"))
        .args(after)
        .arg(build("shown"))
        .arg(who)
        .current_dir(scratch.path())
        .stdin(Stdio::null())
        .output()
        .expect("timeout(1) starts");
    ends_well(&ended);
    let trace = fs::read_dir(&traces).expect("traces").map(|file| {
        String::from_utf8_lossy(&fs::read(file.expect("a trace").path()).expect("a trace"))
            .into_owned()
    });
    (stdout(&ended), trace.collect())
}

/// Whether a line has all parts of what is to be seen.
fn is_seen(line: &str, parts: &str) -> bool {
    let mut parts = parts.split('\t');
    parts.next().is_some_and(|call| line.starts_with(call)) && parts.all(|part| line.contains(part))
}

/// Of every family, whoever submits and whoever does the work; the program makes none of these calls.
#[test]
fn strace_shows_every_operation() {
    if !can_trace() {
        return;
    }
    for who in ["inline", "async_worker", "linked", "sqpoll", "child"] {
        let (expected, trace) = shown(&REFUSED, who, &RUN);
        assert!(expected.lines().count() > 30, "{expected}");
        for parts in expected.lines() {
            assert!(
                trace.lines().any(|line| is_seen(line, parts)),
                "{who}: {parts} not in\n{trace}"
            );
        }
    }
}

/// The version of Linux that had all operations of `programs/shown.c` first.
const NEWEST: [u32; 2] = [6, 16];

fn kernel_version() -> [u32; 2] {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").expect("a release");
    let mut numbers = release.split('.').map(|number| number.parse().unwrap_or(0));
    [(); 2].map(|()| numbers.next().unwrap_or(0))
}

/// What the trace is compared with: the kernel's io_uring shows none of it.
#[test]
fn strace_shows_no_operation_of_the_kernel() {
    if !kernel_has_io_uring() {
        println!("skipped: what strace shows of the kernel's io_uring: it does not work here");
        return;
    }
    if kernel_version() < NEWEST {
        println!(
            "skipped: what strace shows of the kernel's io_uring: it lacks some of the operations"
        );
        return;
    }
    if !can_trace() {
        return;
    }
    let (expected, trace) = shown(&[], "inline", &[]);
    assert!(trace.contains("io_uring_enter("), "{trace}");
    for parts in expected.lines() {
        assert!(!trace.lines().any(|line| is_seen(line, parts)), "{parts} in\n{trace}");
    }
}

/// What is to be opened, and so on, is opened once.
#[test]
fn strace_shows_each_operation_once() {
    if !can_trace() {
        return;
    }
    for who in ["inline", "async_worker", "child"] {
        let scratch = Scratch::new();
        let strace = ["strace", "-f", "-o", "trace"];
        let before = [&REFUSED[..], &strace, &RUN].concat();
        ends_well(&confined(scratch.path(), &before, "free", who));
        let trace = fs::read_to_string(scratch.path().join("trace")).expect("a trace");
        // The program makes none of these calls itself. A connection takes two: one begins it, and
        // one asks how it went.
        for (call, times) in [
            ("unlinkat(AT_FDCWD, \"doomed\", 0", 1..=1),
            ("connect(", 1..=2),
            ("openat(AT_FDCWD, \"secret\", O_RDONLY", 1..=1),
            ("openat(AT_FDCWD, \"made\", O_WRONLY|O_CREAT", 1..=1),
        ] {
            let shown = trace.lines().filter(|line| line.contains(call)).count();
            assert!(times.contains(&shown), "{who}: {shown} times {call} in\n{trace}");
        }
    }
}
