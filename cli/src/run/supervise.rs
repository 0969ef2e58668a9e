//! A program run as a child, so that something can be said when it has ended.

use std::io;
use std::mem;
use std::process::{self, ExitCode};
use std::ptr;

use crate::exec::{self, Program};

/// How the program ended.
#[derive(Clone, Copy, Debug)]
pub enum End {
    Exited(u8),
    Killed(i32),
}

/// Signals that ask a program for something. They reach `sysring` because whoever started it knows
/// only its process id, so they are passed on.
const PASSED_ON: &[i32] = &[
    libc::SIGALRM,
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGTERM,
    libc::SIGURG,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGWINCH,
];

/// Runs the program to its end.
pub fn run(program: &Program) -> io::Result<End> {
    let watched = set_of(PASSED_ON.iter().copied().chain([libc::SIGCHLD]));
    let before = block(&watched)?;
    // SAFETY: restores the default action. Where SIGCHLD is ignored, children leave no status.
    let children = unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
    // SAFETY: this process has one thread, so the child is a whole copy of it.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            set_mask(&before);
            // SAFETY: gives back the action that the program would have inherited.
            unsafe { libc::signal(libc::SIGCHLD, children) };
            process::exit(exec::exec(program).into())
        }
        child => wait(child, &watched),
    }
}

fn wait(child: libc::pid_t, watched: &libc::sigset_t) -> io::Result<End> {
    loop {
        if let Some(end) = reap(child)? {
            return Ok(end);
        }
        // SAFETY: an all-zero siginfo is a valid one to be filled in.
        let mut info: libc::siginfo_t = unsafe { mem::zeroed() };
        // SAFETY: both point to values of the right type.
        let signal = unsafe { libc::sigwaitinfo(watched, &mut info) };
        // The terminal sends its signals to the whole foreground group: the child has it already.
        if signal > 0 && signal != libc::SIGCHLD && info.si_code != libc::SI_KERNEL {
            // SAFETY: plain numbers; the child is not reaped yet, so the id is still its own.
            unsafe { libc::kill(child, signal) };
        }
    }
}

fn reap(child: libc::pid_t) -> io::Result<Option<End>> {
    let mut status = 0;
    // SAFETY: waits for a child of ours, into a local.
    match unsafe { libc::waitpid(child, &mut status, libc::WNOHANG) } {
        0 => Ok(None),
        reaped if reaped < 0 => Err(io::Error::last_os_error()),
        _ if libc::WIFSIGNALED(status) => Ok(Some(End::Killed(libc::WTERMSIG(status)))),
        _ => Ok(Some(End::Exited(libc::WEXITSTATUS(status) as u8))),
    }
}

impl End {
    /// Ends this process as the program did.
    pub fn pass_on(self) -> ExitCode {
        let signal = match self {
            End::Exited(code) => return ExitCode::from(code),
            End::Killed(signal) => signal,
        };
        let no_core = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: the program has dumped core if it was to; a core of this process is of no use.
        unsafe { libc::setrlimit(libc::RLIMIT_CORE, &no_core) };
        // SAFETY: restores the default action; no handler of ours is involved.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
        // SAFETY: plain numbers. The signal may be blocked, and is taken below.
        unsafe { libc::raise(signal) };
        set_mask(&set_of([]));
        // Only a signal that does not kill comes here.
        ExitCode::from(128u8.wrapping_add(signal as u8))
    }
}

fn set_of(signals: impl IntoIterator<Item = i32>) -> libc::sigset_t {
    // SAFETY: an all-zero set is a valid one to be emptied.
    let mut set: libc::sigset_t = unsafe { mem::zeroed() };
    // SAFETY: a local of the right type.
    unsafe { libc::sigemptyset(&mut set) };
    for signal in signals {
        // SAFETY: a local of the right type; the number is a signal's.
        unsafe { libc::sigaddset(&mut set, signal) };
    }
    set
}

/// Blocks a set of signals; the mask as it was.
fn block(set: &libc::sigset_t) -> io::Result<libc::sigset_t> {
    let mut before = set_of([]);
    // SAFETY: both point to sets.
    if unsafe { libc::sigprocmask(libc::SIG_BLOCK, set, &mut before) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(before)
}

fn set_mask(mask: &libc::sigset_t) {
    // SAFETY: points to a set; the old one is not asked for.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, mask, ptr::null_mut()) };
}
