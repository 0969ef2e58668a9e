//! Makes a program from a seed.
//!
//! What is random must not be a race, or the kernel would differ from itself. So each SQE says
//! which resources it uses ([`super::conflict`]), and two that could run at the same time never
//! share one that either of them changes. Within a chain order is given, and everything goes.

use sysring_sys::abi::io_uring::{self as uring, Sqe, op, sqe_flags};

mod buffers;
mod calls;
mod files;
mod frame;
mod futexes;
mod messages;
mod moves;
mod names;
mod nature;
mod resources;
mod rings;
mod rw;
mod services;
mod sockets;
mod spoil;
mod waiting;

pub use nature::resolve;
use nature::{
    cancels, is_listed, may_skip, polls_first, punted, receives_nothing, runs_at_once, shoot_once,
    shows_its_thread, uses_vector, wakes, writes,
};

use super::claims::claims;
use super::conflict::{Claims, Held};
use super::layout::*;
use super::program::{Entry, Program, Scrub, Step, Waits, no_array};
use crate::random::Random;

/// A timeout that fires while the program runs, in nanoseconds.
const SHORT: u64 = 1_000_000;
/// One that does not.
const LONG: u64 = 1_000_000_000_000;

pub struct Generator {
    random: Random,
    program: Program,
    /// SQEs made so far.
    count: u64,
    held: Held,
    /// Requests that surely wait: number and descriptor.
    parked: Vec<(u64, u8, i32)>,
    /// Buffers put into each group's ring so far.
    put: [u16; GROUPS as usize],
    /// Tags given so far.
    tags: u64,
    /// Something drains: Linux 6.18 may give what comes behind it to workers.
    drains: bool,
    /// Something was sent or received with a vector of several buffers.
    vectors: bool,
    /// Something is to be polled before it is received.
    polls_first: bool,
    /// Something connects where nobody listens.
    refused: bool,
    /// Which timeouts there are, and in which order, is certain at any time: the first may be ended.
    lists: bool,
}

/// The program of a seed.
#[must_use]
pub fn generate(seed: u64) -> Program {
    let mut random = Random::new(seed);
    let program = frame::frame(seed, &mut random);
    let mut generator = Generator {
        random,
        program,
        count: 1,
        held: Held::default(),
        parked: Vec::new(),
        put: [0; GROUPS as usize],
        tags: 0,
        drains: false,
        vectors: false,
        polls_first: false,
        refused: false,
        lists: false,
    };
    generator.lists = generator.random.percent(10);
    if generator.program.buffers {
        generator.provide_groups();
    }
    let steps = 1 + generator.random.below(4);
    for _ in 0..steps {
        let step = match generator.random.below(13) {
            0 => generator.enter(),
            1 => generator.register(),
            2 => generator.resources(),
            3 => generator.service(),
            5 | 6 if generator.can_resize() => generator.resize(),
            4 if generator.program.buffers => generator.refill(),
            _ => generator.submit(),
        };
        generator.program.steps.push(step);
    }
    generator.program
}

fn bytes<T: Copy>(values: &[T]) -> Vec<u8> {
    // SAFETY: used with integers only, which have no padding.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) }.to_vec()
}

impl Generator {
    fn submit(&mut self) -> Step {
        let mut batch: Vec<Entry> = Vec::new();
        let mut together = Claims::default();
        let most = u64::from(self.program.entries.min(10));
        let wanted = 1 + self.random.below(most);
        let mut tries = 0;
        while (batch.len() as u64) < wanted && self.count < SLOTS - 5 && tries < 40 {
            tries += 1;
            let room = wanted as usize - batch.len();
            let start = self.count;
            let group = match batch.last().and_then(|last| self.follow(last)) {
                Some(entry) => vec![entry],
                None => self.group(room),
            };
            let claimed = claims(&group);
            if !self.held.allows(&claimed) || !together.allows(&claimed) {
                self.count = start;
                self.parked.retain(|(number, ..)| *number < start);
                continue;
            }
            together.add(claimed);
            batch.extend(group);
        }
        self.held.add(&together);
        let waiting = batch.iter().all(|entry| entry.waits == Waits::No && entry.index.is_none());
        let skipping = batch.iter().any(|e| e.sqe.flags & sqe_flags::CQE_SKIP_SUCCESS != 0);
        let wait = match waiting && !skipping && self.random.percent(30) {
            true => self.random.below(batch.len() as u64 + 1) as u32,
            false => 0,
        };
        let flags = if wait > 0 || self.random.percent(20) { uring::enter::GETEVENTS } else { 0 };
        Step::Submit { entries: batch, wait, flags }
    }

