//! cat: files to standard output, through a ring.
//!
//! No libc, no allocator, no dynamic linker: a program that runs where there is nothing else, for
//! instance from an empty root. Cargo.toml says how it is made.

#![no_std]
#![no_main]

mod start;

use core::ffi::CStr;

use sysring::sys::raw::general::O_CLOEXEC;
use sysring::{Errno, Fd, Ring, Sqe, op};

const STDOUT: Fd = Fd::new(1);
const STDERR: Fd = Fd::new(2);

/// Writes all files out; the answer is the program's exit status.
fn main(files: impl Iterator<Item = &'static CStr>) -> i32 {
    let mut ring = match Ring::new(4) {
        Ok(ring) => ring,
        // No ring to say so through.
        Err(_) => return 2,
    };
    let mut status = 0;
    for path in files {
        if let Err(error) = cat(&mut ring, path) {
            complain(&mut ring, path, error);
            status = 1;
        }
    }
    status
}

fn cat(ring: &mut Ring, path: &CStr) -> Result<(), Errno> {
    let mut buffer = [0; 16 * 1024];
    let file = run(ring, op::OpenAt::new(Fd::CWD, path.as_ptr()).open_flags(O_CLOEXEC))?;
    let file = Fd::new(file as i32);
    let copied = loop {
        match run(ring, op::Read::new(file, buffer.as_mut_ptr(), buffer.len() as u32)) {
            Ok(0) => break Ok(()),
            Ok(count) => {
                if let Err(error) = write_all(ring, STDOUT, &buffer[..count as usize]) {
                    break Err(error);
                }
            }
            Err(error) => break Err(error),
        }
    };
    run(ring, op::Close::new(file))?;
    copied
}

fn write_all(ring: &mut Ring, to: Fd, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        let count = run(ring, op::Write::new(to, bytes.as_ptr(), bytes.len() as u32))?;
        bytes = &bytes[count as usize..];
    }
    Ok(())
}

fn complain(ring: &mut Ring, path: &CStr, error: Errno) {
    for part in [path.to_bytes(), b": ", error.describe().as_bytes(), b"\n"] {
        // Where standard error is closed, the exit status has to do.
        let _ = write_all(ring, STDERR, part);
    }
}

/// Does one operation, and waits for its end.
fn run(ring: &mut Ring, operation: impl Into<Sqe>) -> Result<u32, Errno> {
    // SAFETY: what the operation uses outlives this call, and so the operation.
    if unsafe { ring.push(operation) }.is_err() {
        return Err(Errno::EBUSY);
    }
    loop {
        match ring.submit_and_wait(1) {
            Ok(_) | Err(Errno::EINTR) => {}
            // It is not known whether the operation goes on, and its memory must stay.
            Err(error) => sysring::sys::exit_group(error.raw()),
        }
        if let Some(completion) = ring.completion() {
            return completion.result();
        }
    }
}
