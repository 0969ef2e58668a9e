//! What a request uses: a row for each operation, of the rules in [`super::conflict`].

use sysring_sys::abi::io_uring::{Sqe, op, sqe_flags};

use super::conflict::{Claims, Resource};
use super::generate::resolve;
use super::lane;
use super::layout::*;
use super::program::{Entry, Waits};

/// To provide more than these takes long.
const MANY_BUFFERS: i32 = 1000;

/// A NOP with this flag looks its file up.
const NOP_FILE: u32 = 1 << 1;

/// The claims of one chain, or of one request that stands alone.
#[must_use]
pub fn claims(group: &[Entry]) -> Claims {
    let mut claims = Claims::default();
    for entry in group {
        let mut own = Claims::default();
        claim_entry(&mut own, entry);
        claims.closed_before_use |= own.streams().any(|stream| claims.closes.contains(&stream));
        if entry.sqe.opcode == op::CLOSE {
            own.closes = own.streams().collect();
        }
        claims.add(own);
        let flags = entry.sqe.flags;
        claims.rough |= flags & (sqe_flags::ASYNC | sqe_flags::IO_DRAIN) != 0;
        // Whoever has its credentials runs it.
        claims.rough |= entry.sqe.personality != 0;
        claims.drains |= flags & sqe_flags::IO_DRAIN != 0;
        claims.waits |= entry.waits != Waits::No;
    }
    if group.len() > 1 {
        claims.rough = true;
    }
    if claims.waits {
        let streams = |resource: &&Resource| {
            let shared = matches!(
                resource,
                Resource::In(_) | Resource::Out(_) | Resource::Group(_) | Resource::Child(_)
            );
            group.len() > 1 || shared
        };
        claims.stays = claims.uses.keys().filter(streams).copied().collect();
    }
    claims
}

