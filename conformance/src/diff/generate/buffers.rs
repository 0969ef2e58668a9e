//! Provided buffers: groups, requests that take from them, and those that go on taking.

use sysring_sys::abi::io_uring::{self as uring, op, recvsend, register, sqe_flags};

use super::{Generator, bytes};
use crate::diff::layout::*;
use crate::diff::program::{Entry, Scrub, Step, Waits};

fn buffer(group: u16, id: u64) -> u64 {
    BUFFERS + u64::from(group) * BUFFERS_LEN + id * BUFFER_LEN
}

fn ring(group: u16) -> u64 {
    BUFFER_RINGS + u64::from(group) * BUFFER_RING_LEN
}

impl Generator {
    /// The steps that provide all groups.
    pub(super) fn provide_groups(&mut self) {
        for (group, flags) in [(RING, 0), (INCREMENTAL, uring::pbuf_ring::INC)] {
            let step = self.register_ring(group, flags);
            self.program.steps.push(step);
            let step = self.put(group, BUFFERS_IN_GROUP);
            self.program.steps.push(step);
        }
        let number = self.count;
        self.count += 1;
        let mut entry = Entry {
            sqe: Default::default(),
            index: None,
            memory: Vec::new(),
            waits: Waits::No,
            scrub: Scrub::Nothing,
            opens: false,
            chain: None,
        };
        self.provide_all(&mut entry);
        entry.sqe.user_data = number;
        self.program.steps.push(Step::Submit { entries: vec![entry], wait: 0, flags: 0 });
    }

    fn provide_all(&mut self, entry: &mut Entry) {
        entry.sqe.opcode = op::PROVIDE_BUFFERS;
        entry.sqe.fd = BUFFERS_IN_GROUP as i32;
        entry.sqe.addr = buffer(CLASSIC, 0);
        entry.sqe.len = BUFFER_LEN as u32;
        entry.sqe.buf_index = CLASSIC;
    }

    fn register_ring(&mut self, group: u16, flags: u16) -> Step {
        let entries = BUFFERS_IN_GROUP as u32;
        let mut argument = bytes(&[ring(group)]);
        argument.extend(bytes(&[entries]));
        argument.extend(bytes(&[group, flags]));
        argument.extend([0; 24]);
        self.put[group as usize] = 0;
        let memory = vec![(PLACE, argument), (ring(group) + 14, vec![0, 0])];
        Step::register(register::PBUF_RING, PLACE, 1, memory)
    }

    /// Puts buffers into a group's ring.
    fn put(&mut self, group: u16, count: u64) -> Step {
        let mut pieces = Vec::new();
        for _ in 0..count {
            let tail = &mut self.put[group as usize];
            let id = u64::from(*tail) % BUFFERS_IN_GROUP;
            // The last two bytes of the first are the tail.
            let mut bytes_of = bytes(&[buffer(group, id)]);
            bytes_of.extend(bytes(&[BUFFER_LEN as u32]));
            bytes_of.extend(bytes(&[id as u16]));
            pieces.push((ring(group) + 16 * id, bytes_of));
            *tail += 1;
        }
        pieces.push((ring(group) + 14, bytes(&[self.put[group as usize]])));
        Step::Memory(pieces)
    }

    /// Gives back, asks, or takes away.
    pub(super) fn refill(&mut self) -> Step {
        let group = self.random.pick(&[RING, INCREMENTAL]);
        match self.random.below(6) {
            0..3 => {
                let count = self.random.pick(&[1, 2, 3]);
                self.put(group, count)
            }
            3 => {
                let asked = self.random.pick(&[RING, INCREMENTAL, CLASSIC, NO_GROUP]);
                let argument = bytes(&[u32::from(asked), 0, 0, 0, 0, 0, 0, 0, 0, 0]);
                let memory = vec![(PLACE, argument)];
                Step::register(register::PBUF_STATUS, PLACE, 1, memory)
            }
            4 => self.register_ring(SPARE, 0),
            _ => {
                let asked = self.random.pick(&[SPARE, SPARE, CLASSIC, NO_GROUP]);
                let mut argument = vec![0; 12];
                argument.extend(bytes(&[asked, 0]));
                argument.extend([0; 24]);
                let memory = vec![(PLACE, argument)];
                Step::register(register::UNREGISTER_PBUF_RING, PLACE, 1, memory)
            }
        }
    }

