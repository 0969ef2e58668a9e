//! Questions to the kernel that may kill whoever asks: a seccomp filter can answer any call with
//! a signal, so each is asked by a child.

use std::io;

/// What became of a question.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Answer {
    /// It was answered with this small number.
    Number(u8),
    /// This signal killed the child that asked.
    Killed(i32),
}

impl Answer {
    /// The answer of [`ask_errno`], as a result.
    pub fn errno(self) -> Result<(), Refusal> {
        match self {
            Answer::Number(0) => Ok(()),
            Answer::Number(errno) => Err(Refusal::Errno(errno.into())),
            Answer::Killed(signal) => Err(Refusal::Signal(signal)),
        }
    }
}

/// How a system call was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    Errno(i32),
    Signal(i32),
}

/// Asks `question` in a child. Only a process with one thread may: in the child every lock that
/// another thread held would stay locked.
pub fn ask(question: impl FnOnce() -> u8) -> io::Result<Answer> {
    // SAFETY: the child only runs `question` and leaves without running this process's exit
    // handlers.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            let no_core = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            // SAFETY: a limit of the child alone; reads a local.
            unsafe { libc::setrlimit(libc::RLIMIT_CORE, &no_core) };
            let answer = question();
            // SAFETY: ends the child.
            unsafe { libc::_exit(answer.into()) }
        }
        child => {
            let mut status = 0;
            // SAFETY: waits for the child made above, into a local.
            while unsafe { libc::waitpid(child, &mut status, 0) } < 0 {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
            Ok(if libc::WIFSIGNALED(status) {
                Answer::Killed(libc::WTERMSIG(status))
            } else {
                Answer::Number(libc::WEXITSTATUS(status) as u8)
            })
        }
    }
}

/// Asks a question whose answer is success or an errno.
pub fn ask_errno(question: impl FnOnce() -> Result<(), io::Error>) -> io::Result<Answer> {
    ask(|| match question() {
        Ok(()) => 0,
        // An error that is not the kernel's must not look like success.
        Err(error) => error.raw_os_error().and_then(|n| u8::try_from(n).ok()).unwrap_or(u8::MAX),
    })
}
