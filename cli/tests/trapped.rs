//! What a trap must not change: the same C program on the kernel's io_uring, where it works, and under
//! `sysring run` where it is refused.

mod common;

use common::{SYSRING, can_be_compared};

fn passes(case: &str, before: &[&str]) {
    common::passes("trapped", case, before, 60, Some("this machine has not what it takes"));
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
