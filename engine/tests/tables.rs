//! A thread that gets a table of descriptors of its own, while the engine has threads.

mod client;

use std::fs::{File, Permissions};
use std::io::{Read, Seek, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use client::{Client, sqe};
use sysring_engine::personality::{Keeper, Personality};
use sysring_engine::request::Stage;
use sysring_engine::{descriptors, driver, personality};
use sysring_sys::abi::io_uring::{Sqe, op, register, setup, sqe_flags};
use sysring_sys::{Errno, User};

const BYTES: [u8; 5] = *b"bytes";

fn memory_file() -> File {
    // SAFETY: the name is a string; the descriptor is new.
    unsafe { File::from_raw_fd(libc::memfd_create(c"table".as_ptr(), 0)) }
}

/// A write by a worker.
fn write(ring: &mut Client, file: &File) -> i32 {
    write_as(ring, file, 0)
}

/// The same with the credentials of a personality.
fn write_as(ring: &mut Client, file: &File, personality: u16) -> i32 {
    let mut write = sqe(op::WRITE, file.as_raw_fd(), 1);
    (write.addr, write.len, write.flags) = (BYTES.as_ptr() as u64, 5, sqe_flags::ASYNC);
    write.personality = personality;
    ring.push(write);
    if ring.params.flags & setup::SQPOLL != 0 {
        ring.publish();
    }
    ring.enter(1, 1).unwrap();
    ring.reap()[0].res
}

fn content(mut file: &File) -> Vec<u8> {
    let mut content = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut content).unwrap();
    content
}

/// The process has one picture of its descriptors, so one thread at a time has a table of its own; the
/// engine's threads may still have that of the one before.
fn in_thread(work: impl FnOnce() + Send + 'static) {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (done, ended) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        descriptors::unshared();
        // In a table that all the others come from.
        driver::prepare().unwrap();
        work();
        done.send(()).unwrap();
    });
    let ended = ended.recv_timeout(Duration::from_secs(60));
    assert_ne!(ended, Err(mpsc::RecvTimeoutError::Timeout), "does not end");
    thread.join().unwrap();
}

/// Descriptors of other numbers are used than threads with the old table know: of the two files that
/// have the number, the right one must be meant.
fn goes_on_with_its_own(flags: u32, unshare: fn()) {
    in_thread(move || {
        let mut ring = Client::new(8, flags);
        assert_eq!(write(&mut ring, &memory_file()), 5);
        // Its descriptors are known to this thread alone.
        unshare();
        for _ in 0..3 {
            let files: [File; 40] = std::array::from_fn(|_| memory_file());
            for file in &files {
                assert_eq!(write(&mut ring, file), 5, "flags {flags:#x}");
                assert_eq!(content(file), BYTES);
            }
        }
    });
}

fn by_call() {
    // SAFETY: concerns the calling thread.
    assert_eq!(unsafe { libc::unshare(libc::CLONE_FILES) }, 0);
    descriptors::unshared();
}

fn by_closing() {
    const UNSHARE: u32 = 2;
    // Numbers that nobody has.
    assert_eq!(descriptors::close_range(900_000, 900_001, UNSHARE), Some(Ok(())));
}

#[test]
fn workers_follow_to_another_table() {
    goes_on_with_its_own(0, by_call);
    goes_on_with_its_own(0, by_closing);
}

#[test]
fn the_thread_that_submits_follows() {
    goes_on_with_its_own(setup::SQPOLL, by_call);
}

/// Threads of the engine's that drive.
fn drivers() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")));
    names.filter(|name| name.as_ref().is_ok_and(|name| name.contains("drv"))).count()
}

#[test]
fn of_drivers_one_is_left() {
    in_thread(|| {
        let mut ring = Client::new(8, 0);
        let (reader, _writer) = std::io::pipe().unwrap();
        let poll = Sqe { op_flags: 1, ..sqe(op::POLL_ADD, reader.as_raw_fd(), 1) };
        ring.push(poll);
        // Who does not wait is looked after.
        assert_eq!(ring.enter(1, 0), Ok(1));
        for _ in 0..100 {
            descriptors::unshared();
        }
        let began = Instant::now();
        while drivers() != 1 {
            assert!(began.elapsed() < Duration::from_secs(30), "{} are left", drivers());
            std::thread::sleep(Duration::from_millis(1));
        }
    });
}

fn register_personality(ring: &Client) -> u16 {
    let fd = ring.fd.raw() as u32;
    sysring_engine::register(fd, register::PERSONALITY, User::NULL, 0).unwrap() as u16
}

