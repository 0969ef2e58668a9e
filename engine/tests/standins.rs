//! No thread is to be had: who submits or waits makes the calls of workers, and is kept by none of them.
//!
//! The gate that all calls go through is moved to one that has memory for so many stacks of threads, and
//! lets so many calls of `ppoll` fail, as it was told. (A process of its own: nobody else's workers.)

mod client;

use std::io::{PipeReader, PipeWriter, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use client::{Client, sqe, workers};
use sysring_sys::Errno;
use sysring_sys::abi::io_uring::{Sqe, op, sqe_flags};

/// Stacks that may still be had, and polls that fail yet.
static STACKS: AtomicI32 = AtomicI32::new(i32::MAX);
static POLLS: AtomicI32 = AtomicI32::new(0);

/// Answers ENOMEM where the call is `mmap` for a stack, and there is none left; or one of those polls.
#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
unsafe extern "C" fn gate() {
    core::arch::naked_asm!(
        "cmp eax, 271", // ppoll
        "je 3f",
        "cmp eax, 9", // mmap
        "jne 2f",
        "cmp rsi, 131072",
        "jne 2f",
        "lock sub dword ptr [rip + {stacks}], 1",
        "jns 2f",
        "1:",
        "mov rax, -12",
        "ret",
        "2:",
        "syscall",
        "ret",
        "3:",
        "lock sub dword ptr [rip + {polls}], 1",
        "jns 1b",
        "jmp 2b",
        stacks = sym STACKS,
        polls = sym POLLS,
    )
}

/// One test at a time, for which there are so many threads, where so many polls fail.
fn with(stacks: i32, polls: i32) -> Option<MutexGuard<'static, ()>> {
    if cfg!(not(target_arch = "x86_64")) {
        println!("skipped: the gate of this test is written for x86-64");
        return None;
    }
    static TURN: Mutex<()> = Mutex::new(());
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: the gate does what the one before it does, but for some calls, which may fail.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        sysring_sys::arch::move_gate(gate as *const () as usize)
    };
    let began = Instant::now();
    while workers() != 0 {
        assert!(began.elapsed() < Duration::from_secs(60), "workers are to go");
        thread::sleep(Duration::from_millis(1));
    }
    STACKS.store(stacks, Ordering::SeqCst);
    POLLS.store(polls, Ordering::SeqCst);
    Some(turn)
}

/// What it sees to end, by user_data, with the results; it has a minute.
fn ends(run: impl FnOnce() -> Vec<(u64, i32)> + Send + 'static) -> Vec<(u64, i32)> {
    let (tell, hear) = mpsc::channel();
    thread::spawn(move || tell.send(run()));
    let mut seen = hear.recv_timeout(Duration::from_secs(60)).expect("it is kept by a call");
    seen.sort_unstable();
    seen
}

fn reap(ring: &mut Client) -> Vec<(u64, i32)> {
    ring.reap().iter().map(|cqe| (cqe.user_data, cqe.res)).collect()
}

/// Two pipes: one's end that reads and the other's that writes know no `RWF_NOWAIT`, as they were spliced.
fn spliced() -> [(PipeReader, PipeWriter); 2] {
    let pipes = [(); 2].map(|()| std::io::pipe().unwrap());
    splice(pipes[0].0.as_raw_fd(), pipes[1].1.as_raw_fd());
    pipes
}

/// Moves nothing.
fn splice(from: RawFd, to: RawFd) {
    let (none, flags) = (std::ptr::null_mut(), libc::SPLICE_F_NONBLOCK);
    // SAFETY: no offsets.
    assert_eq!(unsafe { libc::splice(from, none, to, none, 1, flags) }, -1);
}

fn transfer(opcode: u8, fd: RawFd, memory: &mut [u8]) -> Sqe {
    let (addr, len) = (memory.as_mut_ptr() as u64, memory.len() as u32);
    Sqe { addr, len, off: u64::MAX, ..sqe(opcode, fd, 1) }
}

/// Whether the pipe can be read could not be asked when it was read first.
#[test]
fn a_read_of_a_stream_waits_without_a_thread() {
    let Some(_turn) = with(0, 1) else { return };
    let seen = ends(|| {
        let [(reader, mut writer), _other] = spliced();
        let (mut ring, mut byte) = (Client::new(8, 0), [0]);
        ring.push(transfer(op::READ, reader.as_raw_fd(), &mut byte));
        assert_eq!(ring.enter(1, 0), Ok(1));
        assert_eq!(reap(&mut ring), []);
        writer.write_all(b"x").unwrap();
        assert_eq!(ring.enter(0, 1), Ok(0));
        assert_eq!(byte, *b"x");
        reap(&mut ring)
    });
    assert_eq!(seen, [(1, 1)]);
}

/// Who takes a buffer takes what there is, and nobody could say whether there is any.
#[test]
fn a_read_with_a_buffer_of_a_group_does_not_wait_in_the_submission() {
    let Some(_turn) = with(0, 1) else { return };
    let seen = ends(|| {
        let [(reader, mut writer), _other] = spliced();
        let (mut ring, mut memory) = (Client::new(8, 0), [0; 8]);
        // One of eight bytes, in group 5.
        ring.push(Sqe { buf_index: 5, off: 0, ..transfer(op::PROVIDE_BUFFERS, 1, &mut memory) });
        let read = sqe(op::READ, reader.as_raw_fd(), 2);
        let (flags, off) = (sqe_flags::BUFFER_SELECT, u64::MAX);
        ring.push(Sqe { flags, off, len: 8, buf_index: 5, ..read });
        assert_eq!(ring.enter(2, 0), Ok(2));
        writer.write_all(b"x").unwrap();
        assert_eq!(ring.enter(0, 2), Ok(0));
        assert_eq!(memory[0], b'x');
        reap(&mut ring)
    });
    assert_eq!(seen, [(1, 0), (2, 1)]);
}

