//! The bundled io_uring program: copies and checksums a tree.
//!
//! Up to [`SLOTS`] files are under way at once, each through a chain of linked operations on its
//! own registered buffer and two registered files. A byte on standard input asks for a line of
//! progress; the program learns of it by a poll on the same ring. It knows nothing of sysring: it
//! is written as one would for the kernel.

use std::ffi::CString;
use std::fs;
use std::io;
use std::mem;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use io_uring::squeue::Flags;
use io_uring::types::{self, Fixed};
use io_uring::{IoUring, Probe, opcode, squeue};
use serde::{Deserialize, Serialize};

use super::checksum::{Content, Tree};
use super::tree;
use crate::arguments::DemoClient;

/// What one read and one write carry, and the size of a registered buffer.
pub const PIECE: usize = 128 << 10;

/// Files under way at once.
const SLOTS: usize = 16;

/// The longest chain of one file, and a poll with its read, must fit.
const ENTRIES: u32 = 128;

/// Latencies above this are recorded as this: a minute.
const LONGEST_NS: u64 = 60_000_000_000;

/// Every so many files one is flushed to the disk by a linked FSYNC.
const FLUSH_EVERY: usize = 16;

/// A line of progress.
#[derive(Debug, Deserialize, Serialize)]
pub struct Progress {
    pub files: u64,
    pub bytes: u64,
}

/// The last line.
#[derive(Debug, Deserialize, Serialize)]
pub struct Summary {
    pub files: u64,
    pub bytes: u64,
    pub operations: u64,
    pub seconds: f64,
    pub checksum: String,
    /// From the submission of a piece's read to the completion of its write.
    pub p50_us: f64,
    pub p99_us: f64,
    pub max_us: f64,
}

