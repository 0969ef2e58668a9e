//! Requests under way keep their files when the numbers lead to others.

mod client;

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Mutex;

use client::{Client, sqe};
use sysring_sys::abi::io_uring::{Sqe, op, sqe_flags};
use sysring_sys::raw::general::{O_DIRECT, O_NONBLOCK};
use sysring_sys::{Errno, Fd, call};

/// They give numbers away, of which there is one set in the process.
static TURN: Mutex<()> = Mutex::new(());

#[repr(align(4096))]
struct Blocks([u8; 8192]);

/// Has `number` lead to what `file` does.
fn lead(number: &impl AsRawFd, file: &impl AsRawFd) {
    // SAFETY: both are open; whoever has the number uses it for no memory.
    assert!(unsafe { libc::dup2(file.as_raw_fd(), number.as_raw_fd()) } >= 0);
}

/// Two connections, of which we write to the near ends.
fn two_streams() -> [(UnixStream, UnixStream); 2] {
    [(); 2].map(|()| UnixStream::pair().unwrap())
}

/// Another descriptor of the same file.
fn another(file: &impl AsRawFd) -> OwnedFd {
    // SAFETY: a new descriptor, that nobody else has.
    unsafe { OwnedFd::from_raw_fd(libc::dup(file.as_raw_fd())) }
}

fn receive(fd: &impl AsRawFd, to: &mut [u8], flags: i32, id: u64) -> Sqe {
    let sqe = sqe(op::RECV, fd.as_raw_fd(), id);
    Sqe { addr: to.as_mut_ptr() as u64, len: to.len() as u32, op_flags: flags as u32, ..sqe }
}

/// A file without a name that holds so many bytes of one kind, as kernel AIO reads it.
fn filled(folder: &Path, with: u8, len: usize) -> Option<File> {
    let path = folder.join(format!("sysring-renumbered-{}-{with}", std::process::id()));
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(true).custom_flags(O_DIRECT as i32);
    let mut file = options.open(&path).ok()?;
    std::fs::remove_file(&path).unwrap();
    file.write_all(&Blocks([with; 8192]).0[..len]).unwrap();
    Some(file)
}

/// Files of 4096 ones and of 8192 twos; `None` says why there are none.
fn short_and_long() -> Option<(File, File)> {
    let folder = std::env::temp_dir();
    let files = filled(&folder, 1, 4096).zip(filled(&folder, 2, 8192));
    if files.is_none() {
        eprintln!("skipped: no O_DIRECT in {}", folder.display());
    }
    files
}

#[test]
fn what_ends_short_does_not_go_on_in_another_file() {
    let _turn = TURN.lock();
    let Some((short, long)) = short_and_long() else { return };
    let mut ring = Client::new(8, 0);
    let number = another(&short);
    for _ in 0..50 {
        lead(&number, &short);
        let mut to = Blocks([0; 8192]);
        let mut read = sqe(op::READ, number.as_raw_fd(), 1);
        (read.addr, read.len) = (to.0.as_mut_ptr() as u64, 8192);
        ring.push(read);
        assert_eq!(ring.enter(1, 0), Ok(1));
        lead(&number, &long);
        assert_eq!(ring.enter(0, 1), Ok(0));
        assert_eq!(ring.reap()[0].res, 4096);
        assert_eq!((to.0[4095], to.0[4096]), (1, 0));
    }
}

/// How many descriptors of the process lead to a file that has no name any more.
fn descriptors_of(file: &File) -> usize {
    let path = |fd: &Path| std::fs::read_link(fd).ok();
    let own = path(Path::new(&format!("/proc/self/fd/{}", file.as_raw_fd())));
    let all = std::fs::read_dir("/proc/self/fd").unwrap();
    all.filter(|entry| path(&entry.as_ref().unwrap().path()) == own).count()
}

