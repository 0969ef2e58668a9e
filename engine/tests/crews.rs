//! How many threads it takes: one for what ends by itself and does not sleep, more where it sleeps, and
//! none is kept by what does not end. (A process of its own: other tests' rings would have workers, too.)

mod client;

use std::ffi::{CString, OsStr};
use std::fs::OpenOptions;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use client::{Client, sqe, workers};
use sysring_engine::stats;
use sysring_sys::User;
use sysring_sys::abi::Timespec;
use sysring_sys::abi::io_uring::{Sqe, op, register};

const DEPTH: u32 = 32;

/// Workers are the process's: one test at a time, and those of the one before have gone. (They go with
/// their last ring, or when they have been idle for two seconds.)
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    let turn = TURN.lock().unwrap_or_else(|broken| broken.into_inner());
    until("workers to go", || workers() == 0);
    turn
}

/// Until it is so: it has a minute.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(60), "{what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// How often a thread of the engine's has slept, if there is one of this kind.
fn has_slept(kind: &str) -> Option<u64> {
    let tasks = std::fs::read_dir("/proc/self/task").ok()?;
    tasks.flatten().find_map(|task| {
        let name = std::fs::read_to_string(task.path().join("comm")).ok()?;
        let status = std::fs::read_to_string(task.path().join("status")).ok()?;
        let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches"))?;
        let ours = name.starts_with("iou-") && name[4..].starts_with(kind);
        ours.then(|| line.split_whitespace().last()?.parse().ok())?
    })
}

/// Names in a directory of its own, in memory where that is to be had.
struct Names {
    dir: PathBuf,
    names: Vec<CString>,
}

impl Names {
    fn new() -> Names {
        let memory = PathBuf::from("/dev/shm");
        let base = if memory.is_dir() { memory } else { std::env::temp_dir() };
        let dir = base.join(format!("sysring-crews-{}", std::process::id()));
        std::fs::create_dir(&dir).expect("a directory");
        let name = |i| CString::new(dir.join(format!("{i}")).as_os_str().as_bytes()).unwrap();
        let names = (0..DEPTH).map(name).collect();
        Names { dir, names }
    }

    fn path(&self, i: u32) -> &Path {
        Path::new(OsStr::from_bytes(self.names[i as usize].as_bytes()))
    }

    fn make(&self, i: u32) -> Sqe {
        let name = &self.names[i as usize];
        Sqe { addr: name.as_ptr() as u64, len: 0o700, ..sqe(op::MKDIRAT, -100, u64::from(i)) }
    }

    fn remove(&self, i: u32) -> Sqe {
        let made = self.make(i);
        Sqe { opcode: op::UNLINKAT, len: 0, op_flags: libc::AT_REMOVEDIR as u32, ..made }
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// Memory that nobody who touches it gets, before it is given: to fill it ahead (`MADV_POPULATE_WRITE`)
/// is a call that sleeps for as long as the test likes, and is not one that waits for others.
struct Withheld {
    fault: OwnedFd,
    at: usize,
}

const PAGE: usize = 4096;
const PAGES: usize = 8;

impl Withheld {
    fn new() -> Option<Withheld> {
        // SAFETY: a number. (What the kernel itself touches is withheld, too, which not everybody may ask
        // for.)
        let fault = unsafe { libc::syscall(libc::SYS_userfaultfd, libc::O_CLOEXEC) };
        if fault < 0 {
            println!("skipped: no userfaultfd for this user ({})", std::io::Error::last_os_error());
            return None;
        }
        // SAFETY: new memory, where the kernel likes; the descriptor is new, too.
        let (at, fault) = unsafe {
            let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE);
            let kind = kind | libc::MAP_ANONYMOUS;
            let at = libc::mmap(ptr::null_mut(), PAGES * PAGE, access, kind, -1, 0);
            (at as usize, OwnedFd::from_raw_fd(fault as i32))
        };
        let memory = Withheld { fault, at };
        // `UFFDIO_API`, and `UFFDIO_REGISTER` of what is missing.
        memory.tell(0xc018_aa3f, [0xaa, 0, 0, 0]).expect("the API");
        memory.tell(0xc020_aa00, [at as u64, (PAGES * PAGE) as u64, 1, 0]).expect("the range");
        Some(memory)
    }

    fn tell(&self, what: u64, mut words: [u64; 4]) -> std::io::Result<()> {
        // SAFETY: none of the structures is longer than four words.
        let answer =
            unsafe { libc::ioctl(self.fault.as_raw_fd(), what as libc::Ioctl, words.as_mut_ptr()) };
        if answer < 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) }
    }

    fn touch(&self, page: usize, user_data: u64) -> Sqe {
        let addr = (self.at + page * PAGE) as u64;
        let op_flags = libc::MADV_POPULATE_WRITE as u32;
        Sqe { addr, len: PAGE as u32, op_flags, ..sqe(op::MADVISE, -1, user_data) }
    }

    /// Whoever touches the page gets it, by `UFFDIO_ZEROPAGE`.
    fn give(&self, page: usize) {
        let words = [(self.at + page * PAGE) as u64, PAGE as u64, 0, 0];
        self.tell(0xc020_aa04, words).expect("a page of zeroes");
    }
}

