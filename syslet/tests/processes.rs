//! What `exit`, `fork`, `exec`, `setuid` and death do to a scope, and what locks and rings make of it
//! that know their owner by the kernel's name for it.

mod common;

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use common::{Pipe, READ, finish, gettid, in_process, move_once, said, skipped};
use sysring_syslet::attr::{Answers, Attribute, Path, Trace, Wanted};
use sysring_syslet::{Errno, Outcome, Unavailable, scope};

fn exits() {
    let mut pipe = Pipe::new();
    scope(|s| {
        move_once(s, &mut pipe);
        // SAFETY: the process ends before the byte does.
        assert!(matches!(unsafe { s.call(READ, pipe.read()) }, Outcome::Pending(_)));
        std::process::exit(7);
    });
}

#[test]
fn a_process_may_exit_with_calls_pending() {
    if skipped() {
        return;
    }
    if let Some(output) = in_process(&[], "a_process_may_exit_with_calls_pending", exits) {
        assert_eq!(output.status.code(), Some(7), "{}", said(&output));
    }
}

/// Runs `child` in a forked process; its exit status.
fn fork(child: impl FnOnce()) -> i32 {
    // SAFETY: the child does what one thread of a forked process may.
    status_of(unsafe { libc::fork() }, child)
}

/// The same in a process-id namespace of its own, where it is process 1.
fn fork_as_the_first(namespaces: i32, child: impl FnOnce()) -> i32 {
    let flags = libc::CLONE_NEWPID | namespaces | libc::SIGCHLD;
    // SAFETY: as by `fork`: no memory is shared, and no stack given.
    status_of(unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) } as i32, child)
}

/// In the child, which has 0, runs it; otherwise the child's exit status.
fn status_of(pid: i32, child: impl FnOnce()) -> i32 {
    if pid == 0 {
        let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(child)).is_err();
        // SAFETY: ends the child.
        unsafe { libc::_exit(i32::from(failed)) };
    }
    assert!(pid > 0, "{}", std::io::Error::last_os_error());
    let mut status = 0;
    // SAFETY: our child.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    status
}

fn forks_as_the_first() {
    let status = fork_as_the_first(as_root(), || {
        let mut pipe = Pipe::new();
        let args = pipe.read();
        scope(|s| {
            // SAFETY: the byte outlives the scope.
            let Outcome::Pending(id) = (unsafe { s.call(READ, args) }) else { panic!("has data") };
            let status = fork_as_the_first(0, || {
                assert_eq!(std::process::id(), 1);
                assert_eq!(s.moves(), Err(Unavailable::Forked));
                let done: Vec<_> = s.wait(1).collect();
                assert_eq!((done[0].id, done[0].result), (id, Err(Errno::ECANCELED)));
                let mut pipe = Pipe::new();
                scope(|own| {
                    assert_eq!(own.moves(), Ok(()));
                    (0..5).for_each(|_| move_once(own, &mut pipe));
                });
            });
            assert_eq!(status, 0, "the child failed");
            assert_eq!((std::process::id(), s.moves()), (1, Ok(())));
            pipe.write(b'f');
            assert_eq!(s.wait(1).map(|done| done.result).collect::<Vec<_>>(), [Ok(1)]);
        });
    });
    assert_eq!(status, 0, "the process that forks failed");
}

/// Whether this process may make a namespace of process ids.
fn makes_namespaces() -> bool {
    let user = if as_root() == 0 { &[][..] } else { &["--user"] };
    let made = Command::new("unshare").args(user).args(["--pid", "--fork", "true"]).output();
    made.is_ok_and(|made| made.status.success())
}

/// Who is not root is, in a user namespace: what else there is to be, then.
fn as_root() -> i32 {
    // SAFETY: no arguments.
    if unsafe { libc::geteuid() } == 0 { 0 } else { libc::CLONE_NEWUSER }
}

