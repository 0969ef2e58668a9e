//! Several programs at once in one process: each has descriptors and memory of its own, a fixed
//! distance from where the program was written for. A lane has memory for some programs in turn: the
//! ring of the program before may be closing still, and what its requests write as they end must not
//! come to the next one's.
//!
//! A thread says which lane it is in, and whose turn it is. Programs are moved there before they run;
//! what makes their world and reads it back goes through [`fd`] and [`at`].

use std::cell::Cell;

use sysring_sys::abi::io_uring::{Sqe, op, register, sqe_flags};

use super::layout::*;
use super::program::{Entry, Program, Step, Waits};

/// From one lane's descriptors to the next's; all of them lie below the rings'.
const FDS: i32 = 80;
/// The numbers a world has.
const OWN: std::ops::Range<i32> = 199..199 + FDS;
/// Programs that a lane has memory for.
pub const TURNS: u64 = 16;
/// From the memory of one lane and turn to the next's.
const MEMORY: u64 = 0x1_0000_0000;
/// What is moved.
const ARENAS: std::ops::Range<u64> = ARENA..ARENA + 0x100_0000;

thread_local! {
    static LANE: Cell<u16> = const { Cell::new(0) };
    static TURN: Cell<u64> = const { Cell::new(0) };
}

/// This thread is in `lane` from now on, and runs the programs of `turn`.
pub fn enter(lane: u16, turn: u64) {
    LANE.set(lane);
    TURN.set(turn % TURNS);
}

/// Where a descriptor of the world is in this lane.
#[must_use]
pub fn fd(fd: i32) -> i32 {
    if OWN.contains(&fd) { fd + FDS * i32::from(LANE.get()) } else { fd }
}

/// Where memory of the arena is in this lane and turn.
#[must_use]
pub fn at(address: u64) -> u64 {
    if ARENAS.contains(&address) { address + moved() } else { address }
}

/// Where memory of this lane and turn was before it was moved.
#[must_use]
pub fn home(address: u64) -> u64 {
    let before = address.wrapping_sub(moved());
    if ARENAS.contains(&before) { before } else { address }
}

/// How far the memory of this lane and turn is from where programs are written for.
fn moved() -> u64 {
    MEMORY * (u64::from(LANE.get()) * TURNS + TURN.get())
}

/// Moves a program that has the process to itself to this thread's memory.
pub fn relocate(program: &mut Program) {
    relocate_to(program, libc::AT_FDCWD);
}

/// Moves a program into this thread's lane. The current directory is the process's, so paths begin
/// at the lane's folder instead.
pub fn relocate_beside_others(program: &mut Program) {
    relocate_to(program, fd(FOLDER));
}

fn relocate_to(program: &mut Program, folder: i32) {
    for step in &mut program.steps {
        match step {
            Step::Submit { entries, .. } => {
                entries.iter_mut().for_each(|moved| entry(moved, folder));
            }
            Step::Enter { arg, memory, .. } => {
                memory.iter_mut().for_each(|(_, bytes)| addresses(bytes));
                *arg = at(*arg);
            }
            Step::Resize(_) => {}
            Step::Memory(pieces) => pieces.iter_mut().for_each(|(_, bytes)| addresses(bytes)),
            Step::Register { opcode, arg, memory, .. } => {
                let files = [
                    register::FILES,
                    register::FILES_UPDATE,
                    register::FILES2,
                    register::FILES_UPDATE2,
                    register::EVENTFD,
                    register::EVENTFD_ASYNC,
                    register::SYNC_CANCEL,
                    register::RING_FDS,
                ];
                for (_, bytes) in memory {
                    addresses(bytes);
                    if files.contains(opcode) {
                        descriptors(bytes);
                    }
                }
                *arg = at(*arg);
            }
        }
    }
}

fn entry(entry: &mut Entry, folder: i32) {
    for (_, bytes) in &mut entry.memory {
        addresses(bytes);
        if entry.sqe.opcode == op::FILES_UPDATE {
            descriptors(bytes);
        }
    }
    if let Waits::For(waits, _) = &mut entry.waits {
        *waits = fd(*waits);
    }
    let sqe = &mut entry.sqe;
    for field in [&mut sqe.addr, &mut sqe.off, &mut sqe.addr3] {
        *field = at(*field);
    }
    if sqe.flags & sqe_flags::FIXED_FILE == 0 {
        sqe.fd = directory(sqe.fd, folder);
    }
    other_descriptors(sqe, folder);
}

/// Descriptors that are not in `fd`.
fn other_descriptors(sqe: &mut Sqe, folder: i32) {
    match sqe.opcode {
        op::SPLICE | op::TEE if sqe.op_flags & SPLICE_F_FD_IN_FIXED == 0 => {
            sqe.file_index = fd(sqe.file_index as i32) as u32;
        }
        op::EPOLL_CTL => sqe.off = i32::try_from(sqe.off).map_or(sqe.off, |own| fd(own) as u64),
        op::RENAMEAT | op::LINKAT => sqe.len = directory(sqe.len as i32, folder) as u32,
        _ => {}
    }
}

fn directory(number: i32, current: i32) -> i32 {
    if number == libc::AT_FDCWD { current } else { fd(number) }
}

/// Moves what in a structure is an address.
fn addresses(bytes: &mut [u8]) {
    for word in bytes.chunks_exact_mut(8) {
        let mut value = [0; 8];
        value.copy_from_slice(word);
        word.copy_from_slice(&at(u64::from_ne_bytes(value)).to_ne_bytes());
    }
}

/// Moves what in a list is a descriptor.
fn descriptors(bytes: &mut [u8]) {
    for word in bytes.chunks_exact_mut(4) {
        let mut value = [0; 4];
        value.copy_from_slice(word);
        word.copy_from_slice(&fd(i32::from_ne_bytes(value)).to_ne_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_moved_is_known_by_where_it_was() {
        enter(3, 18);
        let moved = at(FUTEXES);
        assert_ne!(moved, FUTEXES);
        assert_eq!(home(moved), FUTEXES);
        assert_eq!([home(FUTEXES), home(0), home(u64::MAX)], [FUTEXES, 0, u64::MAX]);
    }
}
