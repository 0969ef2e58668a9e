//! Runs a program on one side and writes down everything that must be the same on the other.

mod prepare;
mod record;
mod settle;
mod submit;

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Barrier;

use sysring_sys::abi::io_uring::{self as uring, Cqe, cqe_flags, op, sqe_flags};

use self::settle::CALM_ASYNC;
use super::claims::words;
use super::lane;
use super::layout::*;
use super::program::{Entry, Program, Step, Waits};
use super::world::{World, hash, memory, opened};
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
    /// It was woken, and is on its way.
    woken: bool,
}
struct Run<'a> {
    ring: Ring<'a>,
    second: Ring<'a>,
    out: Vec<Out>,
    /// Completions of the whole program, in order of arrival.
    arrived: Vec<Cqe>,
    /// The second halves of those that were wide and not empty, by the numbers of their requests.
    wide: Vec<(u64, [u64; 2])>,
    entries: Vec<Entry>,
    text: String,
    trace: String,
    /// What the latest sweep answered.
    swept: Option<i32>,
    /// Requests that were taken for refused with their chain.
    forgiven: Vec<u64>,
    /// The child that has ended, and the one that sleeps.
    children: (i32, i32),
}

/// What one run left behind: the part to compare, and a trace to read.
pub struct Record {
    pub text: String,
    pub trace: String,
}

/// Runs `program` below `folder`, alone in the process.
pub fn execute(backend: &dyn Backend, program: &mut Program, folder: &Path) -> Record {
    lane::enter(0, program.seed);
    lane::relocate(program);
    let world = World::new(folder, program.children, true);
    backend.begin(program.seed);
    let mut record = run(backend, program, &world);
    record.text.push_str(&backend.remarks());
    record.text.push_str(&opened());
    record
}

/// Runs a program in its world.
fn run(backend: &dyn Backend, program: &Program, world: &World) -> Record {
    let mut text = String::new();
    prepare::memory_of(program);
    let _ = writeln!(text, "program {}", program.seed);
    let children = world.children.as_ref().map_or((-1, -1), |both| (both.ended, both.asleep));
    let mut record = match Run::new(backend, program, children, &mut text) {
        Ok(run) => run.steps(program),
        Err(()) => Record { text, trace: String::new() },
    };
    backend.calm();
    record.text.push_str(&world.report(!program.abandon));
    record
}

/// Runs several programs at once, a thread and a lane each, below `folder`. They begin when the
/// worlds of all are there, and these last until all have ended. What fails at random does so until
/// the first of them is over.
pub fn execute_together(
    backend: &(dyn Backend + Sync),
    programs: &mut [Program],
    folder: &Path,
) -> Vec<Record> {
    let count = programs.len();
    backend.begin(programs[0].seed);
    let barrier = Barrier::new(count);
    let mut records = std::thread::scope(|scope| {
        let threads: Vec<_> = (0u16..)
            .zip(programs)
            .map(|(number, program)| {
                let barrier = &barrier;
                scope.spawn(move || {
                    lane::enter(number, program.seed / count as u64);
                    lane::relocate_beside_others(program);
                    let folder = folder.join(number.to_string());
                    let world = World::new(&folder, program.children, false);
                    barrier.wait();
                    let record = run(backend, program, &world);
                    barrier.wait();
                    record
                })
            })
            .collect();
        let ended = threads.into_iter().map(|thread| thread.join().expect("a lane has panicked"));
        ended.collect::<Vec<Record>>()
    });
    records.push(Record { text: opened() + &backend.remarks(), trace: String::new() });
    records
}

