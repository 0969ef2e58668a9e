//! Makes a program from a seed.
//!
//! What is random must not be a race, or the kernel would differ from itself. So each SQE says
//! which resources it uses ([`super::conflict`]), and two that could run at the same time never
//! share one that either of them changes. Within a chain order is given, and everything goes.

use sysring_sys::abi::io_uring::{self as uring, Sqe, op, recvsend, socket_op, sqe_flags};

use super::conflict::{Claims, Held, claims};
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
}

/// The program of a seed.
#[must_use]
pub fn generate(seed: u64) -> Program {
    let mut random = Random::new(seed);
    let program = frame(seed, &mut random);
    let mut generator =
        Generator { random, program, count: 1, held: Held::default(), parked: Vec::new() };
    let steps = 1 + generator.random.below(4);
    for _ in 0..steps {
        let step = match generator.random.below(10) {
            0 => generator.enter(),
            1 => generator.register(),
            _ => generator.submit(),
        };
        generator.program.steps.push(step);
    }
    generator.program
}

/// The ring of a program and how it is prepared.
fn frame(seed: u64, random: &mut Random) -> Program {
    use uring::setup;
    let mut flags = 0;
    for (flag, percent) in [
        (setup::SUBMIT_ALL, 30),
        (setup::COOP_TASKRUN, 20),
        (setup::NO_SQARRAY, 20),
        (setup::CLAMP, 20),
        (setup::CQSIZE, 30),
    ] {
        if random.percent(percent) {
            flags |= flag;
        }
    }
    if random.percent(25) {
        flags |= setup::SINGLE_ISSUER;
        if random.percent(60) {
            flags |= setup::DEFER_TASKRUN;
        }
    }
    if flags & (setup::COOP_TASKRUN | setup::DEFER_TASKRUN) != 0 && random.percent(40) {
        flags |= setup::TASKRUN_FLAG;
    }
    let entries = random.pick(&[1, 2, 4, 8, 8, 16, 32]);
    let cq_entries = match flags & setup::CQSIZE {
        0 => 0,
        _ => entries * random.pick(&[1, 1, 2, 4]),
    };
    // What a ring that is left behind still notifies of is a matter of time.
    let abandon = random.percent(10);
    Program {
        seed,
        entries,
        cq_entries,
        flags,
        disk: random.percent(25),
        register_files: random.percent(40),
        register_buffers: random.percent(40),
        register_eventfd: random.percent(10),
        abandon,
        notifies: !abandon && random.percent(25),
        steps: Vec::new(),
    }
}

