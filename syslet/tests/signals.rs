//! Signals, and what else the kernel keeps for each thread.

mod common;

use std::cell::Cell;
use std::os::unix::process::ExitStatusExt;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering::SeqCst};
use std::time::{Duration, Instant};

use common::{Pipe, READ, gettid, in_process, move_once, said, skipped};
use sysring_syslet::{Errno, Outcome, Scope, Unavailable, scope};

static HANDLED: AtomicU32 = AtomicU32::new(0);
static HANDLER_RAN_ON: AtomicI32 = AtomicI32::new(0);
thread_local!(static HANDLED_HERE: Cell<u32> = const { Cell::new(0) });

extern "C" fn handler(_: i32) {
    HANDLED_HERE.set(HANDLED_HERE.get() + 1);
    HANDLER_RAN_ON.store(gettid(), SeqCst);
    HANDLED.fetch_add(1, SeqCst);
}

fn handle(signal: i32, handler: usize, flags: i32) {
    // SAFETY: zeroes are an action; the handlers here only count, or end the process.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler;
        action.sa_flags = flags;
        assert_eq!(libc::sigaction(signal, &raw const action, std::ptr::null_mut()), 0);
    }
}

fn send(thread: i32, signal: i32) {
    // SAFETY: numbers.
    let sent = unsafe { libc::syscall(libc::SYS_tgkill, std::process::id(), thread, signal) };
    assert_eq!(sent, 0);
}

fn mask() -> u64 {
    let mut mask = 0u64;
    // SAFETY: room for the kernel's set.
    let asked =
        unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_BLOCK, 0, &raw mut mask, 8) };
    assert_eq!(asked, 0);
    mask
}

#[test]
fn a_signal_for_the_caller_is_handled_when_the_scope_ends() {
    if skipped() {
        return;
    }
    handle(libc::SIGUSR1, handler as *const () as usize, 0);
    let home = gettid();
    let mut pipe = Pipe::new();
    scope(|s| {
        move_once(s, &mut pipe);
        send(home, libc::SIGUSR1);
        for _ in 0..20 {
            s.go_home();
            // SAFETY: no addresses.
            let _ = unsafe { s.call(libc::SYS_sched_yield as u32, [0; 6]) };
        }
        assert_eq!(HANDLED_HERE.get(), 0);
    });
    assert_eq!(HANDLED_HERE.get(), 1);
}

#[test]
fn signals_are_handled_while_the_caller_waits() {
    if skipped() {
        return;
    }
    handle(libc::SIGUSR2, handler as *const () as usize, 0);
    let mut pipe = Pipe::new();
    let args = pipe.read();
    let before = HANDLED.load(SeqCst);
    std::thread::scope(|threads| {
        scope(|s| {
            // SAFETY: the byte stays until the call is answered.
            assert!(matches!(unsafe { s.call(READ, args) }, Outcome::Pending(_)));
            send(gettid(), libc::SIGUSR2);
            assert_eq!(HANDLED_HERE.get(), 0);
            threads.spawn(|| {
                let start = Instant::now();
                // Written only after the handler has run, which it does while we wait.
                while HANDLED.load(SeqCst) == before && start.elapsed() < Duration::from_secs(20) {
                    std::thread::sleep(Duration::from_millis(1));
                }
                pipe.write(b's');
            });
            assert_eq!(s.wait(1).count(), 1);
            assert_eq!(HANDLED_HERE.get(), 1, "with the caller's own storage");
        });
    });
}

#[test]
fn masks_processors_and_names_are_as_they_were() {
    if skipped() {
        return;
    }
    let about_us = || {
        let (mut name, mut processors) = ([0u8; 16], [0u64; 16]);
        let mut stack = [0usize; 3];
        // SAFETY: the kernel fills what it is given.
        unsafe {
            libc::syscall(libc::SYS_prctl, libc::PR_GET_NAME, name.as_mut_ptr());
            libc::syscall(libc::SYS_sched_getaffinity, 0, 128, processors.as_mut_ptr());
            libc::syscall(libc::SYS_sigaltstack, 0, stack.as_mut_ptr());
        }
        (gettid(), mask(), name, processors, stack)
    };
    let before = about_us();
    let mut pipe = Pipe::new();
    let mut in_scope = |s: &Scope| {
        assert_ne!(mask(), before.1);
        assert_eq!(mask() & 1 << (libc::SIGSEGV - 1), 0, "faults are handled");
        move_once(s, &mut pipe);
        let inside = about_us();
        assert_eq!(inside.2, before.2, "the name");
        assert_eq!(inside.3.iter().map(|word| word.count_ones()).sum::<u32>(), 1);
        assert!(
            gettid() == before.0 || inside.4[0] != before.4[0],
            "each thread has a stack of its own for signals"
        );
        assert!(inside.4[2] >= 8192);
        s.go_home();
        assert_eq!(about_us().3, inside.3, "the caller stays on its processor");
    };
    for _ in 0..2 {
        scope(|s| (0..5).for_each(|_| in_scope(s)));
        assert_eq!(about_us(), before);
    }
}

