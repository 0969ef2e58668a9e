//! NOPs, or reads of a cached file, through a client of io_uring:
//!
//!     sysring-bench-client sysring|sysring-user|io-uring nop|read|scattered DEPTH ROUNDS [FILE]
//!
//! prints nanoseconds per operation; of reads, one goes on where another ends, or no two are neighbours.
//! `client.c` does the same through liburing. Every client does what its documentation shows, with a plain
//! ring; each result is looked at.

use std::error::Error;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::time::Instant;

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

const BLOCK: usize = 4096;
const BLOCKS: u32 = 256;
/// Of reads that are scattered.
const STEP: u32 = 97;
/// Entries of the ring.
const ENTRIES: u32 = 64;

#[derive(Clone)]
#[repr(align(4096))]
struct Block(#[allow(dead_code)] [u8; BLOCK]);

fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let [client, work, depth, rounds, ref rest @ ..] = arguments[..] else {
        return Err("sysring|sysring-user|io-uring nop|read|scattered DEPTH ROUNDS [FILE]".into());
    };
    let (depth, rounds): (u32, u64) = (depth.parse()?, rounds.parse()?);
    let file = rest.first().map(File::open).transpose()?;
    let step = if work == "read" { 1 } else { STEP };
    let took = match (client, work, &file) {
        ("sysring", "nop", _) => own::nops(sysring::Engine::Kernel, depth, rounds)?,
        ("sysring-user", "nop", _) => own::nops(sysring::Engine::User, depth, rounds)?,
        ("io-uring", "nop", _) => other::nops(depth, rounds)?,
        ("sysring", "read" | "scattered", Some(file)) => {
            own::reads(sysring::Engine::Kernel, file, step, depth, rounds)?
        }
        ("sysring-user", "read" | "scattered", Some(file)) => {
            own::reads(sysring::Engine::User, file, step, depth, rounds)?
        }
        ("io-uring", "read" | "scattered", Some(file)) => other::reads(file, step, depth, rounds)?,
        _ => return Err("no such client or work, or no file".into()),
    };
    println!("{:.3}", took / f64::from(depth) / rounds as f64);
    Ok(())
}

fn timed(work: impl FnOnce() -> Outcome) -> Outcome<f64> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed().as_nanos() as f64)
}

/// The client of this repository.
mod own {
    use super::*;
    use sysring::{Engine, Ring, op};

    pub fn nops(engine: Engine, depth: u32, rounds: u64) -> Outcome<f64> {
        let mut ring = Ring::builder().engine(engine).build(ENTRIES)?;
        timed(|| {
            for _ in 0..rounds {
                let mut submission = ring.submission();
                for i in 0..depth {
                    let nop = op::Nop::new().build().user_data(i.into());
                    // SAFETY: a NOP uses no memory.
                    unsafe { submission.push(nop)? };
                }
                turn(&mut ring, depth, 0)?;
            }
            Ok(())
        })
    }

    pub fn reads(engine: Engine, file: &File, step: u32, depth: u32, rounds: u64) -> Outcome<f64> {
        let mut ring = Ring::builder().engine(engine).build(ENTRIES)?;
        let mut buffers = vec![Block([0; BLOCK]); depth as usize];
        let (buffers, mut block) = (buffers.as_mut_ptr(), 0);
        timed(|| {
            for _ in 0..rounds {
                let mut submission = ring.submission();
                for i in 0..depth {
                    let buffer = buffers.wrapping_add(i as usize).cast();
                    let read = op::Read::new(file, buffer, BLOCK as u32)
                        .offset(u64::from(block) * BLOCK as u64)
                        .build()
                        .user_data(i.into());
                    // SAFETY: the buffers outlive the reads, which are waited for.
                    unsafe { submission.push(read)? };
                    block = (block + step) % BLOCKS;
                }
                turn(&mut ring, depth, BLOCK as i32)?;
            }
            Ok(())
        })
    }

    fn turn(ring: &mut Ring, depth: u32, expected: i32) -> Outcome {
        if ring.submit_and_wait(depth)? != depth {
            return Err("submit".into());
        }
        let mut seen = 0;
        for completion in ring.completions() {
            if completion.res() != expected {
                return Err("result".into());
            }
            seen += 1;
        }
        if seen == depth { Ok(()) } else { Err("completions".into()) }
    }
}

/// The `io-uring` crate.
mod other {
    use super::*;
    use io_uring::{IoUring, opcode, types};

    pub fn nops(depth: u32, rounds: u64) -> Outcome<f64> {
        let mut ring = IoUring::new(ENTRIES)?;
        timed(|| {
            for _ in 0..rounds {
                let mut submission = ring.submission();
                for i in 0..depth {
                    let nop = opcode::Nop::new().build().user_data(i.into());
                    // SAFETY: a NOP uses no memory.
                    unsafe { submission.push(&nop)? };
                }
                drop(submission);
                turn(&mut ring, depth, 0)?;
            }
            Ok(())
        })
    }

    pub fn reads(file: &File, step: u32, depth: u32, rounds: u64) -> Outcome<f64> {
        let mut ring = IoUring::new(ENTRIES)?;
        let mut buffers = vec![Block([0; BLOCK]); depth as usize];
        let (buffers, mut block) = (buffers.as_mut_ptr(), 0);
        let fd = types::Fd(file.as_raw_fd());
        timed(|| {
            for _ in 0..rounds {
                let mut submission = ring.submission();
                for i in 0..depth {
                    let buffer = buffers.wrapping_add(i as usize).cast();
                    let read = opcode::Read::new(fd, buffer, BLOCK as u32)
                        .offset(u64::from(block) * BLOCK as u64)
                        .build()
                        .user_data(i.into());
                    // SAFETY: the buffers outlive the reads, which are waited for.
                    unsafe { submission.push(&read)? };
                    block = (block + step) % BLOCKS;
                }
                drop(submission);
                turn(&mut ring, depth, BLOCK as i32)?;
            }
            Ok(())
        })
    }

    fn turn(ring: &mut IoUring, depth: u32, expected: i32) -> Outcome {
        if ring.submit_and_wait(depth as usize)? != depth as usize {
            return Err("submit".into());
        }
        let mut seen = 0;
        for completion in ring.completion() {
            if completion.result() != expected {
                return Err("result".into());
            }
            seen += 1;
        }
        if seen == depth { Ok(()) } else { Err("completions".into()) }
    }
}