#[test]
fn a_child_may_have_its_parents_id() {
    if skipped() {
        return;
    }
    if !makes_namespaces() {
        println!("skipped: no namespace of process ids may be made here");
        return;
    }
    let name = "a_child_may_have_its_parents_id";
    if let Some(output) = in_process(&[], name, forks_as_the_first) {
        assert!(output.status.success(), "{}", said(&output));
    }
}

fn forks() {
    let mut pipes = [Pipe::new(), Pipe::new()];
    let args = pipes[0].read();
    scope(|s| {
        move_once(s, &mut pipes[1]);
        let wanted = Wanted::NONE.required(Path::MASK | Trace::MASK).with_trace(9);
        let mut answers = Answers::none();
        // SAFETY: the byte outlives the scope.
        let outcome = unsafe { s.call_with(READ, args, &wanted, &mut answers) };
        let Outcome::Pending(id) = outcome else { panic!("has data") };
        let status = fork(|| {
            assert_eq!(s.moves(), Err(Unavailable::Forked));
            let done: Vec<_> = s.wait(1).collect();
            assert_eq!((done[0].id, done[0].result), (id, Err(Errno::ECANCELED)));
            assert_eq!((done[0].handled(), done[0].attr()), (Trace::MASK, Some(Trace(9))));
            let mut answers = Answers::none();
            let getpid = libc::SYS_getpid as u32;
            // SAFETY: no addresses.
            let outcome = unsafe { s.call_with(getpid, [0; 6], &wanted, &mut answers) };
            assert_eq!(finish(s, outcome), Ok(std::process::id() as usize));
            assert_eq!(answers.get(), Some(Path::InPlace));
            // A scope of its own is a whole one.
            let here = gettid();
            scope(|own| {
                assert_eq!(own.moves(), Ok(()));
                (0..5).for_each(|_| move_once(own, &mut pipes[1]));
            });
            assert_eq!(gettid(), here);
        });
        assert_eq!(status, 0, "the child failed");
        pipes[0].write(b'f');
        assert_eq!(s.wait(1).map(|done| done.result).collect::<Vec<_>>(), [Ok(1)]);
    });
    // The whole scope of a child may be its parent's.
    let args = pipes[0].read();
    let stack = signal_stack();
    let mut status = None;
    scope(|s| {
        // SAFETY: as above.
        assert!(matches!(unsafe { s.call(READ, args) }, Outcome::Pending(_)));
        // SAFETY: the child goes on alone.
        let pid = unsafe { libc::fork() };
        if pid != 0 {
            pipes[0].write(b'g');
            let mut raw = 0;
            // SAFETY: our child.
            unsafe { libc::waitpid(pid, &raw mut raw, 0) };
            status = Some(raw);
        }
    });
    match status {
        // The child: its scope has ended without the call.
        // SAFETY: ends the child.
        None => unsafe { libc::_exit(if signal_stack() == stack { 33 } else { 34 }) },
        Some(status) => assert_eq!(status, 33 << 8, "the child failed"),
    }
}

/// Where this thread's signal handlers run that ask for a stack.
fn signal_stack() -> (usize, usize) {
    // SAFETY: the kernel writes the structure.
    unsafe {
        let mut stack: libc::stack_t = std::mem::zeroed();
        assert_eq!(libc::sigaltstack(std::ptr::null(), &raw mut stack), 0);
        (stack.ss_sp as usize, stack.ss_size)
    }
}

#[test]
fn a_child_goes_on_alone() {
    if skipped() {
        return;
    }
    if let Some(output) = in_process(&[], "a_child_goes_on_alone", forks) {
        assert!(output.status.success(), "{}", said(&output));
    }
}

#[test]
fn programs_are_started_inside() {
    if skipped() {
        return;
    }
    let mut pipe = Pipe::new();
    scope(|s| {
        for _ in 0..3 {
            move_once(s, &mut pipe);
            let output = Command::new("echo").arg("hello").output().unwrap();
            assert_eq!(output.stdout, b"hello\n");
        }
    });
}

