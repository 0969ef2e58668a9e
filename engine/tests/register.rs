//! Register calls, on the engine directly.

mod client;

use std::io::Write;
use std::os::fd::AsRawFd;

use client::{Client, sqe};
use sysring_sys::abi::io_uring::{
    Bpf, BpfInstruction, CloneBuffers, FilesUpdate, MEM_REGION_REG_WAIT_ARG, MEM_REGION_TYPE_USER,
    MemRegionReg, Params, REG_WAIT_TS, RegWait, RegionDesc, Restriction, RsrcRegister, Sqe,
    TaskRestriction, bpf, clone_buffers, enter, op, register, restriction, setup, sqe_flags,
};
use sysring_sys::{Errno, User};

fn call<T: ?Sized>(ring: &Client, number: u32, arg: &T, count: u32) -> Result<usize, Errno> {
    let arg = User::of(core::ptr::from_ref(arg).cast::<u8>());
    sysring_engine::register(ring.fd.raw() as u32, number, arg, count)
}

/// A call that writes its answer over what it was given.
fn answered<T>(ring: &Client, number: u32, arg: &mut T, count: u32) -> Result<usize, Errno> {
    let arg = User::of((&raw mut *arg).cast::<u8>());
    sysring_engine::register(ring.fd.raw() as u32, number, arg, count)
}

fn plain(ring: &Client, number: u32) -> Result<usize, Errno> {
    sysring_engine::register(ring.fd.raw() as u32, number, User::NULL, 0)
}

/// Submits one request; its result.
fn one(ring: &mut Client, sqe: Sqe) -> i32 {
    ring.push(sqe);
    assert_eq!(ring.enter(1, 1), Ok(1));
    ring.reap()[0].res
}

fn allow(opcode: u16, what: u8) -> Restriction {
    Restriction { opcode, what, ..Restriction::default() }
}

#[test]
fn a_restricted_ring_takes_what_it_was_told_of() {
    let mut ring = Client::new(8, setup::R_DISABLED);
    let list = [
        allow(restriction::SQE_OP, op::NOP),
        allow(restriction::SQE_FLAGS_ALLOWED, sqe_flags::IO_DRAIN),
        allow(restriction::REGISTER_OP, register::ENABLE_RINGS as u8),
    ];
    let unknown = [allow(restriction::SQE_OP, 200)];
    assert_eq!(call(&ring, register::RESTRICTIONS, &unknown, 1), Err(Errno::EINVAL));
    assert_eq!(call(&ring, register::RESTRICTIONS, &list, 3), Ok(0));
    assert_eq!(call(&ring, register::RESTRICTIONS, &list, 3), Err(Errno::EBUSY));
    // Until it is enabled it takes every call.
    assert_eq!(plain(&ring, register::PERSONALITY), Ok(1));
    assert_eq!(plain(&ring, register::ENABLE_RINGS), Ok(0));
    assert_eq!(plain(&ring, register::PERSONALITY), Err(Errno::EACCES));
    assert_eq!(plain(&ring, register::ENABLE_RINGS), Err(Errno::EBADFD));
    assert_eq!(one(&mut ring, sqe(op::NOP, -1, 1)), 0);
    assert_eq!(one(&mut ring, sqe(op::CLOSE, -1, 1)), Errno::EACCES.to_res());
    for (flags, res) in [(sqe_flags::IO_DRAIN, 0), (sqe_flags::ASYNC, Errno::EACCES.to_res())] {
        assert_eq!(one(&mut ring, Sqe { flags, ..sqe(op::NOP, -1, 1) }), res);
    }
}

#[test]
fn only_a_disabled_ring_can_be_restricted() {
    let ring = Client::new(8, 0);
    let list = [allow(restriction::SQE_OP, op::NOP)];
    assert_eq!(call(&ring, register::RESTRICTIONS, &list, 1), Err(Errno::EBADFD));
    let ring = Client::new(8, setup::R_DISABLED);
    assert_eq!(plain(&ring, register::ENABLE_RINGS), Ok(0));
    assert_eq!(call(&ring, register::RESTRICTIONS, &list, 1), Err(Errno::EBADFD));
}