#[test]
fn who_has_credentials_follows() {
    in_thread(|| {
        let mut ring = Client::new(8, 0);
        let me = register_personality(&ring);
        assert_eq!(write_as(&mut ring, &memory_file(), me), 5);
        let mut pipe = None;
        for round in 0..3 {
            by_call();
            let files: [File; 40] = std::array::from_fn(|_| memory_file());
            for file in &files {
                assert_eq!(write_as(&mut ring, file, me), 5, "round {round}");
                assert_eq!(content(file), BYTES);
            }
            // In a table that the test harness has not.
            pipe.get_or_insert_with(|| std::io::pipe().unwrap());
        }
        // The tables before are gone, and with them who could read.
        let (_, mut writer) = pipe.unwrap();
        // SAFETY: concerns signals of the whole process, which the test harness ignores, too.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
        let began = Instant::now();
        while writer.write_all(&[1]).is_ok() {
            assert!(began.elapsed() < Duration::from_secs(30), "stays open");
            std::thread::sleep(Duration::from_millis(1));
        }
    });
}

/// Who has the credentials has the table before, and nobody else could get them.
#[test]
fn what_nobody_has_the_credentials_for_is_cancelled() {
    // SAFETY: no arguments.
    if unsafe { libc::geteuid() } != 0 {
        println!("skipped: not root, which has credentials to lose");
        return;
    }
    in_thread(|| {
        let mut ring = Client::new(8, 0);
        let root = register_personality(&ring);
        // SAFETY: takes numbers; libc would change the credentials of all threads.
        assert_eq!(unsafe { libc::syscall(libc::SYS_setresuid, 1000, 1000, 1000) }, 0);
        let nobody = register_personality(&ring);
        for personality in [root, nobody] {
            assert_eq!(write_as(&mut ring, &memory_file(), personality), 5);
        }
        by_call();
        let files: [File; 40] = std::array::from_fn(|_| memory_file());
        for file in &files {
            let answer = write_as(&mut ring, file, root);
            assert_eq!((answer, content(file)), (Errno::ECANCELED.to_res(), vec![]));
            assert_eq!(write_as(&mut ring, file, nobody), 5);
            assert_eq!(content(file), BYTES);
        }
    });
}

/// Who comes by while they are replaced finds those there were, those who follow, or that there are none:
/// never that some are to come, for whom nobody would be called.
#[test]
fn who_has_credentials_is_replaced_at_once() {
    in_thread(|| {
        let ring = Client::new(8, 0);
        register_personality(&ring);
        let mine = Personality::of_caller().unwrap();
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let looks = scope.spawn(|| {
                let mut to_come = 0u32;
                while !over.load(Ordering::Relaxed) {
                    to_come += u32::from(mine.keeper() == Keeper::ToCome);
                }
                to_come
            });
            for _ in 0..200 {
                personality::retire();
                // Until there is one again: those before may take their time to end.
                while mine.keeper() != Keeper::Here {
                    let fd = ring.fd.raw() as u32;
                    let taken = sysring_engine::register(fd, register::PERSONALITY, User::NULL, 0);
                    if let Ok(number) = taken {
                        let number = number as u32;
                        let untaken = register::UNREGISTER_PERSONALITY;
                        let untaken = sysring_engine::register(fd, untaken, User::NULL, number);
                        assert_eq!(untaken, Ok(0));
                    }
                }
            }
            over.store(true, Ordering::Relaxed);
            assert_eq!(looks.join().unwrap(), 0);
        });
        mine.put();
    });
}

/// Has a personality's only thread find work of another ring's when it is back from this one, which the
/// calling thread has locked until `then` is over.
fn while_one_is_kept(ring: &mut Client, personality: u16, mut then: impl FnMut()) {
    let held = descriptors::get(ring.fd).unwrap();
    let mut locked = held.ring().lock_as_submitter();
    loop {
        let mut nop = sqe(op::NOP, -1, 99);
        nop.personality = personality;
        ring.push(nop);
        assert_eq!(locked.submit(1), Ok(1));
        // It is given here, and its lock is for who is first.
        locked.breathe();
        while ring.reap().is_empty() {
            if locked.find(|req| req.stage == Stage::Running).is_some() {
                then();
                return;
            }
            std::thread::yield_now();
        }
    }
}

/// What comes to its turn when the table has been left.
#[test]
fn what_is_left_to_who_has_credentials_is_begun_in_the_table_there_is() {
    const ROUNDS: u32 = 100;
    // SAFETY: no arguments.
    if unsafe { libc::geteuid() } != 0 {
        println!("skipped: not root, which can have other credentials for a while");
        return;
    }
    let be = |user: u32| {
        // SAFETY: takes numbers; libc would change the credentials of all threads.
        assert_eq!(unsafe { libc::syscall(libc::SYS_setresuid, user, user, 0) }, 0);
    };
    in_thread(move || {
        by_call();
        for _ in 0..ROUNDS {
            let [mut kept, mut ring] = [(); 2].map(|()| Client::new(8, 0));
            let [root, again] = [&kept, &ring].map(register_personality);
            assert_eq!(root, again);
            be(1000);
            while_one_is_kept(&mut kept, root, || {
                let mut open = sqe(op::OPENAT, libc::AT_FDCWD, 1);
                (open.addr, open.personality) = (c"/dev/null".as_ptr() as u64, root);
                ring.push(open);
                assert_eq!(ring.enter(1, 0), Ok(1));
                be(0);
                by_call();
            });
            ring.enter(0, 1).unwrap();
            let answer = ring.reap()[0].res;
            if answer == Errno::ECANCELED.to_res() {
                // Those of a table before this one had not come to their end.
                continue;
            }
            // SAFETY: takes a number.
            let flags = unsafe { libc::fcntl(answer, libc::F_GETFD) };
            assert!(flags >= 0, "{answer} is not open here");
            return;
        }
        panic!("{ROUNDS} times there were too many tables");
    });
}

