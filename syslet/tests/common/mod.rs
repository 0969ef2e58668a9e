//! What the tests have in common: pipes, and calls that certainly block.
#![allow(dead_code, reason = "every test program uses a part")]

use std::io;
use std::process::{Command, Output};

use sysring_syslet::{Outcome, Result, Scope};

/// Tells that a test cannot run here, where contexts cannot be moved.
pub fn skipped() -> bool {
    let Err(why) = sysring_syslet::scope(|s| s.moves()) else { return false };
    println!("skipped: {why}");
    true
}

/// The kernel's word on who we are.
pub fn gettid() -> i32 {
    // SAFETY: no arguments.
    unsafe { libc::syscall(libc::SYS_gettid) as i32 }
}

/// A pipe that is empty when a test reads from it.
pub struct Pipe {
    fds: [i32; 2],
    pub byte: Box<[u8; 1]>,
}

impl Pipe {
    pub fn new() -> Pipe {
        let mut fds = [0; 2];
        // SAFETY: room for two.
        assert_eq!(unsafe { libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC) }, 0);
        Pipe { fds, byte: Box::new([0]) }
    }

    /// The arguments of a read of one byte, which blocks.
    pub fn read(&mut self) -> [usize; 6] {
        [self.fds[0] as usize, self.byte.as_mut_ptr() as usize, 1, 0, 0, 0]
    }

    /// The descriptor that is read from.
    pub fn end(&self) -> usize {
        self.fds[0] as usize
    }

    pub fn write(&self, byte: u8) {
        // SAFETY: one byte of ours.
        let written = unsafe { libc::write(self.fds[1], (&raw const byte).cast(), 1) };
        assert_eq!(written, 1, "{}", io::Error::last_os_error());
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        // SAFETY: our own.
        self.fds.iter().for_each(|&fd| unsafe { _ = libc::close(fd) });
    }
}

pub const READ: u32 = libc::SYS_read as u32;

/// Leaves a call behind and has it answered: afterwards the context is on another thread.
pub fn move_once(scope: &Scope, pipe: &mut Pipe) {
    let before = gettid();
    // SAFETY: the byte stays until the call is answered, below.
    let outcome = unsafe { scope.call(READ, pipe.read()) };
    let Outcome::Pending(id) = outcome else { panic!("an empty pipe: {outcome:?}") };
    assert_ne!(gettid(), before, "the thread has not changed");
    pipe.write(b'x');
    let done: Vec<_> = scope.wait(1).collect();
    assert_eq!(done.len(), 1);
    assert_eq!((done[0].id, done[0].result), (id, Ok(1)));
    assert_eq!(*pipe.byte, [b'x']);
}

/// The result of a call that may or may not have blocked.
pub fn finish(scope: &Scope, outcome: Outcome) -> Result<usize> {
    match outcome {
        Outcome::Done(result) => result,
        Outcome::Pending(id) => {
            let done: Vec<_> = scope.wait(1).collect();
            assert_eq!(done.iter().map(|done| done.id).collect::<Vec<_>>(), [id]);
            done[0].result
        }
    }
}

/// What a test program is told when it is started again to be the process that a test is about.
const PART: &str = "SYSRING_SYSLET_PART";

/// Runs `part` in a process of its own, which is started under `wrapper`.
pub fn in_process(wrapper: &[&str], test: &str, part: fn()) -> Option<Output> {
    if std::env::var(PART).as_deref() == Ok(test) {
        part();
        return None;
    }
    let me = std::env::current_exe().unwrap();
    let mut command = match wrapper {
        [] => Command::new(me),
        [program, args @ ..] => {
            let mut command = Command::new(program);
            command.args(args).arg(me);
            command
        }
    };
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]).env(PART, test);
    Some(command.output().unwrap())
}

/// What it said, for the message of a failed assertion.
pub fn said(output: &Output) -> String {
    format!(
        "{}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
