//! What a scope does with calls, and what stays as it was when the thread under it changes.

mod common;

use std::arch::asm;
use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::ptr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use common::{Pipe, READ, finish, gettid, move_once, skipped};
use sysring_syslet::{Builder, Errno, Outcome, Unavailable, refuses, scope};

const GETPID: u32 = libc::SYS_getpid as u32;
const CLOSE: u32 = libc::SYS_close as u32;

#[test]
fn a_call_that_blocks_is_left_behind_and_the_scope_ends_at_home() {
    if skipped() {
        return;
    }
    let home = gettid();
    let mut pipe = Pipe::new();
    scope(|s| {
        assert_eq!(s.moves(), Ok(()));
        for _ in 0..100 {
            move_once(s, &mut pipe);
        }
        assert_eq!(s.pending(), 0);
    });
    assert_eq!(gettid(), home);
}

#[test]
fn results_are_the_kernels() {
    scope(|s| {
        // SAFETY: no addresses.
        let (pid, bad) = unsafe {
            let pid = finish(s, s.call(GETPID, [0; 6]));
            (pid, finish(s, s.call(CLOSE, [usize::MAX, 0, 0, 0, 0, 0])))
        };
        assert_eq!(pid, Ok(std::process::id() as usize));
        assert_eq!(bad, Err(Errno::EBADF));
        // SAFETY: the kernel checks the address; there is no call of that number.
        let (fault, none) = unsafe {
            let fault = finish(s, s.call(libc::SYS_stat as u32, [1, 2, 0, 0, 0, 0]));
            (fault, finish(s, s.call(100_000, [0; 6])))
        };
        assert_eq!(fault, Err(Errno::EFAULT));
        assert_eq!(none, Err(Errno::ENOSYS));
    });
}

#[test]
fn all_six_arguments_arrive() {
    // SAFETY: an anonymous mapping of a page, and its end.
    scope(|s| unsafe {
        let args = [0, 4096, 3, 0x22, usize::MAX, 0];
        let page = finish(s, s.call(libc::SYS_mmap as u32, args)).unwrap();
        (page as *mut u8).write(7);
        assert_eq!(finish(s, s.call(libc::SYS_munmap as u32, [page, 4096, 0, 0, 0, 0])), Ok(0));
    });
}

