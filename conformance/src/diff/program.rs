//! A random program, written down before it runs: the same bytes for both sides.

use std::fmt;

use sysring_engine::op::table::ROWS;
use sysring_sys::abi::io_uring::{Params, Sqe, setup, sqe_flags};

/// What one SQE of a program is, beside its 64 bytes.
#[derive(Clone, Debug)]
pub struct Entry {
    pub sqe: Sqe,
    /// What the SQ array says, where that is not the right index.
    pub index: Option<u32>,
    /// Bytes to put in place before the program starts.
    pub memory: Vec<(u64, Vec<u8>)>,
    /// How long the request may be out, by what it is.
    pub waits: Waits,
    /// What in its slot is not the same on every run.
    pub scrub: Scrub,
    /// A number of a descriptor is its result, if it succeeds.
    pub opens: bool,
    /// Names the chain it is in, if it is linked: its first entry's number.
    pub chain: Option<usize>,
}

/// Whether a request ends by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Waits {
    /// It ends soon, whatever happens.
    No,
    /// It may wait for these poll events on the descriptor.
    For(i32, i16),
    /// It waits until it is cancelled.
    Ever,
    /// It waits until one of these words is woken, one bit each.
    Wake(u32),
}

/// Bytes of a slot that are left out of the comparison, and what is compared in their place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scrub {
    Nothing,
    /// A `struct statx` in the buffer: mode, size and mask are compared.
    Statx,
    /// New descriptors at this offset: whether there are any is compared.
    Pair(u64),
    /// A `siginfo_t` at this offset: its process is not compared.
    Process(u64),
    /// The address of a socket at this offset: of TCP its port and number are not compared, nor is a
    /// name that the kernel chose.
    Port(u64),
}

/// Credentials that are registered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Whose {
    /// The submitter's own.
    Own,
    /// Those of a user that may do nothing here, if the process may become one.
    Nobody,
}

/// One thing a program does.
#[derive(Clone, Debug)]
pub enum Step {
    /// Submits entries with one call, waiting for `wait` of them.
    Submit { entries: Vec<Entry>, wait: u32, flags: u32 },
    /// Calls `enter` with nothing to submit: flags, min_complete, the extended argument, its size,
    /// and what is in memory.
    Enter { flags: u32, min: u32, arg: u64, size: usize, memory: Vec<(u64, Vec<u8>)> },
    /// Puts bytes into memory: the application's part of a shared ring.
    Memory(Vec<(u64, Vec<u8>)>),
    /// Has the ring's queues made anew.
    Resize(Params),
    /// Calls `register`, on the ring or, `alone`, on none.
    Register { opcode: u32, arg: u64, count: u32, memory: Vec<(u64, Vec<u8>)>, alone: bool },
}

impl Step {
    /// A call of `register` on the ring.
    #[must_use]
    pub fn register(opcode: u32, arg: u64, count: u32, memory: Vec<(u64, Vec<u8>)>) -> Step {
        Step::Register { opcode, arg, count, memory, alone: false }
    }
}

/// A whole program.
#[derive(Clone, Debug)]
pub struct Program {
    pub seed: u64,
    pub entries: u32,
    pub cq_entries: u32,
    pub flags: u32,
    /// The scratch folder lies on a disk's file system, not in memory.
    pub disk: bool,
    pub register_files: bool,
    pub register_buffers: bool,
    pub register_eventfd: bool,
    /// What it registers at the start has tags.
    pub tags: bool,
    /// The ring is called by its index among the registered ones.
    pub by_index: bool,
    /// The descriptor of `ATTACH_WQ`.
    pub attach: i32,
    /// The processor of `SQ_AFF`.
    pub cpu: u32,
    /// The ring shares memory with the program, for the arguments of waits.
    pub region: bool,
    /// Its ring knows credentials: whose.
    pub personality: Option<Whose>,
    /// What its ring, made disabled, is kept from: structures of `RESTRICTIONS`.
    pub restrictions: Option<Vec<[u64; 2]>>,
    /// It has children.
    pub children: bool,
    /// It provides buffers.
    pub buffers: bool,
    /// Ends by closing the ring on what is still out, instead of cancelling it.
    pub abandon: bool,
    /// Some of its sends notify. Then nothing drains: in Linux 6.18 a send that is held back by a
    /// drain waits for its own notification.
    pub notifies: bool,
    pub steps: Vec<Step>,
}

impl Program {
    /// All SQEs, in the order they are submitted in.
    pub fn entries_in_order(&self) -> impl Iterator<Item = &Entry> {
        self.steps.iter().flat_map(|step| match step {
            Step::Submit { entries, .. } => entries.as_slice(),
            _ => &[],
        })
    }

    /// Takes out the SQEs and steps with these numbers, as shrinking asks. SQEs are numbered
    /// through the program from 0, steps from [`STEP_BASE`].
    pub fn drop_parts(&mut self, parts: &[usize]) {
        let mut number = 0;
        for (at, step) in self.steps.iter_mut().enumerate() {
            let dropped = parts.contains(&(STEP_BASE + at));
            if let Step::Submit { entries, wait, .. } = step {
                let all = entries.len();
                entries.retain(|_| {
                    number += 1;
                    !dropped && !parts.contains(&(number - 1))
                });
                if entries.len() < all {
                    // What was waited for may be what was dropped.
                    *wait = 0;
                }
            }
        }
        let mut at = 0;
        self.steps.retain(|step| {
            at += 1;
            let empty = matches!(step, Step::Submit { entries, .. } if entries.is_empty());
            !empty && !parts.contains(&(STEP_BASE + at - 1))
        });
    }

