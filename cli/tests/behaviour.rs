//! What a program may expect of its ring: the same C program on the kernel's io_uring, where it
//! works, and under `sysring run` where it is refused.

mod common;

use common::{SYSRING, can_be_compared};

fn passes(case: &str, before: &[&str]) {
    common::passes("behaviour", case, before, 60, None);
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
