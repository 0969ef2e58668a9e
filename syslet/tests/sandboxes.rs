//! Scopes where a sandbox refuses something that they use: each in a process of its own, for filters
//! are for good.

mod common;

use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use common::{Pipe, finish, gettid, in_process, move_once, said, skipped};
use sysring_syslet::{Errno, Outcome, Unavailable, scope};

/// Makes the kernel answer `EPERM` to a call, for this thread and those that it starts.
fn refuse(number: i64) {
    filter(number, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32);
}

/// Has the kernel do something else instead of a call.
fn filter(number: i64, instead: u32) {
    let instruction = |code: u16, jt: u8, jf: u8, k: u32| libc::sock_filter { code, jt, jf, k };
    let filter = [
        instruction(0x20, 0, 0, 0),
        instruction(0x15, 0, 1, number as u32),
        instruction(0x06, 0, 0, instead),
        instruction(0x06, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_ptr().cast_mut() };
    // SAFETY: the program is live during the call.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        let mode = libc::SECCOMP_MODE_FILTER;
        assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program), 0);
    }
}

fn passes(test: &str, part: fn()) {
    if skipped() {
        return;
    }
    if let Some(output) = in_process(&[], test, part) {
        assert!(output.status.success(), "{}", said(&output));
    }
}

/// Everything works: what was refused only makes it quicker.
fn moves_without(number: i64) {
    refuse(number);
    let (home, mut pipe) = (gettid(), Pipe::new());
    scope(|s| {
        assert_eq!(s.moves(), Ok(()));
        (0..100).for_each(|_| move_once(s, &mut pipe));
    });
    assert_eq!(gettid(), home);
}

#[test]
fn without_a_processor_of_its_own() {
    passes("without_a_processor_of_its_own", || moves_without(libc::SYS_sched_setaffinity));
}

#[test]
fn without_an_idle_class() {
    passes("without_an_idle_class", || moves_without(libc::SYS_sched_setscheduler));
}

/// Calls run to their end.
fn stays_without(number: i64) {
    refuse(number);
    scope(|s| {
        assert_eq!(s.moves(), Err(Unavailable::Refused(Errno::EPERM)));
        // SAFETY: no addresses.
        let pid = finish(s, unsafe { s.call(libc::SYS_getpid as u32, [0; 6]) });
        assert_eq!(pid, Ok(std::process::id() as usize));
    });
}

#[test]
fn without_barriers() {
    passes("without_barriers", || stays_without(libc::SYS_membarrier));
}

#[test]
fn without_memory() {
    passes("without_memory", || stays_without(libc::SYS_mprotect));
}

#[test]
fn without_threads() {
    passes("without_threads", || stays_without(libc::SYS_clone));
}

/// Where this thread may run, as the kernel has it.
fn processors() -> String {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    status.lines().find(|line| line.starts_with("Cpus_allowed:")).unwrap().to_owned()
}

/// Who cannot ask where it may run is not bound: it could not be given back.
#[test]
fn without_a_word_on_its_processors() {
    passes("without_a_word_on_its_processors", || {
        let before = processors();
        moves_without(libc::SYS_sched_getaffinity);
        assert_eq!(processors(), before);
    });
}

/// A filter that traps ends the process as ever, after a call has been cancelled.
fn is_trapped() {
    let hour = [3600i64, 0];
    scope(|s| {
        let args = [hour.as_ptr() as usize, 0, 0, 0, 0, 0];
        // SAFETY: the time outlives the scope.
        let outcome = unsafe { s.call(libc::SYS_nanosleep as u32, args) };
        let Outcome::Pending(id) = outcome else { panic!("{outcome:?}") };
        while s.pending() != 0 {
            s.cancel(id).unwrap();
            s.wait_at_most(1, Duration::from_millis(10)).for_each(drop);
        }
    });
    filter(libc::SYS_getppid, libc::SECCOMP_RET_TRAP);
    // SAFETY: no arguments.
    println!("went on with {}", unsafe { libc::syscall(libc::SYS_getppid) });
}

#[test]
fn what_a_filter_traps_ends_the_process() {
    if skipped() {
        return;
    }
    let test = "what_a_filter_traps_ends_the_process";
    if let Some(output) = in_process(&[], test, is_trapped) {
        assert_eq!(output.status.signal(), Some(libc::SIGSYS), "{}", said(&output));
    }
}