    /// Every part that can be dropped.
    #[must_use]
    pub fn parts(&self) -> Vec<usize> {
        let mut parts: Vec<usize> = (0..self.steps.len()).map(|at| STEP_BASE + at).collect();
        let sqes: usize = self
            .steps
            .iter()
            .map(|step| if let Step::Submit { entries, .. } = step { entries.len() } else { 0 })
            .sum();
        parts.extend(0..sqes);
        parts
    }
}

pub const STEP_BASE: usize = 1000;

/// The name of an opcode.
#[must_use]
pub fn op_name(opcode: u8) -> String {
    let row = ROWS.get(opcode as usize).and_then(Option::as_ref);
    row.map_or_else(|| format!("op{opcode}"), |row| row.name.to_owned())
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = &self.sqe;
        write!(f, "#{} {} fd {}", s.user_data, op_name(s.opcode), s.fd)?;
        let names = [
            (sqe_flags::FIXED_FILE, "FIXED_FILE"),
            (sqe_flags::IO_DRAIN, "DRAIN"),
            (sqe_flags::IO_LINK, "LINK"),
            (sqe_flags::IO_HARDLINK, "HARDLINK"),
            (sqe_flags::ASYNC, "ASYNC"),
            (sqe_flags::BUFFER_SELECT, "BUFFER_SELECT"),
            (sqe_flags::CQE_SKIP_SUCCESS, "SKIP"),
            (0x80, "0x80"),
        ];
        for (bit, name) in names {
            if s.flags & bit != 0 {
                write!(f, "|{name}")?;
            }
        }
        let fields: [(&str, u64); 9] = [
            ("off", s.off),
            ("addr", s.addr),
            ("len", u64::from(s.len)),
            ("op_flags", u64::from(s.op_flags)),
            ("ioprio", u64::from(s.ioprio)),
            ("buf_index", u64::from(s.buf_index)),
            ("personality", u64::from(s.personality)),
            ("file_index", u64::from(s.file_index)),
            ("addr3", s.addr3),
        ];
        for (name, value) in fields {
            if value != 0 {
                write!(f, " {name} {value:#x}")?;
            }
        }
        if s.pad2 != 0 {
            write!(f, " pad2 {:#x}", s.pad2)?;
        }
        if let Some(index) = self.index {
            write!(f, " at index {index:#x}")?;
        }
        for (at, bytes) in &self.memory {
            let text = String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned();
            if bytes.len() <= 64 {
                let printable = text.chars().all(|c| c.is_ascii_graphic()) && !text.is_empty();
                if printable {
                    write!(f, " [{at:#x} {text:?}]")?;
                } else {
                    write!(f, " [{at:#x}")?;
                    for word in bytes.chunks(8) {
                        let mut whole = [0; 8];
                        whole[..word.len()].copy_from_slice(word);
                        write!(f, " {:x}", u64::from_le_bytes(whole))?;
                    }
                    write!(f, "]")?;
                }
            }
        }
        Ok(())
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "program {}: {} entries, cq {}, setup flags {:#x}{}{}{}{}{}{}{}{}",
            self.seed,
            self.entries,
            self.cq_entries,
            self.flags,
            if self.disk { ", on disk" } else { ", in memory" },
            if self.register_files { ", registered files" } else { "" },
            if self.register_buffers { ", registered buffers" } else { "" },
            if self.register_eventfd { ", eventfd" } else { "" },
            if self.abandon { ", closed on what is out" } else { "" },
            if self.tags { ", tagged" } else { "" },
            if self.by_index { ", by index" } else { "" },
            self.personality.map_or_else(String::new, |whose| format!(", personality {whose:?}")),
        )?;
        for (at, step) in self.steps.iter().enumerate() {
            match step {
                Step::Submit { entries, wait, flags } => {
                    writeln!(f, "  step {at}: submit, wait {wait}, flags {flags:#x}")?;
                    for entry in entries {
                        writeln!(f, "    {entry}")?;
                    }
                }
                Step::Enter { flags, min, arg, size, memory } => {
                    writeln!(
                        f,
                        "  step {at}: enter flags {flags:#x} min {min} arg {arg:#x} size {size} {memory:x?}"
                    )?;
                }
                Step::Memory(pieces) => writeln!(f, "  step {at}: memory {pieces:x?}")?,
                Step::Resize(params) => writeln!(
                    f,
                    "  step {at}: resize to {} and {}, flags {:#x}",
                    params.sq_entries, params.cq_entries, params.flags
                )?,
                Step::Register { opcode, arg, count, memory, .. } => {
                    writeln!(
                        f,
                        "  step {at}: register {opcode} arg {arg:#x} count {count} {memory:x?}"
                    )?;
                }
            }
        }
        Ok(())
    }
}

/// Whether this setup flag set makes a ring whose SQ array is absent.
#[must_use]
pub fn no_array(flags: u32) -> bool {
    flags & setup::NO_SQARRAY != 0
}