/// What is linked behind a request that a worker has run is run by that worker, where a
/// non-blocking file and a poll to begin with end in `EAGAIN`, where a socket that has failed
/// says so, and where what waits may be missed by who cancels everything. Which requests the kernel gives to workers is its own affair.
fn shows_its_thread(sqe: &Sqe) -> bool {
    let polls = match sqe.opcode {
        op::SEND | op::RECV | op::SENDMSG | op::RECVMSG | op::SEND_ZC | op::SENDMSG_ZC => {
            sqe.ioprio & recvsend::POLL_FIRST != 0
        }
        op::ACCEPT => sqe.ioprio != 0,
        _ => false,
    };
    NON_BLOCKING.contains(&sqe.fd) || polls
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
            let parked = self.parked.len();
            let group = self.group(room);
            let claimed = claims(&group);
            if !self.held.allows(&claimed) || !together.allows(&claimed) {
                self.count = start;
                self.parked.truncate(parked);
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
                    || (entry.waits != Waits::No || entry.sqe.opcode == op::CONNECT)
                        && group.iter().any(|e| punted(&e.sqe))
                    || cancels(&entry.sqe) && group.iter().any(|e| cancels(&e.sqe)))
            {
                self.count -= 1;
                self.parked.retain(|(number, ..)| *number < self.count);
                entry = self.entry();
            }
            if at + 1 < length {
                entry.sqe.flags |= match self.random.percent(25) {
                    true => sqe_flags::IO_HARDLINK,
                    false => sqe_flags::IO_LINK,
                };
                // Linux 6.18 takes a timeout that posts nothing for one that did, and those that
                // count completions then for reached.
                if self.random.percent(6) && entry.sqe.opcode != op::TIMEOUT {
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
        // Only for a head that is tried in the submitter: where a worker goes on with a chain,
        // Linux 6.18 does not always fire it.
        if length > 1 && self.random.percent(40) && !punted(&group[0].sqe) {
            // What ends by itself may take longer than a short time on a machine that is busy.
            let short = group[0].waits != Waits::No && self.random.percent(50);
            self.make_link_timeout(&mut group[1], short);
        }
        if length > 1 {
            // A member of a chain may never start: nothing later may count on it.
            self.parked.retain(|(number, ..)| (*number as usize) < first);
        }
        group
    }

    fn make_link_timeout(&mut self, entry: &mut Entry, short: bool) {
        let number = entry.sqe.user_data;
        let slot = ARENA + number * SLOT;
        let keep = entry.sqe.flags & (sqe_flags::IO_LINK | sqe_flags::IO_HARDLINK);
        let time = if short { SHORT } else { LONG };
        entry.sqe = Sqe {
            opcode: op::LINK_TIMEOUT,
            fd: -1,
            flags: keep,
            addr: slot + AUX,
            len: 1,
            user_data: number,
            ..Sqe::default()
        };
        entry.memory = vec![(slot + AUX, bytes(&[time / 1_000_000_000, time % 1_000_000_000]))];
        entry.waits = if short { Waits::No } else { Waits::Ever };
        entry.scrub = Scrub::Nothing;
        entry.opens = false;
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
        entry.sqe.user_data = number;
        if self.random.percent(12) {
            entry.sqe.flags |= sqe_flags::ASYNC;
        }
        if self.random.percent(4) {
            entry.sqe.flags |= sqe_flags::IO_DRAIN;
        }
        if entry.sqe.opcode == op::NOP && self.random.percent(5) {
            entry.sqe.flags |= sqe_flags::CQE_SKIP_SUCCESS;
        }
        let mut spoilt = false;
        if self.random.percent(15) {
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
        entry.waits = self.waits(&entry);
        let sqe = &entry.sqe;
        let surely = !spoilt
            && sqe.flags & !sqe_flags::FIXED_FILE == 0
            && (sqe.flags == 0 || self.program.register_files);
        if surely && self.surely_waits(&entry) {
            let fd = if sqe.flags == 0 { sqe.fd } else { FIXED[sqe.fd as usize] };
            self.parked.push((number, sqe.opcode, fd));
        }
        entry
    }

    /// Whether a well-formed request waits until it is cancelled.
    fn surely_waits(&self, entry: &Entry) -> bool {
        match entry.sqe.opcode {
            op::TIMEOUT => entry.waits == Waits::Ever,
            op::READ | op::RECV | op::POLL_ADD | op::ACCEPT => {
                matches!(entry.waits, Waits::For(fd, events)
                    if QUIET.contains(&fd) && events & libc::POLLOUT == 0)
            }
            _ => false,
        }
    }

    /// What a request may wait for, read off the SQE itself.
    fn waits(&self, entry: &Entry) -> Waits {
        let sqe = &entry.sqe;
        let fd = resolve(sqe);
        let stream = !matches!(kind(fd), Kind::File(_) | Kind::Other | Kind::Bad);
        match sqe.opcode {
            op::READ | op::READV | op::READ_FIXED | op::RECV | op::RECVMSG | op::ACCEPT
                if stream =>
            {
                Waits::For(fd, libc::POLLIN)
            }
            op::WRITE
            | op::WRITEV
            | op::WRITE_FIXED
            | op::SEND
            | op::SENDMSG
            | op::SEND_ZC
            | op::SENDMSG_ZC
                if stream =>
            {
                Waits::For(fd, libc::POLLOUT)
            }
            op::POLL_ADD => Waits::For(fd, sqe.op_flags as i16),
            op::TIMEOUT => entry.waits,
            _ => Waits::No,
        }
    }

    fn fill(&mut self, entry: &mut Entry, number: u64) {
        match self.random.below(100) {
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
            _ => self.msg_ring(entry),
        }
    }

    fn nop(&mut self, entry: &mut Entry) {
        entry.sqe.opcode = op::NOP;
        entry.sqe.fd = -1;
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

    fn length(&mut self) -> u32 {
        self.random.pick(&[1, 7, 8, 8, 100, 512, 1000, 4096])
    }

    fn offset(&mut self) -> u64 {
        self.random.pick(&[0, 0, 1, 100, 4096, 5000, 8190, 100_000])
    }

    /// Where reading and writing go: files, pipes, sockets, counters.
    fn target(&mut self, entry: &mut Entry, writes: bool) {
        match self.random.below(5) {
            0 | 1 => {
                self.aim(entry, &[200, 201, 202, 203, 204]);
                entry.sqe.off = match self.random.percent(15) {
                    true => u64::MAX,
                    false => self.offset(),
                };
            }
            2 if writes => self.aim(entry, &[211, 211, 213, 217, 219, 221]),
            2 => self.aim(entry, &[210, 210, 212, 214, 216, 218, 220]),
            3 if writes => self.aim(entry, &[230, 231, 233, 234, 235, 236, 237]),
            3 => self.aim(entry, &[230, 231, 232, 234, 235, 236, 237, 238, 240]),
            _ => self.aim(entry, &[260, 261, 200, 201]),
        }
    }

    fn read_write(&mut self, entry: &mut Entry, number: u64) {
        let writes = self.random.percent(50);
        entry.sqe.opcode = if writes { op::WRITE } else { op::READ };
        self.target(entry, writes);
        // 260 is among what is never fed.
        if writes && resolve(&entry.sqe) == 260 {
            entry.sqe.flags = 0;
            entry.sqe.fd = 261;
        }
        entry.sqe.addr = ARENA + number * SLOT;
        entry.sqe.len = self.length();
        if writes && matches!(kind(resolve(&entry.sqe)), Kind::Counter(_)) {
            entry.memory.push((entry.sqe.addr, bytes(&[self.random.below(9)])));
        }
    }

    fn iovec(&mut self, entry: &mut Entry, number: u64) -> u32 {
        let slot = ARENA + number * SLOT;
        let parts = self.random.pick(&[1u64, 1, 2, 3, 8]);
        let mut list = Vec::new();
        for part in 0..parts {
            let len = self.random.pick(&[0, 1, 8, 100, 512]);
            list.extend([slot + part * 512, len]);
        }
        entry.memory.push((slot + AUX + 0x100, bytes(&list)));
        parts as u32
    }

    fn vectored(&mut self, entry: &mut Entry, number: u64) {
        let writes = self.random.percent(50);
        entry.sqe.opcode = if writes { op::WRITEV } else { op::READV };
        self.target(entry, writes);
        if matches!(kind(resolve(&entry.sqe)), Kind::Counter(_)) {
            entry.sqe.flags = 0;
            entry.sqe.fd = 201;
        }
        entry.sqe.len = self.iovec(entry, number);
        entry.sqe.addr = ARENA + number * SLOT + AUX + 0x100;
    }

    fn fixed(&mut self, entry: &mut Entry, number: u64) {
        let writes = self.random.percent(50);
        entry.sqe.opcode = if writes { op::WRITE_FIXED } else { op::READ_FIXED };
        self.target(entry, writes);
        if matches!(kind(resolve(&entry.sqe)), Kind::Counter(_)) {
            entry.sqe.flags = 0;
            entry.sqe.fd = 200;
        }
        let buffer = number % REGISTERED_COUNT;
        entry.sqe.buf_index = buffer as u16;
        let part = number / REGISTERED_COUNT;
        entry.sqe.addr = REGISTERED + buffer * REGISTERED_LEN + part * 512;
        entry.sqe.len = self.random.pick(&[1, 100, 512]);
        if self.random.percent(10) {
            match self.random.below(3) {
                0 => entry.sqe.buf_index = REGISTERED_COUNT as u16,
                1 => entry.sqe.addr = REGISTERED + (buffer + 1) * REGISTERED_LEN - 8,
                _ => entry.sqe.addr = REGISTERED - 8,
            }
        }
    }

    fn file_upkeep(&mut self, entry: &mut Entry, number: u64) {
        let sync = if self.program.disk { 5 } else { 40 };
        if self.random.percent(sync) {
            self.aim(entry, &[200, 201, 202, 203, 204, 210, 230]);
            entry.sqe.opcode = self.random.pick(&[op::FSYNC, op::SYNC_FILE_RANGE]);
            if entry.sqe.opcode == op::FSYNC {
                entry.sqe.op_flags = self.random.pick(&[0, 1, 1, 2]);
            } else {
                entry.sqe.op_flags = self.random.pick(&[1, 2, 4, 7, 8]);
                entry.sqe.len = 4096;
            }
            return;
        }
        self.aim(entry, &[200, 201, 202, 203, 204, 210, 205]);
        match self.random.below(4) {
            0 => {
                entry.sqe.opcode = op::FALLOCATE;
                entry.sqe.off = self.offset();
                entry.sqe.addr = self.random.pick(&[0, 1, 4096, 10_000, u64::MAX]);
                // len is the mode: none, KEEP_SIZE, PUNCH_HOLE with it, ZERO_RANGE, nonsense.
                entry.sqe.len = self.random.pick(&[0, 0, 1, 3, 16, 0x1000]);
            }
            1 => {
                entry.sqe.opcode = op::FTRUNCATE;
                entry.sqe.off = self.random.pick(&[0, 1, 5000, 20_000, u64::MAX]);
            }
            2 => {
                entry.sqe.opcode = op::FADVISE;
                entry.sqe.off = self.offset();
                entry.sqe.len = self.length();
                entry.sqe.op_flags = self.random.pick(&[0, 1, 2, 3, 4, 5, 6, 77]);
            }
            _ => {
                entry.sqe.opcode = op::MADVISE;
                entry.sqe.fd = -1;
                entry.sqe.flags = 0;
                entry.sqe.addr = ARENA + number * SLOT + self.random.pick(&[0, 0, 8]);
                entry.sqe.len = 4096;
                // Not DONTNEED alone: it empties the slot, which is then compared. That is well.
                entry.sqe.op_flags = self.random.pick(&[0, 1, 2, 3, 4, 77]);
            }
        }
    }

    fn poll(&mut self, entry: &mut Entry) {
        entry.sqe.opcode = op::POLL_ADD;
        self.aim(
            entry,
            &[
                200, 210, 211, 212, 214, 214, 215, 218, 219, 220, 221, 230, 231, 232, 236, 238,
                240, 241, 250, 251, 252, 260, 260, 261, 205, 206, 255,
            ],
        );
        let events = self.random.pick(&[
            libc::POLLIN,
            libc::POLLIN,
            libc::POLLOUT,
            libc::POLLIN | libc::POLLOUT,
            libc::POLLPRI,
            libc::POLLRDHUP,
            0,
        ]);
        entry.sqe.op_flags = u32::from(events as u16);
        if self.random.percent(20) {
            entry.sqe.len = self.random.pick(&[1, 1, 8, 9, 2, 16]);
            // Of several events the kernel tells the one that woke it; which is not promised.
            // One that finds the queue full ends: not where others fill it.
            let tight =
                self.program.cq_entries != 0 && self.program.cq_entries < 2 * self.program.entries;
            if entry.sqe.len == 1 && tight {
                entry.sqe.len = 0;
            }
            if entry.sqe.len == 1 && entry.sqe.op_flags == (libc::POLLIN | libc::POLLOUT) as u32 {
                entry.sqe.op_flags = libc::POLLIN as u32;
            }
        }
    }

    /// The number of a request that surely waits, or of none.
    fn victim(&mut self) -> u64 {
        if self.parked.is_empty() || self.random.percent(25) {
            return 0xdead;
        }
        let at = self.random.below(self.parked.len() as u64) as usize;
        self.parked[at].0
    }

    fn poll_remove(&mut self, entry: &mut Entry) {
        entry.sqe.opcode = op::POLL_REMOVE;
        entry.sqe.fd = -1;
        entry.sqe.addr = self.victim();
    }

    fn timeout(&mut self, entry: &mut Entry, number: u64) {
        let place = ARENA + number * SLOT + AUX;
        let short = self.random.percent(50);
        let time = if short { SHORT } else { LONG };
        entry.sqe.opcode = op::TIMEOUT;
        entry.sqe.fd = -1;
        entry.sqe.addr = place;
        entry.sqe.len = 1;
        entry.sqe.op_flags = match short {
            // ETIME_SUCCESS, other clocks, and times long past.
            true => self.random.pick(&[0, 0, 1 << 5, 1 << 2, 1 << 3, 1, 1 | 1 << 3, 1 | 1 << 2]),
            false => self.random.pick(&[0, 0, 1 << 5, 1 << 2, 1 << 3]),
        };
        let mut parts = [time / 1_000_000_000, time % 1_000_000_000];
        if self.random.percent(6) {
            parts = self.random.pick(&[[0, 0], [0, 2_000_000_000], [u64::MAX, 0], [0, u64::MAX]]);
        }
        entry.memory.push((place, bytes(&parts)));
        entry.waits = if short { Waits::No } else { Waits::Ever };
    }

    fn timeout_remove(&mut self, entry: &mut Entry, number: u64) {
        entry.sqe.opcode = op::TIMEOUT_REMOVE;
        entry.sqe.fd = -1;
        entry.sqe.addr = self.victim();
        if self.random.percent(30) {
            let place = ARENA + number * SLOT + AUX;
            entry.sqe.op_flags = 1 << 1;
            entry.sqe.off = place;
            entry.memory.push((place, bytes(&[LONG / 1_000_000_000 + 1, 0])));
        }
    }

    fn cancel(&mut self, entry: &mut Entry) {
        use uring::cancel;
        entry.sqe.opcode = op::ASYNC_CANCEL;
        entry.sqe.fd = -1;
        match self.random.below(6) {
            0 | 1 => entry.sqe.addr = self.victim(),
            2 => {
                entry.sqe.addr = self.victim();
                entry.sqe.op_flags = cancel::ALL;
            }
            3 => {
                entry.sqe.fd = self.random.pick(&QUIET);
                entry.sqe.op_flags = cancel::FD | self.random.pick(&[0, cancel::ALL]);
            }
            4 => {
                entry.sqe.len = u32::from(self.random.pick(&[op::READ, op::POLL_ADD, op::TIMEOUT]));
                entry.sqe.op_flags = cancel::OP | cancel::FD;
                entry.sqe.fd = self.random.pick(&QUIET);
            }
            _ => {
                entry.sqe.addr = self.victim();
                entry.sqe.op_flags = self.random.pick(&[
                    cancel::USERDATA,
                    cancel::USERDATA | cancel::ALL,
                    1 << 6,
                    cancel::ANY | cancel::FD,
                ]);
            }
        }
    }

    fn accept(&mut self, entry: &mut Entry, number: u64) {
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
        }
        if self.program.register_files && self.random.percent(15) {
            entry.opens = false;
            entry.sqe.op_flags = 0;
            entry.sqe.file_index = self.random.pick(&[FREE_SLOTS + 1, 17, u32::MAX]);
        }
    }

    fn connect(&mut self, entry: &mut Entry) {
        entry.sqe.opcode = op::CONNECT;
        self.aim(entry, &[255, 255, 256, 256, 257, 230, 200, 250]);
        let index = match entry.sqe.fd {
            256 => 1,
            255 | 257 => self.random.pick(&[0, 0, 0, 3]),
            _ => self.random.pick(&[0, 1, 3]),
        };
        entry.sqe.addr = ADDRESSES + index * ADDRESS_LEN;
        entry.sqe.off = self.random.pick(&[16, 16, 16, 16, 2, 0, 1000]);
    }

    fn send_receive(&mut self, entry: &mut Entry, number: u64) {
        let sends = self.random.percent(50);
        entry.sqe.opcode = if sends { op::SEND } else { op::RECV };
        if sends {
            self.aim(entry, &[230, 231, 233, 234, 235, 236, 237, 238, 211, 200, 255]);
        } else {
            self.aim(entry, &[230, 231, 232, 232, 234, 235, 236, 237, 238, 240, 241, 210]);
        }
        entry.sqe.addr = ARENA + number * SLOT;
        entry.sqe.len = self.length();
        entry.sqe.op_flags = self.message_flags(sends);
        if self.random.percent(10) {
            entry.sqe.ioprio = self.random.pick(&[1, 1, 1 << 2, 1 << 9]);
        }
        if sends && self.random.percent(15) {
            entry.sqe.ioprio |= recvsend::SEND_VECTORIZED;
            entry.sqe.len = self.iovec(entry, number);
            entry.sqe.addr = ARENA + number * SLOT + AUX + 0x100;
        }
        if sends && self.program.notifies && self.random.percent(60) {
            entry.sqe.opcode = op::SEND_ZC;
            self.notify(entry);
        }
    }

    /// Makes a send one that notifies.
    fn notify(&mut self, entry: &mut Entry) {
        if self.random.percent(50) {
            self.aim(entry, &[236, 237, 236, 237, 238]);
        }
        if self.random.percent(40) {
            entry.sqe.ioprio |= recvsend::SEND_ZC_REPORT_USAGE;
        }
        if self.random.percent(20) {
            entry.sqe.ioprio |= recvsend::FIXED_BUF;
            entry.sqe.addr = REGISTERED + self.random.pick(&[0, 0, 100, REGISTERED_LEN - 1]);
            entry.sqe.buf_index = self.random.pick(&[0, 0, 0, 1, 77]);
        }
    }

    /// A command to a socket, or to what takes none.
    fn command(&mut self, entry: &mut Entry, number: u64) {
        const SOL_SOCKET: u64 = libc::SOL_SOCKET as u64;
        entry.sqe.opcode = op::URING_CMD;
        self.aim(entry, &[230, 232, 234, 236, 237, 250, 255, 257, 200, 210, -1]);
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

    fn message_flags(&mut self, sends: bool) -> u32 {
        let flags = match sends {
            true => {
                self.random.pick(&[0, 0, 0, libc::MSG_DONTWAIT, libc::MSG_NOSIGNAL, libc::MSG_EOR])
            }
            false => self.random.pick(&[
                0,
                0,
                0,
                libc::MSG_DONTWAIT,
                libc::MSG_PEEK,
                libc::MSG_WAITALL,
                libc::MSG_TRUNC,
                libc::MSG_OOB,
            ]),
        };
        flags as u32
    }

    fn messages(&mut self, entry: &mut Entry, number: u64) {
        let sends = self.random.percent(50);
        entry.sqe.opcode = if sends { op::SENDMSG } else { op::RECVMSG };
        if sends {
            self.aim(entry, &[230, 231, 233, 234, 235, 236, 211]);
        } else {
            self.aim(entry, &[230, 231, 232, 232, 234, 235, 236, 240, 210]);
        }
        let slot = ARENA + number * SLOT;
        let parts = self.iovec(entry, number);
        let name = self.random.percent(30) && !sends;
        let control = self.random.percent(30) && !sends;
        let header: [u64; 7] = [
            if name { slot + AUX + 0x300 } else { 0 },
            if name { 32 } else { 0 },
            slot + AUX + 0x100,
            u64::from(parts),
            if control { slot + AUX + 0x400 } else { 0 },
            if control { 64 } else { 0 },
            0,
        ];
        entry.memory.push((slot + AUX, bytes(&header)));
        entry.sqe.addr = slot + AUX;
        entry.sqe.len = 1;
        entry.sqe.op_flags = self.message_flags(sends);
        entry.scrub = Scrub::Port(AUX + 0x300);
        if sends && self.program.notifies && self.random.percent(60) {
            entry.sqe.opcode = op::SENDMSG_ZC;
            let message = entry.sqe.addr;
            self.notify(entry);
            entry.sqe.addr = message;
        }
    }

    fn shutdown(&mut self, entry: &mut Entry) {
        entry.sqe.opcode = op::SHUTDOWN;
        self.aim(entry, &[230, 231, 233, 236, 237, 255, 200]);
        entry.sqe.len = self.random.pick(&[0, 1, 2, 3]);
    }

    fn socket(&mut self, entry: &mut Entry) {
        entry.sqe.opcode = op::SOCKET;
        entry.opens = true;
        entry.sqe.fd = self.random.pick(&[libc::AF_INET, libc::AF_UNIX, 77, -1]);
        let kind = self.random.pick(&[libc::SOCK_STREAM, libc::SOCK_DGRAM, 77]);
        let flags = self.random.pick(&[0, libc::SOCK_CLOEXEC, libc::SOCK_NONBLOCK]);
        entry.sqe.off = (kind | flags) as u64;
        entry.sqe.len = self.random.pick(&[0, 0, 0, 99]);
    }

    fn path(&mut self, entry: &mut Entry, at: u64, choices: &[&str]) {
        let name = self.random.pick(choices);
        let mut text = name.as_bytes().to_vec();
        text.push(0);
        entry.memory.push((at, text));
    }

    fn open(&mut self, entry: &mut Entry, number: u64) {
        let place = ARENA + number * SLOT + AUX;
        entry.opens = true;
        entry.sqe.fd = self.random.pick(&[libc::AT_FDCWD, FOLDER, FOLDER, 200, CLOSED]);
        entry.sqe.addr = place;
        let flags = self.random.pick(&[
            libc::O_RDONLY,
            libc::O_RDWR,
            libc::O_WRONLY | libc::O_CREAT,
            libc::O_RDWR | libc::O_CREAT | libc::O_EXCL,
            libc::O_WRONLY | libc::O_TRUNC,
            libc::O_RDONLY | libc::O_DIRECTORY,
            libc::O_RDONLY | libc::O_CLOEXEC,
            libc::O_PATH,
        ]) as u32;
        self.path(
            entry,
            place,
            &["a", "d", "n0", "n1", "n2", "n3", "n4", "n4/in", "n0/x", "", "."],
        );
        if self.random.percent(50) {
            entry.sqe.opcode = op::OPENAT;
            entry.sqe.op_flags = flags;
            entry.sqe.len = 0o640;
        } else {
            entry.sqe.opcode = op::OPENAT2;
            entry.sqe.off = place + 0x100;
            let mode = if flags & libc::O_CREAT as u32 != 0 { 0o640 } else { 0 };
            let resolve = self.random.pick(&[0u64, 0, 8, 4, 0x20, 0x1000]);
            entry.memory.push((place + 0x100, bytes(&[u64::from(flags), mode, resolve])));
            entry.sqe.len = self.random.pick(&[24, 24, 24, 24, 8, 40]);
        }
        if self.program.register_files && self.random.percent(20) {
            entry.opens = false;
            entry.sqe.file_index =
                self.random.pick(&[FREE_SLOTS + 2, FREE_SLOTS + 3, 17, u32::MAX]);
        }
    }

    fn close(&mut self, entry: &mut Entry) {
        entry.sqe.opcode = op::CLOSE;
        entry.sqe.fd = self.random.pick(&[
            200, 201, 210, 211, 212, 213, 220, 230, 231, 233, 236, 251, 256, 261, CLOSED, -1,
            EPOLL, RING_MARK,
        ]);
        if self.random.percent(10) {
            entry.sqe.fd = 0;
            entry.sqe.file_index = self.random.pick(&[FREE_SLOTS + 4, 99]);
        }
    }

    fn statx(&mut self, entry: &mut Entry, number: u64) {
        let slot = ARENA + number * SLOT;
        entry.sqe.opcode = op::STATX;
        entry.sqe.fd = self.random.pick(&[libc::AT_FDCWD, FOLDER, FOLDER, 200, CLOSED, 210]);
        entry.sqe.addr = slot + AUX;
        entry.sqe.off = slot;
        entry.sqe.len = self.random.pick(&[0x7ff, 0x200, 0, 0x8000_0000]);
        entry.sqe.op_flags = self.random.pick(&[0, 0x1000, 0x100, 0x2000, 0x4000, 0x1]);
        self.path(entry, slot + AUX, &["a", "d", "n0", "n2", "n3", "", "n4/in"]);
        entry.scrub = Scrub::Statx;
    }

    fn paths(&mut self, entry: &mut Entry, number: u64) {
        let place = ARENA + number * SLOT + AUX;
        entry.sqe.fd = self.random.pick(&[libc::AT_FDCWD, FOLDER, FOLDER, 200, CLOSED]);
        entry.sqe.addr = place;
        let names = ["n0", "n1", "n2", "n3", "n4", "n5", "n2/x", ""];
        self.path(entry, place, &names);
        match self.random.below(3) {
            0 => {
                entry.sqe.opcode = op::UNLINKAT;
                entry.sqe.op_flags = self.random.pick(&[0, 0, libc::AT_REMOVEDIR as u32, 1]);
            }
            1 => {
                entry.sqe.opcode = op::MKDIRAT;
                entry.sqe.len = 0o750;
            }
            _ => {
                entry.sqe.opcode = op::RENAMEAT;
                entry.sqe.off = place + 0x100;
                entry.sqe.len = self.random.pick(&[libc::AT_FDCWD, FOLDER, CLOSED]) as u32;
                entry.sqe.op_flags = self.random.pick(&[0, 0, 1, 2, 16]);
                self.path(entry, place + 0x100, &names);
            }
        }
    }

    fn epoll(&mut self, entry: &mut Entry, number: u64) {
        let place = ARENA + number * SLOT + AUX;
        entry.sqe.opcode = op::EPOLL_CTL;
        entry.sqe.fd = self.random.pick(&[EPOLL, EPOLL, EPOLL, 200, CLOSED]);
        entry.sqe.len = self.random.pick(&[1, 1, 2, 3, 9]);
        entry.sqe.off = self.random.pick(&[210u64, 230, 200, EPOLL as u64, CLOSED as u64]);
        entry.sqe.addr = place;
        entry.memory.push((place, bytes(&[1u32, 7, 0])));
    }

    fn files_update(&mut self, entry: &mut Entry, number: u64) {
        let place = ARENA + number * SLOT + AUX;
        entry.sqe.opcode = op::FILES_UPDATE;
        entry.sqe.fd = -1;
        entry.sqe.addr = place;
        let fds =
            [self.random.pick(&[200, 201, -1, -2, CLOSED]), self.random.pick(&[200, 201, -1, -2])];
        entry.memory.push((place, bytes(&fds)));
        entry.sqe.len = self.random.pick(&[1, 2, 0]);
        entry.sqe.off = u64::from(self.random.pick(&[FREE_SLOTS, FREE_SLOTS + 5, 15, 16, 1000]));
    }

    fn msg_ring(&mut self, entry: &mut Entry) {
        entry.sqe.opcode = op::MSG_RING;
        entry.sqe.fd =
            self.random.pick(&[RING2_MARK, RING2_MARK, RING2_MARK, RING_MARK, 200, CLOSED]);
        entry.sqe.len = self.random.below(1000) as u32;
        entry.sqe.off = 0x5_0000 + self.random.below(1000);
        entry.sqe.op_flags = self.random.pick(&[0, 0, 0, 1, 2, 4]);
        if entry.sqe.op_flags == 2 {
            entry.sqe.file_index = self.random.pick(&[0, 3]);
        }
        entry.sqe.addr = self.random.pick(&[0, 0, 0, 0, 7]);
    }

    /// Makes one field wrong.
    fn spoil(&mut self, entry: &mut Entry) {
        let sqe = &mut entry.sqe;
        let random = &mut self.random;
        match random.below(16) {
            0 => sqe.opcode = random.pick(&[65, 66, 100, 255]),
            1 => sqe.flags |= 0x80,
            2 => sqe.flags |= sqe_flags::BUFFER_SELECT,
            3 => {
                sqe.flags |= sqe_flags::FIXED_FILE;
                sqe.fd = random.pick(&[0, 5, 9, 16, 100_000, -1]);
            }
            4 => sqe.ioprio = random.pick(&[0x100, 0x8000, 0xffff]),
            5 => sqe.op_flags |= 1 << random.pick(&[28u32, 29, 30, 31]),
            6 => sqe.buf_index = random.pick(&[1, 77, 0xffff]),
            7 => sqe.personality = random.pick(&[1, 77]),
            8 => sqe.file_index = random.pick(&[1, 20, u32::MAX]),
            9 => sqe.addr3 = random.pick(&[1, WILD]),
            10 => sqe.pad2 = 1,
            11 => sqe.fd = random.pick(&[CLOSED, -1, -7, 70_000, i32::MAX]),
            12 | 13 => {
                sqe.addr =
                    random.pick(&[0, WILD, READ_ONLY, FORBIDDEN, EDGE + 0xf00, u64::MAX - 8]);
                // The kernel forgets the position behind what it wrote before it met the fault.
                if sqe.addr == EDGE + 0xf00 && sqe.off == u64::MAX {
                    sqe.off = 0;
                }
            }
            // An advice on that much memory takes the program's own.
            14 if sqe.opcode == op::MADVISE => {}
            14 => sqe.off = random.pick(&[0, WILD, READ_ONLY, FORBIDDEN, u64::MAX, 1 << 63]),
            _ => sqe.len = random.pick(&[0, 3]),
        }
    }

    fn enter(&mut self) -> Step {
        use uring::enter;
        let place = ADDRESSES + 0x800;
        let mut step = (0, 0, Vec::new(), 0, 0);
        match self.random.below(6) {
            0 => step.0 = 1 << self.random.pick(&[8u32, 9, 15, 31]),
            1 => {
                // Waits a little for what does not come.
                let time = [0u64, 200_000];
                step = (
                    enter::GETEVENTS | enter::EXT_ARG,
                    0,
                    bytes(&[0u64, 0, place + 0x40]),
                    place,
                    24,
                );
                step.2.resize(0x40, 0);
                step.2.extend(bytes(&time));
            }
            2 => {
                let ts = self.random.pick(&[WILD, FORBIDDEN]);
                step = (enter::GETEVENTS | enter::EXT_ARG, 0, bytes(&[0u64, 0, ts]), place, 24);
            }
            3 => step = (enter::GETEVENTS | enter::EXT_ARG, 0, Vec::new(), place, 23),
            4 => step = (enter::GETEVENTS | enter::EXT_ARG, 0, Vec::new(), WILD, 24),
            _ => step.0 = enter::GETEVENTS,
        }
        Step::Enter { flags: step.0, min: step.1, arg: step.2, arg_at: step.3, size: step.4 }
    }

    fn register(&mut self) -> Step {
        use uring::register;
        let place = ADDRESSES + 0x800;
        let mut memory = Vec::new();
        let random = &mut self.random;
        let (opcode, arg, count) = match random.below(12) {
            0 => {
                (register::UNREGISTER_BUFFERS, random.pick(&[0, 0, place]), random.pick(&[0, 0, 1]))
            }
            1 => (register::UNREGISTER_FILES, 0, random.pick(&[0, 1])),
            2 => (register::UNREGISTER_EVENTFD, 0, 0),
            3 => {
                memory.push((place, bytes(&[random.pick(&[EVENTFD, 200, CLOSED])])));
                (
                    register::EVENTFD,
                    random.pick(&[place, place, 0, WILD]),
                    random.pick(&[1, 1, 2, 0]),
                )
            }
            4 => {
                let fds = [random.pick(&[200, CLOSED, -1, RING_MARK]), 201];
                memory.push((place, bytes(&fds)));
                (
                    register::FILES,
                    random.pick(&[place, place, 0, WILD]),
                    random.pick(&[0, 1, 2, 1 << 20]),
                )
            }
            5 => {
                let at = random.pick(&[REGISTERED, 0, WILD, FORBIDDEN, READ_ONLY]);
                let len = random.pick(&[4096, 0, 1 << 40, 100]);
                memory.push((place, bytes(&[at, len])));
                (
                    register::BUFFERS,
                    random.pick(&[place, place, WILD]),
                    random.pick(&[1, 1, 0, 100_000]),
                )
            }
            6 => {
                memory.push((place + 0x40, bytes(&[random.pick(&[200, -1, CLOSED])])));
                let offset = u64::from(random.pick(&[FREE_SLOTS + 6, 15, 16, 1000]));
                memory.push((place, bytes(&[offset, place + 0x40])));
                (register::FILES_UPDATE, random.pick(&[place, place, 0]), random.pick(&[1, 1, 0]))
            }
            7 => (register::PROBE, random.pick(&[0, WILD]), random.pick(&[1, 256, 257])),
            8 => (register::ENABLE_RINGS, 0, 0),
            9 => (random.pick(&[38, 77, 1 << 30, u32::MAX]), 0, 0),
            10 => (register::UNREGISTER_FILES, place, 0),
            _ => (register::EVENTFD_ASYNC, WILD, 1),
        };
        Step::Register { opcode, arg, count, memory }
    }
}

/// Whether a request ends others. Two of one chain could mean the same, which the second finds on
/// its way out, or not any more.
fn cancels(sqe: &Sqe) -> bool {
    matches!(sqe.opcode, op::ASYNC_CANCEL | op::POLL_REMOVE | op::TIMEOUT_REMOVE)
}

/// Whether the kernel always gives a request to a worker.
fn punted(sqe: &Sqe) -> bool {
    let pollable = matches!(
        sqe.opcode,
        op::NOP | op::READ | op::READV | op::RECV | op::RECVMSG | op::ACCEPT | op::POLL_ADD
    );
    !pollable || sqe.flags & sqe_flags::ASYNC != 0
}

/// The descriptor an SQE means, through the registered table as it is at the start.
#[must_use]
pub fn resolve(sqe: &Sqe) -> i32 {
    if sqe.flags & sqe_flags::FIXED_FILE == 0 {
        return sqe.fd;
    }
    usize::try_from(sqe.fd).ok().and_then(|slot| FIXED.get(slot)).copied().unwrap_or(-1)
}