    /// PROVIDE_BUFFERS and REMOVE_BUFFERS.
    pub(super) fn provide(&mut self, entry: &mut Entry) {
        if self.random.percent(60) {
            self.provide_all(entry);
            let from = self.random.pick(&[0, 0, 4, 6]);
            entry.sqe.fd = self.random.pick(&[1, 2, 2, 0, 70_000]);
            entry.sqe.addr = buffer(CLASSIC, from);
            entry.sqe.off = from;
            entry.sqe.buf_index = self.random.pick(&[CLASSIC, CLASSIC, CLASSIC, RING]);
            if self.random.percent(10) {
                // As many as a group may have, or nearly: small ones, for few of them are used.
                entry.sqe.fd = self.random.pick(&[65_530, 65_535, 65_536]);
                (entry.sqe.len, entry.sqe.off) = (1, 0);
            }
        } else {
            entry.sqe.opcode = op::REMOVE_BUFFERS;
            entry.sqe.fd = self.random.pick(&[1, 2, 100, 65_536, 0]);
            entry.sqe.buf_index = self.random.pick(&[CLASSIC, CLASSIC, RING, NO_GROUP]);
        }
    }

    fn group_of_buffers(&mut self) -> u16 {
        self.random.pick(&[CLASSIC, CLASSIC, RING, RING, RING, INCREMENTAL, INCREMENTAL, NO_GROUP])
    }

    /// Has a request take its buffer from a group.
    pub(super) fn select(&mut self, entry: &mut Entry) {
        if entry.sqe.flags & sqe_flags::BUFFER_SELECT != 0 {
            return;
        }
        let socket = matches!(kind(super::resolve(&entry.sqe)), Kind::Socket { .. });
        if entry.sqe.opcode == op::SEND && !socket {
            return;
        }
        let sqe = &mut entry.sqe;
        let vectored = sqe.ioprio & recvsend::SEND_VECTORIZED != 0;
        match sqe.opcode {
            op::READ | op::RECV | op::SEND if !vectored => {
                sqe.addr = 0;
                sqe.len = self.random.pick(&[0, 0, 8, 100, 2000]);
                if sqe.opcode != op::READ && self.random.percent(40) {
                    entry.sqe.ioprio |= recvsend::BUNDLE;
                }
            }
            op::RECVMSG => {}
            _ => return,
        }
        entry.sqe.flags |= sqe_flags::BUFFER_SELECT;
        entry.sqe.buf_index = self.group_of_buffers();
        self.keep_apart(entry);
    }

    /// What Linux 6.18 itself does not do well with a group that is no ring: a bundle is received
    /// past the end of its buffer, and one that polls first finds no buffer.
    fn keep_apart(&self, entry: &mut Entry) {
        if matches!(entry.sqe.opcode, op::RECV | op::RECVMSG | op::SEND) {
            entry.sqe.ioprio &= !recvsend::POLL_FIRST;
        }
        if entry.sqe.buf_index == CLASSIC && entry.sqe.opcode == op::RECV {
            entry.sqe.ioprio &= !recvsend::BUNDLE;
        }
        // How many of a pile's buffers go out depends on the room for completions.
        if entry.sqe.opcode == op::SEND && !self.is_roomy() {
            entry.sqe.ioprio &= !recvsend::BUNDLE;
        }
        // Nor how much of its last buffer a bundle that waits for all has used; and one that peeks is
        // counted twice.
        if entry.sqe.ioprio & recvsend::BUNDLE != 0 {
            entry.sqe.op_flags &= !((libc::MSG_WAITALL | libc::MSG_PEEK) as u32);
        }
        // A vector stays with whoever comes next: a bundle then looks at as many buffers as that had
        // entries, and is the last where there are no others, or throws away more at once.
        let shoots = entry.sqe.ioprio & recvsend::RECV_MULTISHOT != 0;
        let throws_away = entry.sqe.op_flags & libc::MSG_TRUNC as u32 != 0;
        if (shoots || throws_away) && self.vectors {
            entry.sqe.ioprio &= !recvsend::BUNDLE;
        }
    }

    /// Requests that take buffer after buffer. One that finds the queue full ends: not where others fill
    /// it.
    pub(super) fn multishot(&mut self, entry: &mut Entry, number: u64) {
        match self.random.below(4) {
            0 => {
                entry.sqe.opcode = op::READ_MULTISHOT;
                self.aim(entry, &[210, 212, 214, 220, 230, 260, 200]);
                entry.sqe.off = self.random.pick(&[0, u64::MAX]);
            }
            1 => {
                self.messages(entry, number);
                entry.sqe = uring::Sqe {
                    opcode: op::RECVMSG,
                    addr: entry.sqe.addr,
                    len: 1,
                    ..Default::default()
                };
                self.aim(entry, &[230, 231, 232, 234, 235, 236, 240]);
                entry.sqe.ioprio = recvsend::RECV_MULTISHOT;
            }
            _ => {
                entry.sqe.opcode = op::RECV;
                self.aim(entry, &[230, 231, 232, 234, 235, 236, 237, 238, 240]);
                entry.sqe.ioprio = recvsend::RECV_MULTISHOT;
                if self.random.percent(30) {
                    entry.sqe.ioprio |= recvsend::BUNDLE;
                }
            }
        }
        entry.sqe.flags |= sqe_flags::BUFFER_SELECT;
        entry.sqe.buf_index = self.group_of_buffers();
        self.keep_apart(entry);
    }
}