impl Drop for Withheld {
    fn drop(&mut self) {
        // SAFETY: our own mapping, which nothing uses any more.
        unsafe { libc::munmap(self.at as *mut libc::c_void, PAGES * PAGE) };
    }
}

fn threads() -> u64 {
    stats::get().threads.load(Relaxed)
}

fn run(ring: &mut Client, entries: impl Iterator<Item = Sqe>) {
    let mut count = 0;
    entries.for_each(|entry| {
        ring.push(entry);
        count += 1;
    });
    assert_eq!(ring.enter(count, count), Ok(count as usize));
    let seen = ring.reap();
    assert_eq!(seen.len(), count as usize);
    assert!(seen.iter().all(|cqe| cqe.res == 0), "{seen:?}");
}

#[test]
fn what_does_not_sleep_is_one_workers() {
    const ROUNDS: u32 = 20;
    let (_turn, names) = (alone(), Names::new());
    let mut quiet = 0;
    for _ in 0..ROUNDS {
        let before = threads();
        let mut ring = Client::new(DEPTH, 0);
        for _ in 0..4 {
            run(&mut ring, (0..DEPTH).map(|i| names.make(i)));
            run(&mut ring, (0..DEPTH).map(|i| names.remove(i)));
        }
        drop(ring);
        // With their last ring the workers go: the next round begins anew.
        quiet += u32::from(threads() - before <= 1);
    }
    // A worker whose processor is taken away for long is taken to sleep: on a busy machine that happens,
    // though not most of the time.
    assert!(quiet > ROUNDS / 2, "{quiet} of {ROUNDS} rounds with one worker");
}

#[test]
fn what_sleeps_brings_others() {
    let _turn = alone();
    let Some(memory) = Withheld::new() else { return };
    let before = threads();
    let mut ring = Client::new(DEPTH, 0);
    for page in 0..PAGES {
        ring.push(memory.touch(page, page as u64));
    }
    assert_eq!(ring.enter(PAGES as u32, 0), Ok(PAGES));
    // One for them all would still be with the first.
    let began = Instant::now();
    while threads() - before < 4 {
        assert!(began.elapsed() < Duration::from_secs(60), "{} threads", threads() - before);
        thread::sleep(Duration::from_millis(1));
    }
    (0..PAGES).for_each(|page| memory.give(page));
    assert_eq!(ring.enter(0, PAGES as u32), Ok(0));
    assert!(ring.reap().iter().all(|cqe| cqe.res == 0));
}

/// What it is that does not end.
const HUNG: u64 = 1000;

fn submit_behind_hung(ring: &mut Client, names: &Names, memory: &Withheld, wait: u32) {
    ring.push(memory.touch(0, HUNG));
    (1..DEPTH).for_each(|i| ring.push(names.make(i)));
    assert_eq!(ring.enter(DEPTH, wait), Ok(DEPTH as usize));
}

fn end_hung(ring: &mut Client, memory: &Withheld) {
    memory.give(0);
    assert_eq!(ring.enter(0, 1), Ok(0));
    let seen = ring.reap();
    assert_eq!(seen.iter().map(|cqe| (cqe.user_data, cqe.res)).collect::<Vec<_>>(), [(HUNG, 0)]);
}