#[test]
fn what_is_under_way_on_a_file_shares_a_duplicate_of_it() {
    let _turn = TURN.lock();
    let Some((short, long)) = short_and_long() else { return };
    let mut ring = Client::new(8, 0);
    let number = another(&long);
    let own = Fd::new(number.as_raw_fd());
    let shares = call::same_file(own, own) == Ok(true);
    if !shares {
        eprintln!("skipped: nobody tells here whether two descriptors lead to the same file");
    }
    let mut to = [const { Blocks([0; 8192]) }; 5];
    let mut read = |ring: &mut Client, at: usize| {
        let addr = to[at].0.as_mut_ptr() as u64;
        ring.push(Sqe { addr, len: 8192, ..sqe(op::READ, number.as_raw_fd(), at as u64) });
    };
    for _ in 0..50 {
        lead(&number, &long);
        (0..4).for_each(|at| read(&mut ring, at));
        assert_eq!(ring.enter(4, 0), Ok(4));
        if shares {
            // The file, the number, and one for all four.
            assert!(descriptors_of(&long) <= 3);
        }
        lead(&number, &short);
        read(&mut ring, 4);
        assert_eq!(ring.enter(1, 5), Ok(1));
        let mut seen: Vec<_> = ring.reap().iter().map(|c| (c.user_data, c.res)).collect();
        seen.sort_unstable();
        assert_eq!(seen, [(0, 8192), (1, 8192), (2, 8192), (3, 8192), (4, 4096)]);
        assert_eq!([&long, &short].map(descriptors_of), [1, 2]);
    }
}

#[test]
fn what_waits_again_waits_for_the_same_file() {
    let _turn = TURN.lock();
    let [(mut one, first), (mut two, second)] = two_streams();
    let mut ring = Client::new(8, 0);
    let number = another(&first);

    // What was registered under the number stays, of a file that has another one, too.
    let mut byte = [0];
    ring.push(receive(&number, &mut byte, 0, 1));
    assert_eq!(ring.enter(1, 0), Ok(1));
    one.write_all(&[1]).unwrap();
    assert_eq!(ring.enter(0, 1), Ok(0));
    assert_eq!((ring.reap()[0].res, byte), (1, [1]));

    lead(&number, &second);
    let mut both = [0; 2];
    ring.push(receive(&number, &mut both, libc::MSG_WAITALL, 2));
    assert_eq!(ring.enter(1, 0), Ok(1));
    lead(&number, &first);
    two.write_all(&[2]).unwrap();
    let pause = [0u64, 20_000_000];
    ring.push(Sqe { addr: pause.as_ptr() as u64, len: 1, ..sqe(op::TIMEOUT, -1, 3) });
    assert_eq!(ring.enter(1, 1), Ok(1));
    assert_eq!(ring.reap()[0].user_data, 3);
    two.write_all(&[3]).unwrap();
    assert_eq!(ring.enter(0, 1), Ok(0));
    assert_eq!((ring.reap()[0].res, both), (2, [2, 3]));
}

/// A cancelled request takes what is registered of its own file away, and nothing of the one that the
/// number leads to by then.
#[test]
fn what_is_cancelled_takes_nobody_elses_place() {
    let _turn = TURN.lock();
    let [(mut one, first), (_two, second)] = two_streams();
    let mut ring = Client::new(8, 0);
    let number = another(&first);
    let (mut to, mut gone) = ([0], [0]);

    lead(&number, &second);
    ring.push(receive(&number, &mut gone, 0, 1));
    assert_eq!(ring.enter(1, 0), Ok(1));
    lead(&number, &first);
    ring.push(receive(&number, &mut to, 0, 2));
    ring.push(Sqe { addr: 1, ..sqe(op::ASYNC_CANCEL, -1, 3) });
    assert_eq!(ring.enter(2, 2), Ok(2));
    let mut seen: Vec<_> = ring.reap().iter().map(|c| (c.user_data, c.res)).collect();
    seen.sort_unstable();
    assert_eq!(seen, [(1, Errno::ECANCELED.to_res()), (3, 0)]);
    one.write_all(&[7]).unwrap();
    assert_eq!(ring.enter(0, 1), Ok(0));
    assert_eq!((ring.reap()[0].res, to), (1, [7]));
}

