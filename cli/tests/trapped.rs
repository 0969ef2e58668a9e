//! What a trap must not change: the same C program on the kernel's io_uring, where it works, and under
//! `sysring run` where it is refused.

mod common;

use std::process::{Command, Stdio};

use common::{SYSRING, build, can_be_compared};

/// The program's way to say that a case cannot be tried here.
const SKIPPED: i32 = 77;

fn passes(case: &str, before: &[&str]) {
    let ended = Command::new("timeout")
        .args(["--kill-after=2", "60"])
        .args(before)
        .arg(build("trapped"))
        .arg(case)
        .stdin(Stdio::null())
        .output()
        .expect("timeout(1) starts");
    if ended.status.code() == Some(SKIPPED) {
        println!("skipped: {case}: this machine has not what it takes");
        return;
    }
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{case} {before:?}: {} {said}", ended.status);
}

fn case(name: &str) {
    if can_be_compared() {
        passes(name, &[]);
    }
    passes(name, &[SYSRING, "refuse", "--", SYSRING, "run", "--engine", "user", "--"]);
}

macro_rules! cases {
    ($($name:ident)*) => {
        $(#[test] fn $name() { case(stringify!($name)); })*
    };
}

cases! {
    on_the_alternate_stack on_a_small_alternate_stack asleep_in_aio confined protected_by_key
}
