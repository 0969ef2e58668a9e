//! Runs a program on one side and writes down everything that must be the same on the other.

mod record;
mod settle;

use std::fmt::Write as _;
use std::path::Path;

use sysring_sys::abi::io_uring::{self as uring, Cqe, Params, Sqe, cqe_flags, sqe_flags};

use self::settle::CALM_ASYNC;
use super::layout::*;
use super::program::{Entry, Program, Step};
use super::world::{World, memory};
use crate::raw::{Backend, Ring};

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
    /// The same of a hard link, which goes on if the failed one had begun, and not if the chain
    /// was refused when it was submitted.
    doubtful: bool,
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
    backend.begin(program.seed);
    let _ = writeln!(text, "program {}", program.seed);
    let mut record = match Run::new(backend, program, &mut text) {
        Ok(run) => run.steps(program),
        Err(()) => Record { text, trace: String::new() },
    };
    backend.calm();
    record.text.push_str(&backend.remarks());
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
        let make = |entries, params| {
            let mut made = Ring::new(backend, entries, params);
            for _ in 0..100 {
                if made.is_ok() || !backend.fails_at_random() {
                    break;
                }
                made = Ring::new(backend, entries, params);
            }
            made
        };
        let ring = make(program.entries, params);
        let second = make(32, Params::default());
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
        if !program.abandon {
            self.ring.backend.calm();
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
                        doubtful: false,
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
                    if optional(&gone) && gone.entry.chain.is_some() {
                        let soft = gone.entry.sqe.flags & sqe_flags::IO_HARDLINK == 0;
                        let rest =
                            self.out.iter_mut().filter(|o| o.entry.chain == gone.entry.chain);
                        rest.for_each(|out| {
                            out.excused |= soft;
                            out.doubtful |= !soft;
                        });
                    }
                }
                None => {
                    // What nobody asked for is a message. Who notifies though it was cancelled
                    // with its chain has not said before that it would.
                    let notifies = cqe.flags & cqe_flags::NOTIF != 0;
                    let asked = |entry: &Entry| entry.sqe.user_data == cqe.user_data;
                    if self.entries.iter().any(asked) && !notifies {
                        self.say(&format!("completion #{} twice", cqe.user_data));
                    }
                }
            }
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