/// The limit on open files lowered to what is open, and every number below it taken, for as long as it
/// lives.
struct Exhausted(libc::rlimit, #[expect(dead_code, reason = "open for as long")] Vec<File>);

impl Exhausted {
    fn new() -> Exhausted {
        let mut before = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: writes a structure of ours.
        assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut before) }, 0);
        Exhausted::limit(&libc::rlimit { rlim_cur: 64, rlim_max: before.rlim_max });
        let fillers = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
        Exhausted(before, fillers)
    }

    fn limit(limit: &libc::rlimit) {
        // SAFETY: reads a structure of ours.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, limit) }, 0);
    }
}

impl Drop for Exhausted {
    fn drop(&mut self) {
        Exhausted::limit(&self.0);
    }
}

/// The soft limit is the application's: the engine's duplicates lie above it.
#[test]
fn duplicates_lie_above_the_limit() {
    let _turn = TURN.lock();
    let [(mut one, first), (mut two, second)] = two_streams();
    let mut ring = Client::new(8, 0);
    let number = another(&first);
    let exhausted = Exhausted::new();
    let mut to = [0];
    ring.push(receive(&number, &mut to, 0, 1));
    assert_eq!(ring.enter(1, 0), Ok(1));
    lead(&number, &second);
    assert!(File::open("/dev/null").is_err(), "the limit is what it was");
    two.write_all(&[2]).unwrap();
    one.write_all(&[1]).unwrap();
    assert_eq!(ring.enter(0, 1), Ok(0));
    assert_eq!((ring.reap()[0].res, to), (1, [1]));
    drop(exhausted);
    let mut rest = [0];
    (&second).read_exact(&mut rest).unwrap();
    assert_eq!(rest, [2]);
}

/// In a child whose hard limit is reached, too: what cannot be held is not mistaken for another.
#[test]
fn a_bare_number_is_known_again() {
    let _turn = TURN.lock();
    // SAFETY: the child makes system calls, and ends; nobody else's locks are taken in it but the
    // allocator's, which is glibc's and goes on after a fork.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let told = std::panic::catch_unwind(with_bare_numbers);
        // SAFETY: ends the process.
        unsafe { libc::_exit(i32::from(told.is_err())) };
    }
    let mut status = 0;
    // SAFETY: the child is ours; writes an integer of ours.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    assert_eq!(status, 0);
}

fn with_bare_numbers() {
    let [(mut one, first), (mut two, second)] = two_streams();
    let mut ring = Client::new(8, 0);
    let numbers = [another(&first), another(&first)];
    Exhausted::limit(&libc::rlimit { rlim_cur: 64, rlim_max: 64 });
    let _fillers: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();

    // Nobody can wake it any more: it ends before anybody sleeps, and its successor has its turn.
    let mut never = [0];
    let flags = sqe_flags::IO_HARDLINK;
    ring.push(Sqe { flags, ..receive(&numbers[0], &mut never, 0, 1) });
    ring.push(sqe(op::NOP, -1, 2));
    assert_eq!(ring.enter(2, 0), Ok(2));
    lead(&numbers[0], &second);
    assert_eq!(ring.enter(0, 2), Ok(0));
    let ended: Vec<_> = ring.reap().iter().map(|c| (c.user_data, c.res)).collect();
    assert_eq!(ended, [(1, Errno::EBADF.to_res()), (2, 0)]);
    lead(&numbers[0], &first);

    // Its number leads to another file, whose bytes are not taken for its own.
    let mut to = [[0], [0]];
    ring.push(receive(&numbers[0], &mut to[0], 0, 1));
    ring.push(receive(&numbers[1], &mut to[1], 0, 2));
    assert_eq!(ring.enter(2, 0), Ok(2));
    lead(&numbers[0], &second);
    two.write_all(&[2]).unwrap();
    one.write_all(&[1]).unwrap();
    assert_eq!(ring.enter(0, 2), Ok(0));
    let mut seen: Vec<_> = ring.reap().iter().map(|c| (c.user_data, c.res)).collect();
    seen.sort_unstable();
    assert_eq!(seen, [(1, Errno::EBADF.to_res()), (2, 1)]);
    assert_eq!(to, [[0], [1]]);
    // SAFETY: takes numbers.
    unsafe { libc::fcntl(second.as_raw_fd(), libc::F_SETFL, O_NONBLOCK) };
    let mut rest = [0];
    (&second).read_exact(&mut rest).unwrap();
    assert_eq!(rest, [2]);
}