fn claim_entry(claims: &mut Claims, entry: &Entry) {
    let sqe = &entry.sqe;
    match sqe.opcode {
        op::NOP if sqe.op_flags & NOP_FILE != 0 => {
            claims.claim(Resource::Descriptor(sqe.fd), false);
            claims.claim(Resource::FixedTable, false);
        }
        op::READ
        | op::READV
        | op::READ_FIXED
        | op::READV_FIXED
        | op::READ_MULTISHOT
        | op::RECV
        | op::RECVMSG
        | op::ACCEPT => {
            target(claims, sqe, true, false);
        }
        op::WRITE
        | op::WRITEV
        | op::WRITE_FIXED
        | op::WRITEV_FIXED
        | op::SEND
        | op::SENDMSG
        | op::SEND_ZC
        | op::SENDMSG_ZC => {
            target(claims, sqe, false, true);
        }
        // It asks what is there to be read, and what is not sent yet.
        op::URING_CMD => target(claims, sqe, true, true),
        op::FSYNC | op::SYNC_FILE_RANGE | op::FALLOCATE | op::FTRUNCATE | op::FADVISE => {
            target(claims, sqe, false, true)
        }
        op::FSETXATTR | op::FGETXATTR => {
            target(claims, sqe, false, true);
            // A folder's, too.
            claims.claim(Resource::Attributes(resolve(sqe)), true);
        }
        op::SPLICE | op::TEE => {
            target(claims, sqe, false, true);
            let from = source(sqe);
            target(claims, &from, true, false);
            // Who waits for a socket holds the pipe's lock meanwhile.
            if let (Kind::Socket { .. }, Kind::Writer(pipe)) =
                (kind(resolve(&from)), kind(resolve(sqe)))
            {
                claims.claim(Resource::Out(pipe), true);
            }
            // A worker moves the data.
            claims.rough = true;
        }
        op::BIND | op::LISTEN => {
            target(claims, sqe, true, true);
            address(claims, sqe);
        }
        op::EPOLL_WAIT => {
            claims.claim(Resource::EpollSet, true);
            claims.claim(Resource::Descriptor(EPOLL), false);
            for fd in WATCHED {
                target(claims, &Sqe { fd, ..Sqe::default() }, true, false);
            }
        }
        op::FUTEX_WAIT | op::FUTEX_WAITV => {
            words(entry).for_each(|word| claims.claim(Resource::Out(WORDS + word), true));
        }
        op::FUTEX_WAKE => {
            claims.claim(Resource::Wakes, true);
            words(entry).for_each(|word| claims.claim(Resource::In(WORDS + word), true));
        }
        op::WAITID => claims.claim(Resource::Child(sqe.fd), true),
        op::FIXED_FD_INSTALL => claims.claim(Resource::FixedTable, false),
        op::TIMEOUT | op::LINK_TIMEOUT => claims.claim(Resource::Time, false),
        op::PROVIDE_BUFFERS | op::REMOVE_BUFFERS => {
            claims.claim(Resource::Time, sqe.fd > MANY_BUFFERS);
            claims.claim(Resource::Group(sqe.buf_index), true);
        }
        op::PIPE | op::SOCKET if sqe.file_index != 0 => claims.claim(Resource::FixedTable, true),
        op::POLL_ADD => {
            let out = sqe.op_flags & libc::POLLOUT as u32 != 0;
            target(claims, sqe, true, out);
        }
        op::CONNECT => {
            target(claims, sqe, true, true);
            address(claims, sqe);
        }
        op::SHUTDOWN => {
            ends(claims, resolve(sqe));
            // A worker does it.
            claims.rough = true;
        }
        op::CLOSE => {
            if sqe.file_index != 0 {
                claims.claim(Resource::FixedTable, true);
            }
            claims.claim(Resource::Descriptor(sqe.fd), true);
            ends(claims, sqe.fd);
        }
        op::POLL_REMOVE | op::TIMEOUT_REMOVE | op::ASYNC_CANCEL => {
            claims.claim(Resource::Waiting, true);
            match kind(resolve(sqe)) {
                // What a worker has not begun yet can be cancelled.
                Kind::File(file) => claims.claim(Resource::Contents(file), true),
                Kind::Reader(stream) | Kind::Listener(stream) | Kind::Counter(stream) => {
                    claims.claim(Resource::Out(stream), true);
                }
                Kind::Writer(stream) => claims.claim(Resource::In(stream), true),
                Kind::Socket { reads, writes } => {
                    claims.claim(Resource::Out(reads), true);
                    claims.claim(Resource::In(writes), true);
                }
                _ => {}
            }
        }
        op::OPENAT
        | op::OPENAT2
        | op::STATX
        | op::UNLINKAT
        | op::RENAMEAT
        | op::MKDIRAT
        | op::SYMLINKAT
        | op::LINKAT
        | op::SETXATTR
        | op::GETXATTR => {
            names(claims, entry);
            if sqe.file_index != 0 {
                claims.claim(Resource::FixedTable, true);
            }
        }
        op::MSG_RING => {
            claims.claim(Resource::Descriptor(sqe.fd), false);
            if sqe.addr != 0 {
                claims.claim(Resource::FixedTable, true);
            }
        }
        op::FILES_UPDATE => {
            claims.claim(Resource::FixedTable, true);
            for fd in entry.memory.iter().flat_map(|(_, bytes)| bytes.chunks_exact(4)) {
                let fd = i32::from_ne_bytes([fd[0], fd[1], fd[2], fd[3]]);
                claims.claim(Resource::Descriptor(fd), false);
            }
        }
        op::EPOLL_CTL => {
            claims.claim(Resource::EpollSet, true);
            claims.claim(Resource::Descriptor(sqe.fd), false);
            claims.claim(Resource::Descriptor(sqe.off as i32), false);
        }
        _ => {}
    }
    if sqe.opcode == op::ACCEPT && sqe.file_index != 0 {
        claims.claim(Resource::FixedTable, true);
    }
    if sqe.flags & sqe_flags::BUFFER_SELECT != 0 {
        claims.claim(Resource::Group(sqe.buf_index), true);
    }
    if sqe.flags & sqe_flags::FIXED_FILE != 0 {
        claims.claim(Resource::FixedTable, false);
    }
    let places = [EDGE + 0xf00, REGISTERED - 8];
    if places.contains(&sqe.addr) || places.contains(&sqe.off) {
        claims.claim(Resource::SharedMemory, true);
    }
}

