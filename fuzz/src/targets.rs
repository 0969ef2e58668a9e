//! The targets: each takes one kind of untrusted memory apart.

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Relaxed, Release};

use sysring_sys::User;
use sysring_sys::abi::io_uring::{
    Bpf, BufReg, Sqe, bpf, cqe_flags, enter, op, register as reg, setup, sqe_flags,
};

use crate::input::Input;
use crate::memory::{self, LEN, START};
use crate::ring::Ring;
use crate::world::{FILES, FIRST};

/// Flags that rings of the targets have, or not.
const SETUPS: [u32; 6] = [
    0,
    setup::SINGLE_ISSUER | setup::DEFER_TASKRUN,
    setup::SUBMIT_ALL | setup::COOP_TASKRUN,
    setup::CQE32 | setup::SQE128,
    setup::NO_SQARRAY,
    setup::SQPOLL,
];

fn ring(input: &mut Input<'_>) -> Ring {
    Ring::open(8, input.pick(&SETUPS)).expect("a ring")
}

/// Files of the world in the table of the ring, memory among its buffers.
fn furnish(ring: &Ring) {
    let files: Vec<u8> = (FIRST..FIRST + FILES).flat_map(i32::to_le_bytes).collect();
    let at = memory::put(LEN - 4096, &files);
    assert_eq!(ring.register(reg::FILES, at, FILES as u32), Ok(0));
    let buffers: Vec<u8> =
        [START, 4096, START + 8192, 4096].into_iter().flat_map(u64::to_le_bytes).collect();
    let at = memory::put(LEN - 4096, &buffers);
    assert_eq!(ring.register(reg::BUFFERS, at, 2), Ok(0));
}

/// A descriptor that an input may name: the world's, the ring, and some that there are not.
fn descriptor(choice: i32, ring: &Ring) -> i32 {
    match choice.rem_euclid(20) {
        number if number < FILES => FIRST + number,
        15 => ring.fd.raw(),
        16 => libc::AT_FDCWD,
        17 => 5000,
        _ => -1,
    }
}

/// An SQE as the bytes have it, with descriptors and addresses that do no harm.
fn entry(input: &mut Input<'_>, ring: &Ring) -> Sqe {
    let mut sqe = Sqe {
        opcode: input.u8() % (op::COUNT as u8 + 1),
        flags: input.u8(),
        ioprio: input.u16(),
        fd: input.u32() as i32,
        off: memory::tame_word(input.u64()),
        addr: memory::tame_word(input.u64()),
        len: input.u32(),
        op_flags: input.u32(),
        user_data: 0,
        buf_index: input.u16(),
        personality: input.u16(),
        file_index: input.u32(),
        addr3: memory::tame_word(input.u64()),
        pad2: memory::tame_word(input.u64()),
    };
    if sqe.flags & sqe_flags::FIXED_FILE == 0 {
        sqe.fd = descriptor(sqe.fd, ring);
    }
    if sqe.opcode == op::MADVISE {
        // Advice reaches as far as the length, over memory of the process as well.
        sqe.addr = START;
        sqe.off = 0;
        sqe.len %= LEN as u32;
    }
    sqe
}

/// Submits entries, waits a little, cancels what is left, and counts completions.
fn work(ring: &Ring, entries: &[Sqe]) {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    // What completes late is not taken for another.
    let first = NEXT.fetch_add(entries.len() as u64, Relaxed);
    for (number, sqe) in entries.iter().enumerate() {
        ring.push(Sqe { user_data: first + number as u64, ..*sqe });
    }
    let mut left = entries.len();
    for _ in 0..entries.len() {
        // Submission stops at an entry that is refused.
        match ring.enter(left as u32, 0) {
            Ok(n @ 1..) if n < left => left -= n,
            _ => break,
        }
    }
    let mut seen = ring.wait_for(entries.len());
    let cancel = Sqe {
        opcode: op::ASYNC_CANCEL,
        fd: -1,
        // Any request, all of them.
        op_flags: 1 << 0 | 1 << 2,
        user_data: u64::MAX,
        ..Sqe::default()
    };
    ring.push(cancel);
    let _ = ring.enter(1, 0);
    seen.extend(ring.wait_for(entries.len()));
    let mut finals = HashMap::new();
    for cqe in seen {
        // A notification of a send, and what other rings and messages tell, are no completions.
        let is_final = cqe.flags & (cqe_flags::MORE | cqe_flags::NOTIF) == 0;
        let number = cqe.user_data.wrapping_sub(first);
        let Some(sqe) = entries.get(number as usize) else { continue };
        let tells_others = entries.iter().any(|sqe| sqe.opcode == op::MSG_RING);
        if is_final && !tells_others {
            let count = finals.entry(number).or_insert(0);
            *count += 1;
            let flags = ring.params.flags;
            assert!(*count == 1, "two completions on a ring of {flags:#x}: {sqe:?}");
        }
    }
}

