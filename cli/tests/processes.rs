//! What programs do with processes, threads and privileges: the same C program on the kernel's
//! io_uring, where it works, and under `sysring run` where it is refused.

mod common;

use std::process::{Command, Stdio};

use common::{SYSRING, build, can_be_compared};

/// The program's way to say that a case cannot be tried here.
const SKIPPED: i32 = 77;

fn passes(case: &str, before: &[&str]) {
    let ended = Command::new("timeout")
        .args(["--kill-after=2", "120"])
        .args(before)
        .arg(build("processes"))
        .arg(case)
        .stdin(Stdio::null())
        .output()
        .expect("timeout(1) starts");
    if ended.status.code() == Some(SKIPPED) {
        println!("skipped: {case}: it takes root");
        return;
    }
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{case} {before:?}: {} {said}", ended.status);
}

/// Under `sysring run`.
fn served(name: &str) {
    passes(name, &[SYSRING, "refuse", "--", SYSRING, "run", "--engine", "user", "--"]);
}

fn case(name: &str) {
    if can_be_compared() {
        passes(name, &[]);
    }
    served(name);
}

/// Linux's own workers keep the table that the thread had, and answer `EBADF`.
#[test]
fn own_table() {
    served("own_table");
}

/// The kernel's io_uring performs what the filter refuses.
#[test]
fn own_filter_refuses() {
    served("own_filter_refuses");
}

macro_rules! cases {
    ($($name:ident)*) => {
        $(#[test] fn $name() { case(stringify!($name)); })*
    };
}

cases! {
    setuid_later all_closed unshared sigsys_taken own_filter many_threads passed_on polled_by_a_ring executed started
    cancelled_by_a_child left_by_a_child shared_by_processes inherited_alone inherited_unused
}