#[test]
fn restartable_sequences_rest() {
    if skipped() {
        return;
    }
    let processor = || {
        // SAFETY: a constant of glibc's, and a word of this thread's own storage.
        unsafe {
            let offset = libc::dlsym(libc::RTLD_DEFAULT, c"__rseq_offset".as_ptr());
            let size = libc::dlsym(libc::RTLD_DEFAULT, c"__rseq_size".as_ptr());
            if offset.is_null() || *size.cast::<u32>() == 0 {
                return None;
            }
            let area = thread_pointer().wrapping_add_signed(*offset.cast::<isize>());
            Some(((area + 4) as *const i32).read_volatile())
        }
    };
    let Some(before) = processor() else {
        println!("skipped: this C library does not use restartable sequences");
        return;
    };
    assert!(before >= 0);
    let mut pipe = Pipe::new();
    scope(|s| {
        move_once(s, &mut pipe);
        assert!(processor().unwrap() < 0, "called off");
        // SAFETY: no arguments.
        assert!(unsafe { libc::sched_getcpu() } >= 0, "asks the kernel");
        scope(|_| ());
        assert!(processor().unwrap() < 0);
    });
    assert!(processor().unwrap() >= 0, "announced again");
}

fn thread_pointer() -> usize {
    let pointer: usize;
    // SAFETY: the first word of a thread's storage is its address.
    unsafe { std::arch::asm!("mov {}, fs:0", out(reg) pointer) };
    pointer
}

/// Status 42 if it ran where the thread-local storage is that it belongs to.
extern "C" fn last_words(_: i32) {
    // SAFETY: ends the process.
    unsafe { libc::_exit(if HANDLED_HERE.get() == 7 { 42 } else { 1 }) }
}

fn faults() {
    handle(libc::SIGSEGV, last_words as *const () as usize, libc::SA_ONSTACK);
    HANDLED_HERE.set(7);
    let mut pipe = Pipe::new();
    scope(|s| {
        move_once(s, &mut pipe);
        // SAFETY: it is not, and must not be: that is the fault.
        unsafe { std::hint::black_box(8 as *const u8).read_volatile() };
    });
}

#[test]
fn a_fault_reaches_its_handler() {
    if skipped() {
        return;
    }
    if let Some(output) = in_process(&[], "a_fault_reaches_its_handler", faults) {
        assert_eq!(output.status.code(), Some(42), "{}", said(&output));
    }
}

fn overflows() {
    fn deeper(n: u64) -> u64 {
        match std::hint::black_box([n; 100])[7] {
            u64::MAX => 0,
            n => 1 + deeper(n + 1),
        }
    }
    let mut pipe = Pipe::new();
    scope(|s| {
        move_once(s, &mut pipe);
        println!("{}", deeper(0));
    });
}

#[test]
fn a_stack_that_overflows_is_told_of() {
    if skipped() {
        return;
    }
    if let Some(output) = in_process(&[], "a_stack_that_overflows_is_told_of", overflows) {
        assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{}", said(&output));
        assert!(said(&output).contains("has overflowed its stack"), "{}", said(&output));
    }
}

fn waits_for_ever() {
    let mut pipe = Pipe::new();
    let args = pipe.read();
    scope(|s| {
        // SAFETY: the byte outlives the scope.
        let _ = unsafe { s.call(READ, args) };
        // SAFETY: numbers.
        unsafe { libc::kill(libc::getpid(), libc::SIGTERM) };
        s.wait(1);
    });
}

#[test]
fn who_waits_can_be_terminated() {
    if skipped() {
        return;
    }
    if let Some(output) = in_process(&[], "who_waits_can_be_terminated", waits_for_ever) {
        assert_eq!(output.status.signal(), Some(libc::SIGTERM), "{}", said(&output));
    }
}

thread_local!(static IN_HANDLER: Cell<u32> = const { Cell::new(0) });