/// SQEs, one after another, in links and by themselves.
pub fn sqe(input: &mut Input<'_>) {
    let ring = ring(input);
    let count = 1 + input.u8() % 6;
    let entries: Vec<Sqe> = (0..count).map(|_| entry(input, &ring)).collect();
    memory::put(0, input.bytes(LEN / 2));
    furnish(&ring);
    work(&ring, &entries);
}

/// The header of a ring, written over while the engine works with it.
pub fn header(input: &mut Input<'_>) {
    let ring = ring(input);
    let sq = ring.params.sq_off;
    let cq = ring.params.cq_off;
    for _ in 0..32 {
        if input.is_empty() {
            break;
        }
        let words = [
            sq.head,
            sq.tail,
            sq.ring_mask,
            sq.ring_entries,
            sq.flags,
            sq.dropped,
            cq.head,
            cq.tail,
            cq.ring_mask,
            cq.ring_entries,
            cq.overflow,
            cq.flags,
            cq.cqes,
        ];
        let kind = input.u8();
        match kind % 8 {
            0..3 => {
                let word = input.pick(&words);
                let value = match kind / 8 % 2 {
                    0 => input.u32(),
                    _ => ring.word(word).load(Relaxed).wrapping_add(u32::from(input.u8())),
                };
                ring.word(word).store(value, Release);
            }
            3 if ring.params.flags & setup::NO_SQARRAY == 0 => {
                let place = sq.array + 4 * (u32::from(input.u8()) % ring.params.sq_entries);
                ring.word(place).store(input.u32(), Relaxed);
            }
            3 | 4 => {
                let opcode = input.pick(&[op::NOP, op::READ, op::POLL_ADD, op::TIMEOUT]);
                let sqe = Sqe { opcode, fd: FIRST + 7, addr: START, len: 1, ..Sqe::default() };
                ring.push(Sqe { flags: input.u8() & !sqe_flags::FIXED_FILE, ..sqe });
            }
            5 => drop(ring.reap()),
            _ => drop(ring.enter(u32::from(input.u8()), u32::from(input.u8() % 4))),
        }
    }
}

/// Vectors: of reads and writes, in registered buffers, of sends, and of buffers to register.
pub fn iovec(input: &mut Input<'_>) {
    const OPS: [u8; 7] = [
        op::READV,
        op::WRITEV,
        op::READV_FIXED,
        op::WRITEV_FIXED,
        op::SEND,
        op::SEND_ZC,
        op::PROVIDE_BUFFERS,
    ];
    let ring = ring(input);
    furnish(&ring);
    let sqe = Sqe {
        opcode: input.pick(&OPS),
        flags: input.u8() & (sqe_flags::ASYNC | sqe_flags::BUFFER_SELECT),
        ioprio: input.u16(),
        fd: descriptor(i32::from(input.u8()), &ring),
        off: input.u64(),
        addr: START,
        len: u32::from(input.u16()),
        buf_index: input.u16() % 4,
        ..Sqe::default()
    };
    let registers = input.u8().is_multiple_of(2);
    memory::put(0, input.bytes(LEN / 2));
    if registers {
        let _ = ring.register(reg::UNREGISTER_BUFFERS, 0, 0);
        let _ = ring.register(reg::BUFFERS, START, sqe.len);
    }
    work(&ring, &[sqe]);
}

