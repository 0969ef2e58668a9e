//! Statically linked programs: no dynamic loader reads LD_PRELOAD for them, so the object itself
//! is executed, and loads them.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, IntoRawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};

use sysring_trap::exec::LOAD;

use crate::exec::Program;

/// The program that a command names, started so that the object at `object` gets into it.
pub fn program(command: &[OsString], object: &Path) -> Program {
    // What cannot be found or read here is left to execve(2), and to its errors.
    statically_linked(command, object).unwrap_or_else(|| Program::new(command))
}

fn statically_linked(command: &[OsString], object: &Path) -> Option<Program> {
    let path = find(&command[0])?;
    let file = File::open(&path).ok()?;
    if !needs_no_loader(&file).ok()? {
        return None;
    }
    // The object finds the program by this descriptor, and closes it.
    // SAFETY: plain numbers; the descriptor is open.
    if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETFD, 0) } != 0 {
        return None;
    }
    let mut load = LOAD.to_vec();
    load.extend_from_slice(file.into_raw_fd().to_string().as_bytes());
    let mut arguments = vec![command[0].clone(), OsString::from_vec(load), path.into()];
    arguments.extend_from_slice(&command[1..]);
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

/// Is it a program of this architecture's width that names no dynamic loader?
fn needs_no_loader(mut file: &File) -> io::Result<bool> {
    const ELF64_LITTLE_ENDIAN: [u8; 6] = [0x7f, b'E', b'L', b'F', 2, 1];
    const PT_INTERP: u32 = 3;
    let mut header = [0u8; 64];
    file.read_exact(&mut header)?;
    if !header.starts_with(&ELF64_LITTLE_ENDIAN) {
        return Ok(false);
    }
    let half = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
    let offset = u64::from_le_bytes(header[32..40].try_into().map_err(io::Error::other)?);
    let (size, count) = (half(54), half(56));
    for number in 0..count {
        let mut kind = [0u8; 4];
        file.read_exact_at(&mut kind, offset + u64::from(number) * u64::from(size))?;
        if u32::from_le_bytes(kind) == PT_INTERP {
            return Ok(false);
        }
    }
    Ok(true)
}