/// A file that keeps its mark when root writes to it, and loses it when its owner does.
fn marked_file() -> File {
    let file = memory_file();
    file.set_permissions(Permissions::from_mode(0o4700)).unwrap();
    file
}

fn is_marked(file: &File) -> bool {
    file.metadata().unwrap().permissions().mode() & 0o4000 != 0
}

#[test]
fn what_is_sent_anew_brings_nobody_elses_work_to_who_has_credentials() {
    // SAFETY: no arguments.
    if unsafe { libc::geteuid() } != 0 {
        println!("skipped: not root, which has credentials to lose");
        return;
    }
    in_thread(|| {
        let [mut kept, mut ring] = [(); 2].map(|()| Client::new(8, 0));
        let root = register_personality(&kept);
        assert_eq!(register_personality(&ring), root);
        // SAFETY: takes numbers; libc would change the credentials of all threads.
        assert_eq!(unsafe { libc::syscall(libc::SYS_setresuid, 1000, 1000, 1000) }, 0);
        let file = marked_file();
        assert_eq!(write(&mut ring, &file), 5);
        assert!(!is_marked(&file), "by the owner");
        file.set_permissions(Permissions::from_mode(0o4700)).unwrap();
        while_one_is_kept(&mut kept, root, || {
            let mut nop = sqe(op::NOP, -1, 1);
            (nop.personality, nop.flags) = (root, sqe_flags::IO_HARDLINK);
            ring.push(nop);
            let mut write = sqe(op::WRITE, file.as_raw_fd(), 2);
            (write.addr, write.len) = (BYTES.as_ptr() as u64, 5);
            ring.push(write);
            // What a worker has to do, once it has been tried.
            let mut open = sqe(op::OPENAT, libc::AT_FDCWD, 3);
            (open.addr, open.op_flags) = (c"/tmp".as_ptr() as u64, libc::O_TMPFILE as u32);
            (open.op_flags, open.len) = (open.op_flags | libc::O_WRONLY as u32, 0o600);
            open.personality = root;
            ring.push(open);
            assert_eq!(ring.enter(3, 0), Ok(3));
            by_call();
        });
        // Time for those who ought not to.
        std::thread::sleep(Duration::from_millis(5));
        let mut seen = vec![];
        while seen.len() < 3 {
            ring.enter(0, 1).unwrap();
            seen.extend(ring.reap().iter().map(|cqe| (cqe.user_data, cqe.res)));
        }
        assert!(seen.contains(&(2, 5)), "{seen:?}");
        assert!(!is_marked(&file), "by somebody else: {seen:?}");
    });
}

#[test]
fn the_driver_follows_and_nothing_stays_open() {
    in_thread(|| {
        let mut ring = Client::new(8, 0);
        // SAFETY: takes numbers; the descriptor is new.
        let eventfd = unsafe { OwnedFd::from_raw_fd(libc::eventfd(0, 0)) };
        let mut number = eventfd.as_raw_fd();
        let argument = User::<u8>::of((&raw mut number).cast());
        let fd = ring.fd.raw() as u32;
        assert_eq!(sysring_engine::register(fd, register::EVENTFD, argument, 1), Ok(0));
        let mut byte = [0u8; 1];
        for round in 0..3 {
            if round == 1 {
                by_call();
            }
            let (reader, mut writer) = std::io::pipe().unwrap();
            let mut read = sqe(op::READ, reader.as_raw_fd(), 7);
            (read.addr, read.len, read.off) = (byte.as_mut_ptr() as u64, 1, u64::MAX);
            ring.push(read);
            assert_eq!(ring.enter(1, 0), Ok(1));
            drop(reader);
            writer.write_all(&[1]).unwrap();
            // Nobody enters.
            let began = Instant::now();
            let cqes = loop {
                let cqes = ring.reap();
                if !cqes.is_empty() {
                    break cqes;
                }
                assert!(began.elapsed() < Duration::from_secs(30), "round {round}");
                std::thread::sleep(Duration::from_millis(1));
            };
            assert_eq!((cqes[0].user_data, cqes[0].res), (7, 1), "round {round}");
            // The last who could read has gone, as soon as every thread has.
            // SAFETY: concerns signals of the whole process, which the test harness ignores, too.
            unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
            while writer.write_all(&[1]).is_ok() {
                assert!(began.elapsed() < Duration::from_secs(30), "round {round}: stays open");
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    });
}
