//! What may run at the same time without a race.
//!
//! Requests that are not linked run in no promised order, so the generator lets two of them out
//! together only if neither changes what the other uses. The rules, by resource:
//!
//! - contents and position of a file, a name in the scratch folder, a descriptor's entry in its
//!   table: many may look, or one may change;
//! - a stream (pipe, socket, listener, counter) has one consumer and one producer at a time. A
//!   consumer that waits is met by one producer per batch, so that what it reads is whole;
//! - consumer and producer of one stream are in the same batch only where submission order
//!   settles who is first: single requests, neither `ASYNC` nor `DRAIN`;
//! - one request per batch cancels, removes or updates others;
//! - in a batch with a `CLOSE` nothing else uses the stream: the kernel lets go of a closed file when
//!   the submission is over, not when it says so;
//! - `DRAIN` stands only where everything ends by itself, and after it nothing waits any more:
//!   nothing would ever get past what waits, and Linux 6.18 may hold back requests after the
//!   drained one as well until everything before them has ended.

use std::collections::HashMap;

use sysring_sys::abi::io_uring::{Sqe, op, sqe_flags};

use super::generate::resolve;
use super::layout::*;
use super::program::{Entry, Waits};

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Resource {
    /// Contents and length of a file.
    Contents(usize),
    /// The position of an open file.
    Position(i32),
    /// A descriptor's entry in the process's table.
    Descriptor(i32),
    /// The registered table.
    FixedTable,
    /// A name in the scratch folder.
    Name(usize),
    /// Taking from a stream, and putting into it.
    Out(u32),
    In(u32),
    /// The set of requests that wait.
    Waiting,
    EpollSet,
    /// Memory that several requests may name.
    SharedMemory,
}

/// Everything a group of linked requests, or a batch of groups, uses.
#[derive(Clone, Default, Debug)]
pub struct Claims {
    uses: HashMap<Resource, (bool, u32)>,
    /// Some request is `ASYNC`, `DRAIN` or linked: submission order is not order of execution.
    rough: bool,
    drains: bool,
    /// Some request waits for others.
    waits: bool,
    /// What stays in use when the batch is at rest.
    stays: Vec<Resource>,
    /// Streams that are closed.
    closes: Vec<u32>,
    /// A stream is used behind its own `CLOSE`.
    closed_before_use: bool,
}

impl Resource {
    fn stream(self) -> Option<u32> {
        match self {
            Resource::In(stream) | Resource::Out(stream) => Some(stream),
            _ => None,
        }
    }
}

impl Claims {
    fn streams(&self) -> impl Iterator<Item = u32> {
        self.uses.keys().filter_map(|used| used.stream())
    }

    fn claim(&mut self, resource: Resource, changes: bool) {
        let entry = self.uses.entry(resource).or_insert((false, 0));
        entry.0 |= changes;
        entry.1 += 1;
    }

    /// Whether `other` may be in one batch with these.
    #[must_use]
    pub fn allows(&self, other: &Claims) -> bool {
        if (self.drains || other.drains) && (self.waits || other.waits) || other.closed_before_use {
            return false;
        }
        if other.streams().any(|stream| self.closes.contains(&stream))
            || self.streams().any(|stream| other.closes.contains(&stream))
        {
            return false;
        }
        other.uses.iter().all(|(resource, (changes, _))| {
            let clash = self.uses.get(resource).is_some_and(|(mine, _)| *mine || *changes);
            let opposite = match resource {
                Resource::In(stream) => Some(Resource::Out(*stream)),
                Resource::Out(stream) => Some(Resource::In(*stream)),
                _ => None,
            };
            let meets = opposite.is_some_and(|opposite| self.uses.contains_key(&opposite));
            !clash && !(meets && (self.rough || other.rough))
        })
    }

    /// Adds a group to a batch.
    pub fn add(&mut self, other: Claims) {
        for (resource, (changes, count)) in other.uses {
            let entry = self.uses.entry(resource).or_insert((false, 0));
            entry.0 |= changes;
            entry.1 += count;
        }
        self.rough |= other.rough;
        self.drains |= other.drains;
        self.waits |= other.waits;
        self.stays.extend(other.stays);
        self.closes.extend(other.closes);
    }
}

/// What requests of earlier batches may still use.
#[derive(Default)]
pub struct Held {
    resources: Vec<Resource>,
    any: bool,
    drained: bool,
}