    /// One SQE, or a chain.
    fn group(&mut self, room: usize) -> Vec<Entry> {
        let length = match room {
            0 | 1 => 1,
            _ if self.random.percent(25) => 2 + self.random.below(room.min(4) as u64 - 1) as usize,
            _ => 1,
        };
        let first = self.count as usize;
        let mut group: Vec<Entry> = Vec::new();
        for at in 0..length {
            let mut entry = self.entry();
            while at > 0
                && (shows_its_thread(&entry.sqe)
                    || self.lists && is_listed(&entry.sqe)
                    || receives_nothing(&entry)
                    || (entry.waits != Waits::No || entry.sqe.opcode == op::CONNECT)
                        && group.iter().any(|e| punted(&e.sqe))
                    // Of a socket that was refused before a worker tells something else.
                    || self.refused && entry.sqe.opcode == op::CONNECT
                    || cancels(&entry.sqe) && group.iter().any(|e| cancels(&e.sqe))
                    || wakes(&entry.sqe) && group.iter().any(|e| wakes(&e.sqe)))
            {
                self.count -= 1;
                self.parked.retain(|(number, ..)| *number < self.count);
                entry = self.entry();
            }
            if at + 1 < length {
                // When the ring is closed, Linux 6.18 goes on with what is hard-linked behind it.
                let hard = self.random.percent(25) && !self.program.abandon;
                entry.sqe.flags |= match hard {
                    true => sqe_flags::IO_HARDLINK,
                    false => sqe_flags::IO_LINK,
                };
                if self.random.percent(6) && may_skip(&entry.sqe) {
                    entry.sqe.flags |= sqe_flags::CQE_SKIP_SUCCESS;
                }
            }
            if length > 1 {
                entry.chain = Some(first);
                // An entry that is not taken would leave the chain open, and a worker with it.
                entry.index = None;
            }
            group.push(entry);
        }
        // The last of a chain tells when it is over: of one that posts nothing, unless it fails, nobody
        // could say whether it still will.
        if let Some(last) = group.last_mut()
            && (length > 1 || self.drains || !runs_at_once(&last.sqe))
        {
            last.sqe.flags &= !sqe_flags::CQE_SKIP_SUCCESS;
        }
        // Only for a head that is tried in the submitter: where a worker goes on with a chain,
        // Linux 6.18 does not always fire it.
        if length > 1 && self.random.percent(40) && !punted(&group[0].sqe) {
            // What ends by itself may take longer than a short time on a machine that is busy, and so
            // may what the engine leaves to a thread with other credentials.
            let waits = group[0].waits != Waits::No;
            let short = waits && self.random.percent(50) && group[0].sqe.personality == 0;
            self.make_link_timeout(&mut group[1], short);
        }
        if length > 1 {
            // A member of a chain may never start: nothing later may count on it.
            self.parked.retain(|(number, ..)| (*number as usize) < first);
        }
        group
    }

    fn entry(&mut self) -> Entry {
        let number = self.count;
        self.count += 1;
        let mut entry = Entry {
            sqe: Sqe::default(),
            index: None,
            memory: Vec::new(),
            waits: Waits::No,
            scrub: Scrub::Nothing,
            opens: false,
            chain: None,
        };
        self.fill(&mut entry, number);
        if self.program.buffers && self.random.percent(40) {
            self.select(&mut entry);
        }
        entry.sqe.user_data = number;
        if self.program.personality.is_some() && self.random.percent(40) {
            entry.sqe.personality = 1;
        }
        // Which buffer a worker takes, and whether it keeps it while it waits, is its own affair.
        let selects = entry.sqe.flags & sqe_flags::BUFFER_SELECT != 0;
        if self.random.percent(12) && !selects {
            entry.sqe.flags |= sqe_flags::ASYNC;
        }
        if self.random.percent(4) && !self.lists {
            entry.sqe.flags |= sqe_flags::IO_DRAIN;
        }
        if self.lists {
            Generator::in_order(&mut entry);
        }
        if entry.sqe.opcode == op::NOP && self.random.percent(5) && may_skip(&entry.sqe) {
            entry.sqe.flags |= sqe_flags::CQE_SKIP_SUCCESS;
        }
        let mut spoilt = false;
        if self.random.percent(15) && !(self.lists && is_listed(&entry.sqe)) {
            self.spoil(&mut entry);
            spoilt = true;
        }
        if !no_array(self.program.flags) && self.random.percent(1) {
            entry.index = Some(self.random.pick(&[self.program.entries, 0xffff, u32::MAX]));
            spoilt = true;
        }
        if self.program.notifies {
            entry.sqe.flags &= !sqe_flags::IO_DRAIN;
        }
        self.keep_off_the_disk(&mut entry);
        if self.drains {
            shoot_once(&mut entry.sqe);
            // A worker of Linux 6.18 tells of a socket that was refused before by other words.
            if self.refused && entry.sqe.opcode == op::CONNECT {
                entry.sqe.flags &= !sqe_flags::FIXED_FILE;
                entry.sqe.fd = CLOSED;
            }
        }
        entry.waits = self.waits(&entry);
        self.drains |= entry.sqe.flags & sqe_flags::IO_DRAIN != 0;
        self.vectors |= uses_vector(&entry.sqe);
        self.polls_first |= polls_first(&entry.sqe);
        let sqe = &entry.sqe;
        let surely = !spoilt
            && sqe.personality == 0
            && sqe.flags & !sqe_flags::FIXED_FILE == 0
            && (sqe.flags == 0 || self.program.register_files);
        if surely && self.surely_waits(&entry) {
            let fd = if sqe.flags == 0 { sqe.fd } else { FIXED[sqe.fd as usize] };
            self.parked.push((number, sqe.opcode, fd));
        }
        entry
    }

