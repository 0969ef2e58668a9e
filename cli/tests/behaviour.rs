//! What a program may expect of its ring: the same C program on the kernel's io_uring, where it
//! works, and under `sysring run` where it is refused.

mod common;

use std::process::{Command, Stdio};

use common::{SYSRING, build, can_be_compared};

fn passes(case: &str, before: &[&str]) {
    let ended = Command::new("timeout")
        .args(["--kill-after=2", "60"])
        .args(before)
        .arg(build("behaviour"))
        .arg(case)
        .stdin(Stdio::null())
        .output()
        .expect("timeout(1) starts");
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{case} {before:?}: {} {said}", ended.status);
}

fn case(name: &str) {
    if can_be_compared() {
        passes(name, &[]);
    }
    for errno in ["EPERM", "ENOSYS"] {
        let refused = [SYSRING, "refuse", "--errno", errno, "--"];
        let run = [SYSRING, "run", "--engine", "user", "--"];
        passes(name, &[&refused[..], &run[..]].concat());
    }
}

macro_rules! cases {
    ($($name:ident)*) => {
        $(#[test] fn $name() { case(stringify!($name)); })*
    };
}

cases! {
    one_thread one_thread_reads descriptor polled close_lets_go interrupted no_room shared_listener forked
    notified many_rings threads_go_home few_descriptors
    overwritten nothing_held_up
    copies_that_fail replaced chosen_number closed_under_a_waiter
}