fn changes_ids() {
    let mut pipe = Pipe::new();
    scope(|s| {
        move_once(s, &mut pipe);
        // SAFETY: numbers.
        assert_eq!(unsafe { libc::syscall(libc::SYS_setuid, 65_534) }, 0);
    });
    println!("went on");
}

#[test]
fn other_ids_end_the_process() {
    if skipped() {
        return;
    }
    // SAFETY: no arguments.
    if unsafe { libc::geteuid() } != 0 {
        println!("skipped: only root can change its ids");
        return;
    }
    if let Some(output) = in_process(&[], "other_ids_end_the_process", changes_ids) {
        assert_eq!(output.status.code(), Some(134), "{}", said(&output));
        assert!(said(&output).contains("ids were changed inside a scope"), "{}", said(&output));
        assert!(!said(&output).contains("went on"));
    }
}

/// A mutex of the C library's.
struct CMutex(*mut libc::pthread_mutex_t);

impl CMutex {
    /// In memory that a forked child shares.
    fn shared(prepare: impl FnOnce(*mut libc::pthread_mutexattr_t)) -> CMutex {
        // SAFETY: fresh memory, large enough, and attributes that are initialised.
        unsafe {
            let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
            let protection = libc::PROT_READ | libc::PROT_WRITE;
            let page = libc::mmap(std::ptr::null_mut(), 4096, protection, flags, -1, 0);
            assert_ne!(page, libc::MAP_FAILED);
            let mut attributes = std::mem::zeroed();
            libc::pthread_mutexattr_init(&raw mut attributes);
            prepare(&raw mut attributes);
            let mutex = page.cast();
            assert_eq!(libc::pthread_mutex_init(mutex, &raw const attributes), 0);
            CMutex(mutex)
        }
    }

    fn lock(&self) -> i32 {
        // SAFETY: initialised, and never unmapped.
        unsafe { libc::pthread_mutex_lock(self.0) }
    }

    fn unlock(&self) -> i32 {
        // SAFETY: as above.
        unsafe { libc::pthread_mutex_unlock(self.0) }
    }
}

// SAFETY: it is what a mutex is for.
unsafe impl Sync for CMutex {}

fn dies_with_a_robust_lock() {
    // SAFETY: attributes that are initialised.
    let mutex = CMutex::shared(|attributes| unsafe {
        libc::pthread_mutexattr_setpshared(attributes, libc::PTHREAD_PROCESS_SHARED);
        libc::pthread_mutexattr_setrobust(attributes, libc::PTHREAD_MUTEX_ROBUST);
    });
    let mut pipe = Pipe::new();
    for lock_at_home in [true, false] {
        let status = fork(|| {
            scope(|s| {
                if lock_at_home {
                    assert_eq!(mutex.lock(), 0);
                }
                move_once(s, &mut pipe);
                if !lock_at_home {
                    assert_eq!(mutex.lock(), 0);
                }
                move_once(s, &mut pipe);
                // SAFETY: ends the child.
                unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
            });
        });
        assert_eq!(libc::WTERMSIG(status), libc::SIGKILL);
        assert_eq!(mutex.lock(), libc::EOWNERDEAD);
        // SAFETY: we hold it.
        assert_eq!(unsafe { libc::pthread_mutex_consistent(mutex.0) }, 0);
        assert_eq!(mutex.unlock(), 0);
    }
}

#[test]
fn robust_locks_are_robust() {
    if skipped() {
        return;
    }
    if let Some(output) = in_process(&[], "robust_locks_are_robust", dies_with_a_robust_lock) {
        assert!(output.status.success(), "{}", said(&output));
    }
}

