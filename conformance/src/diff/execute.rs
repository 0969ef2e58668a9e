//! Runs a program on one side and writes down everything that must be the same on the other.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use sysring_sys::abi::io_uring::{self as uring, Cqe, Params, Sqe, cqe_flags, op, sqe_flags};

use super::layout::*;
use super::program::{Entry, Program, Scrub, Step, Waits, op_name};
use super::world::{World, hash, memory};
use crate::raw::{Backend, Ring};

/// A request that should have ended is called lost after this long.
const LOST: Duration = Duration::from_secs(3);
/// How long a ring in which everything seems to wait is watched before that is believed.
const CALM: u64 = 300_000;
/// The same where a worker thread may be in between.
const CALM_ASYNC: u64 = 2_000_000;

/// The number of the request that ends what is left at the end.
const SWEEP: u64 = 0xca11;

/// A request that is out.
struct Out {
    number: u64,
    entry: Entry,
    /// It has posted something already, and will go on (multishot).
    posted: bool,
    /// An earlier request of its chain that was to post nothing failed: then the rest of the
    /// chain posts nothing either.
    excused: bool,
}

struct Run<'a> {
    ring: Ring<'a>,
    second: Ring<'a>,
    out: Vec<Out>,
    /// Completions of the whole program, in order of arrival.
    arrived: Vec<Cqe>,
    entries: Vec<Entry>,
    text: String,
    trace: String,
    /// What the latest sweep answered.
    swept: Option<i32>,
}

/// What one run left behind: the part to compare, and a trace to read.
pub struct Record {
    pub text: String,
    pub trace: String,
}

/// Runs `program` below `folder`.
pub fn execute(backend: &dyn Backend, program: &Program, folder: &Path) -> Record {
    let world = World::new(folder);
    let mut text = String::new();
    prepare_memory(program);
    let _ = writeln!(text, "program {}", program.seed);
    let mut record = match Run::new(backend, program, &mut text) {
        Ok(run) => run.steps(program),
        Err(()) => Record { text, trace: String::new() },
    };
    record.text.push_str(&world.report(!program.abandon));
    record
}

fn prepare_memory(program: &Program) {
    let used = program.entries_in_order().map(|entry| entry.sqe.user_data).max().unwrap_or(0) + 1;
    for slot in 0..used.min(SLOTS) {
        let at = ARENA + slot * SLOT;
        let half = AUX as usize;
        let bytes = memory(at, SLOT);
        bytes[half..].fill(0);
        for (i, byte) in bytes[..half].iter_mut().enumerate() {
            *byte = (i as u8) ^ (slot as u8).wrapping_mul(31);
        }
    }
    memory(EDGE, 0x1000).fill(0xee);
    memory(ADDRESSES + 0x800, 0x800).fill(0);
    for (i, byte) in memory(REGISTERED, REGISTERED_LEN * REGISTERED_COUNT).iter_mut().enumerate() {
        *byte = (i as u8).wrapping_mul(13);
    }
    for entry in program.entries_in_order() {
        write_all(&entry.memory);
    }
}

fn write_all(pieces: &[(u64, Vec<u8>)]) {
    for (at, bytes) in pieces {
        memory(*at, bytes.len() as u64).copy_from_slice(bytes);
    }
}

