//! Tables of files and buffers, registered, changed and cloned, with tags.
//!
//! A slot holds what it held at the start, or nothing: what a request uses is read off its SQE.

use sysring_sys::abi::io_uring::{
    REGISTER_FILES_SKIP, RSRC_REGISTER_SPARSE, clone_buffers, register,
};

use super::{Generator, bytes};
use crate::diff::layout::*;
use crate::diff::program::Step;

/// Where the lists of an argument lie: what is registered, and its tags.
const DATA: u64 = PLACE + 0x40;
const LISTED_TAGS: u64 = PLACE + 0xc0;
/// Bytes of the structures.
const SIZE: u32 = 32;

impl Generator {
    pub(super) fn resources(&mut self) -> Step {
        match self.random.below(12) {
            0 => self.register_table(false),
            1 => self.register_table(true),
            2..5 => self.update_files(),
            5..7 => self.update_buffers(),
            7..9 => self.alloc_range(),
            _ => self.clone_buffers(),
        }
    }

    /// Tags for `count` slots; one of them may be none.
    fn tags(&mut self, count: u64) -> Vec<u8> {
        self.tags += count;
        let first = TAGS + 0x1000 + self.tags;
        let mut tags: Vec<u64> = (first..first + count).collect();
        if self.random.percent(30) {
            tags[0] = 0;
        }
        bytes(&tags)
    }

    /// FILES2 and BUFFERS2: a new table, sparse or with contents.
    fn register_table(&mut self, buffers: bool) -> Step {
        let call = if buffers { register::BUFFERS2 } else { register::FILES2 };
        let sparse = self.random.percent(50);
        let count = self.random.pick(&[1u32, 2, 4]);
        let mut memory = Vec::new();
        let flags = self.random.pick(&[0, 0, 0, 0, 2]);
        let mut lists = [0; 2];
        if !sparse || self.random.percent(10) {
            let slots = if buffers { buffers_at(0, count) } else { self.files_at(0, count) };
            memory.push((DATA, slots));
            lists[0] = DATA;
            if self.random.percent(70) {
                memory.push((LISTED_TAGS, self.tags(u64::from(count))));
                lists[1] = LISTED_TAGS;
            }
        }
        let flags = if sparse { flags | RSRC_REGISTER_SPARSE } else { flags };
        let mut argument = bytes(&[count, flags, 0, 0]);
        argument.extend(bytes(&lists));
        memory.push((PLACE, argument));
        Step::register(call, PLACE, self.random.pick(&[SIZE, SIZE, SIZE, SIZE, 31]), memory)
    }

    /// The files of these slots, or none.
    fn files_at(&mut self, first: u32, count: u32) -> Vec<u8> {
        let mut file = |slot: u32| {
            let there = FIXED.get(slot as usize).copied().unwrap_or(-1);
            self.random.pick(&[there, there, there, -1, CLOSED])
        };
        let files: Vec<i32> = (first..first + count).map(&mut file).collect();
        bytes(&files)
    }

    fn update_files(&mut self) -> Step {
        let first = self.random.pick(&[0u32, 1, 3, 6, FREE_SLOTS + 5, 15, 100]);
        let count = self.random.pick(&[1u32, 2, 2, 0]);
        let mut files = self.files_at(first, count.max(1));
        if self.random.percent(20) {
            files[..4].copy_from_slice(&bytes(&[REGISTER_FILES_SKIP]));
        }
        self.update(register::FILES_UPDATE2, first, count, files)
    }

    fn update_buffers(&mut self) -> Step {
        let first = self.random.pick(&[0u32, 1, 2, 3, 4]);
        let count = self.random.pick(&[1u32, 2, 2, 0]);
        let mut buffers = buffers_at(first, count.max(1));
        match self.random.below(5) {
            // No buffer any more, or none that could be one.
            0 | 1 => buffers[..16].fill(0),
            2 => buffers[..8].copy_from_slice(&bytes(&[self.random.pick(&[WILD, FORBIDDEN])])),
            _ => {}
        }
        self.update(register::BUFFERS_UPDATE, first, count, buffers)
    }

    fn update(&mut self, call: u32, first: u32, count: u32, data: Vec<u8>) -> Step {
        let tagged = self.random.percent(60);
        let tags = if tagged { LISTED_TAGS } else { 0 };
        let mut argument = bytes(&[first, 0]);
        argument.extend(bytes(&[DATA, tags]));
        argument.extend(bytes(&[count, self.random.pick(&[0, 0, 0, 0, 0, 1])]));
        let list = self.tags(u64::from(count.max(1)));
        let memory = vec![(PLACE, argument), (DATA, data), (LISTED_TAGS, list)];
        Step::register(call, PLACE, SIZE, memory)
    }

    /// The slots that are chosen from where none is named.
    fn alloc_range(&mut self) -> Step {
        let (from, count) = self.random.pick(&[
            (FREE_SLOTS, 4u32),
            (FREE_SLOTS, 8),
            (FREE_SLOTS + 2, 1),
            (FREE_SLOTS, 0),
            (12, 5),
            (0, 8),
            (u32::MAX, 2),
        ]);
        let argument = bytes(&[from, count, 0, self.random.pick(&[0, 0, 0, 0, 0, 1])]);
        let place = self.random.pick(&[PLACE, PLACE, PLACE, PLACE, 0, WILD]);
        let count = self.random.pick(&[0, 0, 0, 0, 1]);
        Step::register(register::FILE_ALLOC_RANGE, place, count, vec![(PLACE, argument)])
    }

    /// The buffers of the second ring.
    fn clone_buffers(&mut self) -> Step {
        let replaces = clone_buffers::DST_REPLACE;
        let source =
            self.random.pick(&[RING2_MARK, RING2_MARK, RING2_MARK, RING_MARK, 200, CLOSED]);
        let flags =
            self.random.pick(&[0, replaces, replaces, replaces, clone_buffers::SRC_REGISTERED, 4]);
        // The second buffer is the second anywhere.
        let [source_from, to, count] =
            self.random.pick(&[[0, 0, 0], [0, 0, 1], [0, 0, 2], [1, 1, 1], [1, 0, 2], [0, 3, 0]]);
        let argument = bytes(&[source as u32, flags, source_from, to, count, 0, 0, 0]);
        Step::register(register::CLONE_BUFFERS, PLACE, 1, vec![(PLACE, argument)])
    }
}

/// The buffers of these slots.
fn buffers_at(first: u32, count: u32) -> Vec<u8> {
    let buffer = |slot: u32| {
        let slot = u64::from(slot) % REGISTERED_COUNT;
        [REGISTERED + slot * REGISTERED_LEN, REGISTERED_LEN]
    };
    let buffers: Vec<[u64; 2]> = (first..first + count).map(buffer).collect();
    bytes(&buffers)
}