impl Held {
    #[must_use]
    pub fn allows(&self, group: &Claims) -> bool {
        if (self.any && group.drains) || (self.drained && group.waits) {
            return false;
        }
        self.resources.iter().all(|held| {
            let opposite = match held {
                Resource::In(stream) => Some(Resource::Out(*stream)),
                Resource::Out(stream) => Some(Resource::In(*stream)),
                _ => None,
            };
            let met = opposite.and_then(|resource| group.uses.get(&resource));
            !group.uses.contains_key(held) && met.is_none_or(|(_, count)| *count <= 1)
        })
    }

    pub fn add(&mut self, batch: &Claims) {
        self.resources.extend(&batch.stays);
        self.any |= batch.waits;
        self.drained |= batch.drains;
    }
}

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
        claims.drains |= flags & sqe_flags::IO_DRAIN != 0;
        claims.waits |= entry.waits != Waits::No;
    }
    if group.len() > 1 {
        claims.rough = true;
    }
    if claims.waits {
        let streams = |resource: &&Resource| {
            group.len() > 1 || matches!(resource, Resource::In(_) | Resource::Out(_))
        };
        claims.stays = claims.uses.keys().filter(streams).copied().collect();
    }
    claims
}

fn claim_entry(claims: &mut Claims, entry: &Entry) {
    let sqe = &entry.sqe;
    match sqe.opcode {
        op::READ | op::READV | op::READ_FIXED | op::RECV | op::RECVMSG | op::ACCEPT => {
            target(claims, sqe, true, false);
        }
        op::WRITE
        | op::WRITEV
        | op::WRITE_FIXED
        | op::SEND
        | op::SENDMSG
        | op::SEND_ZC
        | op::SENDMSG_ZC => {
            target(claims, sqe, false, true);
        }
        // It asks what is there to be read, and what is not sent yet.
        op::URING_CMD => target(claims, sqe, true, true),
        op::FSYNC | op::SYNC_FILE_RANGE | op::FALLOCATE | op::FTRUNCATE | op::FADVISE => {
            target(claims, sqe, false, true);
        }
        op::POLL_ADD => {
            let out = sqe.op_flags & libc::POLLOUT as u32 != 0;
            target(claims, sqe, true, out);
        }
        op::CONNECT => {
            target(claims, sqe, true, true);
            let index = sqe.addr.wrapping_sub(ADDRESSES) / ADDRESS_LEN;
            if index < 2 {
                claims.claim(Resource::In(index as u32), true);
            }
        }
        op::SHUTDOWN => ends(claims, resolve(sqe)),
        op::CLOSE => {
            if sqe.file_index != 0 {
                claims.claim(Resource::FixedTable, true);
            }
            claims.claim(Resource::Descriptor(sqe.fd), true);
            ends(claims, sqe.fd);
        }
        op::POLL_REMOVE | op::TIMEOUT_REMOVE | op::ASYNC_CANCEL => {
            claims.claim(Resource::Waiting, true);
            if let Kind::Reader(stream) | Kind::Listener(stream) | Kind::Counter(stream) =
                kind(sqe.fd)
            {
                claims.claim(Resource::Out(stream), true);
            }
            if let Kind::Socket { reads, .. } = kind(sqe.fd) {
                claims.claim(Resource::Out(reads), true);
            }
        }
        op::OPENAT | op::OPENAT2 | op::STATX | op::UNLINKAT | op::RENAMEAT | op::MKDIRAT => {
            names(claims, entry);
            if sqe.file_index != 0 {
                claims.claim(Resource::FixedTable, true);
            }
        }
        op::MSG_RING => claims.claim(Resource::Descriptor(sqe.fd), false),
        op::FILES_UPDATE => claims.claim(Resource::FixedTable, true),
        op::EPOLL_CTL => {
            claims.claim(Resource::EpollSet, true);
            claims.claim(Resource::Descriptor(EPOLL), false);
            claims.claim(Resource::Descriptor(sqe.off as i32), false);
        }
        _ => {}
    }
    if sqe.opcode == op::ACCEPT && sqe.file_index != 0 {
        claims.claim(Resource::FixedTable, true);
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
        if let Some(name) = NAMES.iter().position(|(name, _)| *name == first) {
            claims.claim(Resource::Name(name), true);
        }
    }
}