#[test]
fn who_waits_gets_what_stands_behind_a_call_that_hangs() {
    let (_turn, names) = (alone(), Names::new());
    let Some(memory) = Withheld::new() else { return };
    let mut ring = Client::new(DEPTH, 0);
    submit_behind_hung(&mut ring, &names, &memory, DEPTH - 1);
    let seen = ring.reap();
    assert_eq!(seen.len() as u32, DEPTH - 1);
    assert!(seen.iter().all(|cqe| cqe.user_data != HUNG && cqe.res == 0), "{seen:?}");
    end_hung(&mut ring, &memory);
}

#[test]
fn who_looks_gets_what_stands_behind_a_call_that_hangs() {
    let (_turn, names) = (alone(), Names::new());
    let Some(memory) = Withheld::new() else { return };
    let mut ring = Client::new(DEPTH, 0);
    submit_behind_hung(&mut ring, &names, &memory, 0);
    let (began, mut seen) = (Instant::now(), Vec::new());
    while (seen.len() as u32) < DEPTH - 1 {
        assert!(began.elapsed() < Duration::from_secs(60), "{} came", seen.len());
        thread::sleep(Duration::from_millis(1));
        seen.extend(ring.reap());
    }
    assert!(seen.iter().all(|cqe| cqe.user_data != HUNG && cqe.res == 0), "{seen:?}");
    end_hung(&mut ring, &memory);
}

#[test]
fn who_waited_for_a_moment_gets_what_stands_behind_a_call_that_hangs() {
    let (_turn, names) = (alone(), Names::new());
    let Some(memory) = Withheld::new() else { return };
    let mut ring = Client::new(DEPTH, 0);
    // Sooner than anybody looks whether the workers move.
    let soon = Timespec { tv_sec: 0, tv_nsec: 300_000 };
    let timeout = Sqe { addr: ptr::from_ref(&soon) as u64, len: 1, ..sqe(op::TIMEOUT, -1, 2) };
    ring.push(memory.touch(0, HUNG));
    ring.push(names.make(1));
    ring.push(timeout);
    assert_eq!(ring.enter(3, 1), Ok(3));
    let mut seen = ring.reap();
    until("the directory", || {
        seen.extend(ring.reap());
        seen.len() == 2
    });
    assert!(seen.iter().any(|cqe| (cqe.user_data, cqe.res) == (1, 0)), "{seen:?}");
    end_hung(&mut ring, &memory);
}

/// The driver is theirs from here on.
fn submit_as_somebody_else(names: &Names) -> bool {
    const NOBODY: libc::uid_t = 65534;
    // SAFETY: numbers; of this thread alone, where libc would ask them all.
    let changed = unsafe { libc::syscall(libc::SYS_setresuid, NOBODY, NOBODY, NOBODY) };
    if changed != 0 {
        println!("skipped: this user stays who it is ({})", std::io::Error::last_os_error());
        return false;
    }
    let mut ring = Client::new(DEPTH, 0);
    (1..4).for_each(|i| ring.push(names.make(i)));
    assert_eq!(ring.enter(3, 0), Ok(3));
    assert_eq!(ring.enter(0, 3), Ok(0));
    assert!(ring.reap().iter().all(|cqe| cqe.res == -libc::EACCES));
    true
}

#[test]
fn who_comes_gets_what_the_driver_may_start_no_worker_for() {
    let (_turn, names) = (alone(), Names::new());
    let Some(memory) = Withheld::new() else { return };
    let mut ring = Client::new(DEPTH, 0);
    // Nobody may come before the driver is somebody else's.
    let mut limits = [1, 0];
    limit_workers(&ring, &mut limits);
    submit_behind_hung(&mut ring, &names, &memory, 0);
    let somebody = || thread::scope(|scope| scope.spawn(|| submit_as_somebody_else(&names)).join());
    let skipped = !somebody().unwrap();
    limit_workers(&ring, &mut limits);
    if skipped {
        memory.give(0);
        return assert_eq!(ring.enter(0, DEPTH), Ok(0));
    }
    let mut seen = Vec::new();
    until("what stands behind", || {
        assert_eq!(ring.enter(0, 0), Ok(0));
        seen.extend(ring.reap());
        seen.len() as u32 == DEPTH - 1
    });
    assert!(seen.iter().all(|cqe| cqe.user_data != HUNG && cqe.res == 0), "{seen:?}");
    end_hung(&mut ring, &memory);
}

/// How many there may be for what ends by itself, and for the rest; what that was before.
fn limit_workers(ring: &Client, limits: &mut [u32; 2]) {
    let (fd, at) = (ring.fd.raw() as u32, User::of(limits.as_mut_ptr().cast()));
    assert_eq!(sysring_engine::register(fd, register::IOWQ_MAX_WORKERS, at, 2), Ok(0));
}

