//! What programs do with processes, threads and privileges: the same C program on the kernel's
//! io_uring, where it works, and under `sysring run` where it is refused.

mod common;

use common::{SYSRING, can_be_compared};

fn passes(case: &str, before: &[&str]) {
    common::passes("processes", case, before, 120, Some("it takes root"));
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
