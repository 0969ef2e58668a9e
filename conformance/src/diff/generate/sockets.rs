//! Sockets made, connected and ended, and commands to them.

use sysring_sys::abi::io_uring::{op, socket_op};

use super::{Generator, bytes};
use crate::diff::layout::*;
use crate::diff::program::{Entry, Scrub};

/// The address at which nobody listens, of those there are.
const REFUSING: u64 = 3;

impl Generator {
    pub(super) fn socket(&mut self, entry: &mut Entry) {
        entry.sqe.opcode = op::SOCKET;
        entry.opens = true;
        entry.sqe.fd = self.random.pick(&[libc::AF_INET, libc::AF_UNIX, 77, -1]);
        let kind = self.random.pick(&[libc::SOCK_STREAM, libc::SOCK_DGRAM, 77]);
        let flags = self.random.pick(&[0, libc::SOCK_CLOEXEC, libc::SOCK_NONBLOCK]);
        entry.sqe.off = (kind | flags) as u64;
        entry.sqe.len = self.random.pick(&[0, 0, 0, 99]);
        if self.program.register_files && self.random.percent(20) {
            entry.opens = false;
            entry.sqe.file_index = self.random.pick(&[FREE_SLOTS + 7, 17, u32::MAX]);
        }
    }

    pub(super) fn connect(&mut self, entry: &mut Entry) {
        entry.sqe.opcode = op::CONNECT;
        self.aim(entry, &[255, 255, 256, 256, 257, 230, 200, 250]);
        let index = match entry.sqe.fd {
            256 => 1,
            255 | 257 => self.random.pick(&[0, 0, 0, 3]),
            _ => self.random.pick(&[0, 1, 3]),
        };
        // Who is refused again is told something else where the first refusal has come late.
        let index = if self.refused && index == REFUSING { 0 } else { index };
        self.refused |= index == REFUSING;
        entry.sqe.addr = ADDRESSES + index * ADDRESS_LEN;
        entry.sqe.off = self.random.pick(&[16, 16, 16, 16, 2, 0, 1000]);
    }

    pub(super) fn accept(&mut self, entry: &mut Entry, number: u64) {
        entry.sqe.opcode = op::ACCEPT;
        entry.opens = true;
        self.aim(entry, &[250, 250, 251, 251, 252, 230, 200]);
        if self.random.percent(40) {
            let place = ARENA + number * SLOT + AUX;
            entry.sqe.addr = place;
            entry.sqe.off = place + 0x40;
            entry.memory.push((place + 0x40, bytes(&[self.random.pick(&[0u32, 4, 16, 64])])));
            entry.scrub = Scrub::Port(AUX);
        }
        entry.sqe.op_flags =
            self.random.pick(&[0, libc::SOCK_CLOEXEC as u32, libc::SOCK_NONBLOCK as u32, 1]);
        if self.random.percent(20) {
            entry.sqe.ioprio = self.random.pick(&[2, 4, 8]);
            // Of what does not listen Linux 6.18 says EAGAIN then, if it is linked.
            if !matches!(kind(super::resolve(&entry.sqe)), Kind::Listener(_)) {
                entry.sqe.ioprio &= !4;
            }
        }
        if self.program.register_files && self.random.percent(15) {
            entry.opens = false;
            entry.sqe.op_flags = 0;
            entry.sqe.file_index = self.random.pick(&[FREE_SLOTS + 1, 17, u32::MAX]);
        }
    }

    pub(super) fn shutdown(&mut self, entry: &mut Entry) {
        entry.sqe.opcode = op::SHUTDOWN;
        self.aim(entry, &[230, 231, 233, 236, 237, 255, 200]);
        entry.sqe.len = self.random.pick(&[0, 1, 2, 3]);
        // If it is shut for one direction, an end of the pair is woken for nothing. Who polls first, and whose
        // call would fail, is told so by the kernel, which makes the call whatever it was woken for.
        if self.polls_first && entry.sqe.len < libc::SHUT_RDWR as u32 {
            entry.sqe.len = libc::SHUT_RDWR as u32;
        }
    }

    /// A command to a socket, or to what takes none.
    pub(super) fn command(&mut self, entry: &mut Entry, number: u64) {
        const SOL_SOCKET: u64 = libc::SOL_SOCKET as u64;
        entry.sqe.opcode = op::URING_CMD;
        self.aim(entry, &[230, 232, 234, 236, 237, 250, 255, 257, 200, 210, NULL, -1]);
        let at = ARENA + number * SLOT + AUX;
        let (command, name) = self.random.pick(&[
            (socket_op::SIOCINQ, 0),
            (socket_op::GETSOCKOPT, libc::SO_TYPE),
            (socket_op::GETSOCKOPT, libc::SO_KEEPALIVE),
            (socket_op::SETSOCKOPT, libc::SO_KEEPALIVE),
            (socket_op::TX_TIMESTAMP, 0),
            (77, 0),
        ]);
        entry.sqe.off = u64::from(command);
        if name != 0 {
            entry.sqe.addr = SOL_SOCKET | (name as u64) << 32;
            entry.sqe.addr3 = at;
            entry.sqe.file_index = self.random.pick(&[4, 4, 4, 1, 100, u32::MAX]);
        }
    }

    pub(super) fn bind_listen(&mut self, entry: &mut Entry) {
        self.aim(entry, &[255, 255, 256, 256, 257, 230, 250, 200]);
        if self.random.percent(40) {
            entry.sqe.opcode = op::LISTEN;
            entry.sqe.len = self.random.pick(&[0, 1, 16]);
            return;
        }
        entry.sqe.opcode = op::BIND;
        let unix = matches!(entry.sqe.fd, 256 | 230);
        let own = if unix { 5 } else { 4 };
        let index = self.random.pick(&[own, own, own, 0, 1]);
        entry.sqe.addr = ADDRESSES + index * ADDRESS_LEN;
        entry.sqe.off = self.random.pick(&[16, 16, 16, 2, 0, 1000]);
    }
}