/// Headers of messages, with their names, vectors and control messages.
pub fn msghdr(input: &mut Input<'_>) {
    const OPS: [u8; 3] = [op::SENDMSG, op::RECVMSG, op::SENDMSG_ZC];
    let ring = ring(input);
    furnish(&ring);
    let mut entries = Vec::new();
    for _ in 0..1 + input.u8() % 3 {
        entries.push(Sqe {
            opcode: input.pick(&OPS),
            flags: input.u8() & (sqe_flags::ASYNC | sqe_flags::BUFFER_SELECT | sqe_flags::IO_LINK),
            ioprio: input.u16(),
            fd: FIRST + 9 + i32::from(input.u8() % 5),
            addr: START + u64::from(input.u16()) % 4096,
            len: u32::from(input.u8() % 3),
            op_flags: input.u32(),
            buf_index: input.u16() % 4,
            ..Sqe::default()
        });
    }
    // Something to receive, and somewhere to put it.
    for sender in [10, 12] {
        // SAFETY: sends bytes that are there.
        unsafe { libc::send(FIRST + sender, c"something".as_ptr().cast(), 9, libc::MSG_DONTWAIT) };
    }
    let provide = Sqe {
        opcode: op::PROVIDE_BUFFERS,
        fd: 4,
        addr: START + 16384,
        len: 512,
        buf_index: u16::from(input.u8() % 4),
        ..Sqe::default()
    };
    memory::put(0, input.bytes(LEN / 2));
    work(&ring, &[provide]);
    work(&ring, &entries);
}

/// Times: of timeouts, of those that links have, and of waits.
pub fn timespec(input: &mut Input<'_>) {
    let ring = ring(input);
    furnish(&ring);
    let mut entries = Vec::new();
    for _ in 0..1 + input.u8() % 4 {
        let opcode = input.pick(&[
            op::TIMEOUT,
            op::LINK_TIMEOUT,
            op::TIMEOUT_REMOVE,
            op::READ,
            op::FUTEX_WAIT,
        ]);
        let mut sqe = Sqe {
            opcode,
            flags: input.u8() & (sqe_flags::IO_LINK | sqe_flags::IO_HARDLINK | sqe_flags::ASYNC),
            fd: -1,
            off: u64::from(input.u8()),
            addr: START + u64::from(input.u8()),
            len: 1,
            op_flags: input.u32(),
            ..Sqe::default()
        };
        match opcode {
            op::READ => (sqe.fd, sqe.op_flags) = (FIRST + 7, 0),
            // What is changed or removed goes by number, its new time by address.
            op::TIMEOUT_REMOVE => (sqe.addr, sqe.off) = (1 + sqe.off % 4, sqe.addr),
            _ => {}
        }
        entries.push(sqe);
    }
    let (flags, argument, len) = (input.u32(), input.u8(), input.u8());
    memory::put(0, input.bytes(4096));
    work(&ring, &entries);
    let at = User::new(START + u64::from(argument));
    let flags = flags & (enter::GETEVENTS | enter::EXT_ARG | enter::ABS_TIMER | enter::EXT_ARG_REG);
    // A wait may have no end, and a mask that lets no signal end it.
    let soon: Vec<u8> = [0u64, 5_000_000].into_iter().flat_map(u64::to_le_bytes).collect();
    let addr = memory::put(LEN - 64, &soon);
    ring.push(Sqe { opcode: op::TIMEOUT, fd: -1, addr, len: 1, ..Sqe::default() });
    let _ = ring.enter(1, 0);
    let _ = ring.enter_with(0, 1, flags | enter::GETEVENTS, at, usize::from(len));
}

