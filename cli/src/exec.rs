//! Becoming another program, as env(1) does.

use std::ffi::{CString, OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::files::report::words;

/// sysring itself failed: env(1)'s exit status for that.
pub const FAILED: u8 = 125;
/// The program was found but could not be executed.
const CANNOT_EXECUTE: u8 = 126;
/// The program was not found.
const NOT_FOUND: u8 = 127;

/// A program to become.
pub struct Program {
    /// Searched for in `PATH`, unless it holds a slash.
    pub file: OsString,
    /// From the name that the program sees as its own.
    pub arguments: Vec<OsString>,
}

impl Program {
    /// The program that a command line names.
    pub fn new(command: &[OsString]) -> Self {
        Program { file: command[0].clone(), arguments: command.to_vec() }
    }
}

/// Replaces this process by the program. Returns only when that fails: what to exit with, after a
/// message that says why.
pub fn exec(program: &Program) -> u8 {
    let error = match try_exec(program) {
        Ok(never) => match never {},
        Err(error) => error,
    };
    tell!("sysring: {}: {}", program.file.display(), reason(&program.file, &error));
    if error.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { CANNOT_EXECUTE }
}

/// Why a file could not be executed, and what to do. The error alone says the same of a missing
/// script and of its missing interpreter, of a directory and of a file that may not be executed.
fn reason(file: &OsStr, error: &io::Error) -> String {
    let is_path = file.as_bytes().contains(&b'/');
    let status = fs::metadata(file);
    match error.kind() {
        io::ErrorKind::NotFound if is_path && status.is_ok() => {
            "the interpreter (after #!) or loader that it names is not there".to_owned()
        }
        io::ErrorKind::NotFound
            if !is_path && status.as_ref().is_ok_and(|status| status.is_file()) =>
        {
            format!("not found in PATH; for the file here, say ./{}", file.display())
        }
        io::ErrorKind::NotFound if !is_path => "not found in PATH".to_owned(),
        io::ErrorKind::PermissionDenied => match status {
            Ok(status) if status.is_dir() => "is a directory".to_owned(),
            Ok(status) if status.permissions().mode() & 0o111 == 0 => {
                "is not executable (chmod +x makes it so)".to_owned()
            }
            _ => words(error),
        },
        _ => words(error),
    }
}

fn try_exec(program: &Program) -> io::Result<std::convert::Infallible> {
    let file = CString::new(program.file.as_bytes())?;
    let arguments = program
        .arguments
        .iter()
        .map(|argument| CString::new(argument.as_bytes()))
        .collect::<Result<Vec<_>, _>>()?;
    let mut pointers: Vec<_> = arguments.iter().map(|argument| argument.as_ptr()).collect();
    pointers.push(ptr::null());

    if !SIGPIPE_WAS_IGNORED.load(Ordering::Relaxed) {
        // SAFETY: restores the default action; no handler of ours is involved.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    }
    // SAFETY: a null-terminated array of C strings, all alive until the call returns.
    unsafe { libc::execvp(file.as_ptr(), pointers.as_ptr()) };
    Err(io::Error::last_os_error())
}

/// Sets a variable for the program that [`exec`] starts.
pub fn set_environment(name: &str, value: impl AsRef<OsStr>) {
    // SAFETY: this program has one thread wherever it prepares another one.
    unsafe { std::env::set_var(name, value) };
}

/// Rust's runtime ignores SIGPIPE before `main`; the program must inherit what we were given.
static SIGPIPE_WAS_IGNORED: AtomicBool = AtomicBool::new(false);

#[used]
#[unsafe(link_section = ".init_array")]
static BEFORE_THE_RUNTIME: extern "C" fn() = {
    extern "C" fn remember_sigpipe() {
        // SAFETY: an all-zero sigaction is a valid one to be filled in.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        // SAFETY: asks for the action only, into a place of the right type.
        let asked = unsafe { libc::sigaction(libc::SIGPIPE, ptr::null(), &mut action) };
        let ignored = asked == 0 && action.sa_sigaction == libc::SIG_IGN;
        SIGPIPE_WAS_IGNORED.store(ignored, Ordering::Relaxed);
    }
    remember_sigpipe
};
