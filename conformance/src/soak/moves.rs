//! Tasks that move bytes: files, pipes, sockets, connections, provided buffers; and names.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsRawFd;
use std::path::Path;

use sysring_sys::abi::io_uring::{Sqe, cqe_flags, op, sqe_flags};

use super::data::{self, Bytes};
use super::round::{Expect, Round};
use crate::random::Random;

/// The part of a file that is one task's own.
const REGION: u64 = 64 * 1024;

fn bytes_sqe(opcode: u8, fd: &impl AsRawFd, bytes: &Bytes) -> Sqe {
    let (addr, len) = (bytes.address(), bytes.len() as u32);
    Sqe { opcode, fd: fd.as_raw_fd(), addr, len, ..Sqe::default() }
}

/// Write, fsync, read as a link: what is read is what was written. Direct reads and writes are
/// aligned.
pub fn file(round: &mut Round, random: &mut Random, file: &'static File, direct: bool) {
    let len = if direct { 4096 << random.below(4) } else { 1 + random.below(REGION) as usize };
    let (sent, got) = (Bytes::random(len, random), Bytes::zeroed(len));
    let off = round.submissions() as u64 * REGION;
    let whole = Expect::Is(len as i32);
    let flags = sqe_flags::IO_LINK | if random.percent(10) { sqe_flags::ASYNC } else { 0 };
    round.add("write", whole, Sqe { off, flags, ..bytes_sqe(op::WRITE, file, &sent) });
    let fsync = Sqe { opcode: op::FSYNC, flags, fd: file.as_raw_fd(), ..Sqe::default() };
    round.add("fsync", Expect::Is(0), fsync);
    round.add("read", whole, Sqe { off, ..bytes_sqe(op::READ, file, &got) });
    round.check(move |_| data::same("file", got.get(), sent.get()));
}

/// A read that waits for the write behind it.
pub fn pipe(round: &mut Round, random: &mut Random) {
    let (reader, writer) = data::pipe();
    // No more than a pipe takes at once.
    let len = 1 + random.below(4096) as usize;
    let (sent, got) = (Bytes::random(len, random), Bytes::zeroed(len));
    let flags = if random.percent(20) { sqe_flags::ASYNC } else { 0 };
    let whole = Expect::Is(len as i32);
    round.add("read of a pipe", whole, Sqe { flags, ..bytes_sqe(op::READ, &reader, &got) });
    round.add("write to a pipe", whole, bytes_sqe(op::WRITE, &writer, &sent));
    round.check(move |_| {
        drop((reader, writer));
        data::same("pipe", got.get(), sent.get())
    });
}

/// More than a socket holds, there and back: the echo begins when all has arrived.
pub fn socket(round: &mut Round, random: &mut Random) {
    let (client, server) = data::pair();
    let most = 256 << random.below(11);
    let len = 1 + random.below(most) as usize;
    let (sent, echoed) = (Bytes::random(len, random), Bytes::zeroed(len));
    let got = Bytes::zeroed(len);
    let whole = Expect::Is(len as i32);
    let all = |sqe| Sqe { op_flags: libc::MSG_WAITALL as u32, ..sqe };
    let receive = all(bytes_sqe(op::RECV, &server, &echoed));
    round.add("receive", whole, Sqe { flags: sqe_flags::IO_LINK, ..receive });
    round.add("echo", whole, all(bytes_sqe(op::SEND, &server, &echoed)));
    round.add("send", whole, all(bytes_sqe(op::SEND, &client, &sent)));
    round.add("receive the echo", whole, all(bytes_sqe(op::RECV, &client, &got)));
    round.check(move |_| {
        drop((client, server));
        Ok(data::same("socket", echoed.get(), sent.get())?
            + data::same("echo", got.get(), sent.get())?)
    });
}

/// Accept and connect, and the first bytes on the way.
pub fn connection(round: &mut Round, random: &mut Random) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port of the loopback");
    let Ok(SocketAddr::V4(address)) = listener.local_addr() else { return };
    let at = Box::new(libc::sockaddr_in {
        sin_family: libc::AF_INET as u16,
        sin_port: address.port().to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from(*address.ip()).to_be() },
        sin_zero: [0; 8],
    });
    let client = data::tcp();
    let sent = Bytes::random(1 + random.below(1000) as usize, random);
    let fd = listener.as_raw_fd();
    let accept = Sqe { opcode: op::ACCEPT, fd, ..Sqe::default() };
    let accepted = round.add("accept", Expect::Success, accept);
    let connect = Sqe {
        opcode: op::CONNECT,
        flags: sqe_flags::IO_LINK,
        fd: client.as_raw_fd(),
        addr: (&raw const *at) as u64,
        off: size_of_val(&*at) as u64,
        ..Sqe::default()
    };
    round.add("connect", Expect::Is(0), connect);
    let whole = Expect::Is(sent.len() as i32);
    round.add("send to the listener's", whole, bytes_sqe(op::SEND, &client, &sent));
    round.check(move |entries| {
        let server = data::opened(entries[accepted].res);
        let got = data::drain(&server, sent.len());
        // Before the other side, which then has nothing to wait for.
        drop(client);
        drop((at, listener));
        data::same("connection", &got, sent.get())
    });
}