/// In a child, as what is restricted stays so.
#[test]
fn a_restricted_process_makes_restricted_rings() {
    #[repr(C)]
    struct Task {
        head: TaskRestriction,
        list: [Restriction; 1],
    }
    // SAFETY: the child uses nothing that another thread may have locked, and leaves without
    // running anything of the test harness.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let task = Task {
            head: TaskRestriction { nr_res: 1, ..TaskRestriction::default() },
            list: [allow(restriction::SQE_OP, op::NOP)],
        };
        let arg = User::of((&raw const task).cast::<u8>());
        // SAFETY: only takes privileges away.
        unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
        let restrict = || sysring_engine::register(u32::MAX, register::RESTRICTIONS, arg, 1);
        let answers = [restrict(), restrict()];
        let mut ring = Client::new(8, 0);
        let results = [one(&mut ring, sqe(op::NOP, -1, 1)), one(&mut ring, sqe(op::CLOSE, -1, 1))];
        let right = answers == [Ok(0), Err(Errno::EPERM)]
            && results == [0, Errno::EACCES.to_res()]
            // Register calls were not spoken of.
            && plain(&ring, register::PERSONALITY) == Ok(1);
        // SAFETY: ends the child.
        unsafe { libc::_exit(i32::from(!right)) };
    }
    let mut status = 0;
    // SAFETY: our child, and room for its status.
    unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!(status, 0);
}

#[test]
fn a_tag_is_told_when_nobody_works_with_its_buffer() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let mut ring = Client::new(8, 0);
    let mut memory = [[0u8; 64]; 2];
    let vectors = memory.each_mut().map(|m| [m.as_mut_ptr() as u64, 64]);
    let tags = [11u64, 12];
    let data = (vectors.as_ptr() as u64, tags.as_ptr() as u64);
    let register2 = RsrcRegister { nr: 2, data: data.0, tags: data.1, ..RsrcRegister::default() };
    assert_eq!(call(&ring, register::BUFFERS2, &register2, 32), Ok(0));
    let mut read = sqe(op::READ_FIXED, reader.as_raw_fd(), 1);
    (read.addr, read.len, read.buf_index) = (vectors[1][0], 8, 1);
    ring.push(read);
    assert_eq!(ring.enter(1, 0), Ok(1));
    assert_eq!(plain(&ring, register::UNREGISTER_BUFFERS), Ok(0));
    assert_eq!(words(&mut ring), [11]);
    writer.write_all(&[7; 8]).unwrap();
    assert_eq!(ring.enter(0, 2), Ok(0));
    assert_eq!(words(&mut ring), [1, 12]);
    assert_eq!(memory[1][..8], [7; 8]);
}

#[test]
fn tags_of_files_are_told_from_the_end_and_by_whatever_takes_the_slot() {
    let mut ring = Client::new(8, 0);
    let (files, tags) = ([0i32, 1, 2, 0], [10u64, 11, 12, 13]);
    let data = (files.as_ptr() as u64, tags.as_ptr() as u64);
    let register2 = RsrcRegister { nr: 4, data: data.0, tags: data.1, ..RsrcRegister::default() };
    assert_eq!(call(&ring, register::FILES2, &register2, 32), Ok(0));
    // The slot is emptied before it is found that there is nothing to fill it with.
    let new = [-1i32, 9999];
    let update = FilesUpdate { fds: new.as_ptr() as u64, ..FilesUpdate::default() };
    assert_eq!(call(&ring, register::FILES_UPDATE, &update, 2), Ok(1));
    assert_eq!(words(&mut ring), [10, 11]);
    let mut close = sqe(op::CLOSE, 0, 1);
    close.file_index = 3;
    ring.push(close);
    assert_eq!(ring.enter(1, 2), Ok(1));
    assert_eq!(words(&mut ring), [12, 1]);
    assert_eq!(plain(&ring, register::UNREGISTER_FILES), Ok(0));
    assert_eq!(words(&mut ring), [13]);
}

#[test]
fn buffers_are_cloned_into_the_place_asked_for() {
    let (source, mut target) = (Client::new(8, 0), Client::new(8, 0));
    let memory = [[0u8; 64]; 4];
    let vectors = memory.each_ref().map(|m| [m.as_ptr() as u64, 64]);
    let mut clone = CloneBuffers { src_fd: source.fd.raw() as u32, ..CloneBuffers::default() };
    let asked = |clone: &CloneBuffers| call(&target, register::CLONE_BUFFERS, clone, 1);
    assert_eq!(asked(&clone), Err(Errno::ENXIO));
    assert_eq!(call(&source, register::BUFFERS, &vectors, 4), Ok(0));
    (clone.src_off, clone.nr, clone.dst_off) = (2, 3, 0);
    assert_eq!(asked(&clone), Err(Errno::EOVERFLOW));
    (clone.src_off, clone.nr, clone.dst_off) = (2, 2, 1);
    assert_eq!(asked(&clone), Ok(0));
    assert_eq!(asked(&clone), Err(Errno::EBUSY));
    clone.flags = clone_buffers::DST_REPLACE;
    assert_eq!(asked(&clone), Ok(0));
    let zero = std::fs::File::open("/dev/zero").unwrap();
    for (index, buffer, res) in [(0, 2, -14), (1, 2, 64), (2, 3, 64), (1, 3, -14), (3, 3, -14)] {
        let mut read = sqe(op::READ_FIXED, zero.as_raw_fd(), 1);
        (read.addr, read.len, read.buf_index) = (vectors[buffer][0], 64, index);
        assert_eq!(one(&mut target, read), res, "{index} {buffer}");
    }
}