/// A descriptor that is read from or written to.
fn target(claims: &mut Claims, sqe: &Sqe, reads: bool, writes: bool) {
    let fd = resolve(sqe);
    if sqe.flags & sqe_flags::FIXED_FILE != 0 {
        claims.claim(Resource::FixedTable, false);
    } else {
        claims.claim(Resource::Descriptor(fd), false);
    }
    match kind(fd) {
        Kind::File(file) => {
            claims.claim(Resource::Contents(file), writes);
            if sqe.off == u64::MAX {
                claims.claim(Resource::Position(fd), true);
            }
        }
        Kind::Reader(stream) | Kind::Listener(stream) => {
            claims.claim(Resource::Out(stream), true);
        }
        Kind::Writer(stream) => claims.claim(Resource::In(stream), true),
        Kind::Counter(stream) => {
            if reads {
                claims.claim(Resource::Out(stream), true);
            }
            if writes {
                claims.claim(Resource::In(stream), true);
            }
        }
        Kind::Socket { reads: from, writes: to } => {
            // What is sent to a peer that has gone comes back as an error to read.
            if reads || fd == PEER_GONE {
                claims.claim(Resource::Out(from), true);
            }
            if writes || fd == PEER_GONE {
                claims.claim(Resource::In(to), true);
            }
        }
        Kind::Fresh(stream) => claims.claim(Resource::Out(stream), true),
        Kind::Other | Kind::Bad => {}
    }
}

/// The listener that an address is.
fn address(claims: &mut Claims, sqe: &Sqe) {
    let index = sqe.addr.wrapping_sub(ADDRESSES) / ADDRESS_LEN;
    if index < 2 {
        claims.claim(Resource::In(index as u32), true);
    } else if sqe.opcode == op::BIND {
        // It is the first one's who comes.
        claims.claim(Resource::Address(index), true);
    }
}

/// Where a splice takes from, as a target of its own.
pub fn source(sqe: &Sqe) -> Sqe {
    let fixed = sqe.op_flags & SPLICE_F_FD_IN_FIXED != 0;
    let flags = if fixed { sqe_flags::FIXED_FILE } else { 0 };
    Sqe { fd: sqe.file_index as i32, flags, off: sqe.addr, ..Sqe::default() }
}

/// Streams of words have numbers from here on.
const WORDS: u32 = 100;

/// The words a request waits for or wakes.
pub fn words(entry: &Entry) -> impl Iterator<Item = u32> {
    let named = match (entry.waits, lane::home(entry.sqe.addr)) {
        (Waits::Wake(words), _) => words,
        (_, at) if entry.sqe.opcode != op::FUTEX_WAITV && (FUTEXES..BUFFERS).contains(&at) => {
            1 << ((at - FUTEXES) / FUTEX_LEN)
        }
        _ => 0,
    };
    (0..32).filter(move |word| named & 1 << word != 0)
}

/// Closing or shutting down `fd` is felt at both of its ends.
fn ends(claims: &mut Claims, fd: i32) {
    match kind(fd) {
        Kind::Reader(stream) | Kind::Writer(stream) | Kind::Listener(stream) => {
            claims.claim(Resource::In(stream), true);
        }
        Kind::Counter(stream) | Kind::Fresh(stream) => claims.claim(Resource::Out(stream), true),
        Kind::Socket { reads, writes } => {
            claims.claim(Resource::In(reads), true);
            claims.claim(Resource::In(writes), true);
        }
        Kind::File(_) | Kind::Other | Kind::Bad => {}
    }
    claims.claim(Resource::Descriptor(fd), false);
}

/// The names an SQE's paths begin with, and the file an empty path means.
fn names(claims: &mut Claims, entry: &Entry) {
    let sqe = &entry.sqe;
    claims.claim(Resource::Descriptor(sqe.fd), false);
    if let Kind::File(file) = kind(sqe.fd) {
        claims.claim(Resource::Contents(file), true);
    }
    for (_, bytes) in &entry.memory {
        let text = String::from_utf8_lossy(bytes);
        let first = text.trim_end_matches('\0').split('/').next().unwrap_or_default().to_owned();
        if let Some(file) = FILES.iter().position(|(_, name, ..)| *name == first) {
            claims.claim(Resource::Contents(file), true);
        }
        // The new names of n1 are n1, too.
        let first = if first.starts_with('l') { "n1".to_owned() } else { first };
        if let Some(name) = NAMES.iter().position(|(name, _)| *name == first) {
            claims.claim(Resource::Name(name), true);
        }
    }
}