fn sleep_in(s: &Scope, ns: i64) -> Outcome {
    let time = [0, ns];
    // SAFETY: the time outlives the call, which is answered before this returns or never moves.
    unsafe { s.call(libc::SYS_nanosleep as u32, [time.as_ptr() as usize, 0, 0, 0, 0, 0]) }
}

/// Begins a scope of its own, with a call that blocks.
extern "C" fn scope_in_handler(_: i32) {
    let thread = gettid();
    scope(|s| match (s.moves(), sleep_in(s, 200_000)) {
        (Err(Unavailable::InHandler), Outcome::Done(Ok(0))) => {
            assert_eq!(gettid(), thread);
            IN_HANDLER.set(IN_HANDLER.get() + 1);
        }
        // A handler that interrupts no scope has one like any other.
        (Ok(()), Outcome::Pending(_)) => drop(s.wait(1).count()),
        (Ok(()), Outcome::Done(_)) => (),
        other => panic!("{other:?}"),
    });
}

#[test]
fn a_handler_may_begin_a_scope_while_another_waits() {
    if skipped() {
        return;
    }
    handle(libc::SIGURG, scope_in_handler as *const () as usize, 0);
    let mut pipe = Pipe::new();
    let args = pipe.read();
    let home = gettid();
    scope(|s| {
        // SAFETY: the byte stays until the call is answered.
        assert!(matches!(unsafe { s.call(READ, args) }, Outcome::Pending(_)));
        while IN_HANDLER.get() < 20 {
            send(gettid(), libc::SIGURG);
            let waited = s.wait_at_most(1, Duration::from_millis(5)).count();
            assert_eq!(waited, 0);
            assert_ne!(mask() & 1 << (libc::SIGURG - 1), 0, "signals are held back again");
            let slept = sleep_in(s, 1_000_000);
            assert_eq!(common::finish(s, slept), Ok(0));
        }
        pipe.write(b'h');
        assert_eq!(s.wait(1).count(), 1);
    });
    assert_eq!(gettid(), home);
}

/// Handlers that begin scopes interrupt this thread wherever it is while it begins and ends its own.
fn handlers_everywhere() {
    handle(libc::SIGURG, scope_in_handler as *const () as usize, 0);
    let home = gettid();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            while !done.load(SeqCst) {
                send(home, libc::SIGURG);
                std::thread::sleep(Duration::from_micros(300));
            }
        });
        let end = Instant::now() + Duration::from_millis(1500);
        let mut pipe = Pipe::new();
        while Instant::now() < end {
            scope(|s| move_once(s, &mut pipe));
        }
        done.store(true, SeqCst);
    });
    assert_eq!(gettid(), home);
    scope(|s| move_once(s, &mut Pipe::new()));
}

#[test]
fn handlers_may_begin_scopes_anywhere() {
    if skipped() {
        return;
    }
    if let Some(output) = in_process(&[], "handlers_may_begin_scopes_anywhere", handlers_everywhere)
    {
        assert!(output.status.success(), "{}", said(&output));
    }
}

/// Calls that let signals through while they wait would have them handled by a thread that only finishes
/// them, beside the caller and with its storage.
fn calls_with_masks() {
    handle(libc::SIGALRM, handler as *const () as usize, 0);
    let pipe = Pipe::new();
    let mut poll = libc::pollfd { fd: pipe.end() as i32, events: libc::POLLIN, revents: 0 };
    let (open, home) = (0u64, gettid());
    scope(|s| {
        let args = [&raw mut poll as usize, 1, 0, &raw const open as usize, 8, 0];
        // SAFETY: what the call is given outlives the scope.
        let outcome = unsafe { s.call(libc::SYS_ppoll as u32, args) };
        send(home, libc::SIGALRM);
        let end = Instant::now() + Duration::from_millis(20);
        while Instant::now() < end {
            std::hint::spin_loop();
        }
        assert_eq!(HANDLED_HERE.get(), 0, "handled by {}", HANDLER_RAN_ON.load(SeqCst));
        assert_eq!(outcome, Outcome::Done(Err(Errno::EOPNOTSUPP)));
    });
    assert_eq!(HANDLED_HERE.get(), 1);
}

#[test]
fn calls_with_masks_are_refused() {
    if skipped() {
        return;
    }
    if let Some(output) = in_process(&[], "calls_with_masks_are_refused", calls_with_masks) {
        assert!(output.status.success(), "{}", said(&output));
    }
}