#[test]
fn who_has_no_ring_can_send_to_one() {
    let mut ring = Client::new(8, 0);
    let mut message = sqe(op::MSG_RING, ring.fd.raw(), 0);
    (message.off, message.len) = (77, 5);
    let send = |message: &Sqe| {
        let arg = User::of(core::ptr::from_ref(message).cast::<u8>());
        sysring_engine::register(u32::MAX, register::SEND_MSG_RING, arg, 1)
    };
    assert_eq!(send(&message), Ok(0));
    assert_eq!(ring.reap().iter().map(|c| (c.user_data, c.res)).collect::<Vec<_>>(), [(77, 5)]);
    message.fd = 0;
    assert_eq!(send(&message), Err(Errno::EBADFD));
    assert_eq!(call(&ring, register::SEND_MSG_RING, &message, 1), Err(Errno::EINVAL));
}

#[test]
fn workers_obey_their_limits_and_processors() {
    let ring = Client::new(8, 0);
    let mut limits = [0u32; 2];
    assert_eq!(answered(&ring, register::IOWQ_MAX_WORKERS, &mut limits, 2), Ok(0));
    assert!(limits[0] != 0 && limits[1] != 0, "{limits:?}");
    let before = limits;
    limits = [3, 0];
    assert_eq!(answered(&ring, register::IOWQ_MAX_WORKERS, &mut limits, 2), Ok(0));
    assert_eq!(limits, before);
    limits = [before[0], 0];
    assert_eq!(answered(&ring, register::IOWQ_MAX_WORKERS, &mut limits, 2), Ok(0));
    assert_eq!(limits, [3, before[1]]);
    assert_eq!(call(&ring, register::IOWQ_AFF, &1u64, 8), Ok(0));
    assert_eq!(plain(&ring, register::UNREGISTER_IOWQ_AFF), Ok(0));
}

/// The user_data of what is in the completion queue.
fn words(ring: &mut Client) -> Vec<u64> {
    ring.reap().iter().map(|c| c.user_data).collect()
}

#[test]
fn queues_are_resized_with_what_is_in_them() {
    let mut ring = Client::new(8, setup::SINGLE_ISSUER | setup::DEFER_TASKRUN);
    let mut params = Params { sq_entries: 16, ..Params::default() };
    for i in 0..6 {
        ring.push(sqe(op::NOP, -1, i));
    }
    assert_eq!(ring.enter(6, 6), Ok(6));
    // Two more wait to be submitted.
    ring.push(sqe(op::NOP, -1, 6));
    ring.push(sqe(op::NOP, -1, 7));
    assert_eq!(answered(&ring, register::RESIZE_RINGS, &mut params, 1), Ok(0));
    assert_eq!((params.sq_entries, params.cq_entries), (16, 32));
    ring.map(params);
    assert_eq!(words(&mut ring), [0, 1, 2, 3, 4, 5]);
    assert_eq!(ring.enter(2, 2), Ok(2));
    assert_eq!(words(&mut ring), [6, 7]);
    for i in 0..16 {
        ring.push(sqe(op::NOP, -1, i));
    }
    assert_eq!(ring.enter(16, 16), Ok(16));
    // More than the new ones would hold: nothing changes.
    let small = Params { sq_entries: 4, ..Params::default() };
    assert_eq!(call(&ring, register::RESIZE_RINGS, &small, 1), Err(Errno::EOVERFLOW));
    assert_eq!(words(&mut ring), (0..16).collect::<Vec<_>>());
    params = Params { sq_entries: 4, ..Params::default() };
    assert_eq!(answered(&ring, register::RESIZE_RINGS, &mut params, 1), Ok(0));
    ring.map(params);
    assert_eq!(one(&mut ring, sqe(op::NOP, -1, 9)), 0);
}