/// Arguments of register calls, and a little work with what they have changed.
pub fn register(input: &mut Input<'_>) {
    let ring = ring(input);
    let other = Ring::open(4, 0).expect("a ring");
    let mut calls = Vec::new();
    for _ in 0..1 + input.u8() % 6 {
        let opcode = u32::from(input.u8()) % (reg::COUNT as u32 + 1);
        calls.push((opcode, input.u16(), u32::from(input.u8()), input.u8()));
    }
    let entries = [entry(input, &ring), entry(input, &other)];
    memory::put(0, input.bytes(LEN / 2));
    // A ring's number can be meant, and none is known before.
    memory::put(LEN - 64, &ring.fd.raw().to_le_bytes());
    for (opcode, offset, count, kind) in calls {
        let ring = if kind & 1 == 0 { &ring } else { &other };
        let arg = if kind & 2 == 0 { START + u64::from(offset) } else { 0 };
        let _ = ring.register(opcode, arg, count);
    }
    let _ = ring.register(reg::ENABLE_RINGS, 0, 0);
    work(&ring, &entries);
    let _ = other.enter(0, 0);
}

/// Rings of buffers: their entries and tails, and receives that use them.
pub fn buffers(input: &mut Input<'_>) {
    let ring = ring(input);
    let entries = 1u32 << (input.u8() % 8);
    let mut setting = BufReg {
        ring_addr: START,
        ring_entries: entries,
        bgid: 1,
        flags: input.u16() & 7,
        ..BufReg::default()
    };
    let group_is_ours = setting.flags & 1 != 0;
    if group_is_ours {
        setting.ring_addr = 0;
    }
    let mut receives = Vec::new();
    for _ in 0..1 + input.u8() % 4 {
        receives.push(Sqe {
            opcode: input.pick(&[op::RECV, op::READ, op::READ_MULTISHOT, op::RECVMSG, op::SEND]),
            flags: sqe_flags::BUFFER_SELECT | input.u8() & sqe_flags::ASYNC,
            ioprio: input.u16() & 0x3f,
            fd: FIRST + 7 + i32::from(input.u8() % 6),
            off: if input.u8().is_multiple_of(2) { u64::MAX } else { 0 },
            addr: if input.u8().is_multiple_of(2) { START + 16384 } else { 0 },
            len: u32::from(input.u16()),
            buf_index: 1,
            ..Sqe::default()
        });
    }
    memory::put(0, input.bytes(LEN / 4));
    // SAFETY: the structure is integers without padding.
    let bytes = unsafe {
        std::slice::from_raw_parts((&raw const setting).cast::<u8>(), size_of::<BufReg>())
    };
    let at = memory::put(LEN - 4096, bytes);
    let _ = ring.register(reg::PBUF_RING, at, 1);
    let message = [b'x'; 600];
    for (sender, len) in [(8, 300), (10, 600), (12, 300)] {
        // SAFETY: writes bytes that are there, into a pipe or socket with room for them.
        unsafe { libc::write(FIRST + sender, message.as_ptr().cast(), len) };
    }
    work(&ring, &receives);
    // Read back by the application, and moved on.
    memory::put(0, input.bytes(64));
    work(&ring, &receives);
}

/// Classic BPF: programs, and operations that they decide on.
pub fn filter(input: &mut Input<'_>) {
    let ring = ring(input);
    furnish(&ring);
    let opcodes = [op::NOP, op::OPENAT2, op::SOCKET, op::CONNECT, op::READ, input.u8()];
    let given = Bpf {
        cmd_type: bpf::CMD_FILTER,
        opcode: u32::from(input.pick(&opcodes)),
        flags: u32::from(input.u8() & 3),
        filter_len: u32::from(input.u8()),
        pdu_size: input.u8(),
        filter_ptr: START,
        ..Bpf::default()
    };
    let asked = Sqe {
        opcode: given.opcode as u8,
        fd: descriptor(i32::from(input.u8()), &ring),
        addr: START + u64::from(input.u16()),
        len: u32::from(input.u16()) % LEN as u32,
        op_flags: input.u32(),
        ..Sqe::default()
    };
    let asked = if asked.opcode == op::MADVISE { Sqe { addr: START, ..asked } } else { asked };
    memory::put(0, input.bytes(LEN / 4));
    // SAFETY: the structure is integers without padding.
    let bytes =
        unsafe { std::slice::from_raw_parts((&raw const given).cast::<u8>(), size_of::<Bpf>()) };
    let at = memory::put(LEN - 4096, bytes);
    let _ = ring.register(reg::BPF_FILTER, at, 1);
    work(&ring, &[asked]);
}