#[test]
fn locks_that_inherit_priority_work_at_home() {
    if skipped() {
        return;
    }
    // SAFETY: attributes that are initialised.
    let mutex = &CMutex::shared(|attributes| unsafe {
        assert_eq!(libc::pthread_mutexattr_setprotocol(attributes, libc::PTHREAD_PRIO_INHERIT), 0);
    });
    let (mut pipe, got) = (Pipe::new(), AtomicBool::new(false));
    std::thread::scope(|threads| {
        scope(|s| {
            move_once(s, &mut pipe);
            s.go_home();
            assert_eq!(mutex.lock(), 0);
            threads.spawn(|| {
                assert_eq!(mutex.lock(), 0);
                got.store(true, SeqCst);
                assert_eq!(mutex.unlock(), 0);
            });
            // Until it waits in the kernel, which then gives us its priority.
            while unlocked_or_without_waiters(mutex) {
                std::thread::yield_now();
            }
            assert!(!got.load(SeqCst));
            assert_eq!(mutex.unlock(), 0);
        });
    });
    assert!(got.load(SeqCst));
}

fn unlocked_or_without_waiters(mutex: &CMutex) -> bool {
    // SAFETY: the first word of glibc's mutex is its futex.
    unsafe { mutex.0.cast::<u32>().read_volatile() & libc::FUTEX_WAITERS == 0 }
}

#[test]
fn rings_of_one_issuer_know_their_thread() {
    if skipped() {
        return;
    }
    let nop = io_uring::opcode::Nop::new().build();
    let mut pipe = Pipe::new();
    let ring = io_uring::IoUring::<io_uring::squeue::Entry>::builder();
    let mut ring = match { ring }.setup_single_issuer().build(4) {
        Ok(ring) => ring,
        Err(error) => return println!("skipped: no io_uring of one issuer: {error}"),
    };
    scope(|s| {
        move_once(s, &mut pipe);
        // SAFETY: a NOP has no memory.
        unsafe { ring.submission().push(&nop).unwrap() };
        assert_eq!(ring.submit().unwrap_err().raw_os_error(), Some(libc::EEXIST));
        s.go_home();
        assert_eq!(ring.submit_and_wait(1).unwrap(), 1);
        assert_eq!(ring.completion().count(), 1);
    });
}

#[cfg(debug_assertions)]
fn holds_a_lock_that_inherits() {
    let mut pipe = common::Pipe::new();
    // SAFETY: the mutex is this frame's, and used by this thread alone.
    unsafe {
        let mut kind: libc::pthread_mutexattr_t = std::mem::zeroed();
        libc::pthread_mutexattr_init(&mut kind);
        libc::pthread_mutexattr_setrobust(&mut kind, libc::PTHREAD_MUTEX_ROBUST);
        let mut plain: libc::pthread_mutex_t = std::mem::zeroed();
        assert_eq!(libc::pthread_mutex_init(&mut plain, &kind), 0);
        libc::pthread_mutexattr_setprotocol(&mut kind, libc::PTHREAD_PRIO_INHERIT);
        let mut inherits: libc::pthread_mutex_t = std::mem::zeroed();
        assert_eq!(libc::pthread_mutex_init(&mut inherits, &kind), 0);
        scope(|s| {
            // A robust one may be held; one that inherits may not, wherever it is on the list.
            assert_eq!(libc::pthread_mutex_lock(&mut plain), 0);
            common::move_once(s, &mut pipe);
            s.go_home();
            assert_eq!(libc::pthread_mutex_lock(&mut inherits), 0);
            assert_eq!(libc::pthread_mutex_unlock(&mut inherits), 0);
            common::move_once(s, &mut pipe);
            println!("so far");
            s.go_home();
            assert_eq!(libc::pthread_mutex_lock(&mut inherits), 0);
            common::move_once(s, &mut pipe);
        });
    }
}

#[cfg(debug_assertions)]
#[test]
fn debug_builds_find_locks_that_inherit_priority() {
    if common::skipped() {
        return;
    }
    let test = "debug_builds_find_locks_that_inherit_priority";
    if let Some(output) = common::in_process(&[], test, holds_a_lock_that_inherits) {
        let said = common::said(&output);
        assert_eq!(output.status.code(), Some(134), "{said}");
        assert!(said.contains("so far") && said.contains("priority-inheriting lock"), "{said}");
    }
}