#[test]
fn where_no_worker_is_to_be_had_nobody_looks_all_the_time() {
    const MOST: u32 = 2;
    let _turn = alone();
    let Some(memory) = Withheld::new() else { return };
    let mut ring = Client::new(DEPTH, 0);
    let mut limits = [MOST, 0];
    limit_workers(&ring, &mut limits);
    (0..PAGES).for_each(|page| ring.push(memory.touch(page, page as u64)));
    assert_eq!(ring.enter(PAGES as u32, 0), Ok(PAGES));
    until("the driver", || has_slept("drv").is_some());
    // All that may be had are there, and it has seen that.
    thread::sleep(Duration::from_millis(500));
    let before = has_slept("drv");
    thread::sleep(Duration::from_secs(1));
    let slept = has_slept("drv").zip(before).map(|(after, before)| after - before);
    // Ten times, not a thousand times.
    assert!(slept.is_some_and(|slept| slept < 100), "{slept:?}");
    limit_workers(&ring, &mut limits);
    (0..PAGES).for_each(|page| memory.give(page));
    assert_eq!(ring.enter(0, PAGES as u32), Ok(0));
    assert!(ring.reap().iter().all(|cqe| cqe.res == 0));
}

/// Whether a call that waits for others is begun at once, where two that hang, before it in the queue, have
/// taken the workers that were called, and others are idle. (These look by themselves when they have been
/// idle for two seconds.)
fn is_begun_beside_hung(ring: &mut Client, names: &Names, memory: &Withheld) -> bool {
    const OPEN: u64 = 2000;
    const SOON: Duration = Duration::from_secs(1);
    (0..4).for_each(|page| ring.push(memory.touch(page, page as u64)));
    assert_eq!(ring.enter(4, 0), Ok(4));
    until("four workers", || workers() >= 4);
    (0..4).for_each(|page| memory.give(page));
    assert_eq!(ring.enter(0, 4), Ok(0));
    assert_eq!(ring.reap().len(), 4);
    thread::sleep(Duration::from_millis(50));

    let fifo = &names.names[0];
    // SAFETY: a string.
    assert_eq!(unsafe { libc::mkfifo(fifo.as_ptr(), 0o600) }, 0);
    (4..6).for_each(|page| ring.push(memory.touch(page, page as u64)));
    let addr = fifo.as_ptr() as u64;
    let op_flags = libc::O_RDONLY as u32;
    ring.push(Sqe { addr, op_flags, ..sqe(op::OPENAT, -100, OPEN) });
    let began = Instant::now();
    assert_eq!(ring.enter(3, 0), Ok(3));
    // To write is refused before somebody opens the FIFO to read, who then waits no more.
    let write =
        || OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(names.path(0));
    let writer = loop {
        match write() {
            Ok(writer) => break writer,
            Err(_) => assert!(began.elapsed() < Duration::from_secs(60), "it is not begun"),
        }
        thread::sleep(Duration::from_millis(1));
    };
    let soon = began.elapsed() < SOON;
    (4..6).for_each(|page| memory.give(page));
    assert_eq!(ring.enter(0, 3), Ok(0));
    let seen = ring.reap();
    assert_eq!(seen.len(), 3);
    for cqe in seen {
        assert!(cqe.user_data == OPEN && cqe.res >= 0 || cqe.res == 0, "{cqe:?}");
        if cqe.user_data == OPEN {
            // SAFETY: it is new, and nobody else's.
            drop(unsafe { OwnedFd::from_raw_fd(cqe.res) });
        }
    }
    drop(writer);
    std::fs::remove_file(names.path(0)).expect("the FIFO");
    soon
}

#[test]
fn who_is_idle_is_called_for_what_others_were_called_for() {
    const ROUNDS: u32 = 3;
    let (_turn, names) = (alone(), Names::new());
    let mut soon = 0;
    for _ in 0..ROUNDS {
        let Some(memory) = Withheld::new() else { return };
        // With their last ring the workers go.
        let mut ring = Client::new(DEPTH, 0);
        soon += u32::from(is_begun_beside_hung(&mut ring, &names, &memory));
    }
    assert!(soon > ROUNDS / 2, "{soon} of {ROUNDS} were begun at once");
}
