//! Statically linked programs: no dynamic loader reads LD_PRELOAD for them, so the object itself
//! is executed, and loads them; also where they are what interprets a script.

use std::env;
use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use sysring_trap::exec::{self, LOAD, Load};

use crate::exec::Program;

/// The program that a command names, started so that the object at `object` gets into it.
pub fn program(command: &[OsString], object: &Path) -> Program {
    // What cannot be found or read here is left to execve(2), and to its errors.
    loaded(command, object).unwrap_or_else(|| Program::new(command))
}

fn loaded(command: &[OsString], object: &Path) -> Option<Program> {
    let path = find(&command[0])?;
    let Load { program, scripts } =
        exec::to_load(&CString::new(path.as_os_str().as_bytes()).ok()?)?;
    let mut load = LOAD.to_vec();
    load.extend_from_slice(program.raw().to_string().as_bytes());
    // As the kernel has it: each interpreter's path, its argument, and at last the script's path.
    let mut arguments = Vec::new();
    for script in scripts.inwards() {
        let script = script?;
        let words = [Some(script.interpreter()), script.argument()];
        arguments.extend(words.into_iter().flatten().map(|w| OsStr::from_bytes(w).to_owned()));
    }
    arguments.push(if arguments.is_empty() { command[0].clone() } else { path.clone().into() });
    arguments.splice(1..1, [OsString::from_vec(load), path.clone().into()]);
    arguments.extend_from_slice(&command[1..]);
    // The object finds the program by this descriptor, and closes it.
    // SAFETY: plain numbers; the descriptor is open.
    if unsafe { libc::fcntl(program.raw(), libc::F_SETFD, 0) } != 0 {
        return None;
    }
    Some(Program { file: object.into(), arguments })
}

/// Whether a command names a 32-bit program, into which the object cannot be loaded.
pub fn is_narrow(command: &[OsString]) -> bool {
    const ELF32: [u8; 5] = [0x7f, b'E', b'L', b'F', 1];
    let Some(path) = find(&command[0]) else { return false };
    let mut head = [0u8; ELF32.len()];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut head));
    read.is_ok() && head == ELF32
}

/// Finds a program as execvp(3) does.
fn find(name: &OsStr) -> Option<PathBuf> {
    if name.as_bytes().contains(&b'/') {
        return Some(name.into());
    }
    let path = env::var_os("PATH").unwrap_or_else(|| "/bin:/usr/bin".into());
    env::split_paths(&path).map(|directory| directory.join(name)).find(|candidate| {
        candidate.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
    })
}
