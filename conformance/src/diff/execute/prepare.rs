//! What a program starts with: memory, rings, and what is registered.

use std::fmt::Write as _;

use sysring_sys::abi::io_uring::{self as uring, Params};

use super::{Run, write_all};
use crate::diff::lane;
use crate::diff::layout::*;
use crate::diff::program::Program;
use crate::diff::world::memory;
use crate::raw::{Backend, Ring};

/// The thread that submits sleeps after this many milliseconds without work.
const IDLE: u32 = 1;

/// Gives the memory that a program uses its contents.
pub(super) fn memory_of(program: &Program) {
    let used = program.entries_in_order().map(|entry| entry.sqe.user_data).max().unwrap_or(0) + 1;
    for slot in 0..used.min(SLOTS) {
        let at = ARENA + slot * SLOT;
        let half = AUX as usize;
        let bytes = memory(at, SLOT);
        bytes[half..].fill(0);
        for (i, byte) in bytes[..half].iter_mut().enumerate() {
            *byte = (i as u8) ^ (slot as u8).wrapping_mul(31);
        }
    }
    memory(EDGE, 0x1000).fill(0xee);
    for word in 0..0x1000 / FUTEX_LEN {
        write_all(&[(FUTEXES + word * FUTEX_LEN, (word as u32).to_ne_bytes().to_vec())]);
    }
    for (i, byte) in memory(BUFFERS, BUFFERS_LEN * GROUPS).iter_mut().enumerate() {
        *byte = (i as u8).wrapping_mul(11);
    }
    memory(BUFFER_RINGS, BUFFER_RING_LEN * GROUPS).fill(0);
    memory(ADDRESSES + 0x800, 0x800).fill(0);
    for (i, byte) in memory(REGISTERED, REGISTERED_LEN * REGISTERED_COUNT).iter_mut().enumerate() {
        *byte = (i as u8).wrapping_mul(13);
    }
    for entry in program.entries_in_order() {
        write_all(&entry.memory);
    }
}

impl<'a> Run<'a> {
    pub(super) fn new(
        backend: &'a dyn Backend,
        program: &Program,
        children: (i32, i32),
        text: &mut String,
    ) -> Result<Run<'a>, ()> {
        let params = Params {
            flags: program.flags,
            cq_entries: program.cq_entries,
            sq_thread_idle: IDLE,
            ..Params::default()
        };
        let make = |entries, params| {
            let mut made = Ring::new(backend, entries, params);
            for _ in 0..100 {
                if made.is_ok() || !backend.fails_at_random() {
                    break;
                }
                made = Ring::new(backend, entries, params);
            }
            made
        };
        let ring = make(program.entries, params);
        let second = make(32, Params::default());
        let (ring, second) = match (ring, second) {
            (Ok(ring), Ok(second)) => (ring, second),
            (ring, second) => {
                let _ = writeln!(text, "setup: {:?} {:?}", ring.err(), second.err());
                return Err(());
            }
        };
        let _ =
            writeln!(text, "setup: sq {} cq {}", ring.params.sq_entries, ring.params.cq_entries);
        let mut run = Run {
            ring,
            second,
            out: Vec::new(),
            arrived: Vec::new(),
            wide: Vec::new(),
            entries: Vec::new(),
            text: std::mem::take(text),
            trace: String::new(),
            swept: None,
            forgiven: Vec::new(),
            children,
        };
        run.prepare(program);
        Ok(run)
    }

    /// The registrations a program starts with.
    pub(super) fn prepare(&mut self, program: &Program) {
        use uring::register;
        let sparse = [8u32, uring::RSRC_REGISTER_SPARSE, 0, 0, 0, 0, 0, 0];
        self.second.register(register::FILES2, sparse.as_ptr() as u64, 32);
        let place = lane::at(REGISTERED);
        let list = [[place, REGISTERED_LEN], [place + REGISTERED_LEN, 4096]];
        self.second.register(register::BUFFERS, list.as_ptr() as u64, 2);
        let mut say = |what: &str, answer: i64| {
            let _ = writeln!(self.text, "register {what}: {answer}");
        };
        if let Some(list) = &program.restrictions {
            let at = list.as_ptr() as u64;
            say("restrictions", self.ring.register(register::RESTRICTIONS, at, list.len() as u32));
        }
        if program.flags & uring::setup::R_DISABLED != 0 {
            say("a call too early", self.ring.enter(0, 0, uring::enter::GETEVENTS));
            say("enable", self.ring.register(register::ENABLE_RINGS, 0, 0));
        }
        if program.register_files {
            let fds = FIXED.map(lane::fd);
            let at = fds.as_ptr() as u64;
            say("files", self.ring.register(register::FILES, at, FIXED.len() as u32));
        }
        if program.register_buffers {
            let list: Vec<[u64; 2]> = (0..REGISTERED_COUNT)
                .map(|i| [lane::at(REGISTERED + i * REGISTERED_LEN), REGISTERED_LEN])
                .collect();
            let count = list.len() as u32;
            say("buffers", self.ring.register(register::BUFFERS, list.as_ptr() as u64, count));
        }
        if program.register_eventfd {
            let eventfd = lane::fd(EVENTFD);
            let at = (&raw const eventfd) as u64;
            say("eventfd", self.ring.register(register::EVENTFD, at, 1));
        }
    }
}