    fn fill(&mut self, entry: &mut Entry, number: u64) {
        if self.lists && self.random.percent(40) {
            return self.listed_timeout(entry, number);
        }
        if self.parked_polls().next().is_some() && self.random.percent(10) {
            return self.poll_remove(entry);
        }
        match self.random.below(125) {
            0..10 => self.nop(entry),
            10..30 => self.read_write(entry, number),
            30..36 => self.vectored(entry, number),
            36..40 => self.fixed(entry, number),
            40..44 => self.file_upkeep(entry, number),
            44..52 => self.poll(entry),
            52..54 => self.poll_remove(entry),
            54..59 => self.timeout(entry, number),
            59..61 => self.timeout_remove(entry, number),
            61..65 => self.cancel(entry),
            65..68 => self.accept(entry, number),
            68..71 => self.connect(entry),
            71..78 => self.send_receive(entry, number),
            78..80 => self.messages(entry, number),
            80..81 => self.command(entry, number),
            81..82 => self.shutdown(entry),
            82..84 => self.socket(entry),
            84..88 => self.open(entry, number),
            88..90 => self.close(entry),
            90..92 => self.statx(entry, number),
            92..96 => self.paths(entry, number),
            96..97 => self.epoll(entry, number),
            97..98 => self.files_update(entry, number),
            98..100 => self.msg_ring(entry),
            100..104 => self.links(entry, number),
            104..107 => self.attributes(entry, number),
            107..111 => self.splice(entry),
            111..112 => self.pipe(entry, number),
            112..114 => self.bind_listen(entry),
            114..115 => self.install(entry),
            115..117 => self.fixed_vectors(entry, number),
            117..118 => self.epoll_wait(entry, number),
            118..121 => self.futex(entry, number),
            121..122 => self.waitid(entry, number),
            122..124 if self.program.buffers && self.is_roomy() => self.multishot(entry, number),
            _ if self.program.buffers => self.provide(entry),
            _ => self.nop(entry),
        }
    }

    /// What Linux 6.18 does past the page cache and nobody would want: a device without queues to poll
    /// refuses to be written to (a hole is in no device), and a file's own position stays where it
    /// was if the disk answers later.
    fn keep_off_the_disk(&self, entry: &mut Entry) {
        if resolve(&entry.sqe) != DIRECT {
            return;
        }
        if self.polls() && writes(entry.sqe.opcode) {
            entry.sqe.fd = 201;
        }
        if entry.sqe.off == u64::MAX {
            entry.sqe.off = 0;
        }
    }

    /// Whether the ring polls for its completions.
    fn polls(&self) -> bool {
        self.program.flags & uring::setup::IOPOLL != 0
    }

    /// A descriptor, or a registered one.
    fn aim(&mut self, entry: &mut Entry, fds: &[i32]) {
        let fd = self.random.pick(fds);
        let fixed = FIXED.iter().position(|registered| *registered == fd);
        match fixed {
            Some(slot) if self.random.percent(30) => {
                entry.sqe.fd = slot as i32;
                entry.sqe.flags |= sqe_flags::FIXED_FILE;
            }
            _ => entry.sqe.fd = fd,
        }
    }
}