#[test]
fn results_wait_for_who_asks_and_come_in_order() {
    if skipped() {
        return;
    }
    let mut pipes: Vec<Pipe> = (0..5).map(|_| Pipe::new()).collect();
    scope(|s| {
        let mut ids = Vec::new();
        for pipe in &mut pipes {
            // SAFETY: the bytes stay until all is answered.
            match unsafe { s.call(READ, pipe.read()) } {
                Outcome::Pending(id) => ids.push(id),
                done @ Outcome::Done(_) => panic!("{done:?}"),
            }
        }
        assert_eq!(s.pending(), 5);
        assert_eq!(s.wait(0).count(), 0);
        assert_eq!(s.wait_at_most(1, Duration::from_millis(2)).count(), 0);
        for i in [3, 1] {
            pipes[i].write(i as u8);
            assert_eq!(s.wait(1).map(|done| done.id).collect::<Vec<_>>(), [ids[i]]);
        }
        assert_eq!(s.pending(), 3);
        [0, 2, 4].iter().for_each(|&i| pipes[i].write(i as u8));
        // Two are waited for; those that are not taken stay.
        assert!(s.wait(2).next().is_some());
        let rest: HashSet<_> = s.wait(99).map(|done| done.id).collect();
        assert_eq!(rest.len(), 2);
        assert_eq!(s.pending(), 0);
        assert_eq!(s.wait(7).count(), 0);
    });
    assert_eq!(pipes.iter().map(|pipe| pipe.byte[0]).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
}

#[test]
fn a_scope_ends_when_its_calls_have() {
    let mut pipe = Pipe::new();
    let args = pipe.read();
    let written = AtomicBool::new(false);
    let late = std::thread::scope(|threads| {
        threads.spawn(|| {
            std::thread::sleep(Duration::from_millis(30));
            written.store(true, SeqCst);
            pipe.write(b'z');
        });
        // SAFETY: the byte outlives the scope.
        scope(|s| _ = unsafe { s.call(READ, args) });
        written.load(SeqCst)
    });
    assert!(late, "the scope ended before its call");
    assert_eq!(*pipe.byte, [b'z']);
}

#[test]
fn beyond_the_limit_calls_are_waited_for() {
    if skipped() {
        return;
    }
    let mut pipes: Vec<Pipe> = (0..4).map(|_| Pipe::new()).collect();
    Builder::new().limit(3).scope(|s| {
        for pipe in &mut pipes[..3] {
            // SAFETY: the bytes stay until all is answered.
            assert!(matches!(unsafe { s.call(READ, pipe.read()) }, Outcome::Pending(_)));
        }
        let last = pipes[3].read();
        let pipes = &pipes;
        std::thread::scope(|threads| {
            threads.spawn(|| {
                std::thread::sleep(Duration::from_millis(20));
                // The end of another call makes room: this one is left behind, too.
                pipes[0].write(b'0');
            });
            // SAFETY: as above.
            let outcome = unsafe { s.call(READ, last) };
            assert!(matches!(outcome, Outcome::Pending(_)), "{outcome:?}");
            assert_eq!(s.wait(1).count(), 1);
        });
        [1, 2, 3].iter().for_each(|&i| pipes[i].write(b'x'));
        assert_eq!(s.wait(3).count(), 3);
    });
}

#[test]
fn more_results_than_there_are_places_at_first() {
    if skipped() {
        return;
    }
    scope(|s| {
        let time = libc::timespec { tv_sec: 0, tv_nsec: 50_000 };
        let mut pending = HashSet::new();
        for _ in 0..2000 {
            let args = [&raw const time as usize, 0, 0, 0, 0, 0];
            // SAFETY: the time stays until all is answered.
            match unsafe { s.call(libc::SYS_nanosleep as u32, args) } {
                Outcome::Pending(id) => assert!(pending.insert(id)),
                Outcome::Done(result) => assert_eq!(result, Ok(0)),
            }
        }
        assert_eq!(s.pending(), pending.len());
        for done in s.wait(pending.len()) {
            assert_eq!(done.result, Ok(0));
            assert!(pending.remove(&done.id), "{done:?} came twice");
        }
        assert!(pending.is_empty());
    });
}

#[test]
fn thread_local_storage_errno_and_rounding_go_with_the_caller() {
    thread_local! {
        static COUNT: Cell<u32> = const { Cell::new(0) };
        static LIST: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    }
    if skipped() {
        return;
    }
    let who = std::thread::current().id();
    let mut pipe = Pipe::new();
    // SAFETY: errno's place in this thread, and control words that are put back.
    unsafe {
        let errno = libc::__errno_location();
        let (mxcsr, cw) = control_words();
        set_control_words(mxcsr | 0x6000, cw | 0x0c00);
        let towards_zero = control_words();
        scope(|s| {
            for i in 0..50 {
                *errno = 77;
                COUNT.set(COUNT.get() + 1);
                LIST.with_borrow_mut(|list| list.push(i.to_string()));
                move_once(s, &mut pipe);
                assert_eq!(control_words(), towards_zero);
                assert_eq!(std::thread::current().id(), who);
                assert!(ptr::eq(libc::__errno_location(), errno));
                assert_eq!(libc::close(-1), -1);
                assert_eq!(*errno, libc::EBADF);
            }
        });
        set_control_words(mxcsr, cw);
    }
    assert_eq!(COUNT.get(), 50);
    assert_eq!(LIST.with_borrow(Vec::len), 50);
}

unsafe fn control_words() -> (u32, u16) {
    let (mut mxcsr, mut cw) = (0u32, 0u16);
    // SAFETY: stores two words.
    unsafe { asm!("stmxcsr [{}]", "fnstcw [{}]", in(reg) &raw mut mxcsr, in(reg) &raw mut cw) };
    (mxcsr & !0x3f, cw)
}

unsafe fn set_control_words(mxcsr: u32, cw: u16) {
    // SAFETY: loads two words; the caller puts them back.
    unsafe { asm!("ldmxcsr [{}]", "fldcw [{}]", in(reg) &raw const mxcsr, in(reg) &raw const cw) };
}

#[test]
fn locks_are_held_across_a_move() {
    if skipped() {
        return;
    }
    let lock = Mutex::new(0);
    let mut pipe = Pipe::new();
    std::thread::scope(|threads| {
        scope(|s| {
            let mut held = lock.lock().unwrap();
            let other = threads.spawn(|| {
                assert!(lock.try_lock().is_err());
                *lock.lock().unwrap() += 1;
            });
            for _ in 0..3 {
                move_once(s, &mut pipe);
            }
            *held = 10;
            drop(held);
            other.join().unwrap();
        });
    });
    assert_eq!(lock.into_inner().unwrap(), 11);
}

#[test]
fn locks_that_know_their_owner_know_him_after_a_move() {
    if skipped() {
        return;
    }
    let mut pipe = Pipe::new();
    for kind in [libc::PTHREAD_MUTEX_RECURSIVE, libc::PTHREAD_MUTEX_ERRORCHECK] {
        // SAFETY: a mutex of this frame's, and stdio's.
        scope(|s| unsafe {
            let mut attributes = std::mem::zeroed();
            libc::pthread_mutexattr_init(&raw mut attributes);
            libc::pthread_mutexattr_settype(&raw mut attributes, kind);
            let mut mutex = std::mem::zeroed();
            libc::pthread_mutex_init(&raw mut mutex, &raw const attributes);
            assert_eq!(libc::pthread_mutex_lock(&raw mut mutex), 0);
            move_once(s, &mut pipe);
            let again = libc::pthread_mutex_lock(&raw mut mutex);
            if kind == libc::PTHREAD_MUTEX_RECURSIVE {
                assert_eq!((again, libc::pthread_mutex_unlock(&raw mut mutex)), (0, 0));
            } else {
                assert_eq!(again, libc::EDEADLK);
            }
            assert_eq!(libc::pthread_mutex_unlock(&raw mut mutex), 0);
        });
    }
}

#[test]
fn the_c_librarys_own_locks_and_heaps_do_not_notice() {
    unsafe extern "C" {
        static mut stderr: *mut libc::FILE;
        fn flockfile(file: *mut libc::FILE);
        fn ftrylockfile(file: *mut libc::FILE) -> i32;
        fn funlockfile(file: *mut libc::FILE);
    }
    if skipped() {
        return;
    }
    let mut pipe = Pipe::new();
    let mut kept: Vec<Vec<u8>> = Vec::new();
    // SAFETY: stdio's own lock, taken and given back by one logical thread.
    scope(|s| unsafe {
        flockfile(stderr);
        for i in 0..200usize {
            kept.push(vec![i as u8; i * 97 % 5000]);
            move_once(s, &mut pipe);
            if i % 3 == 0 {
                kept.swap_remove(i * 7 % kept.len());
            }
        }
        assert_eq!(ftrylockfile(stderr), 0, "a recursive lock of its owner's");
        funlockfile(stderr);
        let elsewhere = std::thread::spawn(|| ftrylockfile(stderr));
        assert_ne!(elsewhere.join().unwrap(), 0, "held by us");
        funlockfile(stderr);
    });
    assert!(kept.iter().all(|block| block.iter().all(|&byte| byte == block[0])));
}

#[test]
fn scopes_nest() {
    if skipped() {
        return;
    }
    let home = gettid();
    let mut pipes: Vec<Pipe> = (0..4).map(|_| Pipe::new()).collect();
    scope(|outer| {
        // SAFETY: the bytes stay until all is answered.
        let call = |s: &sysring_syslet::Scope, args| match unsafe { s.call(READ, args) } {
            Outcome::Pending(id) => id,
            done @ Outcome::Done(_) => panic!("{done:?}"),
        };
        let first = call(outer, pipes[0].read());
        scope(|inner| {
            let theirs = call(inner, pipes[1].read());
            // The outer one may be used meanwhile.
            let second = call(outer, pipes[2].read());
            pipes[2].write(b'o');
            pipes[1].write(b'i');
            assert_eq!(inner.wait(1).map(|done| done.id).collect::<Vec<_>>(), [theirs]);
            assert_eq!(outer.wait(1).map(|done| done.id).collect::<Vec<_>>(), [second]);
            Builder::new().moves(false).scope(|deep| {
                assert_eq!(deep.moves(), Err(Unavailable::NotWanted));
            });
            // Left for the inner scope's end.
            call(inner, pipes[3].read());
            pipes[3].write(b'e');
        });
        assert_eq!(*pipes[3].byte, [b'e']);
        assert_eq!(outer.pending(), 1);
        pipes[0].write(b'f');
        assert_eq!(outer.wait(1).map(|done| done.id).collect::<Vec<_>>(), [first]);
    });
    assert_eq!(gettid(), home);
}

#[test]
fn the_caller_can_go_home_in_between() {
    if skipped() {
        return;
    }
    let home = gettid();
    let mut pipe = Pipe::new();
    scope(|s| {
        s.go_home();
        for _ in 0..100 {
            move_once(s, &mut pipe);
            assert_ne!(gettid(), home);
            s.go_home();
            assert_eq!(gettid(), home);
        }
    });
}

/// Newer than what libc knows.
const LSM_SET_SELF_ATTR: i64 = 460;
#[cfg(target_arch = "x86_64")]
const IO_PGETEVENTS: i64 = 333;
#[cfg(target_arch = "aarch64")]
const IO_PGETEVENTS: i64 = 292;
/// The bit of x32's numbers, and one that it has for itself.
const X32: i64 = 1 << 30;
const X32_EXECVE: i64 = X32 | 520;

#[test]
fn calls_that_would_change_the_thread_are_refused() {
    let refused = [
        libc::SYS_exit,
        libc::SYS_exit_group,
        libc::SYS_fork,
        libc::SYS_vfork,
        libc::SYS_clone,
        libc::SYS_clone3,
        libc::SYS_execve,
        libc::SYS_rt_sigreturn,
        libc::SYS_rt_sigprocmask,
        libc::SYS_sigaltstack,
        libc::SYS_arch_prctl,
        libc::SYS_prctl,
        libc::SYS_set_robust_list,
        libc::SYS_rseq,
        libc::SYS_setuid,
        libc::SYS_setresgid,
        libc::SYS_unshare,
        libc::SYS_setns,
        libc::SYS_seccomp,
        libc::SYS_keyctl,
        libc::SYS_add_key,
        libc::SYS_request_key,
        LSM_SET_SELF_ATTR,
        X32 | libc::SYS_fork,
        X32_EXECVE,
        libc::SYS_sched_setaffinity,
        libc::SYS_setpriority,
        libc::SYS_ioprio_set,
    ];
    scope(|s| {
        for number in refused {
            // SAFETY: refused before the kernel sees it.
            let outcome = unsafe { s.call(number as u32, [0; 6]) };
            assert_eq!(outcome, Outcome::Done(Err(Errno::EOPNOTSUPP)), "call {number}");
        }
        let word = 0u32;
        for op in [libc::FUTEX_LOCK_PI, libc::FUTEX_UNLOCK_PI | libc::FUTEX_PRIVATE_FLAG] {
            let args = [&raw const word as usize, op as usize, 0, 0, 0, 0];
            // SAFETY: as above.
            let outcome = unsafe { s.call(libc::SYS_futex as u32, args) };
            assert_eq!(outcome, Outcome::Done(Err(Errno::EOPNOTSUPP)));
        }
        let args = [&raw const word as usize, libc::FUTEX_WAKE as usize, 1, 0, 0, 0];
        // SAFETY: wakes nobody.
        assert_eq!(finish(s, unsafe { s.call(libc::SYS_futex as u32, args) }), Ok(0));
    });
    // Meant for another thread, it is that one's business.
    assert!(!refuses(libc::SYS_setpriority as u32, &[0, 4711, 0, 0, 0, 0]));
    assert!(!refuses(u32::MAX, &[0; 6]));
}

#[test]
fn calls_are_refused_that_bring_a_mask() {
    let (ext_arg, number) = (1 << 3, libc::SYS_io_uring_enter);
    let calls = [
        (libc::SYS_ppoll, 3),
        (libc::SYS_pselect6, 5),
        (libc::SYS_epoll_pwait, 4),
        (libc::SYS_epoll_pwait2, 4),
        (IO_PGETEVENTS, 5),
        (number, 4),
    ];
    for (number, argument) in calls {
        let mut args = [0; 6];
        assert!(!refuses(number as u32, &args), "call {number}");
        args[argument] = 4096;
        assert!(refuses(number as u32, &args), "call {number}");
    }
    // That is no mask, but a structure of which one is a part.
    assert!(!refuses(number as u32, &[0, 0, 0, ext_arg, 4096, 24]));
}

#[test]
fn without_moves_calls_run_to_their_end() {
    let home = gettid();
    let mut pipe = Pipe::new();
    Builder::new().moves(false).scope(|s| {
        assert_eq!(s.moves(), Err(Unavailable::NotWanted));
        let args = pipe.read();
        std::thread::scope(|threads| {
            threads.spawn(|| {
                std::thread::sleep(Duration::from_millis(10));
                pipe.write(b'w');
            });
            // SAFETY: the byte is there until the call is over, which is now.
            assert_eq!(unsafe { s.call(READ, args) }, Outcome::Done(Ok(1)));
        });
        assert_eq!(gettid(), home);
        assert_eq!(s.wait(5).count(), 0);
    });
}

#[test]
fn the_mode_of_one_processor_does_the_same() {
    if skipped() {
        return;
    }
    let home = gettid();
    let mut pipe = Pipe::new();
    // SAFETY: nothing here changes the processors of threads.
    let local = unsafe { Builder::new().cpu_local() };
    local.scope(|s| {
        for i in 0..200 {
            // SAFETY: no addresses.
            let pid = finish(s, unsafe { s.call(GETPID, [0; 6]) });
            assert_eq!(pid, Ok(std::process::id() as usize));
            if i % 4 == 0 {
                move_once(s, &mut pipe);
            }
        }
    });
    assert_eq!(gettid(), home);
}
