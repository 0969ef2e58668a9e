//! A program run to its end, with what it wrote and what it used.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::mem;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// How often a program that is asked for progress is asked.
const TICK: Duration = Duration::from_millis(100);

/// A run that has ended.
pub struct Ended {
    pub success: bool,
    pub stdout: String,
    pub stderr: String,
    /// User and system time of the program and its children.
    pub cpu_seconds: f64,
}

/// Runs `command` in `directory`. Its standard input gets a byte now and then, and each line of its
/// standard output goes to `line`.
pub fn run(
    command: &[impl AsRef<OsStr>],
    directory: &Path,
    mut line: impl FnMut(&str),
) -> io::Result<Ended> {
    let mut child = Command::new(&command[0])
        .args(&command[1..])
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let (Some(mut stdin), Some(stdout), Some(mut stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        unreachable!("all three are piped");
    };

    let (stop, stopped) = mpsc::channel::<()>();
    let ticker = thread::spawn(move || {
        while stopped.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
            if stdin.write_all(b".").is_err() {
                // The program does not listen, or has ended.
                break;
            }
        }
    });
    let errors = thread::spawn(move || {
        let mut text = Vec::new();
        stderr.read_to_end(&mut text).map(|_| String::from_utf8_lossy(&text).into_owned())
    });

    let mut output = String::new();
    for read in BufReader::new(stdout).lines() {
        let read = read?;
        line(&read);
        output.push_str(&read);
        output.push('\n');
    }
    let (status, cpu_seconds) = wait(child.id())?;
    drop(stop);
    let stderr = errors.join().unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))?;
    // The thread ends at its next tick; it has nothing to tell.
    let _ = ticker.join();
    Ok(Ended { success: status == 0, stdout: output, stderr, cpu_seconds })
}

/// Waits for a child; its status and the CPU time of it and all it waited for.
fn wait(child: u32) -> io::Result<(i32, f64)> {
    let mut status = 0;
    // SAFETY: an all-zero rusage is a valid one to be filled in.
    let mut usage: libc::rusage = unsafe { mem::zeroed() };
    // SAFETY: waits for a child of ours that nobody else waits for, into locals.
    while unsafe { libc::wait4(child as libc::pid_t, &mut status, 0, &mut usage) } < 0 {
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    Ok((status, seconds(usage.ru_utime) + seconds(usage.ru_stime)))
}
