//! Children and futexes.

use std::mem::MaybeUninit;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use sysring::sys::abi::FutexWaitv;
use sysring::{Engine, Errno, Wait, op};

use crate::common::{both, knows, ring, run};

#[test]
fn a_child_ends() {
    both(|engine| {
        let mut ring = ring(engine);
        if !knows(&ring, op::WaitId::CODE) {
            return;
        }
        let mut child = Command::new("sh").args(["-c", "exit 7"]).spawn().unwrap();
        let id = child.id() as i32;
        let options = libc::WEXITED as u32;
        let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
        let wait = op::WaitId::new(libc::P_PID, id, options).info(info.as_mut_ptr().cast());
        assert_eq!(run(&mut ring, wait), Ok(0));
        // SAFETY: filled for a child.
        let (info, status) = unsafe { (info.assume_init(), info.assume_init().si_status()) };
        assert_eq!((info.si_signo, info.si_code, status), (libc::SIGCHLD, libc::CLD_EXITED, 7));
        assert_eq!(run(&mut ring, wait), Err(Errno::ECHILD));
        assert_eq!(run(&mut ring, op::WaitId::new(libc::P_PID, id, 0)), Err(Errno::EINVAL));
        assert!(child.wait().is_err());
    });
}

#[test]
fn words_are_waited_for() {
    both(|engine| {
        let mut ring = ring(engine);
        if !knows(&ring, op::FutexWait::CODE) {
            return;
        }
        let words = [AtomicU32::new(1), AtomicU32::new(2)];
        let [word, other] = &words;
        assert_eq!(run(&mut ring, op::FutexWait::new(word, 0)), Err(Errno::EAGAIN));
        assert_eq!(run(&mut ring, op::FutexWake::new(word, 1)), Ok(0));
        assert_eq!(run(&mut ring, op::FutexWait::new(word, 1).mask(0)), Err(Errno::EINVAL));

        let wait = op::FutexWait::new(word, 1).mask(6).build().user_data(1);
        // SAFETY: the word outlives the wait, which is waited for.
        unsafe { ring.push(wait) }.unwrap();
        assert_eq!(ring.submit(), Ok(1));
        // Another bit, another kind of memory: they do not meet.
        assert_eq!(run(&mut ring, op::FutexWake::new(word, 1).mask(8)), Ok(0));
        assert_eq!(run(&mut ring, op::FutexWake::new(word, 1).shared()), Ok(0));
        let wake = op::FutexWake::new(word, 1).mask(2).build().user_data(2);
        // SAFETY: a wake only names the word.
        unsafe { ring.push(wake) }.unwrap();
        assert_eq!(ring.submit_and_wait(2), Ok(1));
        let mut seen: Vec<_> = ring.completions().map(|c| (c.user_data(), c.result())).collect();
        seen.sort_by_key(|completion| completion.0);
        assert_eq!(seen, [(1, Ok(0)), (2, Ok(1))]);

        let entry = |of: &AtomicU32, value| FutexWaitv {
            val: value,
            uaddr: std::ptr::from_ref(of) as u64,
            flags: 2 | 128,
            __reserved: 0,
        };
        let vector = [entry(word, 1), entry(other, 2)];
        let wait = op::FutexWaitV::new(vector.as_ptr(), 2).build().user_data(3);
        // SAFETY: as above.
        unsafe { ring.push(wait) }.unwrap();
        assert_eq!(ring.submit(), Ok(1));
        other.store(3, Ordering::Relaxed);
        let wake = op::FutexWake::new(other, 1).build().user_data(4);
        // SAFETY: as above.
        unsafe { ring.push(wake) }.unwrap();
        assert_eq!(ring.submit_and_wait(2), Ok(1));
        let mut seen: Vec<_> = ring.completions().map(|c| (c.user_data(), c.result())).collect();
        seen.sort_by_key(|completion| completion.0);
        if seen[0].1 == Err(Errno::EOPNOTSUPP) {
            // The engine needs the call, which came with Linux 5.16.
            return println!("skipped: there is no futex_waitv(2) here");
        }
        assert_eq!(seen, [(3, Ok(1)), (4, Ok(1))]);
        let changed = op::FutexWaitV::new(vector.as_ptr(), 2);
        assert_eq!(run(&mut ring, changed), Err(Errno::EAGAIN));
    });
}

/// The kernel lets it go on; the engine's part of it was in the child.
#[test]
fn what_a_child_has_under_way_ends_with_it() {
    let mut ring = ring(Engine::User);
    let (reader, _writer) = std::io::pipe().unwrap();
    let poll = op::PollAdd::new(&reader, libc::POLLIN as u32).build().user_data(7);
    // SAFETY: the child makes system calls, and exits.
    match unsafe { libc::fork() } {
        0 => {
            // SAFETY: names no memory.
            let pushed = unsafe { ring.push(poll) }.is_ok();
            let submitted = ring.submit() == Ok(1);
            // SAFETY: the end of the child, as of any program.
            unsafe { libc::exit(if pushed && submitted { 0 } else { 1 }) }
        }
        child => {
            let mut status = -1;
            // SAFETY: room for the status.
            assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
            assert_eq!(status, 0);
        }
    }
    let wait = Wait::at_least(1).timeout(std::time::Duration::from_secs(20));
    ring.wait(&wait).unwrap();
    let completion = ring.completion().unwrap();
    assert_eq!((completion.user_data(), completion.result()), (7, Err(Errno::ECANCELED)));
}
