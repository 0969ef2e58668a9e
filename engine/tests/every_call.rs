//! Every system call there is, issued as a native call: with valid arguments, with null ones, with
//! wild ones. The answer is the direct call's, each in a process of its own.

#[path = "every_call/valid.rs"]
mod valid;

use std::ptr;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering::SeqCst;

use sysring_engine::native::table::{self, How, NUMBERS};
use sysring_engine::native::{Call, Context, Issued, Options, Order, Placement};
use sysring_sys::Errno;

use valid::World;

/// What a call came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Outcome {
    Answer(i64),
    Refused(i64),
    /// It has not come back.
    Blocks,
    /// The process that made it has died of a signal.
    Died(i32),
}

/// How long a call may take that does not block, in seconds: on a busy machine, long.
const PATIENCE: u32 = 2;

/// What would do the machine harm, or stop others: with arguments that mean nothing some of it works.
const HARMFUL: [&str; 14] = [
    "vhangup",
    "sethostname",
    "setdomainname",
    "acct",
    "kexec_load",
    "kexec_file_load",
    "sync",
    "reboot",
    "msgget",
    "msgctl",
    "semget",
    "semctl",
    "shmget",
    "shmctl",
];

/// Whose value is not the same in two processes.
const VARIES: [&str; 13] = [
    "wait4",
    "getpid",
    "gettid",
    "getpgid",
    "setsid",
    "getsid",
    "times",
    "time",
    "mmap",
    "shmat",
    "brk",
    "mremap",
    "map_shadow_stack",
];

/// Runs `act` in a child, and tells what came of it.
fn in_a_child(act: impl FnOnce() -> Outcome) -> Outcome {
    // SAFETY: a shared mapping of our own, for two words.
    let told = unsafe {
        let (prot, flags) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        let at = libc::mmap(ptr::null_mut(), 4096, prot, flags, -1, 0);
        assert_ne!(at, libc::MAP_FAILED);
        &*at.cast::<[AtomicI64; 2]>()
    };
    // SAFETY: this is the only thread that does anything; the child ends here.
    let child = unsafe { libc::fork() };
    assert!(child >= 0);
    if child == 0 {
        // SAFETY: descriptors and a timer of the child's own.
        unsafe {
            // Null is also the number of a descriptor, and some calls change what is behind it (a
            // mode, an owner): a file that is nobody's.
            let file = libc::memfd_create(c"nobody's".as_ptr(), 0);
            assert!(file >= 0);
            for fd in 0..3 {
                libc::dup2(file, fd);
            }
            libc::close_range(3, 900, 0);
            libc::alarm(PATIENCE);
        }
        let (kind, value) = match act() {
            Outcome::Answer(value) => (1, value),
            Outcome::Refused(value) => (2, value),
            Outcome::Blocks => (3, 0),
            Outcome::Died(_) => (4, 0),
        };
        told[1].store(value, SeqCst);
        told[0].store(kind, SeqCst);
        // SAFETY: ends the child at once.
        unsafe { libc::_exit(0) };
    }
    let mut status = 0;
    // SAFETY: our child, and then our mapping.
    let (kind, value) = unsafe {
        assert_eq!(libc::waitpid(child, &raw mut status, 0), child);
        let told_now = (told[0].load(SeqCst), told[1].load(SeqCst));
        libc::munmap(ptr::from_ref(told).cast_mut().cast(), 4096);
        told_now
    };
    match kind {
        _ if libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGALRM => {
            Outcome::Blocks
        }
        _ if libc::WIFSIGNALED(status) => Outcome::Died(libc::WTERMSIG(status)),
        1 => Outcome::Answer(value),
        2 => Outcome::Refused(value),
        _ => Outcome::Blocks,
    }
}

fn direct(call: Call) -> Outcome {
    // SAFETY: the child has nothing to lose.
    Outcome::Answer(unsafe { call.make() } as i64)
}

fn issued(call: Call, placement: Placement) -> Outcome {
    let context = Context::new(&Options::default()).unwrap();
    let order = Order { placement, ..Order::default() };
    // SAFETY: as above.
    match unsafe { context.issue(&call, &order) } {
        Ok(Issued::Done(answer)) => Outcome::Answer(answer as i64),
        Err(e) => Outcome::Refused(e.to_res().into()),
        Ok(Issued::Pending(id)) => {
            let patience = i64::from(PATIENCE) * 500_000_000;
            if context.wait(1, Some(patience), None).is_err() {
                return Outcome::Blocks;
            }
            let mut memory = [0; 64];
            let event = context.next(&mut memory).unwrap().unwrap();
            assert_eq!(event.id(), id);
            Outcome::Answer(event.result())
        }
    }
}

/// Whether two answers are the same, as far as they can be.
fn agree(name: &str, one: Outcome, other: Outcome) -> bool {
    match (one, other) {
        (Outcome::Answer(a), Outcome::Answer(b)) if VARIES.contains(&name) => (a < 0) == (b < 0),
        _ => one == other,
    }
}

/// Compares one call by all ways there are; what differs is told.
fn compare(name: &str, how: How, call: impl Fn() -> Call, differ: &mut Vec<String>) {
    if matches!(how, How::Refused) {
        let outcome = in_a_child(|| issued(call(), Placement::Inline));
        if outcome != Outcome::Refused(Errno::EOPNOTSUPP.to_res().into()) {
            differ.push(format!("{name}: {outcome:?}, to be refused"));
        }
        return;
    }
    let plain = in_a_child(|| direct(call()));
    let outcome = in_a_child(|| issued(call(), Placement::Inline));
    if !agree(name, plain, outcome) {
        differ.push(format!("{name}: {plain:?}, issued {outcome:?}"));
    }
}

fn row(nr: usize) -> (&'static str, How) {
    table::row(nr as u32).map_or(("unknown", How::Unknown), |row| (row.name, row.how))
}

fn with_arguments(args: [usize; 6]) -> Vec<String> {
    let mut differ = Vec::new();
    for nr in 0..NUMBERS {
        let (name, how) = row(nr);
        if !HARMFUL.contains(&name) {
            compare(name, how, || Call { nr: nr as u32, args }, &mut differ);
        }
    }
    differ
}

#[test]
fn null_arguments_are_answered_as_by_the_call() {
    assert_eq!(with_arguments([0; 6]), Vec::<String>::new());
}

#[test]
fn wild_arguments_are_answered_as_by_the_call() {
    // As a number, a pointer, a descriptor: of no use.
    assert_eq!(with_arguments([0x1234_5678_9abc_d123; 6]), Vec::<String>::new());
}

#[test]
fn valid_arguments_are_answered_as_by_the_call() {
    let mut differ = Vec::new();
    for (nr, arguments) in valid::CALLS.iter().chain(valid::OLD_CALLS) {
        let (name, how) = row(*nr as usize);
        let call = || {
            let mut args = [0; 6];
            let given = arguments(World::new());
            args[..given.len()].copy_from_slice(&given);
            Call { nr: *nr, args }
        };
        compare(name, how, call, &mut differ);
        let by_worker = in_a_child(|| issued(call(), Placement::Worker));
        let plain = in_a_child(|| direct(call()));
        let own = matches!(how, How::Own | How::Refused);
        let expected =
            if own { Outcome::Refused(Errno::EOPNOTSUPP.to_res().into()) } else { plain };
        if !agree(name, expected, by_worker) {
            differ.push(format!("{name}: {expected:?}, by a worker {by_worker:?}"));
        }
    }
    let _ = std::fs::remove_dir_all(valid::base(std::process::id()));
    assert_eq!(differ, Vec::<String>::new());
}