/// Nor could it be asked then.
#[test]
fn what_may_wait_is_cancelled_where_nobody_can_say() {
    let Some(_turn) = with(0, 2) else { return };
    let seen = ends(|| {
        let [(reader, _writer), _other] = spliced();
        let (mut ring, mut byte) = (Client::new(8, 0), [0]);
        ring.push(transfer(op::READ, reader.as_raw_fd(), &mut byte));
        assert_eq!(ring.enter(1, 1), Ok(1));
        reap(&mut ring)
    });
    assert_eq!(seen, [(1, Errno::ECANCELED.to_res())]);
}

/// A pipe that is writable has room for a page, not for all.
#[test]
fn a_long_write_to_a_stream_is_cancelled_and_a_short_one_made() {
    let Some(_turn) = with(0, 0) else { return };
    let seen = ends(|| {
        let [_other, (_reader, writer)] = spliced();
        let (mut ring, mut much) = (Client::new(8, 0), vec![0; 1 << 20]);
        ring.push(Sqe { user_data: 2, ..transfer(op::WRITE, writer.as_raw_fd(), &mut much) });
        ring.push(transfer(op::WRITE, writer.as_raw_fd(), &mut much[..4096]));
        assert_eq!(ring.enter(2, 2), Ok(2));
        reap(&mut ring)
    });
    assert_eq!(seen, [(1, 4096), (2, Errno::ECANCELED.to_res())]);
}

/// The only worker there is takes a splice that waits, and behind that stands a call that does not, though
/// it is not known to end by itself.
struct Behind {
    ring: Client,
    writer: PipeWriter,
    _pipes: (PipeReader, PipeReader, PipeWriter),
}

const BEHIND: (u64, i32) = (2, Errno::ENOENT.to_res());

impl Behind {
    fn submit(wait: u32) -> Behind {
        let [(reader, writer), (other, to)] = spliced();
        let mut ring = Client::new(8, 0);
        let waits =
            Sqe { addr: u64::MAX, off: u64::MAX, len: 1, ..sqe(op::SPLICE, to.as_raw_fd(), 1) };
        ring.push(Sqe { file_index: reader.as_raw_fd() as u32, ..waits });
        // To a worker, whatever it is.
        let (addr, flags) = (c"/nowhere/at/all".as_ptr() as u64, sqe_flags::ASYNC);
        ring.push(Sqe { addr, flags, ..sqe(op::OPENAT, libc::AT_FDCWD, 2) });
        assert_eq!(ring.enter(2, wait), Ok(2));
        Behind { ring, writer, _pipes: (reader, other, to) }
    }

    /// The splice was not kept from waiting.
    fn end(mut self, mut seen: Vec<(u64, i32)>) -> Vec<(u64, i32)> {
        assert_eq!(seen, [BEHIND]);
        self.writer.write_all(b"x").unwrap();
        assert_eq!(self.ring.enter(0, 1), Ok(0));
        seen.extend(reap(&mut self.ring));
        seen
    }
}

/// Submits both, waiting for so many, and `come`s for the second; the first goes on waiting all the while.
fn comes_behind(wait: u32, come: fn(&mut Client) -> Vec<(u64, i32)>) {
    let seen = ends(move || {
        let mut behind = Behind::submit(wait);
        let seen = come(&mut behind.ring);
        behind.end(seen)
    });
    assert_eq!(seen, [(1, 1), BEHIND]);
}

#[test]
fn what_no_worker_comes_for_is_made_by_who_waits() {
    let Some(_turn) = with(1, 0) else { return };
    comes_behind(1, reap);
}

/// There is no thread for a driver either, which would look after it.
#[test]
fn what_no_worker_came_for_is_made_by_who_waits_later() {
    let Some(_turn) = with(1, 0) else { return };
    comes_behind(0, |ring| {
        assert_eq!(ring.enter(0, 1), Ok(0));
        reap(ring)
    });
}

/// What comes when there are threads again, long enough after somebody was looked for in vain. Whoever
/// waits for it does `meanwhile`.
fn with_threads_again(ring: &mut Client, meanwhile: fn(&mut Client)) -> Vec<(u64, i32)> {
    thread::sleep(Duration::from_millis(20));
    STACKS.store(i32::MAX, Ordering::SeqCst);
    let mut seen = Vec::new();
    while seen.is_empty() {
        meanwhile(ring);
        seen = reap(ring);
        thread::sleep(Duration::from_millis(1));
    }
    seen
}

/// Whoever comes to a ring looks whether there is one again.
#[test]
fn what_no_worker_came_for_has_one_when_there_is_one() {
    let Some(_turn) = with(1, 0) else { return };
    comes_behind(0, |ring| with_threads_again(ring, |ring| assert_eq!(ring.enter(0, 0), Ok(0))));
}

/// So does the driver, where there is one, for who does not come.
#[test]
fn what_no_worker_came_for_has_one_when_the_driver_finds_one() {
    let Some(_turn) = with(i32::MAX, 0) else { return };
    sysring_engine::driver::prepare().unwrap();
    STACKS.store(1, Ordering::SeqCst);
    comes_behind(0, |ring| with_threads_again(ring, |_| {}));
}