fn write_all(pieces: &[(u64, Vec<u8>)]) {
    for (at, bytes) in pieces {
        memory(*at, bytes.len() as u64).copy_from_slice(bytes);
    }
}
impl<'a> Run<'a> {
    fn steps(mut self, program: &Program) -> Record {
        for (at, step) in program.steps.iter().enumerate() {
            let _ = writeln!(self.trace, "step {at}:");
            match step {
                Step::Submit { entries, wait, flags } => self.submit(entries, *wait, *flags),
                Step::Enter { flags, min, arg, size, memory: pieces } => {
                    write_all(pieces);
                    let answer = self.ring.enter_with(0, *min, *flags, *arg, *size);
                    self.say(&format!("step {at}: enter {answer}"));
                }
                Step::Memory(pieces) => write_all(pieces),
                Step::Register { opcode, arg, count, memory: pieces, alone } => {
                    write_all(pieces);
                    let marks = [(RING_MARK, self.ring.fd), (RING2_MARK, self.second.fd)];
                    let places = replace(&marks);
                    let answer = match alone {
                        true => self.ring.backend.register(-1, *opcode, *arg, *count),
                        false => self.ring.register(*opcode, *arg, *count),
                    };
                    put_back(&places);
                    let left = hash(memory(PLACE, TOLD));
                    self.say(&format!("step {at}: register {opcode} {answer} {left:016x}"));
                }
                Step::Resize(params) => {
                    let answer = self.ring.resize(*params);
                    let made = &self.ring.params;
                    let sizes = format!("sq {} cq {}", made.sq_entries, made.cq_entries);
                    self.say(&format!("step {at}: resize {answer}, {sizes}"));
                }
            }
            self.settle();
            if program.flags & uring::setup::DEFER_TASKRUN != 0 {
                // Such a ring does only when it is asked to what its work has brought up: Linux 6.18 the
                // notifications of requests that were cancelled with their chain.
                self.ring.enter(0, 0, uring::enter::GETEVENTS);
                self.reap();
            }
        }
        if !program.abandon {
            self.ring.backend.calm();
        }
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
            self.ring.register(uring::register::UNREGISTER_BUFFERS, 0, 0);
            self.second.register(uring::register::UNREGISTER_FILES, 0, 0);
            self.reap_all();
        }
        self.close()
    }

    fn say(&mut self, line: &str) {
        let _ = writeln!(self.text, "{line}");
        let _ = writeln!(self.trace, "  {line}");
    }

    /// If `entry` has woken others, they are on their way.
    fn wake(&mut self, entry: &Entry, count: i32) {
        if entry.sqe.opcode != op::FUTEX_WAKE || count <= 0 {
            return;
        }
        let woken: u32 = words(entry).map(|word| 1 << word).sum();
        let waits =
            |out: &&mut Out| matches!(out.entry.waits, Waits::Wake(words) if words & woken != 0);
        let waiting = self.out.iter_mut().filter(waits);
        waiting.take(count as usize).for_each(|out| out.woken = true);
    }

    /// Takes what is in the queues and behind them.
    fn reap_all(&mut self) {
        loop {
            self.ring.enter(0, 0, uring::enter::GETEVENTS);
            if self.ring.ready() == 0 {
                return;
            }
            self.reap();
        }
    }

    /// Takes what is in the queues, and books it.
    fn reap(&mut self) {
        while let Some((cqe, extra)) = self.ring.take_wide() {
            // Linux 6.18 leaves there what was, where a completion is nobody's or not the last.
            let whose = |entry: &Entry| entry.sqe.user_data == cqe.user_data;
            let told = cqe.flags & cqe_flags::MORE == 0 && self.entries.iter().any(whose);
            if extra != [0; 2] && told {
                self.wide.push((cqe.user_data, extra));
            }
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
                    self.wake(&gone.entry, cqe.res);
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
                    if self.entries.iter().any(asked)
                        && !notifies
                        && !self.forgiven.contains(&cqe.user_data)
                    {
                        self.say(&format!("completion #{} twice", cqe.user_data));
                    }
                }
            }
        }
    }
}

/// Puts the second of each pair where the first is in a register call's memory: descriptors that
/// are known only now.
fn replace(pairs: &[(i32, i32)]) -> Vec<(usize, i32)> {
    let mut places = Vec::new();
    for (at, word) in memory(PLACE, PLACE_LEN).chunks_exact_mut(4).enumerate() {
        for (from, to) in pairs {
            if word == from.to_ne_bytes() {
                word.copy_from_slice(&to.to_ne_bytes());
                places.push((at, *from));
            }
        }
    }
    places
}

/// Undoes that, for what is left there to be compared.
fn put_back(places: &[(usize, i32)]) {
    let mut words = memory(PLACE, PLACE_LEN).chunks_exact_mut(4).enumerate();
    for (place, mark) in places {
        if let Some((_, word)) = words.find(|(at, _)| at == place) {
            word.copy_from_slice(&mark.to_ne_bytes());
        }
    }
}

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
