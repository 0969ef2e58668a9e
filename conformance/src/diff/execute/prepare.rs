//! What a program starts with: memory, rings, and what is registered.

use std::fmt::Write as _;

use sysring_sys::abi::io_uring::{self as uring, MemRegionReg, Params, RegionDesc, RsrcRegister};

use super::{Run, write_all};
use crate::diff::lane;
use crate::diff::layout::*;
use crate::diff::program::{Program, Whose};
use crate::diff::world::{memory, renew};
use crate::raw::{Backend, Memory, Ring};

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
    memory(PLACE, ADDRESSES + 0x1000 - PLACE).fill(0);
    memory(REGION, 0x1000).fill(0);
    renew(LENT, LENT_LEN);
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
        let lent = lane::at(LENT);
        let memory = Memory { queues: lent, sqes: lent + LENT_LEN / 2 };
        let make = |entries, params| {
            let mut made = Ring::lent(backend, entries, params, Some(memory));
            for _ in 0..100 {
                if made.is_ok() || !backend.fails_at_random() {
                    break;
                }
                made = Ring::lent(backend, entries, params, Some(memory));
            }
            made
        };
        let second = make(32, Params::default());
        let attach = match (program.attach, &second) {
            (RING2_MARK, Ok(second)) => second.fd,
            (fd, _) => lane::fd(fd),
        };
        let params = Params {
            flags: program.flags,
            cq_entries: program.cq_entries,
            sq_thread_idle: IDLE,
            sq_thread_cpu: program.cpu,
            wq_fd: attach as u32,
            ..Params::default()
        };
        let ring = make(program.entries, params);
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
        let [first, second] = SECOND_BUFFERS;
        let list = [[place, first], [place + REGISTERED_LEN, second]];
        self.second.register(register::BUFFERS, list.as_ptr() as u64, 2);
        let mut say = |what: &str, answer: i64| {
            let _ = writeln!(self.text, "register {what}: {answer}");
        };
        if let Some(list) = &program.restrictions {
            let at = list.as_ptr() as u64;
            say("restrictions", self.ring.register(register::RESTRICTIONS, at, list.len() as u32));
        }
        if program.region {
            let desc = RegionDesc {
                user_addr: lane::at(REGION),
                size: 0x1000,
                flags: uring::MEM_REGION_TYPE_USER,
                ..RegionDesc::default()
            };
            let region = MemRegionReg {
                region_uptr: (&raw const desc) as u64,
                flags: uring::MEM_REGION_REG_WAIT_ARG,
                ..MemRegionReg::default()
            };
            say("region", self.ring.register(register::MEM_REGION, (&raw const region) as u64, 1));
        }
        if program.flags & uring::setup::R_DISABLED != 0 {
            say("a call too early", self.ring.enter(0, 0, uring::enter::GETEVENTS));
            say("enable", self.ring.register(register::ENABLE_RINGS, 0, 0));
        }
        if program.by_index {
            say("ring", self.ring.call_by_index());
        }
        let tags = |from: u64, count: u64| -> Vec<u64> { (from..from + count).collect() };
        if program.register_files {
            let fds = FIXED.map(lane::fd);
            let tags = tags(TAGS, fds.len() as u64);
            let all = (fds.as_ptr() as u64, fds.len() as u32, tags.as_ptr() as u64);
            let calls = (register::FILES, register::FILES2);
            say("files", resources(&self.ring, program.tags, calls, all));
        }
        if program.register_buffers {
            let list: Vec<[u64; 2]> = (0..REGISTERED_COUNT)
                .map(|i| [lane::at(REGISTERED + i * REGISTERED_LEN), REGISTERED_LEN])
                .collect();
            let tags = tags(TAGS + 0x100, REGISTERED_COUNT);
            let all = (list.as_ptr() as u64, list.len() as u32, tags.as_ptr() as u64);
            let calls = (register::BUFFERS, register::BUFFERS2);
            say("buffers", resources(&self.ring, program.tags, calls, all));
        }
        if program.register_eventfd {
            let eventfd = lane::fd(EVENTFD);
            let at = (&raw const eventfd) as u64;
            say("eventfd", self.ring.register(register::EVENTFD, at, 1));
        }
        match program.personality {
            Some(Whose::Own) => say("personality", self.ring.register(register::PERSONALITY, 0, 0)),
            Some(Whose::Nobody) => {
                let answer = as_nobody(|| self.ring.register(register::PERSONALITY, 0, 0));
                say("personality", answer);
            }
            None => {}
        }
    }
}

/// Registers a list of what is there, with tags or without.
fn resources(
    ring: &Ring<'_>,
    tagged: bool,
    (plain, with_tags): (u32, u32),
    (data, nr, tags): (u64, u32, u64),
) -> i64 {
    if !tagged {
        return ring.register(plain, data, nr);
    }
    let given = RsrcRegister { nr, data, tags, ..RsrcRegister::default() };
    ring.register(with_tags, (&raw const given) as u64, size_of::<RsrcRegister>() as u32)
}

/// Does something with the credentials of a user that owns nothing here, in this thread alone. Who
/// may not change his credentials keeps them, on both sides.
fn as_nobody<T>(act: impl FnOnce() -> T) -> T {
    const NOBODY: u32 = 65534;
    let become_user = |user: u32| {
        let keep = u32::MAX;
        // SAFETY: takes numbers only; the call itself, for libc's changes all threads.
        unsafe { libc::syscall(libc::SYS_setresuid, keep, user, keep) };
    };
    let mut dies_with_parent = 0;
    // SAFETY: takes nothing, and a place for a number.
    let own = unsafe {
        libc::prctl(libc::PR_GET_PDEATHSIG, &raw mut dies_with_parent);
        libc::geteuid()
    };
    become_user(NOBODY);
    let answer = act();
    become_user(own);
    // The change has reset it.
    // SAFETY: takes numbers only.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, dies_with_parent) };
    answer
}