pub fn main(arguments: &DemoClient) -> ExitCode {
    match copy(&arguments.source, &arguments.target) {
        Ok(summary) => {
            print_line(&summary);
            ExitCode::SUCCESS
        }
        Err(error) => {
            tell!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn copy(source: &Path, target: &Path) -> Result<Summary, String> {
    let files = tree::list(source).map_err(|error| format!("{}: {error}", source.display()))?;
    for path in &files {
        let directory = target.join(path).parent().map(Path::to_owned).unwrap_or_default();
        fs::create_dir_all(&directory)
            .map_err(|error| format!("{}: {error}", directory.display()))?;
    }
    // Never dropped: after an error, what is under way may use the buffers until the process ends.
    Box::leak(Box::new(Copier::new(source, target, files)?)).run()
}

fn print_line(line: &impl Serialize) {
    match serde_json::to_string(line) {
        Ok(line) => println!("{line}"),
        Err(error) => tell!("a line of output could not be written: {error}"),
    }
}

/// What a completion belongs to: the low byte of its user data.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
enum Step {
    OpenSource,
    Stat,
    OpenTarget,
    Register,
    Read,
    Write,
    Flush,
    Unregister,
    CloseSource,
    CloseTarget,
    PollInput,
    ReadInput,
    CancelPoll,
}

impl Step {
    const ALL: [Step; 13] = [
        Step::OpenSource,
        Step::Stat,
        Step::OpenTarget,
        Step::Register,
        Step::Read,
        Step::Write,
        Step::Flush,
        Step::Unregister,
        Step::CloseSource,
        Step::CloseTarget,
        Step::PollInput,
        Step::ReadInput,
        Step::CancelPoll,
    ];

    fn tag(self, slot: usize) -> u64 {
        (slot as u64) << 8 | self as u64
    }

    fn untag(user_data: u64) -> Option<(Step, usize)> {
        let step = Self::ALL.get((user_data & 0xff) as usize)?;
        Some((*step, (user_data >> 8) as usize))
    }
}

/// One file under way.
struct Slot {
    path: PathBuf,
    source: CString,
    target: CString,
    status: Box<libc::statx>,
    /// Source and target, as FILES_UPDATE reads them.
    descriptors: Box<[i32; 2]>,
    flush: bool,
    offset: u64,
    submitted: Instant,
    /// Completions that the chain under way still owes.
    owed: u32,
    checksum: Content,
}

struct Copier {
    ring: IoUring,
    source: PathBuf,
    target: PathBuf,
    waiting: std::iter::Enumerate<std::vec::IntoIter<PathBuf>>,
    slots: Vec<Option<Slot>>,
    buffers: Vec<Box<[u8]>>,
    input: Box<[u8; 64]>,
    /// What FILES_UPDATE reads to empty a slot's two entries.
    none: Box<[i32; 2]>,
    /// Completions that the poll of standard input still owes.
    input_owed: u32,
    input_ended: bool,
    latencies: Histogram<u64>,
    checksum: Tree,
    done: Progress,
    operations: u64,
    start: Instant,
}

impl Copier {
    fn new(source: &Path, target: &Path, files: Vec<PathBuf>) -> Result<Self, String> {
        let ring = IoUring::builder()
            .setup_cqsize(ENTRIES * 4)
            .build(ENTRIES)
            .map_err(|error| format!("io_uring_setup: {error}"))?;
        let buffers: Vec<_> = (0..SLOTS).map(|_| vec![0; PIECE].into_boxed_slice()).collect();
        let copier = Copier {
            ring,
            source: source.to_owned(),
            target: target.to_owned(),
            waiting: files.into_iter().enumerate(),
            slots: (0..SLOTS).map(|_| None).collect(),
            buffers,
            input: Box::new([0; 64]),
            none: Box::new([-1; 2]),
            input_owed: 0,
            input_ended: false,
            latencies: Histogram::new_with_bounds(1, LONGEST_NS, 3)
                .map_err(|error| error.to_string())?,
            checksum: Tree::default(),
            done: Progress { files: 0, bytes: 0 },
            operations: 0,
            start: Instant::now(),
        };
        copier.register()?;
        Ok(copier)
    }

    fn register(&self) -> Result<(), String> {
        let submitter = self.ring.submitter();
        let mut probe = Probe::new();
        submitter
            .register_probe(&mut probe)
            .map_err(|error| format!("io_uring_register(PROBE): {error}"))?;
        let needed = [
            opcode::OpenAt::CODE,
            opcode::Statx::CODE,
            opcode::FilesUpdate::CODE,
            opcode::ReadFixed::CODE,
            opcode::WriteFixed::CODE,
            opcode::Fsync::CODE,
            opcode::Close::CODE,
            opcode::PollAdd::CODE,
            opcode::Read::CODE,
            opcode::AsyncCancel::CODE,
        ];
        if let Some(missing) = needed.iter().find(|&&code| !probe.is_supported(code)) {
            return Err(format!("this io_uring does not know operation {missing}"));
        }
        let vectors: Vec<_> = self
            .buffers
            .iter()
            .map(|buffer| libc::iovec {
                iov_base: buffer.as_ptr().cast_mut().cast(),
                iov_len: buffer.len(),
            })
            .collect();
        // SAFETY: the buffers are on the heap, and belong to the copier, which is never dropped.
        unsafe { submitter.register_buffers(&vectors) }
            .map_err(|error| format!("io_uring_register(BUFFERS): {error}"))?;
        submitter
            .register_files(&[-1; 2 * SLOTS])
            .map_err(|error| format!("io_uring_register(FILES): {error}"))
    }

    fn run(&mut self) -> Result<Summary, String> {
        self.start = Instant::now();
        self.watch_input()?;
        for slot in 0..SLOTS {
            self.start_next(slot)?;
        }
        while self.slots.iter().any(Option::is_some) {
            self.wait()?;
        }
        let seconds = self.start.elapsed().as_secs_f64();
        self.stop_watching()?;

        let latency = |quantile| self.latencies.value_at_quantile(quantile) as f64 / 1000.0;
        Ok(Summary {
            files: self.done.files,
            bytes: self.done.bytes,
            operations: self.operations,
            seconds,
            checksum: self.checksum.to_string(),
            p50_us: latency(0.5),
            p99_us: latency(0.99),
            max_us: self.latencies.max() as f64 / 1000.0,
        })
    }

    /// Submits what is queued, waits for a completion and handles all that are there.
    fn wait(&mut self) -> Result<(), String> {
        match self.ring.submit_and_wait(1) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(error) => return Err(format!("io_uring_enter: {error}")),
        }
        let completions: Vec<_> = self.ring.completion().collect();
        for completion in completions {
            let (step, slot) = Step::untag(completion.user_data())
                .ok_or_else(|| format!("a completion for nothing: {completion:?}"))?;
            self.operations += 1;
            match step {
                Step::PollInput | Step::ReadInput | Step::CancelPoll => {
                    self.input_step(step, completion.result())?;
                }
                _ => self.file_step(step, slot, completion.result())?,
            }
        }
        Ok(())
    }

    /// Opens the next file that waits, if there is one.
    fn start_next(&mut self, slot: usize) -> Result<(), String> {
        let Some((number, path)) = self.waiting.next() else {
            self.slots[slot] = None;
            return Ok(());
        };
        let c_path = |root: &Path| {
            CString::new(root.join(&path).as_os_str().as_bytes()).map_err(|error| error.to_string())
        };
        // SAFETY: an all-zero statx is a valid one to be filled in.
        let status = Box::new(unsafe { mem::zeroed::<libc::statx>() });
        let mut file = Slot {
            source: c_path(&self.source)?,
            target: c_path(&self.target)?,
            path,
            status,
            descriptors: Box::new([-1; 2]),
            flush: number % FLUSH_EVERY == 0,
            offset: 0,
            submitted: Instant::now(),
            owed: 3,
            checksum: Content::EMPTY,
        };

        let here = types::Fd(libc::AT_FDCWD);
        let open_source = opcode::OpenAt::new(here, file.source.as_ptr())
            .flags(libc::O_RDONLY | libc::O_CLOEXEC)
            .build();
        let stat = opcode::Statx::new(here, file.source.as_ptr(), (&raw mut *file.status).cast())
            .mask(libc::STATX_SIZE)
            .build();
        let open_target = opcode::OpenAt::new(here, file.target.as_ptr())
            .flags(libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_CLOEXEC)
            .mode(0o644)
            .build();
        self.slots[slot] = Some(file);
        self.push_chain(
            slot,
            vec![
                (Step::OpenSource, open_source),
                (Step::Stat, stat),
                (Step::OpenTarget, open_target),
            ],
        )
    }

    fn file_step(&mut self, step: Step, slot: usize, result: i32) -> Result<(), String> {
        let Some(file) = self.slots.get_mut(slot).and_then(Option::as_mut) else {
            return Err(format!("a completion of {step:?} for no file"));
        };
        if result < 0 {
            let error = io::Error::from_raw_os_error(-result);
            return Err(format!("{step:?} of {}: {error}", file.path.display()));
        }
        file.owed -= 1;
        let size = file.status.stx_size;
        let piece = (size - file.offset).min(PIECE as u64) as usize;
        match step {
            Step::OpenSource => file.descriptors[0] = result,
            Step::OpenTarget => file.descriptors[1] = result,
            Step::Read | Step::Write if result as usize != piece => {
                return Err(format!("{step:?} of {}: {result} of {piece}", file.path.display()));
            }
            Step::Write => {
                let taken = file.submitted.elapsed();
                file.checksum = file.checksum.then(&self.buffers[slot][..piece]);
                file.offset += piece as u64;
                self.done.bytes += piece as u64;
                self.latencies.saturating_record(nanoseconds(taken));
            }
            _ => {}
        }
        if file.owed > 0 {
            return Ok(());
        }
        if step != Step::CloseTarget {
            return self.copy_piece(slot);
        }
        self.checksum.add(file.path.as_os_str().as_bytes(), file.checksum);
        self.done.files += 1;
        self.start_next(slot)
    }

    /// Queues the chain that copies the next piece, and after the last one lets go of the file.
    fn copy_piece(&mut self, slot: usize) -> Result<(), String> {
        let Some(file) = &mut self.slots[slot] else {
            return Ok(());
        };
        let size = file.status.stx_size;
        let piece = (size - file.offset).min(PIECE as u64) as u32;
        let last = file.offset + u64::from(piece) == size;
        let (source, target) = (Fixed(2 * slot as u32), Fixed(2 * slot as u32 + 1));
        let buffer = self.buffers[slot].as_mut_ptr();

        let mut chain = Vec::with_capacity(7);
        if file.offset == 0 {
            let register = opcode::FilesUpdate::new(file.descriptors.as_ptr(), 2)
                .offset(2 * slot as i32)
                .build();
            chain.push((Step::Register, register));
        }
        if piece > 0 {
            let read = opcode::ReadFixed::new(source, buffer, piece, slot as u16)
                .offset(file.offset)
                .build();
            let write = opcode::WriteFixed::new(target, buffer, piece, slot as u16)
                .offset(file.offset)
                .build();
            chain.push((Step::Read, read));
            chain.push((Step::Write, write));
        }
        if last {
            if file.flush {
                chain.push((Step::Flush, opcode::Fsync::new(target).build()));
            }
            let unregister =
                opcode::FilesUpdate::new(self.none.as_ptr(), 2).offset(2 * slot as i32).build();
            chain.push((Step::Unregister, unregister));
            let [source, target] = *file.descriptors;
            chain.push((Step::CloseSource, opcode::Close::new(types::Fd(source)).build()));
            chain.push((Step::CloseTarget, opcode::Close::new(types::Fd(target)).build()));
        }
        file.owed = chain.len() as u32;
        file.submitted = Instant::now();
        self.push_chain(slot, chain)
    }

    /// Polls standard input, and reads it when there is something.
    fn watch_input(&mut self) -> Result<(), String> {
        let input = types::Fd(libc::STDIN_FILENO);
        let poll = opcode::PollAdd::new(input, libc::POLLIN as u32).build();
        let read = opcode::Read::new(input, self.input.as_mut_ptr(), self.input.len() as u32)
            .offset(u64::MAX)
            .build();
        self.input_owed += 2;
        self.push_chain(0, vec![(Step::PollInput, poll), (Step::ReadInput, read)])
    }

    fn input_step(&mut self, step: Step, result: i32) -> Result<(), String> {
        self.input_owed -= 1;
        match (step, -result) {
            (Step::ReadInput, ..0) => {
                print_line(&self.done);
                if !self.input_ended { self.watch_input() } else { Ok(()) }
            }
            (Step::ReadInput, 0) => {
                self.input_ended = true;
                Ok(())
            }
            // The poll ended before it could be cancelled.
            (Step::CancelPoll, libc::ENOENT | libc::EALREADY) => Ok(()),
            (Step::PollInput | Step::ReadInput, libc::ECANCELED) if self.input_ended => Ok(()),
            (_, ..=0) => Ok(()),
            (_, errno) => Err(format!("{step:?}: {}", io::Error::from_raw_os_error(errno))),
        }
    }

    fn stop_watching(&mut self) -> Result<(), String> {
        if !self.input_ended {
            self.input_ended = true;
            let cancel = opcode::AsyncCancel::new(Step::PollInput.tag(0)).build();
            self.input_owed += 1;
            self.push_chain(0, vec![(Step::CancelPoll, cancel)])?;
        }
        while self.input_owed > 0 {
            self.wait()?;
        }
        Ok(())
    }

    /// Queues operations that each start when the one before has succeeded.
    fn push_chain(&mut self, slot: usize, chain: Vec<(Step, squeue::Entry)>) -> Result<(), String> {
        let last = chain.len() - 1;
        let entries: Vec<_> = chain
            .into_iter()
            .enumerate()
            .map(|(number, (step, entry))| {
                let flags = if number < last { Flags::IO_LINK } else { Flags::empty() };
                entry.flags(flags).user_data(step.tag(slot))
            })
            .collect();
        let free = {
            let queue = self.ring.submission();
            queue.capacity() - queue.len()
        };
        if free < entries.len() {
            // A chain must not be cut in two by a submission.
            self.ring.submit().map_err(|error| format!("io_uring_enter: {error}"))?;
        }
        // SAFETY: what the entries point to is on the heap and belongs to `self` until their
        // completions have come: paths, descriptors and status to the slot, which is only given
        // up when nothing is owed; buffers to the copier, which is never dropped.
        unsafe { self.ring.submission().push_multiple(&entries) }
            .map_err(|error| format!("the submission queue: {error}"))
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