/// Buffers are provided, one is received into, the others are taken back.
pub fn provided(round: &mut Round, random: &mut Random) {
    const EACH: usize = 1024;
    const COUNT: usize = 4;
    let (peer, receiver) = data::pair();
    let sent = Bytes::random(1 + random.below(EACH as u64) as usize, random);
    let given = Bytes::zeroed(EACH * COUNT);
    let group = round.submissions() as u16;
    let provide = Sqe {
        opcode: op::PROVIDE_BUFFERS,
        flags: sqe_flags::IO_LINK,
        fd: COUNT as i32,
        addr: given.address(),
        len: EACH as u32,
        buf_index: group,
        ..Sqe::default()
    };
    round.add("provide buffers", Expect::Success, provide);
    let receive = Sqe {
        opcode: op::RECV,
        flags: sqe_flags::IO_LINK | sqe_flags::BUFFER_SELECT,
        fd: receiver.as_raw_fd(),
        buf_index: group,
        ..Sqe::default()
    };
    let received = round.add("receive into one", Expect::Is(sent.len() as i32), receive);
    let remove =
        Sqe { opcode: op::REMOVE_BUFFERS, fd: COUNT as i32, buf_index: group, ..Sqe::default() };
    round.add("take the others back", Expect::Is(COUNT as i32 - 1), remove);
    let message = sent.get().to_vec();
    round.then(move || {
        data::feed(&peer, &message);
        drop(peer);
    });
    round.check(move |entries| {
        drop(receiver);
        let flags = entries[received].flags;
        let which = (flags >> cqe_flags::BUFFER_SHIFT) as usize;
        if flags & cqe_flags::BUFFER == 0 || which >= COUNT {
            return Err(format!("provided buffers: flags {flags:#x}"));
        }
        let got = &given.get()[which * EACH..][..sent.len()];
        data::same("provided buffers", got, sent.get())
    });
}

/// A directory is made, renamed and removed; a file made and removed.
pub fn names(round: &mut Round, folder: &Path) {
    let number = round.submissions();
    let name = |kind: &str| data::path(folder, &format!("{kind}-{number}"));
    let (first, second, made) = (name("first"), name("second"), name("made"));
    let at = |opcode, path: &std::ffi::CString| Sqe {
        opcode,
        fd: libc::AT_FDCWD,
        addr: path.as_ptr() as u64,
        ..Sqe::default()
    };
    let linked = |sqe| Sqe { flags: sqe_flags::IO_LINK, ..sqe };
    let none = Expect::Is(0);
    round.add("mkdir", none, linked(Sqe { len: 0o700, ..at(op::MKDIRAT, &first) }));
    let (len, off) = (libc::AT_FDCWD as u32, second.as_ptr() as u64);
    let rename = Sqe { len, off, ..at(op::RENAMEAT, &first) };
    round.add("rename", none, linked(rename));
    let remove = Sqe { op_flags: libc::AT_REMOVEDIR as u32, ..at(op::UNLINKAT, &second) };
    round.add("rmdir", none, remove);

    let creates = (libc::O_CREAT | libc::O_EXCL | libc::O_WRONLY | libc::O_CLOEXEC) as u32;
    let open = Sqe { len: 0o600, op_flags: creates, ..at(op::OPENAT, &made) };
    // What answers a number above zero goes on with the link all the same.
    let opened = round.add("open", Expect::Success, linked(open));
    round.add("unlink", none, at(op::UNLINKAT, &made));
    let gone = [first.clone(), second.clone(), made.clone()];
    round.check(move |entries| {
        drop(data::opened(entries[opened].res));
        drop((first, second, made));
        // SAFETY: strings that end.
        let there = |path: &std::ffi::CString| unsafe { libc::access(path.as_ptr(), libc::F_OK) };
        match gone.iter().find(|path| there(path) == 0) {
            Some(path) => Err(format!("{path:?} is still there")),
            None => Ok(0),
        }
    });
}