impl<'a> Run<'a> {
    fn new(backend: &'a dyn Backend, program: &Program, text: &mut String) -> Result<Run<'a>, ()> {
        let params =
            Params { flags: program.flags, cq_entries: program.cq_entries, ..Params::default() };
        let ring = Ring::new(backend, program.entries, params);
        let second = Ring::new(backend, 32, Params::default());
        let (ring, second) = match (ring, second) {
            (Ok(ring), Ok(second)) => (ring, second),
            (ring, second) => {
                let _ = writeln!(text, "setup: {:?} {:?}", ring.err(), second.err());
                return Err(());
            }
        };
        let _ =
            writeln!(text, "setup: sq {} cq {}", ring.params.sq_entries, ring.params.cq_entries);
        let mut run = Run {
            ring,
            second,
            out: Vec::new(),
            arrived: Vec::new(),
            entries: Vec::new(),
            text: std::mem::take(text),
            trace: String::new(),
            swept: None,
        };
        run.prepare(program);
        Ok(run)
    }

    /// The registrations a program starts with.
    fn prepare(&mut self, program: &Program) {
        use uring::register;
        let mut say = |what: &str, answer: i64| {
            let _ = writeln!(self.text, "register {what}: {answer}");
        };
        if program.register_files {
            let at = FIXED.as_ptr() as u64;
            say("files", self.ring.register(register::FILES, at, FIXED.len() as u32));
        }
        if program.register_buffers {
            let list: Vec<[u64; 2]> = (0..REGISTERED_COUNT)
                .map(|i| [REGISTERED + i * REGISTERED_LEN, REGISTERED_LEN])
                .collect();
            let count = list.len() as u32;
            say("buffers", self.ring.register(register::BUFFERS, list.as_ptr() as u64, count));
        }
        if program.register_eventfd {
            let at = (&raw const EVENTFD_WORD) as u64;
            say("eventfd", self.ring.register(register::EVENTFD, at, 1));
        }
    }

    fn steps(mut self, program: &Program) -> Record {
        for (at, step) in program.steps.iter().enumerate() {
            let _ = writeln!(self.trace, "step {at}:");
            match step {
                Step::Submit { entries, wait, flags } => self.submit(entries, *wait, *flags),
                Step::Enter { flags, min, arg, arg_at, size } => {
                    if !arg.is_empty() {
                        write_all(&[(*arg_at, arg.clone())]);
                    }
                    let fd = self.ring.fd;
                    let answer = self.ring.backend.enter(fd, 0, *min, *flags, *arg_at, *size);
                    self.say(&format!("step {at}: enter {answer}"));
                }
                Step::Register { opcode, arg, count, memory } => {
                    write_all(memory);
                    let answer = self.ring.register(*opcode, *arg, *count);
                    self.say(&format!("step {at}: register {opcode} {answer}"));
                }
            }
            self.settle();
        }
        // A ring that defers its work does it only when it is asked to.
        self.ring.enter(0, 0, uring::enter::GETEVENTS);
        self.reap();
        if !program.abandon {
            self.sweep();
            if self.swept.is_some() {
                // What a chain that was excused may still bring.
                self.ring.wait(1, CALM_ASYNC);
                self.ring.enter(0, 0, uring::enter::GETEVENTS);
                self.reap();
            }
            // The ring holds the files it has registered until it is gone, which takes its time.
            self.ring.register(uring::register::UNREGISTER_FILES, 0, 0);
        }
        self.close()
    }

    fn say(&mut self, line: &str) {
        let _ = writeln!(self.text, "{line}");
        let _ = writeln!(self.trace, "  {line}");
    }

    /// The SQE with the descriptors that are known only now.
    fn patched(&self, mut sqe: Sqe) -> Sqe {
        match sqe.fd {
            RING_MARK => sqe.fd = self.ring.fd,
            RING2_MARK => sqe.fd = self.second.fd,
            _ => {}
        }
        sqe
    }

    fn submit(&mut self, entries: &[Entry], wait: u32, flags: u32) {
        for entry in entries {
            self.ring.push(self.patched(entry.sqe), entry.index);
        }
        self.ring.publish();
        let mut taken = 0;
        loop {
            let left = entries.len() - taken;
            let answer = self.ring.enter(left as u32, if taken == 0 { wait } else { 0 }, flags);
            self.say(&format!("submit {left}: {answer}"));
            let now = entries.len() - self.ring.unconsumed() as usize;
            let progress = now > taken;
            for entry in &entries[taken..now] {
                if entry.index.is_none() {
                    let number = entry.sqe.user_data;
                    self.out.push(Out {
                        number,
                        entry: entry.clone(),
                        posted: false,
                        excused: false,
                    });
                    self.entries.push(entry.clone());
                }
            }
            taken = now;
            self.reap();
            if taken == entries.len() || !progress {
                break;
            }
        }
        if self.ring.unconsumed() > 0 {
            self.ring.take_back();
        }
    }

    /// Takes what is in the queues, and books it.
    fn reap(&mut self) {
        while let Some(cqe) = self.ring.take() {
            let _ = writeln!(
                self.trace,
                "  cqe #{} res {} flags {:#x}",
                cqe.user_data, cqe.res, cqe.flags
            );
            if cqe.user_data == SWEEP {
                self.swept = Some(cqe.res);
                continue;
            }
            self.arrived.push(cqe);
            let more = cqe.flags & cqe_flags::MORE != 0;
            match self.out.iter().position(|out| out.number == cqe.user_data) {
                Some(at) if more => self.out[at].posted = true,
                Some(at) => {
                    let gone = self.out.remove(at);
                    let soft = gone.entry.sqe.flags & sqe_flags::IO_HARDLINK == 0;
                    if optional(&gone) && gone.entry.chain.is_some() && soft {
                        let rest =
                            self.out.iter_mut().filter(|o| o.entry.chain == gone.entry.chain);
                        rest.for_each(|out| out.excused = true);
                    }
                }
                None => {
                    // Those from MSG_RING on are messages. Who notifies though it was cancelled
                    // with its chain has not said before that it would.
                    let notifies = cqe.flags & cqe_flags::NOTIF != 0;
                    if cqe.user_data < 0x5_0000 && !notifies {
                        self.say(&format!("completion #{} twice, or of no request", cqe.user_data));
                    }
                }
            }
        }
    }

    /// Waits until everything has ended that ends by itself.
    fn settle(&mut self) {
        let started = Instant::now();
        let mut calm = 0;
        loop {
            self.reap();
            let asynchronous =
                self.out.iter().any(|out| out.entry.sqe.flags & sqe_flags::ASYNC != 0);
            let needed = if asynchronous { 2 } else { 1 };
            if self.out.iter().all(|out| self.may_be_silent(out)) {
                let waiting = self.out.iter().any(|out| !optional(out));
                if !waiting || calm >= needed {
                    return;
                }
                calm += 1;
                self.ring.wait(1, if asynchronous { CALM_ASYNC } else { CALM });
                continue;
            }
            calm = 0;
            if started.elapsed() > LOST {
                let lost: Vec<String> = self
                    .out
                    .iter()
                    .filter(|out| !self.may_be_silent(out))
                    .map(|out| format!("#{}", out.number))
                    .collect();
                self.say(&format!("LOST {}", lost.join(" ")));
                // Said once: what is lost stays lost.
                let lost: Vec<u64> = self
                    .out
                    .iter()
                    .filter(|out| !self.may_be_silent(out))
                    .map(|out| out.number)
                    .collect();
                self.out.retain(|out| !lost.contains(&out.number));
                return;
            }
            self.ring.wait(1, 20_000_000);
        }
    }

    /// Whether a request that is out has a right to be: it waits for what is not there, or for
    /// one before it in its chain that does, or owes no completion.
    fn may_be_silent(&self, out: &Out) -> bool {
        if optional(out) {
            return true;
        }
        let waits = match out.entry.waits {
            Waits::No => false,
            Waits::Ever => true,
            Waits::For(..) if out.posted => true,
            Waits::For(fd, events) => !ready(fd, events),
        };
        waits || self.behind(out)
    }

    fn behind(&self, out: &Out) -> bool {
        let Some(chain) = out.entry.chain else { return false };
        // A link timeout runs with the request before it, and ends it: that one is no excuse.
        let before = match out.entry.sqe.opcode {
            op::LINK_TIMEOUT => out.number - 1,
            _ => out.number,
        };
        self.out.iter().any(|other| {
            other.entry.chain == Some(chain)
                && other.number < before
                && match other.entry.waits {
                    Waits::No => false,
                    Waits::Ever => true,
                    Waits::For(fd, events) => other.posted || !ready(fd, events),
                }
        })
    }

    /// Cancels what is left, until nothing is.
    fn sweep(&mut self) {
        let started = Instant::now();
        while started.elapsed() < LOST {
            if self.out.iter().all(optional) {
                return;
            }
            let sqe = Sqe {
                opcode: op::ASYNC_CANCEL,
                fd: -1,
                op_flags: uring::cancel::ANY | uring::cancel::ALL,
                user_data: SWEEP,
                ..Sqe::default()
            };
            self.swept = None;
            self.ring.push(sqe, None);
            self.ring.publish();
            self.ring.enter(1, 0, 0);
            while started.elapsed() < LOST {
                self.reap();
                if self.swept.is_some() && self.out.iter().all(optional) {
                    return;
                }
                let answer = self.ring.wait(1, 20_000_000);
                // What was hard-linked behind a request that ended has begun meanwhile.
                if self.swept.is_some() && answer == -i64::from(libc::ETIME) {
                    break;
                }
            }
        }
        let left: Vec<u64> =
            self.out.iter().filter(|out| !optional(out)).map(|out| out.number).collect();
        self.say(&format!("LOST at the end {left:?}"));
    }

    /// Writes down the completions and what they left in memory.
    fn close(mut self) -> Record {
        let mut lines: Vec<String> = self.arrived.iter().map(|cqe| self.line(cqe)).collect();
        lines.sort();
        let mut second = Vec::new();
        while let Some(cqe) = self.second.take() {
            second.push(format!(
                "second ring: {:#x} res {} flags {:#x}",
                cqe.user_data, cqe.res, cqe.flags
            ));
        }
        second.sort();
        lines.extend(second);
        for line in &lines {
            let _ = writeln!(self.text, "{line}");
        }
        self.check_order();
        for entry in &self.entries {
            let _ = writeln!(self.text, "{}", slot(entry));
        }
        let registered = hash(memory(REGISTERED, REGISTERED_LEN * REGISTERED_COUNT));
        let edge = hash(memory(EDGE, 0x1000));
        let off = self.ring.params;
        let word = |offset| self.ring.sq_word(offset).load(std::sync::atomic::Ordering::Acquire);
        let counters = format!(
            "dropped {} overflow {} sq flags {:#x}",
            word(off.sq_off.dropped),
            word(off.cq_off.overflow),
            word(off.sq_off.flags) & !uring::sq_flags::TASKRUN,
        );
        let _ = writeln!(self.text, "registered {registered:016x} edge {edge:016x} {counters}");
        Record { text: self.text, trace: self.trace }
    }

    /// A completion in words, with numbers of new descriptors left out.
    fn line(&self, cqe: &Cqe) -> String {
        let entry = self.entries.iter().find(|entry| entry.sqe.user_data == cqe.user_data);
        let name = entry.map_or_else(|| "-".to_owned(), |entry| op_name(entry.sqe.opcode));
        let opened = cqe.res >= 0 && entry.is_some_and(|entry| entry.opens);
        let res = if opened { "a descriptor".to_owned() } else { cqe.res.to_string() };
        // A request that is cancelled while it waits says ECANCELED, or EINTR if it was a worker
        // that waited: which it is, is the kernel's choice.
        let res = if cqe.res == -libc::EINTR { (-libc::ECANCELED).to_string() } else { res };
        // A worker that cancels by descriptor finds itself, and is too late.
        let by_file = entry.is_some_and(|entry| {
            entry.sqe.opcode == op::ASYNC_CANCEL && entry.sqe.op_flags & uring::cancel::FD != 0
        });
        let itself = by_file && cqe.res == -libc::EALREADY;
        let res = if itself { (-libc::ENOENT).to_string() } else { res };
        format!("#{} {name} res {res} flags {:#x}", cqe.user_data, cqe.flags)
    }

    /// Order that is promised, checked on each side by itself: within a chain, and after a drain.
    fn check_order(&mut self) {
        let place = |number: u64| self.arrived.iter().position(|cqe| cqe.user_data == number);
        let mut wrong = Vec::new();
        for (at, entry) in self.entries.iter().enumerate() {
            let number = entry.sqe.user_data;
            let Some(here) = place(number) else { continue };
            // One that is refused when it is submitted waits for nobody.
            let drained = entry.sqe.flags & sqe_flags::IO_DRAIN != 0;
            if drained && self.arrived[here].res >= 0 {
                for earlier in &self.entries[..at] {
                    if place(earlier.sqe.user_data).is_some_and(|there| there > here) {
                        wrong.push(format!("#{number} drained past #{}", earlier.sqe.user_data));
                    }
                }
            }
            let Some(next) = self.entries.get(at + 1) else { continue };
            let linked = entry.chain.is_some() && entry.chain == next.chain;
            let timeout = |e: &Entry| e.sqe.opcode == op::LINK_TIMEOUT;
            let before = place(next.sqe.user_data).is_some_and(|there| there < here);
            if linked && before && !timeout(entry) && !timeout(next) {
                wrong.push(format!(
                    "#{} before #{number}, which it is linked to",
                    next.sqe.user_data
                ));
            }
        }
        for line in wrong {
            self.say(&format!("order: {line}"));
        }
    }
}

static EVENTFD_WORD: i32 = EVENTFD;

/// A request that posts nothing if all goes well.
fn optional(out: &Out) -> bool {
    out.excused || out.entry.sqe.flags & sqe_flags::CQE_SKIP_SUCCESS != 0
}

fn ready(fd: i32, events: i16) -> bool {
    let mut entry = libc::pollfd { fd, events, revents: 0 };
    // SAFETY: one entry, as said.
    let count = unsafe { libc::poll(&raw mut entry, 1, 0) };
    count == 1 && entry.revents & libc::POLLNVAL == 0
}

/// What a request left in its slot.
fn slot(entry: &Entry) -> String {
    let number = entry.sqe.user_data;
    let at = ARENA + number * SLOT;
    let bytes = memory(at, SLOT);
    match entry.scrub {
        Scrub::Nothing => format!("slot {number}: {:016x}", hash(bytes)),
        Scrub::Port(offset) => {
            let offset = offset as usize;
            if bytes[offset..offset + 2] == (libc::AF_INET as u16).to_ne_bytes() {
                bytes[offset + 2..offset + 4].fill(0);
            }
            format!("slot {number}: {:016x}", hash(bytes))
        }
        Scrub::Statx => {
            let half = |at: usize| u16::from_ne_bytes([bytes[at], bytes[at + 1]]);
            let mode = half(28);
            let mut size = [0; 8];
            size.copy_from_slice(&bytes[40..48]);
            let regular = u32::from(mode) & libc::S_IFMT == libc::S_IFREG;
            let size = if regular { u64::from_ne_bytes(size) } else { 0 };
            let path = hash(&bytes[AUX as usize..]);
            format!("slot {number}: mode {mode:#o} size {size} {path:016x}")
        }
    }
}