#[test]
fn waits_are_told_through_registered_memory() {
    let ring = Client::new(8, setup::R_DISABLED);
    let mut memory = vec![0u64; 3 * 512];
    let at = (memory.as_mut_ptr() as usize).next_multiple_of(4096);
    let register_with = |flags: u32| {
        let desc = RegionDesc { user_addr: at as u64, size: 8192, flags, ..RegionDesc::default() };
        let given = MemRegionReg {
            region_uptr: (&raw const desc) as u64,
            flags: MEM_REGION_REG_WAIT_ARG,
            ..MemRegionReg::default()
        };
        call(&ring, register::MEM_REGION, &given, 1)
    };
    assert_eq!(register_with(0), Err(Errno::EFAULT));
    assert_eq!(register_with(MEM_REGION_TYPE_USER), Ok(0));
    assert_eq!(register_with(MEM_REGION_TYPE_USER), Err(Errno::EBUSY));
    assert_eq!(plain(&ring, register::ENABLE_RINGS), Ok(0));
    let brief = RegWait { tv_nsec: 1000, flags: REG_WAIT_TS, ..RegWait::default() };
    // SAFETY: inside the vector; the engine reads it when asked to, in this thread.
    unsafe { (at as *mut RegWait).add(2).write(brief) };
    let flags = enter::GETEVENTS | enter::EXT_ARG | enter::EXT_ARG_REG;
    let wait = |offset: u64, size: usize| {
        let (fd, caller) = (ring.fd.raw() as u32, sysring_engine::Caller::default());
        sysring_engine::enter(fd, 0, 1, flags, User::new(offset), size, &caller)
    };
    assert_eq!(wait(128, 64), Err(Errno::ETIME));
    assert_eq!(wait(128, 24), Err(Errno::EINVAL));
    for nowhere in [1, 8192 - 8, u64::MAX - 7] {
        assert_eq!(wait(nowhere, 64), Err(Errno::EFAULT), "{nowhere:#x}");
    }
    drop(ring);
    assert_eq!(memory.len(), 3 * 512);
}

#[test]
fn filters_are_asked_and_only_ever_added() {
    // Loads the socket's family, and allows the one given.
    let only = |family: i32| {
        let (code, k) = ([0x20u16, 0x15, 0x06, 0x06], [16, family as u32, 1, 0]);
        let jumps = [(0, 0), (0, 1), (0, 0), (0, 0)];
        [0, 1, 2, 3].map(|i| BpfInstruction {
            code: code[i],
            jt: jumps[i].0,
            jf: jumps[i].1,
            k: k[i],
        })
    };
    let add = |ring: &Client, opcode: u8, program: &[BpfInstruction], flags: u32, pdu_size: u8| {
        let given = Bpf {
            cmd_type: bpf::CMD_FILTER,
            opcode: opcode.into(),
            flags,
            filter_len: program.len() as u32,
            pdu_size,
            filter_ptr: program.as_ptr() as u64,
            ..Bpf::default()
        };
        call(ring, register::BPF_FILTER, &given, 1)
    };
    let socket = |family: i32| {
        let mut socket = sqe(op::SOCKET, family, 1);
        socket.off = libc::SOCK_STREAM as u64;
        socket
    };
    let mut ring = Client::new(8, 0);
    let denied = Errno::EACCES.to_res();
    assert_eq!(add(&ring, op::SOCKET, &only(libc::AF_UNIX), 0, 24), Err(Errno::EMSGSIZE));
    assert_eq!(
        add(&ring, op::SOCKET, &only(libc::AF_UNIX), bpf::SZ_STRICT, 8),
        Err(Errno::EMSGSIZE)
    );
    assert_eq!(add(&ring, op::SOCKET, &[], 0, 12), Err(Errno::EINVAL));
    assert_eq!(add(&ring, op::SOCKET, &only(libc::AF_UNIX), bpf::DENY_REST, 12), Ok(0));
    assert!(one(&mut ring, socket(libc::AF_UNIX)) >= 0);
    assert_eq!(one(&mut ring, socket(libc::AF_INET)), denied);
    assert_eq!(one(&mut ring, sqe(op::NOP, -1, 1)), denied);
    // What was refused stays refused, whatever another program would allow.
    let all = [BpfInstruction { code: 0x06, k: 1, ..BpfInstruction::default() }];
    assert_eq!(add(&ring, op::NOP, &all, 0, 0), Ok(0));
    assert_eq!(one(&mut ring, sqe(op::NOP, -1, 1)), denied);
    assert_eq!(add(&ring, op::SOCKET, &only(libc::AF_INET), 0, 12), Ok(0));
    assert_eq!(one(&mut ring, socket(libc::AF_UNIX)), denied);
    // Other rings know nothing of it.
    assert_eq!(one(&mut Client::new(8, 0), sqe(op::NOP, -1, 1)), 0);
}
