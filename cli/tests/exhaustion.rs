//! Nothing left: descriptors, memory, threads, AIO contexts. What a program asks of its ring then
//! takes longer or is answered with an error, once, and none of it is lost.

mod common;

use std::process::{Command, Stdio};

use common::{SYSRING, Scratch, build, can_be_compared, stderr};

/// A program's way to say that a case cannot be tried here.
const SKIPPED: i32 = 77;

#[track_caller]
fn run(before: &[&str], program: &str, arguments: &[&str]) {
    let scratch = Scratch::new();
    let ended = Command::new("timeout")
        .args(["--kill-after=2", "60"])
        .args(before)
        .arg(build(program))
        .args(arguments)
        .current_dir(scratch.path())
        .stdin(Stdio::null())
        .output()
        .expect("timeout(1) starts");
    if ended.status.code() == Some(SKIPPED) {
        println!("skipped: {arguments:?}: {}", stderr(&ended).trim());
    } else {
        assert!(ended.status.success(), "{arguments:?} {}: {}", ended.status, stderr(&ended));
    }
}

#[track_caller]
fn under_sysring(program: &str, arguments: &[&str]) {
    let before = [SYSRING, "refuse", "--", SYSRING, "run", "--engine", "user", "--"];
    run(&before, program, arguments);
}

/// Whether requests may fail, or must go well by another road.
#[derive(Clone, Copy)]
enum Then {
    Errors,
    Slower,
}

/// A mix of all kinds of requests while a system call of the engine's fails: from before the rings
/// are made, from then on, and from after a round in which all was well.
#[track_caller]
fn fails(call: i64, errno: i32, argument: &[u32], then: Then) {
    for when in ["before", "after", "later"] {
        fails_from(when, call, errno, argument, then);
    }
}

#[track_caller]
fn fails_from(when: &str, call: i64, errno: i32, argument: &[u32], then: Then) {
    let errors = match then {
        Then::Errors => "1",
        Then::Slower => "0",
    };
    let numbers: Vec<_> = [call.to_string(), errno.to_string()]
        .into_iter()
        .chain(argument.iter().map(u32::to_string))
        .collect();
    let numbers: Vec<_> = numbers.iter().map(String::as_str).collect();
    under_sysring("faults", &[&[when, errors], &numbers[..]].concat());
}

#[test]
fn nothing_fails() {
    if can_be_compared() {
        run(&[], "faults", &["after", "0"]);
    }
    under_sysring("faults", &["after", "0"]);
}

macro_rules! faults {
    ($($name:ident $call:ident $errno:ident $argument:expr, $then:ident;)*) => {
        $(#[test] fn $name() {
            fails(libc::$call, libc::$errno, &$argument, Then::$then);
        })*
    };
}

const ADD: [u32; 2] = [1, libc::EPOLL_CTL_ADD as u32];
const MOD: [u32; 2] = [1, libc::EPOLL_CTL_MOD as u32];
const DUP: [u32; 2] = [1, libc::F_DUPFD_CLOEXEC as u32];

faults! {
    no_watches SYS_epoll_ctl ENOSPC [], Slower;
    no_memory_to_watch SYS_epoll_ctl ENOMEM ADD, Slower;
    no_second_watch SYS_epoll_ctl ENOMEM MOD, Slower;
    no_eventfd SYS_eventfd2 EMFILE [], Slower;
    no_epoll_instance SYS_epoll_create1 EMFILE [], Slower;
    no_duplicates SYS_fcntl EMFILE DUP, Slower;
    no_aio_context SYS_io_setup EAGAIN [], Slower;
    no_room_in_aio SYS_io_submit EAGAIN [], Slower;
    no_aio SYS_io_submit ENOSYS [], Slower;
    no_foreign_reads SYS_process_vm_readv EPERM [], Slower;
    no_foreign_writes SYS_process_vm_writev EPERM [], Slower;
    no_memory_files SYS_memfd_create ENOSYS [], Slower;
    no_epoll_pwait2 SYS_epoll_pwait2 ENOSYS [], Slower;
    no_wiping SYS_madvise EINVAL [], Slower;
    no_pipes SYS_pipe2 EMFILE [], Slower;
    no_preadv2 SYS_preadv2 ENOSYS [], Slower;
    no_nowait_reads SYS_preadv2 EOPNOTSUPP [], Errors;
    no_pwritev2 SYS_pwritev2 ENOSYS [], Slower;
    // What waits for others is cancelled, as the kernel does it.
    no_threads SYS_clone EAGAIN [], Errors;
}

/// A ring that has no memory for requests takes none, for as long as that is so: from the start it
/// would never take any.
#[test]
fn no_mappings() {
    for when in ["before", "later"] {
        fails_from(when, libc::SYS_mmap, libc::ENOMEM, &[], Then::Errors);
    }
}

macro_rules! limits {
    ($($name:ident $(, $native:ident)?;)*) => {
        $(#[test] fn $name() {
            $(if $native() {
                run(&[], "exhaustion", &[stringify!($name)]);
            })?
            under_sysring("exhaustion", &[stringify!($name)]);
        })*
    };
}

limits! {
    no_aio_contexts, can_be_compared;
    no_threads_left;
    no_memory;
    no_descriptors, can_be_compared;
    low_numbers_only, can_be_compared;
    few_high_numbers, can_be_compared;
    a_million_entries, can_be_compared;
}
